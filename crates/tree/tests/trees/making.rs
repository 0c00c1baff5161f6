//! Making nodes, names, marks.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use vss_model::Uuid;
use vss_tree::{Attributes, Error};

use crate::support::*;

fn own(mode: u32) -> Attributes {
    Attributes {
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    }
}

#[test]
fn what_is_made_has_the_attributes_that_were_asked_for() {
    let trees = Trees::new();
    let root = trees.root("target");
    root.make_dir("dir".as_ref(), own(0o2771)).unwrap();
    root.make_file("/dir/file".as_ref(), b"content", own(0o4755))
        .unwrap();
    let me = own(0);
    root.make_link("dir/link".as_ref(), "/x".as_ref(), me.uid, me.gid)
        .unwrap();
    let mode = |path| fs::symlink_metadata(trees.path(path)).unwrap().mode() & 0o7777;
    assert_eq!(mode("target/dir"), 0o2771);
    assert_eq!(mode("target/dir/file"), 0o4755);
    assert_eq!(root.read("dir/file".as_ref(), 100).unwrap(), b"content");
    assert_eq!(
        root.read_link("dir/link".as_ref()).unwrap(),
        Path::new("/x")
    );
    let again = root.make_file("dir/file".as_ref(), b"", own(0o644));
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
}

#[test]
fn an_owner_of_minus_one_is_refused() {
    let trees = Trees::new();
    let nobody = Attributes {
        mode: 0o644,
        uid: u32::MAX,
        gid: 0,
    };
    let root = trees.root("target");
    assert!(root.make_file("file".as_ref(), b"", nobody).is_err());
    assert_eq!(root.metadata("file".as_ref()).unwrap(), None);
}

#[test]
fn a_default_acl_above_is_not_inherited() {
    let trees = Trees::new();
    let acl: [u8; 28] = [
        2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 7, 0, 255, 255, 255, 255, 32, 0, 7, 0,
        255, 255, 255, 255,
    ];
    set_xattr(&trees.path("target"), "system.posix_acl_default", &acl);
    let root = trees.root("target");
    root.make_dir("dir".as_ref(), own(0o700)).unwrap();
    assert_eq!(xattrs(&trees.path("target/dir")), Default::default());
    trees.write("source/copied/below/file", "x");
    trees.link("source/copied/link", "x");
    let source = trees.root("source");
    copy(&source, &root, &[tree("/copied")], &[], 1).unwrap();
    for path in ["copied", "copied/below", "copied/below/file"] {
        let path = trees.path("target").join(path);
        assert_eq!(xattrs(&path), Default::default(), "{path:?}");
    }
}

#[test]
fn parents_are_made_like_those_of_another_tree() {
    if !is_root("parents_are_made_like_those_of_another_tree") {
        return;
    }
    let trees = Trees::new();
    trees.write("source/a/b/c/file", "x");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o2750);
    fs::set_permissions(trees.path("source/a/b"), mode).unwrap();
    let (source, root) = (trees.root("source"), trees.root("target"));
    for _ in 0..2 {
        root.make_parents("/a/b/c/file".as_ref(), Some(&source))
            .unwrap();
    }
    root.make_parents("/own/dir/file".as_ref(), None).unwrap();
    let mode = |path| fs::metadata(trees.path(path)).unwrap().mode() & 0o7777;
    assert_eq!(mode("target/a/b"), 0o2750);
    assert_eq!(mode("target/own/dir"), 0o755);
    assert!(!trees.path("target/a/b/c/file").exists());
}

#[test]
fn a01_parents_are_made_inside_whatever_links_say() {
    if !is_root("a01_parents_are_made_inside_whatever_links_say") {
        return;
    }
    let trees = Trees::new();
    let before = portrait(&trees.path("outside"));
    trees.link("target/out", trees.path("outside"));
    trees.link("target/up", "../../../up-there");
    trees.link("target/round", "round");
    let root = trees.root("target");
    root.make_parents("/out/dir/file".as_ref(), None).unwrap();
    root.make_parents("/up/dir/file".as_ref(), None).unwrap();
    assert!(trees.path("target/up-there/dir").is_dir());
    let inside = trees.path("outside");
    let inside = inside.strip_prefix("/").unwrap().join("dir");
    assert!(trees.path("target").join(inside).is_dir());
    assert!(root.make_parents("/round/dir/file".as_ref(), None).is_err());
    trees.write("target/file", "x");
    let through = root.make_parents("/file/dir/x".as_ref(), None);
    assert!(
        matches!(through, Err(Error::WrongKind { .. })),
        "{through:?}"
    );
    assert_eq!(portrait(&trees.path("outside")), before);
}

#[test]
fn a_rename_replaces_nothing_and_a_replacement_does() {
    let trees = Trees::new();
    trees.write("target/new", "new");
    trees.write("target/old", "old");
    let root = trees.root("target");
    let renamed = root.rename("new".as_ref(), "old".as_ref());
    assert!(matches!(renamed, Err(Error::Exists { .. })), "{renamed:?}");
    assert_eq!(root.read("old".as_ref(), 10).unwrap(), b"old");
    root.replace("new".as_ref(), "old".as_ref()).unwrap();
    assert_eq!(root.read("old".as_ref(), 10).unwrap(), b"new");
    root.rename("old".as_ref(), "other".as_ref()).unwrap();
    assert_eq!(root.list("/".as_ref()).unwrap().len(), 1);
    root.sync().unwrap();
}

#[test]
fn a_mark_is_kept_on_the_tree() {
    if !is_root("a_mark_is_kept_on_the_tree") {
        return;
    }
    let trees = Trees::new();
    let root = trees.root("target");
    assert_eq!(root.mark().unwrap(), None);
    let uuid = Uuid::from_u128(0x1234_5678_9abc_def0);
    root.set_mark(uuid).unwrap();
    assert_eq!(trees.root("target").mark().unwrap(), Some(uuid));
    set_xattr(
        &trees.path("target"),
        "trusted.virt-sandbox.uuid",
        b"nonsense",
    );
    assert!(matches!(root.mark(), Err(Error::Mark { .. })));
    set_xattr(
        &trees.path("target"),
        "trusted.virt-sandbox.uuid",
        &[b'x'; 200],
    );
    assert!(matches!(root.mark(), Err(Error::Mark { .. })));
}
