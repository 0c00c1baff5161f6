//! What can go wrong between this program and libvirt, as types.

use virt::error::{ErrorNumber, ErrorNumberEnum};
use vss_model::{Sanitized, Uuid};

use crate::connection::OpenError;
use crate::xml::XmlError;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why libvirt gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// libvirt refused.
    #[error("libvirt could not {action}")]
    Refused {
        /// What was asked for.
        action: String,
        /// libvirt's own words.
        source: Reply,
    },
    /// libvirt's answer is not what its documentation says.
    #[error("libvirt's description of {object} can't be used: {reason}")]
    Answer {
        /// What it describes.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A domain runs, but its first process was not found.
    #[error(
        "the first process of the domain {domain} was not found below libvirt's controller, process {controller}"
    )]
    NoInit {
        /// The domain's name.
        domain: String,
        /// The process id of its `libvirt_lxc`.
        controller: u32,
    },
}

/// Why a domain was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A cgroup that libvirt had just made was removed under it, or the last domain of this name
    /// was just going. Nothing of the container has run, and the same call may succeed at once:
    /// `docs/design/libvirt-race.md`.
    #[error("the start of {name} was disturbed by another container")]
    Race {
        /// The domain's name.
        name: String,
        /// libvirt's own words.
        source: Reply,
    },
    /// A domain of that name exists, which is not this sandbox's.
    #[error("libvirt has another domain of the name {name}, with the UUID {uuid}")]
    NameTaken {
        /// The domain's name.
        name: String,
        /// The other domain's UUID.
        uuid: Uuid,
    },
    /// A domain with this sandbox's UUID exists under another name.
    #[error("libvirt has the domain {name} with this sandbox's UUID {uuid}")]
    UuidTaken {
        /// The other domain's name.
        name: String,
        /// The UUID of both.
        uuid: Uuid,
    },
    /// The domain runs already.
    #[error("the domain {name} is running already")]
    Running {
        /// The domain's name.
        name: String,
    },
    /// The network of an interface doesn't exist.
    #[error("there is no libvirt network {network}")]
    NetworkMissing {
        /// The network's name.
        network: String,
    },
    /// The network of an interface isn't up.
    #[error("the libvirt network {network} is not active")]
    NetworkInactive {
        /// The network's name.
        network: String,
    },
    /// The container's first process ended before it was seen.
    #[error("the container {name} ended as soon as it was started")]
    Ended {
        /// The domain's name.
        name: String,
    },
    /// libvirt's controller gave up before the container ran.
    #[error("libvirt could not start the container {name}")]
    Failed {
        /// The domain's name.
        name: String,
        /// libvirt's own words.
        source: Reply,
    },
    /// The domain can't be written as XML.
    #[error("the domain can't be described to libvirt")]
    Xml(#[from] XmlError),
    /// libvirt gave no answer.
    #[error(transparent)]
    Libvirt(#[from] Error),
}

impl StartError {
    /// Whether the very same start may succeed if it is tried again.
    #[must_use]
    pub fn is_race(&self) -> bool {
        matches!(self, Self::Race { .. })
    }

    /// What to run next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NameTaken { name, .. } => Some(format!(
                "see `virsh -c lxc:///system dominfo {name}`; rename or remove that domain, or create the sandbox under another name"
            )),
            Self::UuidTaken { name, .. } => Some(format!(
                "see `virsh -c lxc:///system dominfo {name}`; `virsh -c lxc:///system destroy {name}` ends it"
            )),
            Self::NetworkMissing { .. } => {
                Some("see `virsh -c lxc:///system net-list --all`".to_owned())
            }
            Self::NetworkInactive { network } => {
                Some(format!("run `virsh -c lxc:///system net-start {network}`"))
            }
            Self::Ended { name } | Self::Failed { name, .. } => {
                Some(format!("see /var/log/libvirt/lxc/{name}.log"))
            }
            Self::Libvirt(Error::Open(error)) => error.hint(),
            _ => None,
        }
    }
}

/// libvirt's own words about a failure.
///
/// They may quote the container's output, and are shown on one line with every control character
/// made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(virt::error::Error);

impl Reply {
    pub(crate) fn is(&self, number: ErrorNumber) -> bool {
        self.0.code() == ErrorNumberEnum::from(number)
    }

    /// The message as it is. libvirtd translates it, where its environment has a locale.
    pub(crate) fn message(&self) -> &str {
        self.0.message()
    }
}

/// Whether a controller's words say that it failed because its newborn cgroup was gone.
///
/// `libvirt_lxc` is executed with a clean environment, so its words are English whatever libvirtd's
/// locale is.
pub(crate) fn is_cgroup_race(words: &str) -> bool {
    words.lines().any(|line| {
        let names_cgroup = line.contains("/cgroup/") || line.contains("controller");
        let gone = line.contains("No such file or directory") || line.contains("No such device");
        (names_cgroup && gone) || line.contains("No valid cgroup for machine")
    })
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&one_line(self.message()))
    }
}

impl std::error::Error for Reply {}

impl From<virt::error::Error> for Reply {
    fn from(error: virt::error::Error) -> Self {
        Self(error)
    }
}

/// Several lines as one, made harmless.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| Sanitized::text(line).to_string())
        .collect::<Vec<_>>()
        .join("; ")
}

/// Makes libvirt's failure one of ours.
pub(crate) fn refused(action: impl Into<String>) -> impl FnOnce(virt::error::Error) -> Error {
    let action = action.into();
    |source| Error::Refused {
        action,
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_race_is_told_from_other_failures() {
        for race in [
            "internal error: guest failed to start: Failure in libvirt_lxc startup: Unable to write to '/sys/fs/cgroup/blkio/machine/lxc-1371-t26.libvirt-lxc/tasks': No such file or directory\n",
            "Failed to create v1 controller cpu for group: No such file or directory",
            "internal error: No valid cgroup for machine web1",
        ] {
            assert!(is_cgroup_race(race), "{race}");
        }
        for other in [
            "guest failed to start: Failure in libvirt_lxc startup: Failed to access '/srv/x': No such file or directory",
            "Unable to write to '/sys/fs/cgroup/memory/machine/x/memory.limit_in_bytes': Invalid argument",
            "a controller is mentioned\nand elsewhere: No such file or directory",
        ] {
            assert!(!is_cgroup_race(other), "{other}");
        }
    }

    #[test]
    fn a40_words_that_quote_a_container_are_harmless() {
        assert_eq!(
            one_line("guest failed to start: \u{1b}]0;x\u{7}\n\n  second\n"),
            "guest failed to start: \\x1b]0;x\\x07; second"
        );
    }
}
