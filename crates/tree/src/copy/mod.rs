//! Copying files from one tree to the same paths of another.
//!
//! 1. The items are put in order, those that another item already brings are dropped, and all
//!    directories on the way to them are made like the source's.
//! 2. Items that are single nodes are copied; then whole trees, directory by directory: all
//!    entries of a directory are made, then the directory gets its own attributes, then the walk
//!    goes down. What is made further down changes nothing above, so no time stamp has to be set
//!    twice.
//! 3. Directories that are items without their content get their attributes last.
//!
//! Work is shared by directory: a worker that has more directories ahead gives one away as soon as
//! another worker has nothing to do (`crew`).
//!
//! Kept: owner, mode, times, extended attributes with ACLs and file capabilities, hard links among
//! what is copied, holes. Not kept: `security.selinux` and the tree's mark, which are the target's
//! own, and `security.evm`, which the kernel computes anew.

mod attributes;
mod content;
mod crew;
mod directory;
mod node;
mod worker;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use vss_model::manifest::PlacedFile;
use vss_model::{AbsPath, CopyScope};

use crate::descent::WINDOW;
use crate::error::Result;

use crate::handle;
use crate::metadata::{Kind, Metadata};
use crate::root::Root;
use crew::Job;
use worker::Worker;

/// Something to be copied: it has the same path in source and target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyItem {
    /// The path in both trees.
    pub path: AbsPath,
    /// The node alone, or all below it too.
    pub scope: CopyScope,
}

/// More only wait for the disk.
const MOST_THREADS: usize = 8;

/// A way down in each tree, and what is at hand.
const FILES_OF_A_THREAD: u64 = 2 * WINDOW as u64 + 4;

/// Files that the process has open besides.
const OTHER_FILES: u64 = 64;

/// How to copy.
pub struct CopyOptions<'a> {
    /// Subtrees that are left out; an item at or below such a path is copied all the same.
    pub except: &'a BTreeSet<AbsPath>,
    /// Of which files and links the report gives the digest.
    pub digests: &'a (dyn Fn(&AbsPath) -> bool + Sync),
    /// Told as it goes on.
    pub progress: &'a dyn Progress,
    /// Set to true elsewhere, ends the copying with [`Error::Cancelled`](crate::Error::Cancelled).
    pub cancelled: &'a AtomicBool,
    /// How many threads copy, the calling one included; 0 counts as 1.
    pub threads: usize,
}

/// How many threads a copy may have: no more than there are processors, than gain anything, or than
/// the limit of open files (`RLIMIT_NOFILE`; `None` for none) has room for.
#[must_use]
pub fn copy_threads(processors: usize, files: Option<u64>) -> usize {
    let room = files
        .map(|files| files.saturating_sub(OTHER_FILES) / FILES_OF_A_THREAD)
        .and_then(|threads| usize::try_from(threads).ok())
        .unwrap_or(MOST_THREADS);
    processors.min(MOST_THREADS).min(room).max(1)
}

impl fmt::Debug for CopyOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions")
            .field("except", &self.except)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// Who is told how a copy goes on; called by several threads.
pub trait Progress: Sync {
    /// So many more files and links, and so many more bytes of files (holes included), are done.
    fn advanced(&self, files: u64, bytes: u64);
}

impl Progress for () {
    fn advanced(&self, _files: u64, _bytes: u64) {}
}

