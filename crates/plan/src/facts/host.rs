//! The host as a whole: what it is, what is in use on it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use vss_model::{Level, MacAddress, SecurityContext};

/// The host as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Whether `/bin`, `/sbin` and `/lib` are links into `/usr`.
    pub merged_usr: bool,
    /// The links that stand in `/`, by name, with their targets as written.
    pub root_links: BTreeMap<String, String>,
    /// `/etc/machine-id` without its line break; empty where there is none.
    pub machine_id: String,
    /// The major version of the systemd that is installed; 0 where it can't be told.
    pub systemd: u32,
    /// Whether SELinux is off, permissive or enforcing: `disabled`, `permissive`, `enforcing`.
    pub selinux: SelinuxMode,
    /// The context of container processes, at any level.
    pub process_context: SecurityContext,
    /// The context of container files, at any level.
    pub file_context: SecurityContext,
    /// Whether the host's cgroups are v2 only.
    pub cgroup_v2: bool,
    /// Whether the loaded policy has the project's own module.
    #[serde(default)]
    pub policy_module: bool,
    /// Whether the kernel makes user namespaces.
    #[serde(default)]
    pub user_namespaces: bool,
}

/// SELinux on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelinuxMode {
    /// Off.
    Disabled,
    /// On, refusing nothing.
    Permissive,
    /// On, refusing nothing to the domain of containers.
    Exempt,
    /// On.
    Enforcing,
}

/// What other containers hold, from stored configs, reservations, libvirt and live processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InUse {
    /// Levels that container labels have.
    pub levels: Vec<HeldLevel>,
    /// Addresses reserved by sandboxes.
    pub addresses: Vec<Ipv4Addr>,
    /// MACs of sandboxes.
    pub macs: Vec<MacAddress>,
}

/// A level that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLevel {
    /// The level.
    pub level: Level,
    /// Who holds it, for a message: `sandbox web1`, `process 812 (qemu)`.
    pub by: String,
}

/// Users or groups that are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRange {
    /// The first number.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Who holds it, for a message: `sandbox web1`, `/etc/subuid (podman)`.
    pub by: String,
}

/// A libvirt network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// The host on the network's bridge: route and resolver.
    pub gateway: Ipv4Addr,
    /// Bits of the network part.
    pub prefix: u8,
    /// Addresses that leases, static hosts and domains of libvirt hold, besides our own.
    pub in_use: Vec<Ipv4Addr>,
}

/// The host's users and groups.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Accounts {
    /// The text of `/etc/passwd`.
    pub passwd: String,
    /// The text of `/etc/group`.
    pub group: String,
}
