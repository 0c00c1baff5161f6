//! A container's own directory, from outside: told by its mark, set aside before it is deleted.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use vss_model::{AbsPath, IdRange, SandboxName, Uuid};
use vss_tree::{Attributes, Root};

use crate::error::{Error, Result};

/// The content of one sandbox: its directory and the names that it has on the way in and out.
#[derive(Debug)]
pub(crate) struct Content {
    name: SandboxName,
    uuid: Uuid,
    path: AbsPath,
    /// The directory that it is in; `None` where there is no such.
    parent: Option<Root>,
}

/// Whose a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// There is nothing.
    Absent,
    /// It carries the sandbox's UUID, or its name does and it is empty.
    Ours,
    /// It carries another UUID, or none.
    Foreign,
}

/// Permission bits of a content directory: a setuid program in it must be out of reach.
pub(crate) const TOP: Attributes = Attributes {
    mode: 0o755,
    uid: 0,
    gid: 0,
};

/// Whether a directory has content of any sandbox in it.
pub(crate) fn holds_any(parent: &Path) -> Result<bool> {
    if !parent.is_dir() {
        return Ok(false);
    }
    let parent = Root::open(parent)?;
    for (name, metadata) in parent.list("/".as_ref())? {
        if !metadata.is_directory() {
            continue;
        }
        match parent.sub(name.as_ref()) {
            Ok(tree) if matches!(tree.mark(), Ok(None)) => {}
            Ok(_) => return Ok(true),
            // another delete took it away meanwhile
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

impl Content {
    /// The content of a sandbox in a directory of the host; `host_path` is where that is for the
    /// system.
    pub(crate) fn open(
        name: &SandboxName,
        uuid: Uuid,
        path: &AbsPath,
        host_parent: &Path,
    ) -> Result<Self> {
        let parent = if host_parent.is_dir() {
            Some(Root::open(host_parent)?)
        } else {
            None
        };
        Ok(Self {
            name: name.clone(),
            uuid,
            path: path.clone(),
            parent,
        })
    }

    /// Its name while it is filled.
    fn staged(&self) -> PathBuf {
        PathBuf::from(format!(".{}.{}.new", self.name, self.uuid))
    }

    /// Its name while it is deleted.
    fn doomed(&self) -> PathBuf {
        PathBuf::from(format!(".{}.{}.deleting", self.name, self.uuid))
    }

    fn final_name(&self) -> PathBuf {
        self.path.file_name().map(PathBuf::from).unwrap_or_default()
    }

    fn parent(&self) -> Result<&Root> {
        self.parent.as_ref().ok_or_else(|| Error::Io {
            action: "open the directory of",
            path: self.path.clone(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// Makes the directory under its first name, marked and empty.
    ///
    /// What is put there belongs to the container's own users, where it has some.
    pub(crate) fn stage(&self, users: Option<IdRange>) -> Result<Root> {
        let parent = self.parent()?;
        let staged = self.staged();
        let owner = users.map_or(TOP.uid, IdRange::base);
        let top = Attributes {
            uid: owner,
            gid: owner,
            ..TOP
        };
        parent.make_dir(&staged, top)?;
        let root = parent.sub(&staged)?;
        root.set_mark(self.uuid)?;
        Ok(match users {
            Some(users) => root.owned_by(users),
            None => root,
        })
    }

    /// Gives the filled directory its own name.
    pub(crate) fn publish(&self) -> Result<()> {
        let parent = self.parent()?;
        match parent.rename(&self.staged(), &self.final_name()) {
            Err(vss_tree::Error::Exists { .. }) => Err(Error::Foreign {
                name: self.name.clone(),
                path: self.path.clone(),
            }),
            other => Ok(other?),
        }
    }

    /// Has its name last.
    pub(crate) fn sync_name(&self) -> Result<()> {
        Ok(self.parent()?.sync_names()?)
    }

    /// Whose the directory of the sandbox's name is.
    pub(crate) fn ownership(&self) -> Result<Ownership> {
        let Some(parent) = &self.parent else {
            return Ok(Ownership::Absent);
        };
        self.ownership_of(parent, &self.final_name())
    }

    fn ownership_of(&self, parent: &Root, name: &Path) -> Result<Ownership> {
        match parent.metadata(name)? {
            None => Ok(Ownership::Absent),
            Some(found) if !found.is_directory() => Ok(Ownership::Foreign),
            Some(_) => match parent.sub(name)?.mark() {
                // the nil UUID stands for one that is lost: nothing carries it
                Ok(Some(mark)) if mark == self.uuid && !mark.is_nil() => Ok(Ownership::Ours),
                Ok(_) | Err(vss_tree::Error::Mark { .. }) => Ok(Ownership::Foreign),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Removes whatever of the sandbox's directory there is, under all its names; what doesn't
    /// carry the UUID stays.
    pub(crate) fn remove(&self) -> Result<()> {
        let Some(parent) = &self.parent else {
            return Ok(());
        };
        self.remove_leftover(parent, &self.staged())?;
        let (name, doomed) = (self.final_name(), self.doomed());
        if self.ownership_of(parent, &name)? == Ownership::Ours {
            // an earlier attempt may have left one under that name
            self.remove_leftover(parent, &doomed)?;
            parent.rename(&name, &doomed)?;
        }
        self.remove_leftover(parent, &doomed)
    }

    /// Removes a directory whose name carries the UUID. One without a mark is one that was just
    /// made, and goes only if it is empty.
    fn remove_leftover(&self, parent: &Root, name: &Path) -> Result<()> {
        match self.ownership_of(parent, name)? {
            Ownership::Absent => {}
            Ownership::Ours => {
                parent.remove_tree(name)?;
            }
            Ownership::Foreign => {
                let empty = parent.list(name).is_ok_and(|entries| entries.is_empty());
                if empty {
                    parent.remove_tree(name)?;
                }
            }
        }
        Ok(())
    }

    /// What of the sandbox's directory is there, under all its names.
    pub(crate) fn present(&self) -> Result<Vec<AbsPath>> {
        let mut found = Vec::new();
        let (Some(parent), Some(above)) = (&self.parent, self.path.parent()) else {
            return Ok(found);
        };
        for name in [self.final_name(), self.staged(), self.doomed()] {
            if self.ownership_of(parent, &name)? == Ownership::Ours
                && let Ok(path) = above.join(&name)
            {
                found.push(path);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_another_delete_takes_away_meanwhile_is_no_content() {
        let parent = tempfile::tempdir().unwrap();
        let (gone, over) = (parent.path().join(".web1.deleting"), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    fs::create_dir(&gone).unwrap();
                    fs::remove_dir(&gone).unwrap();
                }
            });
            let held: Vec<_> = (0..2000).map(|_| holds_any(parent.path())).collect();
            over.store(true, Ordering::Relaxed);
            for held in held {
                assert!(!held.unwrap());
            }
        });
    }
}
