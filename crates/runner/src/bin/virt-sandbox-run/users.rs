//! The way for a container's own users to what is theirs: libvirt mounts it as their root, who is
//! nobody to the host.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use vss_model::{IdRange, SandboxConfig};

use crate::error::{Error, at};
use crate::sandbox::Sandbox;

/// Who goes through a directory by its group sees no names in it.
const GROUP_ENTERS: u32 = 0o710;

impl Sandbox {
    /// Lets root of the container's own users through to the content, where that was undone
    /// meanwhile: by a restored backup, say.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        let (Some(users), Some(parent)) = (
            self.config.private_users,
            self.config.content.as_path().parent(),
        ) else {
            return Ok(());
        };
        if !self.store.is_admitted(parent, users)? {
            self.store.admit(parent, users)?;
        }
        Ok(())
    }

    /// Lets them through to the directory that the container sees, and gives them the socket in it
    /// to write to.
    pub(crate) fn lend(&self, directory: &Path, socket: &Path) -> Result<(), Error> {
        let Some(users) = self.config.private_users else {
            return Ok(());
        };
        let runtime = self.store.places().runtime(self.name());
        for path in [runtime.as_path(), directory] {
            chown(path, None, Some(users.base())).map_err(at("change the group of", path))?;
            let mode = PermissionsExt::from_mode(GROUP_ENTERS);
            std::fs::set_permissions(path, mode).map_err(at("change the mode of", path))?;
        }
        let root = Some(users.base());
        chown(socket, root, root).map_err(at("change the owner of", socket))
    }
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
