//! Files that are whole or not there, and reads that trust nothing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::Result;
use crate::error::{Context, Error, Untrusted};

/// What may stand at the name already when a file is put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing: else [`Placed::Taken`].
    Refuse,
    /// Anything; it is replaced.
    Replace,
}

/// Whether a file was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It was.
    Done,
    /// Something stands there already.
    Taken,
}

/// Puts a file with these bytes, mode 0600, at `path`, so that whoever looks finds the old state
/// or the whole new one, after a loss of power too.
pub(crate) fn place(path: &Path, bytes: &[u8], existing: Existing) -> Result<Placed> {
    finish(Staged::write(path, bytes)?, existing)
}

/// The same in place of whatever is there, for a file whose writers have no lock in common: whoever
/// is last is heard, and none is in the way of another. [`remove_attempts`] removes what a crash
/// left.
pub(crate) fn replace_unlocked(path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = Staged::write_as(path, unique_name(path), bytes)?;
    finish(staged, Existing::Replace).map(drop)
}

fn finish(mut staged: Staged, existing: Existing) -> Result<Placed> {
    staged.sync()?;
    let placed = staged.put(existing)?;
    if placed == Placed::Done {
        sync_directory_of(&staged.path)?;
    }
    Ok(placed)
}

/// A name that no reader takes for a stored file: it begins with a dot. It is the same for every
/// attempt, so that what a crash left behind is overwritten or removed by the next; whoever writes
/// holds the lock of what is written, or uses [`replace_unlocked`].
pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    path.with_file_name(attempt(path, "new"))
}

/// A temporary name that no other attempt has at the same time, of this process or of another.
fn unique_name(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    path.with_file_name(attempt(path, &format!("{process}.{number}.new")))
}

fn attempt(path: &Path, ending: &str) -> OsString {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(ending);
    name
}

/// A file that has its bytes and not yet its name. Without ever getting it, it goes with this
/// value.
///
/// Of several files of one change, each has to be synced before any gets its name; one wait for
/// the disk is enough for all then.
#[derive(Debug)]
#[must_use]
pub struct Staged {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_put: bool,
}

impl Staged {
    /// Writes it, mode 0600, under its temporary name.
    pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<Self> {
        Self::write_as(path, temporary_name(path), bytes)
    }

    fn write_as(path: &Path, temporary: PathBuf, bytes: &[u8]) -> Result<Self> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        // of the file and not of its temporary name: where nothing can be written that name says
        // nothing to anybody
        let file = unlink(&temporary)
            .and_then(|_| rustix::fs::open(&temporary, flags, Mode::RUSR | Mode::WUSR))
            .context("write", path)?;
        let mut staged = Self {
            file: File::from(file),
            temporary,
            path: path.to_owned(),
            is_put: false,
        };
        let written = staged.file.write_all(bytes);
        written.context("write", &staged.temporary)?;
        Ok(staged)
    }

    /// Has its bytes last.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().context("sync", &self.temporary)
    }

    /// Has its bytes last, where it isn't on the file system that was synced as a whole.
    ///
    /// # Errors
    /// Where the disk can't take them.
    pub fn sync_unless_on(&self, device: u64) -> Result<()> {
        let stat = rustix::fs::fstat(&self.file).context("examine", &self.temporary)?;
        if stat.st_dev == device {
            return Ok(());
        }
        self.sync()
    }

    /// Gives it its name. The directory is not synced.
    pub(crate) fn put(&mut self, existing: Existing) -> Result<Placed> {
        let flags = match existing {
            Existing::Refuse => RenameFlags::NOREPLACE,
            Existing::Replace => RenameFlags::empty(),
        };
        match rustix::fs::renameat_with(CWD, &self.temporary, CWD, &self.path, flags) {
            Ok(()) => {
                self.is_put = true;
                Ok(Placed::Done)
            }
            Err(Errno::EXIST) => Ok(Placed::Taken),
            Err(error) => Err(error).context("put in place", &self.path),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_put {
            // whoever drops it has a first error to tell
            let _ = rustix::fs::unlink(&self.temporary);
        }
    }
}

