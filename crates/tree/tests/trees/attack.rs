//! What the root of a container may have done to its tree, or does right now.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags};
use vss_tree::{Attributes, Error, Kind, Root, SkipReason};

use crate::support::*;

const PLAIN: Attributes = Attributes {
    mode: 0o600,
    uid: 0,
    gid: 0,
};

fn own(mode: u32) -> Attributes {
    Attributes {
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    }
}

/// Sets a flag when it goes, a panic included, so that a test that fails comes to its end.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` while two names are exchanged as fast as the machine can.
fn while_exchanging<T>(a: &Path, b: &Path, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // fails once the work has removed one of them
                let _ = rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE);
            }
        });
        let _over = AtTheEnd(&over);
        work()
    })
}

/// A tree whose `etc` leads to a directory that is not its own.
fn with_etc_leading_out() -> (Trees, Vec<String>) {
    let trees = Trees::new();
    trees.write("outside/passwd", "the host's");
    trees.write("outside/dir/file", "the host's");
    trees.link("target/etc", trees.path("outside"));
    trees.link("target/climb", "../../../../../../../../../../../../tmp");
    trees.link("target/magic", "/proc/self/root/etc");
    let before = portrait(&trees.path("outside"));
    (trees, before)
}

#[test]
fn a01_etc_swapped_for_symlink_is_never_followed_out() {
    let (trees, before) = with_etc_leading_out();
    let root = trees.root("target");
    // the pair: by its path string the link leads to the host's file
    assert!(trees.path("target/etc/passwd").exists());
    let path = Path::new("/etc/passwd");
    assert_eq!(root.metadata(path).unwrap(), None);
    assert!(root.read(path, 100).is_err());
    assert!(root.list(Path::new("/etc")).is_err());
    assert!(root.sub(Path::new("/etc")).is_err());
    assert!(
        root.make_file(Path::new("/etc/new"), b"x", own(0o644))
            .is_err()
    );
    assert!(root.make_dir(Path::new("/etc/new"), own(0o755)).is_err());
    assert!(
        root.make_link(Path::new("/etc/new"), "x".as_ref(), 0, 0)
            .is_err()
    );
    assert!(
        root.rename(Path::new("/etc/passwd"), Path::new("/stolen"))
            .is_err()
    );
    assert_eq!(root.remove_tree(path).unwrap(), Default::default());
    assert!(root.read(Path::new("/magic/hostname"), 100).is_err());
    assert_eq!(root.metadata(Path::new("/climb/x")).unwrap(), None);
    assert_eq!(portrait(&trees.path("outside")), before);
}

#[test]
fn a01_links_are_resolved_inside() {
    let trees = Trees::new();
    trees.write("target/real/file", "inside");
    trees.link("target/abs", "/real");
    trees.link("target/up", "../../../../../real/file");
    let root = trees.root("target");
    assert_eq!(root.read(Path::new("/abs/file"), 100).unwrap(), b"inside");
    assert_eq!(root.read(Path::new("up"), 100).unwrap(), b"inside");
    assert_eq!(
        root.read(Path::new("/../../real/file"), 100).unwrap(),
        b"inside"
    );
    let link = root.metadata(Path::new("/up")).unwrap().unwrap();
    assert_eq!(link.kind, Kind::Link);
    assert_eq!(
        root.read_link(Path::new("/up")).unwrap(),
        PathBuf::from("../../../../../real/file")
    );
}

#[test]
fn a01_a_copy_into_a_tree_whose_etc_is_a_link_stays_inside() {
    let (trees, before) = with_etc_leading_out();
    trees.write("source/etc/passwd", "the source's");
    trees.write("source/etc/dir/file", "the source's");
    for item in [tree("/etc"), node("/etc/passwd"), tree("/etc/dir")] {
        let (source, target) = (trees.root("source"), trees.root("target"));
        // made anew inside the tree, or refused: never outside
        let _ = copy(&source, &target, &[item], &[], 1);
        assert_eq!(portrait(&trees.path("outside")), before);
    }
}

#[test]
fn a01_a_copy_out_of_a_tree_whose_etc_is_a_link_takes_the_link() {
    let (trees, _) = with_etc_leading_out();
    fs::create_dir(trees.path("clone")).unwrap();
    let (hostile, clone) = (trees.root("target"), trees.root("clone"));
    let items = [tree("/"), node("/etc/passwd")];
    let report = copy(&hostile, &clone, &items, &["/etc"], 1).unwrap();
    assert_eq!(report.skipped, [(abs("/etc/passwd"), SkipReason::Missing)]);
    let report = copy(&hostile, &clone, &[tree("/etc")], &[], 1).unwrap();
    assert_eq!(report.files.len(), 1);
    let link = fs::read_link(trees.path("clone/etc")).unwrap();
    assert_eq!(link, trees.path("outside"));
}

