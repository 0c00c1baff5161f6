//! What makes a start quick beside the start itself: processors that are [`awake`], and
//! [`moves`] between cgroups that don't wait.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{awake, moves};

/// A start that takes longer isn't held up by either.
const LONGEST: Duration = Duration::from_secs(2);

/// A start is quick as long as there is one of these.
pub(crate) struct Quick {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Quick {
    /// Begins. `procs` is where moves are kept quick. Where something can't be done, a start takes its
    /// time. Signals have to be blocked by now: the thread is not to be given any.
    pub(crate) fn begin(procs: Option<PathBuf>, lock: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (flag, lock) = (Arc::clone(&over), lock.to_owned());
        let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
        let name = std::thread::Builder::new().name("quick".to_owned());
        let thread = name.spawn(move || {
            let end = Instant::now() + LONGEST;
            let _awake = awake::keep();
            let _ = ready.send(());
            if let Some(procs) = procs {
                let _ = moves::keep_quick(&procs, &lock, &flag, end);
            }
            loop {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() || flag.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::park_timeout(left);
            }
        });
        // The C library doesn't let a thread begin while a library is being loaded, which is what
        // comes next: the thread would be late by as much.
        let _ = is_ready.recv();
        Self {
            over,
            thread: thread.ok(),
        }
    }
}

impl Drop for Quick {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // it has nothing to say, and a process that forks is better off without it
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_process_is_moved_until_the_start_is_over() {
        let place = tempfile::tempdir().unwrap();
        let (procs, lock) = (place.path().join("procs"), place.path().join("lock"));
        File::create(&procs).unwrap();
        let moved = || std::fs::metadata(&procs).unwrap().len();
        let quick = Quick::begin(Some(procs.clone()), &lock);
        while moved() == 0 {
            std::thread::yield_now();
        }
        drop(quick);
        let moves = moved();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(moved(), moves);
    }

    #[test]
    fn a_start_without_a_cgroup_of_its_own_goes_on() {
        let place = tempfile::tempdir().unwrap();
        drop(Quick::begin(None, &place.path().join("lock")));
        let missing = place.path().join("missing");
        drop(Quick::begin(Some(missing), &place.path().join("lock")));
    }
}