/// Removes a file and what a cut-short attempt to write it left, and makes that last; whether the
/// file was there.
pub(crate) fn remove(path: &Path) -> Result<bool> {
    remove_temporary(path)?;
    match unlink(path) {
        Ok(true) => sync_directory_of(path).map(|()| true),
        Ok(false) => Ok(false),
        Err(error) => Err(error).context("remove", path),
    }
}

/// Removes a name; whether it was there. A file system that is mounted read-only refuses before it
/// looks, and what never came to be has to count as undone there too.
fn unlink(path: &Path) -> rustix::io::Result<bool> {
    match rustix::fs::unlink(path) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(Errno::ROFS) if is_absent(path) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_absent(path: &Path) -> bool {
    matches!(rustix::fs::lstat(path), Err(Errno::NOENT | Errno::NOTDIR))
}

/// Removes what a cut-short attempt to write a file left.
pub(crate) fn remove_temporary(path: &Path) -> Result<()> {
    let temporary = temporary_name(path);
    unlink(&temporary).context("remove", &temporary).map(drop)
}

/// Removes what cut-short attempts to write a file left, under whatever temporary name. One that is
/// not cut short fails for it.
pub(crate) fn remove_attempts(path: &Path) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let beginning = attempt(path, "");
    if !directory.is_dir() {
        return Ok(());
    }
    for name in all_names(directory)? {
        let name_bytes = name.as_encoded_bytes();
        if name_bytes.starts_with(beginning.as_encoded_bytes()) && name_bytes.ends_with(b".new") {
            let left = directory.join(name);
            unlink(&left).context("remove", &left)?;
        }
    }
    Ok(())
}

/// Makes renames and removals in the directory of `path` last.
pub(crate) fn sync_directory_of(path: &Path) -> Result<()> {
    sync_directory(path.parent().unwrap_or(Path::new("/")))
}

/// Makes renames and removals in a directory last.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|d| d.sync_all())
        .context("sync the directory", directory)
}

/// Reads a file that this program trusts: regular, no link, of root or of whoever runs this, not
/// writable by others, of at most `limit` bytes. `None` where there is nothing.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let untrusted = |why| Error::Untrusted {
        path: path.to_owned(),
        why,
    };
    // O_NONBLOCK: a FIFO in place of the file must not block
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP | Errno::NXIO) => return Err(untrusted(Untrusted::Kind)),
        Err(error) => return Err(error).context("open", path),
    };
    let stat = rustix::fs::fstat(&file).context("examine", path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(untrusted(Untrusted::Kind));
    }
    if stat.st_uid != 0 && stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(untrusted(Untrusted::Owner(stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(untrusted(Untrusted::Mode(stat.st_mode & 0o7777)));
    }
    // room for all of it and one byte more: two calls instead of eight, for each of many sandboxes
    let size = u64::try_from(stat.st_size).unwrap_or(0).min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    File::from(file)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .context("read", path)?;
    if bytes.len() as u64 > limit {
        return Err(untrusted(Untrusted::Size(limit)));
    }
    Ok(Some(bytes))
}

/// The names in a directory that are no temporary files and no directories of ours (those begin
/// with a dot), sorted; none where there is no such directory.
pub(crate) fn names(directory: &Path) -> Result<Vec<OsString>> {
    let mut names = all_names(directory)?;
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort();
    Ok(names)
}

/// All names in a directory; none where there is no such directory.
fn all_names(directory: &Path) -> Result<Vec<OsString>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("list", directory),
    };
    entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<_>>()
        .context("list", directory)
}

/// Removes an empty directory; `false` where it isn't there, isn't empty or something is mounted on
/// it, which makes it the administrator's.
pub(crate) fn remove_empty(directory: &Path) -> Result<bool> {
    match rustix::fs::unlinkat(CWD, directory, AtFlags::REMOVEDIR) {
        Ok(()) => sync_directory_of(directory).map(|()| true),
        Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::BUSY) => {
            Ok(false)
        }
        Err(Errno::ROFS) if is_absent(directory) => Ok(false),
        Err(error) => Err(error).context("remove the directory", directory),
    }
}
