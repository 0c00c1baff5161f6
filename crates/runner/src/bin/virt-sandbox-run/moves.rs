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
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};

/// Shorter than any grace period.
const PAUSE: Duration = Duration::from_millis(1);
/// A start that takes longer isn't held up by moves.
const LONGEST: Duration = Duration::from_secs(2);

/// Moves are quick as long as there is one of these.
pub(crate) struct QuickMoves {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl QuickMoves {
    /// Begins. Where it can't be done, moves take their time. Signals have to be blocked by now: the
    /// thread is not to be given any.
    pub(crate) fn begin(procs: Option<PathBuf>, lock: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (flag, lock) = (Arc::clone(&over), lock.to_owned());
        let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
        let thread = procs.and_then(|procs| {
            let name = std::thread::Builder::new().name("moves".to_owned());
            name.spawn(move || {
                let _ = ready.send(());
                let _ = keep_quick(&procs, &lock, &flag);
            })
            .ok()
        });
        // The C library doesn't let a thread begin while a library is being loaded, which is what
        // comes next: the thread would be late by as much.
        let _ = is_ready.recv();
        Self { over, thread }
    }
}

impl Drop for QuickMoves {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // it has nothing to say, and a process that forks is better off without it
            let _ = thread.join();
        }
    }
}

fn keep_quick(procs: &Path, lock: &Path, over: &AtomicBool) -> std::io::Result<()> {
    let mut procs = File::options().write(true).open(procs)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(lock, flags, Mode::RUSR | Mode::WUSR)?;
    let end = Instant::now() + LONGEST;
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
    fn the_process_is_moved_until_the_start_is_over_and_by_one_start_only() {
        let place = tempfile::tempdir().unwrap();
        let (procs, lock) = (place.path().join("procs"), place.path().join("lock"));
        File::create(&procs).unwrap();
        let moved = || std::fs::metadata(&procs).unwrap().len();
        let moves = QuickMoves::begin(Some(procs.clone()), &lock);
        while moved() == 0 {
            std::thread::yield_now();
        }
        let other = OwnedFd::from(File::open(&lock).unwrap());
        let mut elsewhere = File::create(place.path().join("elsewhere")).unwrap();
        move_unless_another_does(&mut elsewhere, &other).unwrap();
        assert_eq!(elsewhere.metadata().unwrap().len(), 0);
        drop(moves);
        move_unless_another_does(&mut elsewhere, &other).unwrap();
        assert_eq!(elsewhere.metadata().unwrap().len(), 1);
    }

    #[test]
    fn a_start_without_a_cgroup_of_its_own_goes_on() {
        let place = tempfile::tempdir().unwrap();
        drop(QuickMoves::begin(None, &place.path().join("lock")));
        let missing = place.path().join("missing");
        drop(QuickMoves::begin(Some(missing), &place.path().join("lock")));
    }
}
