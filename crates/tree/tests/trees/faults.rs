//! A full disk, a mount in the way, a file system that keeps less.

use std::fs;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_remount};
use vss_tree::{Error, SkipReason};

use crate::support::*;

#[test]
fn a51_a_full_disk_is_told_with_the_path() {
    if !is_root("a51_a_full_disk_is_told_with_the_path") {
        return;
    }
    with_private_mounts(|| {
        for digests in [true, false] {
            let trees = Trees::new();
            trees.write("source/big", vec![b'x'; 3 << 20]);
            mount_tmpfs(&trees.path("target"), "size=1m");
            let (source, target) = (trees.root("source"), trees.root("target"));
            let options = vss_tree::CopyOptions {
                except: &Default::default(),
                digests: &|_| digests,
                progress: &(),
                cancelled: &false.into(),
                threads: 2,
            };
            let error = vss_tree::copy(&source, &target, &[tree("/")], &options).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
            let expected = format!("cannot write {}", trees.path("target/big").display());
            assert_eq!(error.to_string(), expected);
        }
    });
}

#[test]
fn a51_no_inode_left_and_read_only_are_told_with_the_path() {
    if !is_root("a51_no_inode_left_and_read_only_are_told_with_the_path") {
        return;
    }
    with_private_mounts(|| {
        let trees = Trees::new();
        for n in 0..40 {
            trees.write(&format!("source/{n}/file"), "x");
        }
        mount_tmpfs(&trees.path("target"), "nr_inodes=30");
        let error = trees.copy_all(2).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
        assert!(error.to_string().contains("cannot create"), "{error}");
        mount_remount(trees.path("target"), MountFlags::RDONLY, c"").unwrap();
        let plain = vss_tree::Attributes {
            mode: 0o600,
            uid: 0,
            gid: 0,
        };
        let error = trees
            .root("target")
            .make_file("new".as_ref(), b"x", plain)
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ROFS.raw_os_error()));
        assert!(error.to_string().ends_with("target/new"), "{error}");
    });
}

#[test]
fn a51_a_file_that_could_not_be_written_is_taken_away_again() {
    if !is_root("a51_a_file_that_could_not_be_written_is_taken_away_again") {
        return;
    }
    with_private_mounts(|| {
        let trees = Trees::new();
        mount_tmpfs(&trees.path("target"), "size=64k");
        let root = trees.root("target");
        let plain = vss_tree::Attributes {
            mode: 0o600,
            uid: 0,
            gid: 0,
        };
        let error = root
            .make_file("new".as_ref(), &[b'x'; 100_000], plain)
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
        assert_eq!(root.metadata("new".as_ref()).unwrap(), None);
    });
}

#[test]
fn what_is_mounted_inside_is_left_out_and_told() {
    if !is_root("what_is_mounted_inside_is_left_out_and_told") {
        return;
    }
    with_private_mounts(|| {
        let trees = Trees::new();
        trees.write("source/etc/own", "x");
        let file = trees.write("source/etc/resolv.conf", "below");
        fs::create_dir(trees.path("source/etc/mounted")).unwrap();
        mount_tmpfs(&trees.path("source/etc/mounted"), "size=64k");
        trees.write("source/etc/mounted/foreign", "x");
        let over = trees.write("outside/resolv.conf", "mounted over");
        rustix::mount::mount_bind(&over, &file).unwrap();

        let source = trees.root("source");
        let summary = source.summary("/".as_ref(), &|_| false).unwrap();
        assert_eq!(summary.mounts, [abs("/etc/mounted")]);
        assert_eq!((summary.files, summary.directories), (2, 2));
        let mut walked = vec![];
        source
            .walk("/".as_ref(), &mut |node| {
                walked.push(node.path.to_string());
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_eq!(walked, ["/", "/etc", "/etc/own"]);

        let report = trees.copy_all(1).unwrap();
        assert_eq!(report.skipped, [(abs("/etc/mounted"), SkipReason::Mounted)]);
        assert_eq!(
            fs::read(trees.path("target/etc/resolv.conf")).unwrap(),
            b"mounted over"
        );
        // named as an item, it is copied
        let items = [tree("/etc/mounted")];
        copy(&source, &trees.root("target"), &items, &[], 1).unwrap();
        assert!(trees.path("target/etc/mounted/foreign").exists());
    });
}

#[test]
fn an_attribute_that_the_target_cannot_keep_is_told() {
    if !is_root("an_attribute_that_the_target_cannot_keep_is_told") {
        return;
    }
    with_private_mounts(|| {
        let trees = Trees::new();
        let file = trees.write("source/file", "x");
        set_xattr(&file, "user.note", b"kept elsewhere");
        // ramfs keeps no attributes at all
        use rustix::mount::mount;
        let target = trees.path("target");
        mount("ramfs", &target, "ramfs", MountFlags::empty(), c"").unwrap();
        let report = trees.copy_all(1).unwrap();
        let reason = SkipReason::Attribute("user.note".to_owned());
        assert_eq!(report.skipped, [(abs("/file"), reason)]);
        assert!(trees.path("target/file").exists());
    });
}

#[test]
fn a12_nothing_is_deleted_where_something_is_mounted() {
    if !is_root("a12_nothing_is_deleted_where_something_is_mounted") {
        return;
    }
    with_private_mounts(|| {
        let trees = Trees::new();
        trees.write("outside/host", "data");
        trees.write("target/box/a-file", "x");
        trees.write("target/box/z/file", "x");
        let file = trees.write("target/box/z/over", "x");
        let root = trees.root("target");
        let before = portrait(&trees.path("target"));
        let mounted = trees.path("target/box/m");
        fs::create_dir(&mounted).unwrap();
        for (from, on) in [
            (trees.path("outside"), &mounted),
            (trees.path("outside/host"), &file),
        ] {
            rustix::mount::mount_bind(&from, on).unwrap();
            let error = root.remove_tree("box".as_ref()).unwrap_err();
            assert!(matches!(error, Error::MountPoint { .. }), "{error}");
            assert!(error.to_string().contains(on.to_str().unwrap()), "{error}");
            rustix::mount::unmount(on, rustix::mount::UnmountFlags::empty()).unwrap();
        }
        mount_tmpfs(&trees.path("target/box"), "size=64k");
        let error = root.remove_tree("box".as_ref()).unwrap_err();
        assert!(matches!(error, Error::MountPoint { .. }), "{error}");
        let on = trees.path("target/box");
        rustix::mount::unmount(on, rustix::mount::UnmountFlags::empty()).unwrap();
        fs::remove_dir(&mounted).unwrap();
        assert_eq!(portrait(&trees.path("target")).len(), before.len());
        assert_eq!(fs::read(trees.path("outside/host")).unwrap(), b"data");
        // the pair: without the mounts it goes
        root.remove_tree("box".as_ref()).unwrap();
        assert!(!trees.path("target/box").exists());
    });
}
