//! Walks and summaries.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fd::AsRawFd;
use vss_tree::{Error, Kind};

use crate::support::*;

#[test]
fn a_walk_comes_to_every_node_in_order_with_a_handle() {
    let trees = Trees::new();
    for file in ["b/2", "b/1/x", "a", "b-/y"] {
        trees.write(&format!("source/{file}"), file);
    }
    trees.link("source/b/link", "1/x");
    let mut seen = vec![];
    let root = trees.root("source");
    root.walk("/".as_ref(), &mut |node| {
        let through = format!("/proc/self/fd/{}", node.fd.as_raw_fd());
        assert_eq!(fs::metadata(&through).unwrap().ino(), node.metadata.ino);
        seen.push(node.path.to_string());
        Ok::<_, Error>(())
    })
    .unwrap();
    let expected = [
        "/", "/a", "/b", "/b/1", "/b/1/x", "/b/2", "/b/link", "/b-", "/b-/y",
    ];
    let mut sorted = expected.map(str::to_owned);
    assert_eq!(seen.len(), sorted.len());
    seen.sort();
    sorted.sort();
    assert_eq!(seen, sorted);
    let mut below = vec![];
    root.walk("/b/1".as_ref(), &mut |node| {
        below.push(node.path.to_string());
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(below, ["/b/1", "/b/1/x"]);
}

#[test]
fn a_directory_that_vanishes_once_it_was_found_has_no_names() {
    let trees = Trees::new();
    fs::create_dir_all(trees.path("source/a/b")).unwrap();
    trees.write("source/z", "");
    let mut seen = vec![];
    trees
        .root("source")
        .walk("/".as_ref(), &mut |node| {
            seen.push(node.path.to_string());
            if node.path.to_string() == "/a/b" {
                fs::remove_dir(trees.path("source/a/b")).unwrap();
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(seen, ["/", "/a", "/a/b", "/z"]);
}

#[test]
fn the_visitors_error_ends_a_walk() {
    #[derive(Debug)]
    enum Mine {
        Tree(#[expect(dead_code, reason = "shown where the test fails")] Error),
        Enough,
    }
    impl From<Error> for Mine {
        fn from(error: Error) -> Self {
            Self::Tree(error)
        }
    }
    let trees = Trees::new();
    trees.write("source/a/b/c", "");
    let walked = trees.root("source").walk("/".as_ref(), &mut |node| {
        if node.path.depth() == 2 {
            return Err(Mine::Enough);
        }
        Ok(())
    });
    assert!(matches!(walked, Err(Mine::Enough)), "{walked:?}");
    let missing = trees
        .root("source")
        .walk("/none".as_ref(), &mut |_| Ok::<_, Mine>(()));
    assert!(matches!(missing, Err(Mine::Tree(_))));
}

#[test]
fn a_summary_counts_what_is_there() {
    let trees = Trees::new();
    trees.write("source/a/file", [0; 1000]);
    let twin = trees.write("source/a/twin", [0; 500]);
    fs::hard_link(twin, trees.path("source/other-twin")).unwrap();
    trees.write("source/skipped/file", [0; 10_000]);
    trees.link("source/link", "/a/file");
    mkfifo(&trees.path("source/a/pipe"));
    let root = trees.root("source");
    let skip = |path: &Path| path == Path::new("/skipped");
    let summary = root.summary("/".as_ref(), &skip).unwrap();
    assert_eq!(summary.bytes, 1500);
    assert_eq!((summary.files, summary.directories), (3, 2));
    assert_eq!(summary.links, [(abs("/link"), PathBuf::from("/a/file"))]);
    assert_eq!(summary.specials, [(abs("/a/pipe"), Kind::Fifo)]);
    let file = root.summary("/a/file".as_ref(), &|_| false).unwrap();
    assert_eq!((file.files, file.bytes, file.directories), (1, 1000, 0));
    assert!(root.summary("/none".as_ref(), &|_| false).is_err());
}

#[test]
fn reading_leaves_no_trace_and_a_copy_keeps_the_time_of_access() {
    if !is_root("reading_leaves_no_trace_and_a_copy_keeps_the_time_of_access") {
        return;
    }
    let trees = Trees::new();
    trees.write("source/dir/file", "x");
    let long_ago = fs::FileTimes::new().set_accessed(std::time::UNIX_EPOCH);
    for path in ["source/dir/file", "source/dir", "source"] {
        let file = fs::File::open(trees.path(path)).unwrap();
        file.set_times(long_ago).unwrap();
    }
    let root = trees.root("source");
    root.list("dir".as_ref()).unwrap();
    root.read("dir/file".as_ref(), 10).unwrap();
    root.summary("/".as_ref(), &|_| false).unwrap();
    trees.copy_all(1).unwrap();
    for path in ["source/dir/file", "source/dir", "source", "target/dir/file"] {
        assert_eq!(fs::metadata(trees.path(path)).unwrap().atime(), 0, "{path}");
    }
}