/// Why something was not copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// The source has nothing at the item's path.
    Missing,
    /// It is a pipe, socket or device.
    Special(Kind),
    /// Something else is mounted on the directory.
    Mounted,
    /// It vanished or became something else while it was copied.
    Changed,
    /// It holds the target tree.
    Target,
    /// It was copied, but the target's file system cannot keep this extended attribute.
    Attribute(String),
    /// It was copied, but its owner or group is none that the container has: `nobody` has it.
    Owner(u32),
    /// It was copied, but this extended attribute, or a part of it, is of users that the container
    /// doesn't have.
    Users(String),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is not there"),
            Self::Special(kind) => write!(f, "is {kind}"),
            Self::Mounted => f.write_str("is a mount point"),
            Self::Changed => f.write_str("changed while it was copied"),
            Self::Target => f.write_str("is where the copy goes"),
            Self::Attribute(name) => write!(
                f,
                "has the attribute {}, which the target's file system cannot keep",
                vss_model::Sanitized::text(name)
            ),
            Self::Owner(id) => write!(
                f,
                "is of {id}, whom the container does not have: nobody has it there"
            ),
            Self::Users(name) => write!(
                f,
                "has the attribute {}, of which users are left out that the container does not have",
                vss_model::Sanitized::text(name)
            ),
        }
    }
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Every regular file and link, ordered by path; `package` is left open.
    pub files: Vec<PlacedFile>,
    /// Length of the regular files in bytes, holes included, hard links counted once.
    pub bytes: u64,
    /// What was left behind, ordered by path.
    pub skipped: Vec<(AbsPath, SkipReason)>,
}

/// Copies items from one tree to the same paths of another. Directories may be there already; over
/// anything else nothing is written.
///
/// # Errors
/// The first error; what was copied by then stays in the target.
pub fn copy(
    source: &Root,
    target: &Root,
    items: &[CopyItem],
    options: &CopyOptions<'_>,
) -> Result<CopyReport> {
    let copying = Copying::begin(source, target, options)?;
    let mut worker = Worker::new(&copying);
    let mut late = vec![];
    let (mut nodes, mut trees) = (vec![], vec![]);
    for item in independent(items, options.except) {
        let path = item.path.as_path();
        let Some((_, metadata)) = source.node(path)? else {
            worker.skip(item.path.clone(), SkipReason::Missing);
            continue;
        };
        late.extend(target.ensure_parents(path, Some(source))?);
        if !metadata.is_directory() {
            nodes.push(Job::Node(item.path.clone()));
            continue;
        }
        worker.make_top(&item.path)?;
        match item.scope {
            CopyScope::Tree => trees.push(Job::Tree(item.path.clone())),
            CopyScope::Node => late.push(item.path.clone()),
        }
    }
    let mut reports = crew::run(&copying, nodes)?;
    reports.extend(crew::run(&copying, trees)?);
    for path in late {
        worker.finish_directory(&path)?;
    }
    reports.push(worker.report);
    Ok(copying.sum_up(reports))
}

/// The items in the order of their paths, without those that a tree above them brings.
fn independent<'a>(items: &'a [CopyItem], except: &BTreeSet<AbsPath>) -> Vec<&'a CopyItem> {
    let mut sorted: Vec<_> = items.iter().collect();
    // of two for one path the tree comes first
    sorted.sort_by(|a, b| {
        let node = |item: &CopyItem| item.scope == CopyScope::Node;
        a.path.cmp(&b.path).then(node(a).cmp(&node(b)))
    });
    let trees: BTreeSet<_> = items
        .iter()
        .filter(|item| item.scope == CopyScope::Tree)
        .map(|item| &item.path)
        .collect();
    let mut seen = BTreeSet::new();
    sorted.retain(|item| {
        let brought = item
            .path
            .ancestors()
            .skip(1)
            .scan(except.contains(&item.path), |left_out, above| {
                let found = !*left_out && trees.contains(&above);
                *left_out |= except.contains(&above);
                Some(found)
            })
            .any(|found| found);
        !brought && seen.insert(&item.path)
    });
    sorted
}

/// A copy under way: what its workers share.
struct Copying<'a> {
    source: &'a Root,
    target: &'a Root,
    options: &'a CopyOptions<'a>,
    /// The target's top directory, which must not be copied into itself.
    target_top: Metadata,
    /// Inodes of the source with several names that have been met, by device and number.
    linked: Mutex<HashMap<(u64, u64), First>>,
    /// Devices whose files the target cannot share blocks with.
    unclonable: Mutex<HashSet<u64>>,
    /// Set where one worker failed.
    failed: AtomicBool,
}