/// How often each race is run: enough for the exchange to hit between any two system calls.
const ROUNDS: usize = 60;

/// `swapped` is a directory with files, `bait` a link to a directory outside with a secret; the two
/// are exchanged all the time.
fn bait(trees: &Trees, within: &str) -> (PathBuf, PathBuf) {
    for n in 0..3 {
        trees.write(&format!("{within}/swapped/{n}"), "inside");
        trees.write(&format!("outside/{n}"), "secret");
    }
    trees.link(&format!("{within}/bait"), trees.path("outside"));
    let path = |name: &str| trees.path(within).join(name);
    (path("swapped"), path("bait"))
}

#[test]
fn a02_a_copy_never_reads_through_a_swapped_link() {
    for threads in [1, 2] {
        let trees = Trees::new();
        let (a, b) = bait(&trees, "source");
        // what is done between the listing of the directory and the way down into it
        for n in 0..40 {
            trees.write(&format!("source/{n}/file"), "x");
        }
        while_exchanging(&a, &b, || {
            for _ in 0..ROUNDS {
                trees.copy_all(threads).unwrap();
                let target = trees.root("target");
                for name in ["swapped", "bait"] {
                    let dir = Path::new(name);
                    let Some(found) = target.metadata(dir).unwrap() else {
                        continue;
                    };
                    for (file, _) in target
                        .list(dir)
                        .ok()
                        .filter(|_| found.is_directory())
                        .iter()
                        .flatten()
                    {
                        let content = target.read(&dir.join(file), 100).unwrap();
                        assert_eq!(content, b"inside");
                    }
                }
                for (name, _) in target.list("/".as_ref()).unwrap() {
                    target.remove_tree(name.as_ref()).unwrap();
                }
            }
        });
    }
}

/// Copies two directories and swaps the one that comes second, in `within`, for a link to a
/// directory outside: after the copy has listed or made it, before it goes down into it.
fn copy_while_swapping(trees: &Trees, within: &str) -> Result<vss_tree::CopyReport, Error> {
    for dir in ["one", "two"] {
        trees.write(&format!("source/{dir}/file"), "inside");
    }
    trees.write("outside/secret", "secret");
    let done = AtomicBool::new(false);
    let swap = |path: &vss_model::AbsPath| {
        if !done.swap(true, Ordering::Relaxed) {
            let first = path.parent().unwrap();
            let second = if first == abs("/one") { "two" } else { "one" };
            let second = trees.path(within).join(second);
            fs::rename(&second, trees.path("moved-away")).unwrap();
            std::os::unix::fs::symlink(trees.path("outside"), &second).unwrap();
        }
        true
    };
    let options = vss_tree::CopyOptions {
        except: &Default::default(),
        digests: &swap,
        progress: &(),
        cancelled: &false.into(),
        threads: 1,
    };
    let (source, target) = (trees.root("source"), trees.root("target"));
    vss_tree::copy(&source, &target, &[tree("/")], &options)
}

#[test]
fn a02_a_directory_of_the_source_that_becomes_a_link_is_left_out() {
    let trees = Trees::new();
    let report = copy_while_swapping(&trees, "source").unwrap();
    assert_eq!(report.files.len(), 1);
    assert!(matches!(report.skipped[..], [(_, SkipReason::Changed)]));
}

#[test]
fn a02_a_directory_of_the_target_that_becomes_a_link_ends_the_copy() {
    let trees = Trees::new();
    let copied = copy_while_swapping(&trees, "target");
    let error = copied.unwrap_err();
    let not_a_directory = Some(rustix::io::Errno::NOTDIR.raw_os_error());
    assert_eq!(error.raw_os_error(), not_a_directory, "{error}");
    assert_eq!(fs::read_dir(trees.path("outside")).unwrap().count(), 1);
}

#[test]
fn a02_a_copy_never_writes_through_a_swapped_link() {
    let trees = Trees::new();
    for n in 0..20 {
        trees.write(&format!("source/swapped/new-{n}"), "written");
        // what is done between the look at the directory and the way down into it
        fs::create_dir(trees.path(&format!("source/{n}"))).unwrap();
    }
    let (a, b) = bait(&trees, "target");
    let before = portrait(&trees.path("outside"));
    while_exchanging(&a, &b, || {
        for _ in 0..ROUNDS {
            // refused where the link was met, a copy else
            let _ = trees.copy_all(1);
            for n in 0..20 {
                let target = trees.root("target");
                for name in ["swapped", "bait"] {
                    let _ = target.remove_tree(&Path::new(name).join(format!("new-{n}")));
                }
            }
        }
    });
    assert_eq!(portrait(&trees.path("outside")), before);
}

