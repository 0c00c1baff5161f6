//! Who may change what: locks of the kernel, gone with the process that holds them.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, IntoRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use vss_model::SandboxName;

use crate::error::{Context, Error};
use crate::store::{PRIVATE, Store};
use crate::{Result, directories, durable, inherit};

/// How long a lock may be asked about without a break before that counts as held.
const PROBED: Duration = Duration::from_secs(10);

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// The right to change a sandbox, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Shared by all that change something; see [`Store::tidy`].
    directories: File,
}

/// The right to run a sandbox: held by its runner for the life of the container. It can go along
/// through an exec.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
}

/// Who holds a lock that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, where it could be told.
    pub pid: Option<u32>,
}

impl Store {
    fn lock_path(&self, kind: &str, name: &SandboxName) -> PathBuf {
        self.places().locks().join(kind).join(name.as_str())
    }

    /// Waits for the right to change a sandbox; before it waits, `notice` is told for whom.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where a signal came while waiting.
    pub fn lock(&self, name: &SandboxName, notice: impl FnOnce(Holder)) -> Result<Lock> {
        if let Some(lock) = self.try_lock(name)? {
            return Ok(lock);
        }
        let path = self.lock_path("change", name);
        notice(Holder { pid: holder(&path) });
        let directories = self.share_directories()?;
        let file = acquire(&path, FlockOperation::LockExclusive)?;
        Lock::new(file, path, directories)
    }

    /// The right to change a sandbox; `None` where another process has it.
    ///
    /// # Errors
    /// Where the lock's file can't be made.
    pub fn try_lock(&self, name: &SandboxName) -> Result<Option<Lock>> {
        let path = self.lock_path("change", name);
        let directories = self.share_directories()?;
        match try_acquire(&path)? {
            Some(file) => Lock::new(file, path, directories).map(Some),
            None => Ok(None),
        }
    }

    /// Whether another process changes a sandbox at this moment. Changes nothing.
    ///
    /// # Errors
    /// Where the lock's file can't be opened.
    pub fn is_changing(&self, name: &SandboxName) -> Result<bool> {
        is_held(&self.lock_path("change", name))
    }

    /// The right to run a sandbox; `None` where another process runs it.
    ///
    /// # Errors
    /// Where the lock's file can't be made.
    pub fn run_lock(&self, name: &SandboxName) -> Result<Option<RunLock>> {
        let path = self.lock_path("run", name);
        Ok(try_acquire(&path)?.map(|file| RunLock { file, path }))
    }

    /// Whether a runner holds the right to run a sandbox.
    ///
    /// # Errors
    /// Where the lock's file can't be opened.
    pub fn is_run(&self, name: &SandboxName) -> Result<bool> {
        is_held(&self.lock_path("run", name))
    }

    /// Takes over a run lock that came through an exec as a descriptor number
    /// ([`RunLock::inherit`]).
    ///
    /// # Errors
    /// [`Error::NotTheLock`] where the descriptor is anything else.
    pub fn adopt_run_lock(&self, name: &SandboxName, descriptor: RawFd) -> Result<RunLock> {
        let path = self.lock_path("run", name);
        let not_the_lock = || Error::NotTheLock {
            descriptor,
            path: path.clone(),
        };
        let file = File::from(inherit::adopt(descriptor).ok_or_else(not_the_lock)?);
        let is_at_path = is_at(&file, &path)?;
        // the lock belongs to the open file: asking again for what is held succeeds
        if !is_at_path
            || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
        {
            return Err(not_the_lock());
        }
        Ok(RunLock { file, path })
    }

    /// The short lock under which reservations are made and given back.
    pub(crate) fn lock_reservations(&self) -> Result<File> {
        acquire(
            &self.places().locks().join("reservations"),
            FlockOperation::LockExclusive,
        )
    }

    fn share_directories(&self) -> Result<File> {
        acquire(
            &self.places().locks().join("directories"),
            FlockOperation::LockShared,
        )
    }

