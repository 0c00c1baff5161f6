//! What libvirt is given at each start, as a value.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id_range::IdRange;
use crate::label::SecurityContext;
use crate::name::SandboxName;
use crate::network::MacAddress;
use crate::path::AbsPath;

/// A transient LXC domain (libvirt's domain XML format, driver LXC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSpec {
    /// The domain's name, the sandbox's.
    pub name: SandboxName,
    /// The domain's UUID, the sandbox's.
    pub uuid: Uuid,
    /// The first process inside.
    pub init: AbsPath,
    /// Its arguments, without the program's own name.
    pub init_args: Vec<String>,
    /// Its environment, besides what libvirt sets.
    pub init_env: Vec<(String, String)>,
    /// `<memory>` in KiB; libvirt demands one, and makes it the cgroup's limit.
    pub memory_kib: u64,
    /// In the order in which they are mounted; the first is `/`.
    pub filesystems: Vec<Filesystem>,
    /// None for loopback only.
    pub interfaces: Vec<Interface>,
    /// The user namespace; `None` for the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_users: Option<IdRange>,
    /// The static context of the processes; `None` where SELinux is off.
    pub label: Option<SecurityContext>,
}

/// A file system of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Filesystem {
    /// A bind mount of a directory of the host.
    Bind {
        /// On the host.
        source: AbsPath,
        /// Inside.
        target: AbsPath,
        /// Whether it is mounted read-only.
        readonly: bool,
    },
    /// A tmpfs.
    Ram {
        /// Inside.
        target: AbsPath,
        /// Its size in bytes.
        size: u64,
    },
}

/// A network interface of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The libvirt network.
    pub network: String,
    /// Its hardware address.
    pub mac: MacAddress,
    /// Set before systemd runs.
    pub address: Ipv4Addr,
    /// Bits of the network part.
    pub prefix: u8,
    /// The default route.
    pub gateway: Ipv4Addr,
    /// The device's name inside: `eth0`.
    pub device: String,
    /// Whether the bridge keeps it from reaching other isolated ports: its neighbours.
    pub isolated: bool,
    /// The bridge that the runner connects it to, where nothing but a bridge is asked of the network;
    /// `None` where libvirt makes the interface. Known at each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
}
