//! A store, and what the tests put into it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;
use vss_config::{Beginning, Places, Store, parse};
use vss_model::{CategorySet, Level, NetworkConfig, SandboxConfig, SandboxName, Uuid};

pub(crate) struct World {
    pub(crate) root: TempDir,
    pub(crate) store: Store,
}

pub(crate) fn world() -> World {
    let root = TempDir::new().unwrap();
    let store = Store::open(Places::under(root.path()));
    World { root, store }
}

pub(crate) fn name(text: &str) -> SandboxName {
    text.parse().unwrap()
}

pub(crate) fn config(sandbox: &str, uuid: u128) -> SandboxConfig {
    let text = include_str!("../web1.sandbox");
    let mut config = parse(Path::new("web1"), text, &name("web1")).unwrap();
    config.name = name(sandbox);
    config.uuid = Uuid::from_u128(uuid);
    config
}

/// A change begins without a step.
pub(crate) const NONE: &[String] = &[];

pub(crate) fn beginning(sandbox: &str, uuid: u128) -> Beginning {
    Beginning {
        verb: "create".to_owned(),
        name: name(sandbox),
        uuid: Uuid::from_u128(uuid),
        content: "/var/lib/libvirt/filesystems/web1".parse().unwrap(),
        began: 1,
    }
}

pub(crate) fn set(level: &str) -> CategorySet {
    level.parse::<Level>().unwrap().categories().clone()
}

pub(crate) fn network(last: u8) -> NetworkConfig {
    let mut network = config("web1", 1).network.unwrap();
    network.address = [192, 168, 155, last].into();
    network.mac = format!("52:54:00:00:00:{last:02x}").parse().unwrap();
    network
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

pub(crate) fn root_only(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED, needs root: {test}");
        assert!(std::env::var_os("CI").is_none(), "{test} needs root");
    }
    root
}
