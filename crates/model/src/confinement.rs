//! What holds root inside a container (design: "read-only needs an enforcer").
//!
//! The choice itself is here; what it means in the kernel's own terms is data in three modules,
//! which the init applies to the first process inside and `execute` to every process that joins:
//!
//! - [`capability`]: which capabilities are kept, with a reason for each.
//! - [`seccomp`]: the system calls that are refused, as a program for the kernel.
//! - [`surface`]: which files of `/proc` and `/sys` are out of sight.
//!
//! [`decision`] is how the kernel is asked whether its SELinux makes an exception for a domain.

pub mod capability;
pub mod decision;
pub mod seccomp;
pub mod surface;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an administrator asks for with `--confinement`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfinementChoice {
    /// The strongest that this host offers; never below a user namespace.
    #[default]
    Auto,
    /// Exactly this one.
    #[serde(untagged)]
    Exactly(Confinement),
}

/// What holds root inside a container: stored in its config, applied by the init.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confinement {
    /// The SELinux label, enforced.
    Selinux,
    /// A user namespace: root inside is nobody outside.
    Userns,
    /// A bounding set without the capabilities that reach the host.
    Reduced,
    /// Little: read-only mounts that root inside can undo.
    None,
}

impl Confinement {
    /// All levels, strongest first.
    pub const ALL: [Self; 4] = [Self::Selinux, Self::Userns, Self::Reduced, Self::None];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Selinux => "selinux",
            Self::Userns => "userns",
            Self::Reduced => "reduced",
            Self::None => "none",
        }
    }

    /// One line that says what it does, for `status` and `plan`; with users of the container's own
    /// or with the host's.
    #[must_use]
    pub fn summary(self, private_users: bool) -> &'static str {
        match (self, private_users) {
            (Self::Selinux, false) => {
                "the SELinux label, enforced; root inside is root outside to all but the policy"
            }
            (Self::Selinux, true) => {
                "the SELinux label, enforced, and a user namespace: root inside is nobody outside"
            }
            (Self::Userns, _) => "a user namespace: root inside is nobody outside",
            (Self::Reduced, false) => {
                "a reduced capability bounding set and a seccomp filter; root inside is root outside"
            }
            (Self::Reduced, true) => {
                "a reduced capability bounding set and a seccomp filter, in a user namespace: root inside is nobody outside"
            }
            (Self::None, false) => {
                "little: root inside can undo the read-only mounts and is root outside"
            }
            (Self::None, true) => {
                "a user namespace and little else: root inside is nobody outside, and can undo the read-only mounts"
            }
        }
    }

    /// Whether it is nothing without users of the container's own.
    #[must_use]
    pub fn needs_private_users(self) -> bool {
        self == Self::Userns
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The type of containers' processes in the project's own policy module. A policy that does not
/// know it has nothing that [`Confinement::Selinux`] could hold a container with.
pub const PROCESS_TYPE: &str = "virt_sandbox_container_t";
/// The type of containers' files in that module.
pub const CONTENT_TYPE: &str = "virt_sandbox_content_t";
/// The type of a container's first process in that module, until it executes systemd.
pub const INIT_TYPE: &str = "virt_sandbox_init_t";
/// The type of the host's directory that a container sees, with the readiness socket.
pub const NOTIFY_TYPE: &str = "virt_sandbox_notify_t";

/// The name of the cgroup in which a container's processes are, the root of its cgroup namespace.
///
/// The init makes it, in every hierarchy; the runner removes it where libvirt does not.
#[must_use]
pub fn payload_cgroup(uuid: Uuid) -> String {
    format!("virt-sandbox-{uuid}")
}

/// Why a text is no confinement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no confinement: there are auto, selinux, userns, reduced and none")]
pub struct ConfinementError(String);

impl FromStr for Confinement {
    type Err = ConfinementError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|c| c.as_str() == text)
            .ok_or_else(|| ConfinementError(text.to_owned()))
    }
}

impl FromStr for ConfinementChoice {
    type Err = ConfinementError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            Ok(Self::Auto)
        } else {
            text.parse().map(Self::Exactly)
        }
    }
}

impl fmt::Display for ConfinementChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Exactly(confinement) => confinement.fmt(f),
        }
    }
}
