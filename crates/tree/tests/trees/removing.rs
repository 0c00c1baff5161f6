//! Deleting trees.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::IFlags;
use vss_tree::{Error, Removed};

use crate::support::*;

#[test]
fn a_tree_goes_and_nothing_else() {
    let trees = Trees::new();
    trees.write("outside/dir/file", "stays");
    trees.write("target/box/dir/file", "x");
    trees.link("target/box/link", trees.path("outside/dir"));
    trees.link("target/box/dir/up", "..");
    mkfifo(&trees.path("target/box/pipe"));
    let odd = std::ffi::OsString::from_vec(b"\xff\n".to_vec());
    fs::write(trees.path("target/box").join(odd), "x").unwrap();
    trees.write("target/beside", "stays");
    let root = trees.root("target");
    let removed = root.remove_tree("/box".as_ref()).unwrap();
    let expected = Removed {
        directories: 2,
        others: 5,
    };
    assert_eq!(removed, expected);
    assert!(trees.path("target/beside").exists());
    assert!(trees.path("outside/dir/file").exists());
    // done twice, it is done
    assert_eq!(
        root.remove_tree("/box".as_ref()).unwrap(),
        Removed::default()
    );
    assert_eq!(
        root.remove_tree("/no/such".as_ref()).unwrap(),
        Removed::default()
    );
}

#[test]
fn a12_a_link_is_deleted_and_not_what_it_leads_to() {
    let trees = Trees::new();
    trees.write("outside/file", "stays");
    trees.link("target/link", trees.path("outside"));
    let root = trees.root("target");
    root.remove_tree("link".as_ref()).unwrap();
    assert!(!trees.path("target/link").is_symlink());
    assert!(trees.path("outside/file").exists());
}

#[test]
fn the_top_itself_is_not_deleted() {
    let trees = Trees::new();
    trees.write("target/file", "stays");
    for top in ["/", ".", "", "/x/.."] {
        let removed = trees.root("target").remove_tree(Path::new(top));
        assert!(matches!(removed, Err(Error::Top { .. })), "{removed:?}");
    }
    assert!(trees.path("target/file").exists());
}

#[test]
fn directories_without_any_permission_go() {
    if !is_root("directories_without_any_permission_go") {
        return;
    }
    let trees = Trees::new();
    trees.write("target/box/closed/dir/file", "x");
    for dir in ["box/closed/dir", "box/closed", "box"] {
        let closed = Permissions::from_mode(0o000);
        fs::set_permissions(trees.path("target").join(dir), closed).unwrap();
    }
    trees.root("target").remove_tree("box".as_ref()).unwrap();
    assert!(!trees.path("target/box").exists());
}

#[test]
fn an_immutable_file_is_told() {
    if !is_root("an_immutable_file_is_told") {
        return;
    }
    for (frozen, told) in [("box/dir/file", "box/dir/file"), ("box/dir", "box/dir")] {
        let trees = Trees::new();
        trees.write("target/box/dir/file", "x");
        let handle = fs::File::open(trees.path("target").join(frozen)).unwrap();
        if rustix::fs::ioctl_setflags(&handle, IFlags::IMMUTABLE).is_err() {
            eprintln!("SKIPPED: an_immutable_file_is_told: no such flag on this file system");
            return;
        }
        let removed = trees.root("target").remove_tree("box".as_ref());
        rustix::fs::ioctl_setflags(&handle, IFlags::empty()).unwrap();
        let error = removed.unwrap_err();
        assert!(matches!(error, Error::Immutable { .. }), "{error:?}");
        let path = trees.path("target").join(told);
        assert!(
            error.to_string().starts_with(path.to_str().unwrap()),
            "{error}"
        );
        // the pair: without the flag it goes
        trees.root("target").remove_tree("box".as_ref()).unwrap();
        assert!(!trees.path("target/box").exists());
    }
}