#[test]
fn a02_a_walk_never_leaves_through_a_swapped_link() {
    let trees = Trees::new();
    let (a, b) = bait(&trees, "source");
    let outside: Vec<_> = fs::read_dir(trees.path("outside"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().ino())
        .collect();
    let root = trees.root("source");
    let mut seen = 0;
    while_exchanging(&a, &b, || {
        for _ in 0..ROUNDS * 5 {
            root.walk("/".as_ref(), &mut |node| {
                assert!(!outside.contains(&node.metadata.ino), "{}", node.path);
                seen += 1;
                Ok::<_, Error>(())
            })
            .unwrap();
        }
    });
    assert!(seen > ROUNDS * 5, "{seen}");
}

#[test]
fn a02_a_removal_never_deletes_through_a_swapped_link() {
    for _ in 0..ROUNDS * 5 {
        let trees = Trees::new();
        let (a, b) = bait(&trees, "target/top");
        let before = portrait(&trees.path("outside"));
        let root = trees.root("target");
        while_exchanging(&a, &b, || root.remove_tree(Path::new("top")).unwrap());
        assert!(!trees.path("target/top").exists());
        assert_eq!(portrait(&trees.path("outside")), before);
    }
}

#[test]
fn a02_a_directory_that_is_moved_away_below_a_walk_ends_it() {
    let trees = Trees::new();
    let deep = "d/".repeat(80);
    fs::create_dir_all(trees.path("source/top").join(&deep)).unwrap();
    fs::create_dir_all(trees.path("outside/elsewhere")).unwrap();
    let root = trees.root("source");
    let result = root.walk("top".as_ref(), &mut |node| {
        if node.path.depth() == 81 {
            // between the ancestors that are open and those that are closed
            let moved = trees.path("source/top").join("d/".repeat(40));
            fs::rename(moved, trees.path("outside/elsewhere/d")).unwrap();
        }
        Ok::<_, Error>(())
    });
    assert!(matches!(result, Err(Error::Changed { .. })), "{result:?}");
}

#[test]
fn a03_owner_and_mode_go_to_the_node_that_was_made() {
    let trees = Trees::new();
    let victim = trees.write("outside/victim", "host");
    fs::set_permissions(&victim, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let before = portrait(&trees.path("outside"));
    trees.link("target/trap", &victim);
    trees.link("target/dangling", trees.path("outside/not-yet"));
    let root = trees.root("target");
    for name in ["trap", "dangling"] {
        let path = Path::new(name);
        for made in [
            root.make_file(path, b"x", PLAIN),
            root.make_dir(path, PLAIN),
            root.make_link(path, "y".as_ref(), 1, 1),
        ] {
            assert!(matches!(made, Err(Error::Exists { .. })), "{made:?}");
        }
    }
    if is_root("the owner of a03") {
        let path = Path::new("own-link");
        root.make_link(path, &victim, 1234, 5678).unwrap();
        let link = root.metadata(path).unwrap().unwrap();
        assert_eq!((link.uid, link.gid), (1234, 5678));
    }
    assert_eq!(portrait(&trees.path("outside")), before);
}

#[test]
fn a14_a_pipe_in_a_files_place_is_not_waited_for() {
    let trees = Trees::new();
    mkfifo(&trees.path("target/config"));
    let read = trees.root("target").read(Path::new("config"), 100);
    assert!(
        matches!(
            read,
            Err(Error::WrongKind {
                found: Kind::Fifo,
                ..
            })
        ),
        "{read:?}"
    );
}

#[test]
fn a14_a_file_larger_than_asked_for_is_refused() {
    let trees = Trees::new();
    trees.write("target/config", "0123456789");
    let root = trees.root("target");
    assert_eq!(root.read(Path::new("config"), 10).unwrap().len(), 10);
    let read = root.read(Path::new("config"), 9);
    assert!(
        matches!(read, Err(Error::TooLarge { limit: 9, .. })),
        "{read:?}"
    );
}

#[test]
fn the_top_directory_must_not_be_a_link() {
    let trees = Trees::new();
    trees.link("source/link", trees.path("target"));
    assert!(Root::open(&trees.path("source/link")).is_err());
    assert!(Root::open(&trees.path("target")).is_ok());
}
