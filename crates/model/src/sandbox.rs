//! What is stored of a sandbox: the one source of truth, from which domain and unit are derived.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::confinement::Confinement;
use crate::id_range::IdRange;
use crate::label::SecurityContext;
use crate::name::SandboxName;
use crate::network::NetworkConfig;
use crate::path::AbsPath;
use crate::unit_name::UnitName;

/// A sandbox as its `.sandbox` file describes it, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxConfig {
    /// Its name, which is also the libvirt domain's and the host name inside.
    pub name: SandboxName,
    /// The libvirt domain's UUID; tree, unit and domain carry it.
    pub uuid: Uuid,
    /// The units that run inside, as asked for; at least one.
    pub units: Vec<UnitName>,
    /// The directory that holds the container's own files.
    pub content: AbsPath,
    /// The file name of the host unit in `/etc/systemd/system`.
    pub host_unit: UnitName,
    /// What holds root inside.
    pub confinement: Confinement,
    /// The users of the host that are those inside; `None` where they are the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_users: Option<IdRange>,
    /// The context of the processes inside.
    pub label: SecurityContext,
    /// The context of the content.
    pub file_label: SecurityContext,
    /// The interface; `None` for loopback only.
    pub network: Option<NetworkConfig>,
    /// Host paths mounted read-only at the same path inside, besides `/usr`.
    pub shared: Vec<AbsPath>,
    /// Paths of the content that are writable inside; `/etc`, `/var` and `/root` at least.
    pub writable: Vec<AbsPath>,
    /// File systems in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// How long the unit inside may take.
    pub timeouts: Timeouts,
}

/// Why a path can't be shared with the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareClash {
    /// It is the container's own as well.
    #[error("{0} can't be shared with the host and private at once")]
    Private(AbsPath),
    /// Content would be seen in it, or it is in the content.
    #[error("{0} would show the container its own content, or others'")]
    Content(AbsPath),
    /// It is mounted over what is the container's own.
    #[error("{shared} would cover {own}, which is the container's own")]
    Covers {
        /// The path.
        shared: AbsPath,
        /// The container's own.
        own: AbsPath,
    },
}

impl ShareClash {
    /// The path that can't be shared.
    #[must_use]
    pub fn path(&self) -> &AbsPath {
        match self {
            Self::Private(path) | Self::Content(path) | Self::Covers { shared: path, .. } => path,
        }
    }
}

impl SandboxConfig {
    /// The first shared path that can't be one beside the rest of the config.
    #[must_use]
    pub fn share_clash(&self) -> Option<ShareClash> {
        self.shared.iter().find_map(|shared| {
            let private = self.tmpfs.iter().map(|t| &t.target).chain(&self.writable);
            let covered = self.writable.iter().find(|own| own.starts_with(shared));
            if private.into_iter().any(|own| own == shared) {
                Some(ShareClash::Private(shared.clone()))
            } else if shared.starts_with(&self.content) || self.content.starts_with(shared) {
                Some(ShareClash::Content(shared.clone()))
            } else {
                covered.map(|own| ShareClash::Covers {
                    shared: shared.clone(),
                    own: own.clone(),
                })
            }
        })
    }
}

/// A file system in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tmpfs {
    /// Where it is mounted inside.
    pub target: AbsPath,
    /// The most it may hold, in bytes.
    pub size: u64,
}

/// How long the units inside may take to start and stop, in seconds; `None` is without limit.
/// From their own `TimeoutStartSec=` and `TimeoutStopSec=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Seconds until a start counts as failed.
    pub start: Option<u64>,
    /// Seconds until a stop is forced.
    pub stop: Option<u64>,
}

impl Default for Timeouts {
    /// systemd's own default, `DefaultTimeoutStartSec=` of 90 s.
    fn default() -> Self {
        Self {
            start: Some(90),
            stop: Some(90),
        }
    }
}
