//! Directories above a mount in a tree that root inside writes, held in their places.
//!
//! A mount point can't be renamed; a directory above it can. With `/var/lib/a` moved away and a
//! link put there, the next start would mount what belongs at `/var/lib/a/b` wherever that link
//! leads, and on a reboot libvirt starts the container anew without the host's own look at it
//! (A07). Each such directory is bound on itself, and so is a mount point too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::mount::mount_bind_recursive;

use crate::failure::{Failure, Stage};
use crate::mounts::{self, Mounted};

/// Holds them. The mounts are final when this is called.
pub(crate) fn hold() -> Result<(), Failure> {
    for path in to_hold(&mounts::list()?) {
        let shown = path.display().to_string();
        mount_bind_recursive(&path, &path).map_err(Failure::io(Stage::Mounts, &shown))?;
    }
    Ok(())
}

/// The directories between a mount and the writable one that it lies in, outer ones first.
fn to_hold(mounted: &[Mounted]) -> BTreeSet<PathBuf> {
    let mut held = BTreeSet::new();
    for mount in mounted {
        let above = mount.target.ancestors().skip(1);
        let between: Vec<&Path> = above
            .take_while(|path| !mounted.iter().any(|other| other.target == *path))
            .collect();
        let inmost = between.last().copied().unwrap_or(&mount.target);
        let parent = inmost.parent();
        // of several at one place the last one made is the upper one
        let parent = mounted
            .iter()
            .rev()
            .find(|other| Some(other.target.as_path()) == parent);
        if parent.is_some_and(|parent| !parent.read_only) {
            held.extend(between.into_iter().map(Path::to_owned));
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(target: &str, read_only: bool) -> Mounted {
        Mounted {
            target: target.into(),
            read_only,
        }
    }

    #[test]
    fn a07_what_lies_above_a_mount_in_a_writable_tree_is_held() {
        let mounts = [
            mounted("/", true),
            mounted("/usr", true),
            mounted("/var", false),
            mounted("/run", false),
            mounted("/run/host", true),
            mounted("/srv/a/b", false),
            mounted("/var/lib/a/b", true),
            mounted("/var/lib/a/b/c/d", false),
        ];
        let held: Vec<_> = to_hold(&mounts).into_iter().collect();
        assert_eq!(held, [Path::new("/var/lib"), Path::new("/var/lib/a")]);
    }
}
