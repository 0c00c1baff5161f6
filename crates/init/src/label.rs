//! The SELinux context of this process, as the kernel tells it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use crate::failure::{Failure, Stage};

/// Refuses a context other than the planned one. By now `/proc` is known to be the kernel's; the
/// file is opened without crossing a mount or following a link, so that nothing can stand in for
/// it.
pub(crate) fn check(wanted: &OsStr) -> Result<(), Failure> {
    let object = "/proc/1/attr/current";
    let proc = openat2(
        CWD,
        "/proc",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
    .map_err(Failure::io(Stage::Label, object))?;
    let file = openat2(
        &proc,
        "1/attr/current",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH,
    )
    .map_err(Failure::io(Stage::Label, object))?;
    let mut found = Vec::new();
    File::from(file)
        .take(4096)
        .read_to_end(&mut found)
        .map_err(|error| {
            Failure::new(
                Stage::Label,
                format!(
                    "planned is {}, and the kernel tells none: {error}",
                    wanted.to_string_lossy()
                ),
            )
        })?;
    compare(wanted, &found)
}

fn compare(wanted: &OsStr, found: &[u8]) -> Result<(), Failure> {
    let end = found
        .iter()
        .position(|byte| matches!(byte, 0 | b'\n'))
        .unwrap_or(found.len());
    if &found[..end] == wanted.as_bytes() {
        return Ok(());
    }
    Err(Failure::new(
        Stage::Label,
        format!(
            "planned is {}, found {}",
            wanted.to_string_lossy(),
            String::from_utf8_lossy(&found[..end]).escape_default()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a05_only_the_planned_context_is_accepted() {
        let wanted = OsStr::new("u:r:t:s0:c1,c2");
        assert!(compare(wanted, b"u:r:t:s0:c1,c2\0").is_ok());
        assert!(compare(wanted, b"u:r:t:s0:c1,c2\n").is_ok());
        assert!(compare(wanted, b"u:r:t:s0:c1,c2").is_ok());
        for other in [
            &b"u:r:t:s0:c1,c20\0"[..],
            b"u:r:t:s0:c1",
            b"u:r:t:s0",
            b"unconfined\n",
            b"",
        ] {
            assert!(compare(wanted, other).is_err());
        }
    }
}
