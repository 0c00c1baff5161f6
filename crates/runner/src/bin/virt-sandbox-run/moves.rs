//! Moves between cgroups, kept quick while a container starts.
//!
//! The kernel has one lock for all moves of processes between cgroups. Whoever takes it after a
//! quiet time waits for a grace period of RCU first, 8 to 15 ms, in which nothing of a start goes
//! on; whoever takes it within another such time after that does not (`rcu_sync_enter`). A start
//! takes it several times, each after a quiet time: in libvirt's controller, in the init, in the
//! systemd inside before its first service.
//!
//! So a thread takes it from the beginning, while the runner is still busy with itself, and again
//! every millisecond until the container is up, by moving the runner to the cgroup that it is
//! in, which changes nothing. Of several starts at once, one does it for all. The mount option
//! `favordynmods` has the kernel do the same for good, but for the whole host: that is its
//! administrator's choice.
//!
//! On cgroup v1 only, where it was measured: with v2 a systemd puts what it starts into its cgroup
//! without a move, and the policy for SELinux lets the runner write to no cgroup's files.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};

/// Shorter than any grace period.
const PAUSE: Duration = Duration::from_millis(1);

/// Moves this process until all is over, or it is too late to matter.
///
/// # Errors
/// Where it can't be moved.
pub(crate) fn keep_quick(
    procs: &Path,
    lock: &Path,
    over: &AtomicBool,
    end: Instant,
) -> std::io::Result<()> {
    let mut procs = File::options().write(true).open(procs)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(lock, flags, Mode::RUSR | Mode::WUSR)?;
    while !over.load(Ordering::Relaxed) && Instant::now() < end {
        move_unless_another_does(&mut procs, &lock)?;
        std::thread::park_timeout(PAUSE);
    }
    Ok(())
}

/// The lock is kept to the end, by which another start takes it over.
fn move_unless_another_does(procs: &mut File, lock: &OwnedFd) -> std::io::Result<()> {
    match flock(lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => procs.write_all(b"0"),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_starts_one_moves() {
        let place = tempfile::tempdir().unwrap();
        let lock = File::create(place.path().join("lock")).unwrap();
        let mut procs = File::create(place.path().join("procs")).unwrap();
        move_unless_another_does(&mut procs, &lock.into()).unwrap();
        let moved = |procs: &File| procs.metadata().unwrap().len();
        assert_eq!(moved(&procs), 1);
        let first = File::open(place.path().join("lock")).unwrap();
        flock(&first, FlockOperation::LockExclusive).unwrap();
        let second = File::open(place.path().join("lock")).unwrap();
        move_unless_another_does(&mut procs, &second.into()).unwrap();
        assert_eq!(moved(&procs), 1);
        drop(first);
        let third = File::open(place.path().join("lock")).unwrap();
        move_unless_another_does(&mut procs, &third.into()).unwrap();
        assert_eq!(moved(&procs), 2);
    }
}
