//! Creating where a part of the host is mounted read-only.

use std::process::Command;

use rustix::mount::{MountFlags, mount_bind, mount_remount};

use super::world::World;
use crate::error::Error;

/// Set in the process that has mounts of its own.
const INSIDE: &str = "VSS_TEST_MOUNTS";

/// Runs this test again where it may mount what it likes: in a mount namespace, which no test can
/// give itself that runs beside others. Whether this is that process.
fn has_own_mounts(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED, needs root: {test}");
        return false;
    }
    #[expect(clippy::disallowed_methods, reason = "the test itself is run")]
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{}::{test}", module_path!()).replacen("vss_manager::", "", 1),
        ])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success());
    false
}

#[test]
fn a51_a_read_only_place_is_named_and_nothing_is_left_behind() {
    if !has_own_mounts("a51_a_read_only_place_is_named_and_nothing_is_left_behind") {
        return;
    }
    for place in [
        "etc/systemd/system",
        "etc/libvirt-sandbox",
        "var/lib/libvirt-sandbox",
        "var/lib/libvirt/filesystems",
    ] {
        let world = World::new();
        let path = world.path(place);
        std::fs::create_dir_all(&path).unwrap();
        mount_bind(&path, &path).unwrap();
        let read_only = MountFlags::BIND | MountFlags::RDONLY;
        mount_remount(&path, read_only, c"").unwrap();
        let before = world.snapshot();
        let error = world.create("web1").unwrap_err();
        let text = error.with_causes();
        assert!(!matches!(error, Error::NotUndone { .. }), "{text}");
        assert!(text.contains(place) && text.contains("Read-only"), "{text}");
        assert!(!text.contains("can't remove"), "{text}");
        assert_eq!(world.snapshot(), before, "{place}");
        assert!(
            world.host().store().pending().unwrap().is_empty(),
            "{place}"
        );
    }
}