/// The first name of an inode in the target.
struct First {
    path: AbsPath,
    dev: u64,
    ino: u64,
    digest: Option<String>,
}

/// A file or link that was placed.
struct Placed {
    file: PlacedFile,
    /// Where it shares an inode with others: the source's device and inode number, under which the
    /// digest is found in the end.
    linked: Option<(u64, u64)>,
}

/// What one worker has to report.
#[derive(Default)]
struct Report {
    placed: Vec<Placed>,
    bytes: u64,
    skipped: Vec<(AbsPath, SkipReason)>,
}

impl<'a> Copying<'a> {
    fn begin(source: &'a Root, target: &'a Root, options: &'a CopyOptions<'a>) -> Result<Self> {
        let top = AbsPath::root();
        let target_top = Metadata::of(target).map_err(|e| target.at("look at", &top, e))?;
        if !handle::proc_is_true(target).map_err(|e| target.at("find in /proc", &top, e))? {
            return Err(target.at("find in /proc", &top, Errno::XDEV));
        }
        Ok(Self {
            source,
            target,
            options,
            target_top,
            linked: Mutex::default(),
            unclonable: Mutex::default(),
            failed: AtomicBool::new(false),
        })
    }

    /// Whether to stop: called off, or another worker failed.
    fn is_over(&self) -> bool {
        self.options.cancelled.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }

    fn sum_up(self, reports: Vec<Report>) -> CopyReport {
        let linked = lock(&self.linked);
        let mut sum = CopyReport::default();
        for report in reports {
            sum.bytes += report.bytes;
            sum.skipped.extend(report.skipped);
            for Placed {
                mut file,
                linked: key,
            } in report.placed
            {
                if let Some(first) = key.and_then(|key| linked.get(&key))
                    && (self.options.digests)(&file.path)
                {
                    file.digest.clone_from(&first.digest);
                }
                sum.files.push(file);
            }
        }
        sum.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        sum.skipped.sort_unstable();
        sum
    }
}

/// A lock whose data stays right even where a thread panicked that held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, scope: CopyScope) -> CopyItem {
        let path = path.parse().unwrap();
        CopyItem { path, scope }
    }

    #[test]
    fn threads_are_as_many_as_have_room() {
        for (processors, files, threads) in [
            (0, None, 1),
            (2, Some(1024), 2),
            (96, None, 8),
            (96, Some(1024), 8),
            (96, Some(64 + 3 * 68), 3),
            (96, Some(100), 1),
            (96, Some(0), 1),
            (96, Some(u64::MAX), 8),
        ] {
            assert_eq!(
                copy_threads(processors, files),
                threads,
                "{processors} {files:?}"
            );
        }
    }

    #[test]
    fn an_item_that_a_tree_brings_is_dropped() {
        use CopyScope::{Node, Tree};
        let items = [
            item("/etc/a/x", Node),
            item("/etc/a", Tree),
            item("/etc/a", Node),
            item("/etc", Node),
            item("/etc/a/b/c", Tree),
            item("/etc/a/b", Node),
            item("/etc/a/b/d/e", Node),
            item("/etc/ab", Node),
        ];
        let except = BTreeSet::from(["/etc/a/b".parse().unwrap()]);
        let kept: Vec<_> = independent(&items, &except)
            .iter()
            .map(|item| (item.path.to_string(), item.scope))
            .collect();
        let expected = [
            ("/etc", Node),
            ("/etc/a", Tree),
            ("/etc/a/b", Node),
            ("/etc/a/b/c", Tree),
            ("/etc/a/b/d/e", Node),
            ("/etc/ab", Node),
        ];
        assert_eq!(kept, expected.map(|(path, scope)| (path.to_owned(), scope)));
    }
}