    /// Ends the change of a sandbox: the lock's file goes, and where no sandbox is left and no other
    /// change is under way, directories of the store that are empty now and were made by this
    /// program.
    ///
    /// # Errors
    /// Where a directory can't be examined or removed.
    pub fn tidy(&self, lock: Lock) -> Result<()> {
        durable::remove(&lock.path)?;
        let directories = lock.directories;
        drop(lock.file);
        match rustix::fs::flock(&directories, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(()),
            Err(error) => return Err(error).context("lock", &self.places().locks()),
        }
        if !self.names()?.is_empty() {
            return Ok(());
        }
        let places = self.places();
        for directory in [
            places.services(),
            places.journals(),
            places.labels(),
            places.addresses(),
            places.users(),
        ] {
            directories::tidy(&directory)?;
        }
        Ok(())
    }
}

impl Lock {
    fn new(file: File, path: PathBuf, directories: File) -> Result<Self> {
        write_holder(&file).context("write", &path)?;
        Ok(Self {
            file,
            path,
            directories,
        })
    }
}

impl RunLock {
    /// Lets the lock go along through the next exec, and gives its descriptor's number.
    ///
    /// # Errors
    /// Where the descriptor's flags can't be set.
    pub fn inherit(self) -> Result<RawFd> {
        rustix::io::fcntl_setfd(self.file.as_fd(), FdFlags::empty())
            .context("pass on", &self.path)?;
        Ok(self.file.into_raw_fd())
    }

    /// Gives the lock up and removes its file: the sandbox is gone.
    ///
    /// # Errors
    /// Where the file can't be removed.
    pub fn discard(self) -> Result<()> {
        durable::remove(&self.path).map(|_| ())
    }
}

/// Whether somebody holds a lock for himself alone. Asking takes a shared lock for an instant, or for
/// as long as the processor is away: whoever else asks is no holder.
fn is_held(path: &Path) -> Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).context("open", path),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error).context("lock", path),
    }
}

/// Opens a lock's file and locks it. Whoever removes the file of a lock holds it, so a lock on a
/// file that is no longer at its path counts for nothing, and is taken anew.
fn acquire(path: &Path, how: FlockOperation) -> Result<File> {
    if let Some(parent) = path.parent() {
        directories::make(parent, PRIVATE)?;
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    loop {
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).context("open", path)?;
        match rustix::fs::flock(&file, how) {
            Ok(()) => {}
            Err(Errno::INTR) => {
                return Err(Error::Interrupted {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(error).context("lock", path),
        }
        let file = File::from(file);
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// Locks for oneself alone without waiting for another who does.
fn try_acquire(path: &Path) -> Result<Option<File>> {
    let deadline = Instant::now() + PROBED;
    loop {
        match acquire(path, FlockOperation::NonBlockingLockExclusive) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if !would_block(&error) => return Err(error),
            Err(_) if is_held(path)? || Instant::now() >= deadline => return Ok(None),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn is_at(file: &File, path: &Path) -> Result<bool> {
    let open = rustix::fs::fstat(file).context("examine", path)?;
    match rustix::fs::lstat(path) {
        Ok(there) => Ok((there.st_dev, there.st_ino) == (open.st_dev, open.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error).context("examine", path),
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::WouldBlock)
}

/// Says in the lock's file who holds it, for those who wait.
fn write_holder(mut file: &File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(16)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_asks_about_a_lock_does_not_hold_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        drop(try_acquire(&path).unwrap().unwrap());
        let probe = File::open(&path).unwrap();
        rustix::fs::flock(&probe, FlockOperation::LockShared).unwrap();
        assert!(!is_held(&path).unwrap());
        // one that lost its processor in the middle
        let slow = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(probe);
        });
        let lock = try_acquire(&path).unwrap();
        assert!(lock.is_some());
        slow.join().unwrap();
        assert!(try_acquire(&path).unwrap().is_none());
    }
}
