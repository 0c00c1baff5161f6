//! The way to the content for the users of a container that has users of its own.
//!
//! The directory that content is in is root's alone, and root inside is nobody to the host then. So
//! that he, and he only, gets through to what is his, the directory has an entry for him in its
//! access control list: to go through, not to read.

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use vss_model::{Acl, IdRange, acl};

use crate::Result;
use crate::error::{Context, Error};
use crate::store::Store;

/// The most bytes of an extended attribute (`XATTR_SIZE_MAX`).
const LONGEST: usize = 65536;

impl Store {
    /// Lets root of a container's own users through the directory that holds its content. Done
    /// twice, it is done.
    ///
    /// # Errors
    /// [`Error::NoAcl`] and [`Error::FullAcl`] where the file system can't.
    pub fn admit(&self, directory: &Path, users: IdRange) -> Result<()> {
        let _lock = self.lock_reservations()?;
        let open = open(directory)?;
        let mut list = match read(&open, directory)? {
            Some(list) => list,
            None => {
                let stat = rustix::fs::fstat(&open).context("examine", directory)?;
                Acl::of_mode(stat.st_mode)
            }
        };
        list.admit(users.base());
        write(&open, &list, directory)
    }

    /// Undoes [`admit`](Self::admit). That there is no directory, or nothing to undo, is no error.
    ///
    /// # Errors
    /// Where the list can't be read or written.
    pub fn dismiss(&self, directory: &Path, users: IdRange) -> Result<()> {
        let _lock = self.lock_reservations()?;
        let open = match open(directory) {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        match read(&open, directory)? {
            Some(mut list) => {
                if list.dismiss(users.base()) {
                    write(&open, &list, directory)?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether [`admit`](Self::admit) was done, and not undone.
    ///
    /// # Errors
    /// Where the list can't be read.
    pub fn is_admitted(&self, directory: &Path, users: IdRange) -> Result<bool> {
        let list = match look(directory) {
            Err(error) if error.is_not_found() => return Ok(false),
            other => other?,
        };
        Ok(list.is_some_and(|mut list| list.dismiss(users.base())))
    }

    /// Whether who is [admitted](Self::is_admitted) gets through: a change of the directory's mode
    /// may keep him out all the same.
    ///
    /// # Errors
    /// Where the list can't be read.
    pub fn gets_through(&self, directory: &Path, users: IdRange) -> Result<bool> {
        Ok(look(directory)?.is_some_and(|list| list.admits(users.base())))
    }
}

fn open(directory: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::empty()).context("open", directory)
}

/// The list of a directory; `None` where its mode says all.
pub(crate) fn read(open: &OwnedFd, directory: &Path) -> Result<Option<Acl>> {
    let mut bytes = vec![0; LONGEST];
    let length = rustix::fs::fgetxattr(open, acl::ACCESS, &mut bytes[..]);
    list(length, &bytes, directory)
}

/// The same of a directory that is not opened, which whoever may only go through it can.
fn look(directory: &Path) -> Result<Option<Acl>> {
    let mut bytes = vec![0; LONGEST];
    let length = rustix::fs::getxattr(directory, acl::ACCESS, &mut bytes[..]);
    list(length, &bytes, directory)
}

fn list(length: rustix::io::Result<usize>, bytes: &[u8], directory: &Path) -> Result<Option<Acl>> {
    match length {
        Ok(length) => match Acl::parse(&bytes[..length]) {
            Some(list) => Ok(Some(list)),
            None => Err(Errno::INVAL).context("read the access control list of", directory),
        },
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error).context("read the access control list of", directory),
    }
}

/// A list that says no more than a mode becomes one.
fn write(open: &OwnedFd, list: &Acl, directory: &Path) -> Result<()> {
    let path = || directory.to_owned();
    match rustix::fs::fsetxattr(open, acl::ACCESS, &list.to_bytes(), XattrFlags::empty()) {
        Ok(()) => Ok(()),
        Err(Errno::NOTSUP) => Err(Error::NoAcl { path: path() }),
        Err(Errno::NOSPC | Errno::TOOBIG | Errno::RANGE) => Err(Error::FullAcl { path: path() }),
        Err(error) => Err(error).context("change the access control list of", directory),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Places;

    fn users(base: u32) -> IdRange {
        IdRange::new(base, 65536).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn entries_come_and_go_and_the_mode_is_as_before() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(Places::under(root.path()));
        let parent = root.path().join("parent");
        fs::create_dir(&parent).unwrap();
        fs::set_permissions(&parent, fs::Permissions::from_mode(0o700)).unwrap();
        let (a, b) = (users(100_000), users(200_000));
        store.dismiss(&parent, a).unwrap();
        store.dismiss(&root.path().join("nowhere"), a).unwrap();
        for users in [a, b, a] {
            store.admit(&parent, users).unwrap();
            assert!(store.is_admitted(&parent, users).unwrap());
        }
        // the mask stands in the group's place
        assert_eq!(mode(&parent), 0o710);
        fs::set_permissions(&parent, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(store.is_admitted(&parent, a).unwrap());
        assert!(!store.gets_through(&parent, a).unwrap());
        store.admit(&parent, a).unwrap();
        assert!(store.gets_through(&parent, a).unwrap());
        store.dismiss(&parent, a).unwrap();
        assert!(!store.is_admitted(&parent, a).unwrap());
        assert!(store.is_admitted(&parent, b).unwrap());
        store.dismiss(&parent, b).unwrap();
        assert_eq!(mode(&parent), 0o700);
        assert_eq!(read(&open(&parent).unwrap(), &parent).unwrap(), None);
    }

    #[test]
    fn a_list_that_is_full_says_so() {
        let root = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Store::open(Places::under(root.path()));
        let parent = root.path().join("parent");
        fs::create_dir(&parent).unwrap();
        let mut full = Acl::of_mode(0o700);
        for user in 0..8187 {
            full.admit(100_000 + user);
        }
        write(&open(&parent).unwrap(), &full, &parent).unwrap();
        let error = store.admit(&parent, users(200_000)).unwrap_err();
        assert!(matches!(error, Error::FullAcl { .. }), "{error}");
        let proc = Path::new("/proc");
        let error = store.admit(proc, users(200_000)).unwrap_err();
        assert!(matches!(error, Error::NoAcl { .. }), "{error}");
    }
}
