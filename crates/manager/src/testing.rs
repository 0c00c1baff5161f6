//! What tests of several modules need.

use std::path::Path;

/// Writes an executable shell script. Another process writes it: a descriptor of ours that is open
/// for writing could go along with a fork of another test's thread, and the script could not be
/// executed until that has ended (`ETXTBSY`).
pub(crate) fn script(path: &Path, body: &str) {
    #[expect(clippy::disallowed_methods, reason = "the shell writes the script")]
    let status = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg("printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"")
        .arg("sh")
        .arg(path)
        .arg(body)
        .status()
        .unwrap();
    assert!(status.success());
}
