//! The way for a container's own users to what is theirs: libvirt mounts it as their root, who is
//! nobody to the host.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use vss_model::{IdRange, SandboxConfig};

use crate::error::{Error, at};
use crate::sandbox::Sandbox;

/// Who goes through a directory by its group sees no names in it.
const GROUP_ENTERS: u32 = 0o710;

impl Sandbox {
    /// Lets root of the container's own users through to the content, where that was undone
    /// meanwhile: by a restored backup or a chmod, say.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        let (Some(users), Some(parent)) = (
            self.config.private_users,
            self.config.content.as_path().parent(),
        ) else {
            return Ok(());
        };
        if !self.store.gets_through(parent, users)? {
            self.store.admit(parent, users)?;
        }
        Ok(())
    }

    /// Lets them through to the directory that the container sees.
    pub(crate) fn lend(&self, directory: &Path) -> Result<(), Error> {
        let Some(users) = self.config.private_users else {
            return Ok(());
        };
        let runtime = self.store.places().runtime(self.name());
        for path in [runtime.as_path(), directory] {
            enter_by_group(path, users.base())?;
        }
        Ok(())
    }

    /// Gives them a socket in that directory to write to.
    pub(crate) fn lend_socket(&self, socket: &Path) -> Result<(), Error> {
        let Some(users) = self.config.private_users else {
            return Ok(());
        };
        let root = Some(users.base());
        chown(socket, root, root).map_err(at("change the owner of", socket))
    }
}

/// The mode comes before the group: the kernel asks for CAP_FSETID where the mode of what has a
/// foreign group is changed, and the policy does not give it.
fn enter_by_group(path: &Path, group: u32) -> Result<(), Error> {
    let found = std::fs::symlink_metadata(path).map_err(at("look at", path))?;
    if found.mode() & 0o7777 != GROUP_ENTERS {
        let mode = PermissionsExt::from_mode(GROUP_ENTERS);
        std::fs::set_permissions(path, mode).map_err(at("change the mode of", path))?;
    }
    chown(path, None, Some(group)).map_err(at("change the group of", path))
}

/// Refuses content that belongs to other users than the config says: with the host's root for
/// their owner inside files would be out of reach, and with another container's within its.
pub(crate) fn check(config: &SandboxConfig) -> Result<(), Error> {
    let content = config.content.as_path();
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat2(
        CWD,
        content,
        flags,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    )
    .and_then(rustix::fs::fstat)
    .map_err(at("look at", content))?
    .st_uid;
    if owns(config.private_users, found) {
        return Ok(());
    }
    Err(Error::Owner {
        path: content.to_owned(),
        found,
        wanted: config.private_users.map_or(0, IdRange::base),
    })
}

fn owns(users: Option<IdRange>, owner: u32) -> bool {
    match users {
        Some(users) => owner == users.base(),
        None => owner < IdRange::FIRST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_of_other_users_is_told() {
        let users: IdRange = "100000:65536".parse().unwrap();
        assert!(owns(Some(users), 100_000));
        assert!(owns(None, 0));
        for other in [0, 99_999, 100_001, 165_536] {
            assert!(!owns(Some(users), other), "{other}");
        }
        assert!(!owns(None, 100_000));
    }
}
