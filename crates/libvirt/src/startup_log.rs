//! What libvirt's controller wrote of the last start of a domain.
//!
//! libvirtd quotes this log in its error, but may read it while the controller is still writing:
//! "guest failed to start: … error : virCgroup" was seen, cut off right there. A moment later the
//! file has it whole.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Where the LXC driver has the logs of its domains.
pub(crate) const DIRECTORY: &str = "/var/log/libvirt/lxc";

/// The end of a log that is looked at. The container writes there too.
const TAIL: u64 = 16 << 10;

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The part of a domain's log since it was last started; empty where there is none.
pub(crate) fn of_last_start(directory: &Path, domain: &str) -> String {
    let text = tail(&directory.join(format!("{domain}.log"))).unwrap_or_default();
    match text.rsplit_once(": starting up") {
        Some((_, last)) => last.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_start_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of_last_start(dir.path(), "web1"), "");
        let log = "1: starting up\nold\n2: starting up\nnew\n";
        std::fs::write(dir.path().join("web1.log"), log).unwrap();
        assert_eq!(of_last_start(dir.path(), "web1"), "\nnew\n");
        let long = format!("{log}{}", "x".repeat(1 << 20));
        std::fs::write(dir.path().join("web1.log"), long).unwrap();
        assert_eq!(of_last_start(dir.path(), "web1").len() as u64, TAIL);
    }
}
