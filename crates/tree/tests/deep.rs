//! A tree of 4096 levels, far deeper than a path may be long, with few descriptors to be had. Alone
//! in its process, since the limit of descriptors is the process's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and is skipped loudly"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, setrlimit};
use vss_model::{AbsPath, CopyScope};
use vss_tree::{CopyItem, CopyOptions, Error, Root};

const DEPTH: usize = 4096;

/// Directories within directories, each with a file; the lowest file is one of the topmost too.
fn dig(top: &Path) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let first: OwnedFd = fs::File::open(top).unwrap().into();
    let mut here = first.try_clone().unwrap();
    for _ in 0..DEPTH {
        rustix::fs::mkdirat(&here, "dir", Mode::RWXU).unwrap();
        here = rustix::fs::openat(&here, "dir", flags, Mode::empty()).unwrap();
    }
    let create = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&here, "lowest", create, Mode::RUSR).unwrap();
    rustix::io::write(&file, b"found").unwrap();
    rustix::fs::linkat(
        &here,
        "lowest",
        &first,
        "above",
        rustix::fs::AtFlags::empty(),
    )
    .unwrap();
    rustix::fs::linkat(&here, "lowest", &here, "same", rustix::fs::AtFlags::empty()).unwrap();
}

#[test]
fn a14_a_tree_of_4096_levels_is_counted_copied_and_deleted() {
    let limit = Rlimit {
        current: Some(160),
        maximum: Some(160),
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let dir = tempfile::Builder::new()
        .prefix("vss-deep")
        .tempdir()
        .unwrap();
    for name in ["source", "target"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    dig(&dir.path().join("source"));
    let root = Root::open(dir.path()).unwrap();
    let (source, target) = (
        root.sub("source".as_ref()).unwrap(),
        root.sub("target".as_ref()).unwrap(),
    );

    let summary = source.summary("/".as_ref(), &|_| false).unwrap();
    assert_eq!(summary.directories, DEPTH as u64 + 1);
    assert_eq!(summary.files, 3);

    let options = CopyOptions {
        except: &BTreeSet::new(),
        digests: &|_| true,
        progress: &(),
        cancelled: &false.into(),
        threads: 2,
    };
    let item = CopyItem {
        path: AbsPath::root(),
        scope: CopyScope::Tree,
    };
    let report = vss_tree::copy(&source, &target, &[item], &options).unwrap();
    assert_eq!(report.skipped, []);
    assert_eq!(target.summary("/".as_ref(), &|_| false).unwrap(), summary);
    let above = fs::metadata(dir.path().join("target/above")).unwrap();
    assert_eq!(above.nlink(), 3);
    // a path of sixteen thousand bytes
    let lowest = Path::new("/").join("dir/".repeat(DEPTH)).join("lowest");
    assert_eq!(target.read(&lowest, 10).unwrap(), b"found");
    assert_eq!(target.metadata(&lowest).unwrap().unwrap().ino, above.ino());

    let mut nodes = 0;
    target
        .walk("/".as_ref(), &mut |_| {
            nodes += 1;
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(nodes, DEPTH + 4);
    for name in ["source", "target"] {
        let removed = root.remove_tree(name.as_ref()).unwrap();
        assert_eq!(removed.directories, DEPTH as u64 + 1);
    }
}
