//! The workers of a copy and the work that they share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use rustix::fd::OwnedFd;
use vss_model::AbsPath;

use super::worker::Worker;
use super::{Copying, Report, lock};
use crate::error::{Error, Result};

/// A piece of work.
pub(super) enum Job {
    /// A single node that is no directory.
    Node(AbsPath),
    /// A directory with all below it, made in the target already.
    Tree(AbsPath),
    /// The same, open in source and target.
    Below {
        path: AbsPath,
        source: OwnedFd,
        target: OwnedFd,
    },
}

/// The work that is to be done and who waits for some.
pub(super) struct Crew {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// How many workers wait while no work is queued; read without the lock.
    hungry: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    waiting: usize,
    busy: usize,
    failure: Option<Error>,
}

/// Does the jobs and all that follows from them.
pub(super) fn run(copying: &Copying<'_>, jobs: Vec<Job>) -> Result<Vec<Report>> {
    if jobs.is_empty() {
        return Ok(vec![]);
    }
    let crew = Crew {
        queue: Mutex::new(Queue {
            jobs,
            ..Queue::default()
        }),
        changed: Condvar::new(),
        hungry: AtomicUsize::new(0),
    };
    let reports = Mutex::new(vec![]);
    let work = || {
        let mut worker = Worker::new(copying);
        crew.work(&mut worker);
        lock(&reports).push(worker.report);
    };
    std::thread::scope(|scope| {
        for _ in 1..copying.options.threads {
            // where the system gives no more threads, fewer do the work
            if std::thread::Builder::new()
                .spawn_scoped(scope, work)
                .is_err()
            {
                break;
            }
        }
        work();
    });
    let failure = lock(&crew.queue).failure.take();
    match failure {
        Some(error) => Err(error),
        None => Ok(reports.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

impl Crew {
    fn work(&self, worker: &mut Worker<'_>) {
        while let Some(job) = self.next() {
            let result = worker.work(job, self);
            let mut queue = lock(&self.queue);
            queue.busy -= 1;
            if let Err(error) = result {
                worker.copying.failed.store(true, Ordering::Relaxed);
                queue.jobs.clear();
                // those that stopped because of the first failure tell nothing new
                queue.failure.get_or_insert(error);
            }
            if queue.busy == 0 {
                self.changed.notify_all();
            }
        }
    }

    /// The next piece of work, once there is some; `None` when all is done.
    fn next(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(job) = queue.jobs.pop() {
                queue.busy += 1;
                self.count_hungry(&queue);
                return Some(job);
            }
            if queue.busy == 0 {
                return None;
            }
            queue.waiting += 1;
            self.count_hungry(&queue);
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            queue.waiting -= 1;
        }
    }

    fn count_hungry(&self, queue: &Queue) {
        let hungry = queue.waiting.saturating_sub(queue.jobs.len());
        self.hungry.store(hungry, Ordering::Relaxed);
    }

    /// Whether somebody has nothing to do.
    pub(super) fn is_hungry(&self) -> bool {
        self.hungry.load(Ordering::Relaxed) > 0
    }

    /// Gives work to somebody else.
    pub(super) fn give(&self, job: Job) {
        let mut queue = lock(&self.queue);
        queue.jobs.push(job);
        self.count_hungry(&queue);
        self.changed.notify_one();
    }
}
