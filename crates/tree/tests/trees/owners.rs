//! Trees of containers with users of their own: what is written belongs to those users.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};

use vss_model::IdRange;
use vss_tree::{Attributes, SkipReason};

use crate::support::*;

/// cap_net_bind_service, effective and permitted, of the second revision.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn users() -> IdRange {
    "100000:65536".parse().unwrap()
}

/// `user::rw-`, that user and that group `r--`, `group::r--,mask::r--,other::---`.
fn acl(user: u32, group: u32) -> Vec<u8> {
    let entries: [(u16, u16, u32); 6] = [
        (1, 6, u32::MAX),
        (2, 4, user),
        (4, 4, u32::MAX),
        (8, 4, group),
        (16, 4, u32::MAX),
        (32, 0, u32::MAX),
    ];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn owner(trees: &Trees, path: &str) -> (u32, u32) {
    let found = fs::symlink_metadata(trees.path(path)).unwrap();
    (found.uid(), found.gid())
}

#[test]
fn a_copy_is_of_the_containers_users_with_all_that_names_them() {
    if !is_root("changing owners") {
        return;
    }
    let trees = Trees::new();
    let program = trees.write("source/dir/program", "#!/bin/false\n");
    chown(&program, Some(33), Some(4)).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o6755)).unwrap();
    set_xattr(&program, "security.capability", &CAPABILITY);
    let listed = trees.write("source/dir/listed", "");
    fs::set_permissions(&listed, Permissions::from_mode(0o640)).unwrap();
    set_xattr(&listed, "system.posix_acl_access", &acl(33, 4));
    set_xattr(
        &trees.path("source/dir"),
        "system.posix_acl_default",
        &acl(34, 5),
    );
    trees.link("source/dir/link", "/etc/shadow");
    lchown(trees.path("source/dir/link"), Some(7), Some(8)).unwrap();

    let target = trees.root("target").owned_by(users());
    let report = copy(&trees.root("source"), &target, &[tree("/dir")], &[], 1).unwrap();
    assert_eq!(report.skipped, []);
    assert_eq!(owner(&trees, "target/dir"), (100_000, 100_000));
    assert_eq!(owner(&trees, "target/dir/program"), (100_033, 100_004));
    assert_eq!(owner(&trees, "target/dir/link"), (100_007, 100_008));
    let mode = fs::metadata(trees.path("target/dir/program"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o7777, 0o6755);
    let of = |path: &str, name: &str| xattrs(&trees.path(path)).remove(name).unwrap();
    assert_eq!(
        of("target/dir/listed", "system.posix_acl_access"),
        acl(100_033, 100_004)
    );
    assert_eq!(
        of("target/dir", "system.posix_acl_default"),
        acl(100_034, 100_005)
    );
    let capability = of("target/dir/program", "security.capability");
    assert_eq!(capability[..4], [1, 0, 0, 3]);
    assert_eq!(capability[20..], 100_000u32.to_le_bytes());
    // the report is in the container's terms
    let placed = report
        .files
        .iter()
        .find(|f| f.path == abs("/dir/program"))
        .unwrap();
    assert_eq!((placed.uid, placed.gid), (33, 4));
}

#[test]
fn whom_the_container_does_not_have_is_nobody_and_told() {
    if !is_root("changing owners") {
        return;
    }
    let trees = Trees::new();
    let file = trees.write("source/of-a-stranger", "");
    chown(&file, Some(4_000_000), Some(4)).unwrap();
    set_xattr(&file, "system.posix_acl_access", &acl(4_000_000, 4));
    let three = [&[1, 0, 0, 3][..], &CAPABILITY[4..], &7u32.to_le_bytes()].concat();
    set_xattr(&file, "security.capability", &three);

    let target = trees.root("target").owned_by(users());
    let report = copy(&trees.root("source"), &target, &[tree("/")], &[], 1).unwrap();
    assert_eq!(owner(&trees, "target/of-a-stranger"), (165_534, 100_004));
    let path = abs("/of-a-stranger");
    let told: Vec<_> = report.skipped.iter().map(|(_, why)| why.clone()).collect();
    assert!(report.skipped.iter().all(|(at, _)| *at == path));
    for why in [
        SkipReason::Owner(4_000_000),
        SkipReason::Users("system.posix_acl_access".into()),
        SkipReason::Users("security.capability".into()),
    ] {
        assert!(told.contains(&why), "{told:?}");
    }
    let kept = xattrs(&trees.path("target/of-a-stranger"));
    assert!(!kept.contains_key("security.capability"));
    assert_eq!(kept["system.posix_acl_access"].len(), acl(0, 0).len() - 8);
}

#[test]
fn what_is_made_is_of_the_containers_users() {
    if !is_root("changing owners") {
        return;
    }
    let trees = Trees::new();
    trees.write("source/var/lib/x", "");
    chown(trees.path("source/var/lib"), Some(5), Some(6)).unwrap();
    let source = trees.root("source");
    let target = trees.root("target").owned_by(users());
    let attributes = Attributes {
        mode: 0o2750,
        uid: 33,
        gid: 4,
    };
    target
        .make_parents("/var/lib/x/y".as_ref(), Some(&source))
        .unwrap();
    target
        .make_file("/file".as_ref(), b"x", attributes)
        .unwrap();
    target.make_dir("/dir".as_ref(), attributes).unwrap();
    target
        .make_link("/link".as_ref(), "/x".as_ref(), 33, 4)
        .unwrap();
    target
        .sub("/dir".as_ref())
        .unwrap()
        .make_file("/in".as_ref(), b"", attributes)
        .unwrap();
    for made in ["target/file", "target/dir", "target/link", "target/dir/in"] {
        assert_eq!(owner(&trees, made), (100_033, 100_004), "{made}");
    }
    assert_eq!(owner(&trees, "target/var"), (100_000, 100_000));
    assert_eq!(owner(&trees, "target/var/lib"), (100_005, 100_006));
    let mode = fs::metadata(trees.path("target/dir")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o2750);
    target.remove_tree("/dir".as_ref()).unwrap();
}
