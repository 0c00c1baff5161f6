//! Directories that are made when needed, and taken away again when empty.
//!
//! After the last sandbox is deleted the host is as it was before the first one was created. So a
//! directory that this program made carries a mark, an extended attribute, and is removed when it
//! is empty; one that a package or the administrator made has no mark and stays. The mark and the
//! directory appear at once: it is made under a temporary name, marked, and renamed.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, XattrFlags};
use rustix::io::Errno;

use crate::Result;
use crate::access;
use crate::durable::{remove_empty, sync_directory_of, temporary_name};
use crate::error::{Context, Error, Untrusted};

/// On a directory that this program made.
const MADE: &str = "trusted.virt-sandbox.made";
/// On a directory that this program made private: the mode that it had, in octal.
const NARROWED: &str = "trusted.virt-sandbox.mode";

/// Makes a directory and those above it that are missing: this one with `mode`, those with 0755.
pub(crate) fn make(directory: &Path, mode: u32) -> Result<()> {
    if make_unsynced(directory, mode)? {
        sync_directory_of(directory)?;
    }
    Ok(())
}

/// The same, where the caller has the directory's name last; whether it is new.
pub(crate) fn make_unsynced(directory: &Path, mode: u32) -> Result<bool> {
    match rustix::fs::lstat(directory) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            return Ok(false);
        }
        // a link that the administrator made to another disk
        Ok(_) if directory.is_dir() => return Ok(false),
        Ok(_) => return Err(Errno::NOTDIR).context("use as a directory", directory),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error).context("examine", directory),
    }
    if let Some(parent) = directory.parent() {
        make(parent, 0o755)?;
    }
    let temporary = temporary_name(directory);
    match rustix::fs::mkdir(&temporary, Mode::from_raw_mode(mode)) {
        // of an attempt that was cut short, or of one that goes on beside this one
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error).context("make the directory", directory),
    }
    finish(&temporary, directory, mode)
}

fn finish(temporary: &Path, directory: &Path, mode: u32) -> Result<bool> {
    // the umask may have narrowed the mode; ENOENT: another process, doing the same, was first
    let prepared = rustix::fs::chmod(temporary, Mode::from_raw_mode(mode)).and_then(|()| {
        match rustix::fs::setxattr(temporary, MADE, b"1", XattrFlags::empty()) {
            // without the mark the directory stays after the last sandbox, no more than that
            Err(Errno::NOTSUP | Errno::PERM) => Ok(()),
            result => result,
        }
    });
    let renamed = prepared.and_then(|()| {
        rustix::fs::renameat_with(CWD, temporary, CWD, directory, RenameFlags::NOREPLACE)
    });
    match renamed {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => remove_empty(temporary).map(|_| false),
        Err(Errno::NOENT) if directory.is_dir() => Ok(false),
        Err(Errno::NOENT) => make_unsynced(directory, mode),
        Err(error) => Err(error).context("make the directory", directory),
    }
}

/// Removes a directory and those above it, as long as they are empty and were made by this
/// program; also where this was cut short before, so that only those above it are left.
pub(crate) fn tidy(directory: &Path) -> Result<()> {
    remove_empty(&temporary_name(directory))?;
    let mut next = directory;
    loop {
        if attribute(next, MADE)?.is_some() {
            remove_empty(next)?;
        }
        if is_there(next)? {
            return Ok(());
        }
        let Some(parent) = next.parent() else {
            return Ok(());
        };
        if is_there(parent)? {
            // what making this one left when it was cut short would keep that one
            remove_empty(&temporary_name(next))?;
        }
        next = parent;
    }
}

fn is_there(path: &Path) -> Result<bool> {
    match rustix::fs::lstat(path) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error).context("examine", path),
    }
}

/// Makes the directory that holds content, or sees that nobody but root can enter it: a setuid
/// program in the content of a stopped container is out of reach for the host's users then.
///
/// `narrow` says that a directory with a wider mode is made 0700 (and gets its mode back from
/// [`restore`]); else it is refused. Root of a container's own users (`known`) may go through.
pub(crate) fn make_private(
    directory: &Path,
    narrow: bool,
    known: &dyn Fn(u32) -> bool,
) -> Result<()> {
    make(directory, 0o700)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::open(directory, flags, Mode::empty()).context("open", directory)?;
    let stat = rustix::fs::fstat(&open).context("examine", directory)?;
    if stat.st_uid != 0 && stat.st_uid != rustix::process::geteuid().as_raw() {
        let why = Untrusted::Owner(stat.st_uid);
        return Err(Error::Untrusted {
            path: directory.to_owned(),
            why,
        });
    }
    if let Some(list) = access::read(&open, directory)? {
        return match list.strangers(known).next() {
            None => Ok(()),
            Some(who) => Err(Error::OpenAcl {
                path: directory.to_owned(),
                who,
            }),
        };
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if !narrow {
        return Err(Error::OpenParent {
            path: directory.to_owned(),
            mode,
        });
    }
    let former = format!("{mode:o}");
    match rustix::fs::fsetxattr(&open, NARROWED, former.as_bytes(), XattrFlags::CREATE) {
        Ok(()) | Err(Errno::EXIST | Errno::NOTSUP | Errno::PERM) => {}
        Err(error) => return Err(error).context("mark", directory),
    }
    rustix::fs::fchmod(&open, Mode::from_raw_mode(mode & 0o700)).context("chmod", directory)
}

/// Gives a directory of content that holds none any more its former mode back, or removes it if
/// this program made it.
pub(crate) fn restore(directory: &Path) -> Result<()> {
    let former = attribute(directory, NARROWED)?
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| u32::from_str_radix(&text, 8).ok());
    if let Some(mode) = former.filter(|mode| mode & !0o7777 == 0) {
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::chmodat(CWD, directory, mode, AtFlags::empty()).context("chmod", directory)?;
        rustix::fs::removexattr(directory, NARROWED).context("unmark", directory)?;
    }
    tidy(directory)
}

fn attribute(path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let mut value = [0; 16];
    match rustix::fs::getxattr(path, name, &mut value) {
        Ok(length) => Ok(Some(value[..length].to_vec())),
        Err(Errno::NODATA | Errno::NOENT | Errno::NOTDIR | Errno::NOTSUP | Errno::PERM) => Ok(None),
        Err(error) => Err(error).context("examine", path),
    }
}
