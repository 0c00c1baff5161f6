//! SELinux labels: what the kernel and the policy say, and how one node is labelled.
//!
//! The only crate that links libselinux. It knows handles, not trees:
//!
//! 1. [`Labeller::mode`] tells whether the kernel enforces labels at all; nothing is concluded
//!    from configuration files, which only say how the machine was meant to boot.
//! 2. [`Labeller::types`] tells the user, role and type of a container's processes and files: those
//!    of the project's own policy module where it is loaded ([`Labeller::has_module`]), else out of
//!    the policy's own `lxc_contexts` ([`ContainerTypes`]).
//! 3. [`Labeller::live`] tells the labels of all processes, so that none is given out twice.
//! 4. A tree is labelled by its caller, node by node with the handles of a walk: first each node
//!    is counted in a [`LinkCensus`], then each that [may be labelled](LinkCensus::may_label) gets
//!    its label by [`Labeller::ensure`]. Done twice, it is done.
//!
//! Everything goes through handles, and through `/proc` only after it has shown to be procfs
//! (CVE-2019-19921, CVE-2025-52881).

mod census;
mod host;
mod procfs;
mod types;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::io;
use std::path::PathBuf;

use rustix::fd::BorrowedFd;
use vss_model::SecurityContext;

pub use census::{LinkCensus, NodeLinks};
pub use host::HostLabeller;
pub use types::{ContainerTypes, TypesError};

/// What the kernel makes of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: SELinux is off, or there is none in the kernel.
    Disabled,
    /// It logs what the policy would refuse and refuses nothing.
    Permissive,
    /// It refuses.
    Enforcing,
}

impl Mode {
    /// Whether labels confine anything.
    #[must_use]
    pub fn is_enforcing(self) -> bool {
        self == Self::Enforcing
    }

    /// Whether processes have labels at all.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        self != Self::Disabled
    }
}

/// Why a label could not be read or set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `/proc` is not procfs, or parts of it are covered by something else.
    #[error("/proc is not what it should be, so labels cannot be trusted to it")]
    Proc {
        /// The system's answer, where there was one.
        #[source]
        source: Option<io::Error>,
    },
    /// A label could not be set or read.
    #[error("cannot {action}")]
    Label {
        /// What was tried, as in "set the label s:r:t:s0".
        action: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel took a label and gave back another.
    #[error("the label {wanted} was set, but reads back as {found}")]
    NotKept {
        /// What was set.
        wanted: Box<SecurityContext>,
        /// What came back.
        found: String,
    },
    /// A label that is there is no security context.
    #[error("the label {found:?} is not a security context")]
    Malformed {
        /// What was found.
        found: String,
        /// What is wrong with it.
        #[source]
        source: vss_model::label::ContextError,
    },
    /// The loaded policy doesn't know the context.
    #[error("the loaded SELinux policy does not know the context {context}")]
    UnknownToPolicy {
        /// The context.
        context: Box<SecurityContext>,
    },
    /// The policy's `lxc_contexts` cannot be used.
    #[error("cannot read the container types of the SELinux policy from {}", path.display())]
    Types {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: TypesError,
    },
}

/// What is asked of SELinux.
pub trait Labeller {
    /// What the kernel makes of labels right now.
    fn mode(&self) -> Mode;

    /// User, role and type of containers' processes and files.
    ///
    /// # Errors
    /// Where the policy has a file for that, and it cannot be used.
    fn types(&self) -> Result<ContainerTypes, Error>;

    /// The labels of all processes, each once; none where SELinux is off.
    ///
    /// # Errors
    /// Where `/proc` cannot be trusted or read.
    fn live(&self) -> Result<Vec<SecurityContext>, Error>;

    /// Labels the very node of a handle; of an `O_PATH` handle of a link, the link. Whether it is
    /// enforced is another matter: with SELinux off the label is stored all the same, where the
    /// file system can.
    ///
    /// # Errors
    /// Where the label is not set, or does not read back as it was set.
    fn set(&self, fd: BorrowedFd<'_>, context: &SecurityContext) -> Result<(), Error>;

    /// The label of the node of a handle; `None` where it has none. With SELinux off nothing
    /// protects a label, so it may be whatever its owner made of it.
    ///
    /// # Errors
    /// Where it cannot be read or is no security context.
    fn get(&self, fd: BorrowedFd<'_>) -> Result<Option<SecurityContext>, Error>;

    /// The label of a process; `None` where there is no such process, or SELinux is off.
    ///
    /// # Errors
    /// Where `/proc` cannot be trusted or the label is no security context.
    fn of_process(&self, pid: u32) -> Result<Option<SecurityContext>, Error>;

    /// Whether the loaded policy knows a context; with SELinux off all pass.
    ///
    /// # Errors
    /// [`Error::UnknownToPolicy`] where it does not.
    fn check(&self, context: &SecurityContext) -> Result<(), Error>;

    /// Whether the loaded policy has the project's own module: it knows its type of containers.
    fn has_module(&self) -> bool {
        let known = |types: ContainerTypes| self.check(&types.process).is_ok();
        self.mode().is_enabled() && ContainerTypes::of_module().is_ok_and(known)
    }

    /// Whether the policy makes an exception for processes of a context: what it doesn't allow them
    /// is logged and not refused, whatever [`mode`](Self::mode) says.
    ///
    /// # Errors
    /// Where the kernel doesn't tell, as of a context that the policy does not know.
    fn is_permissive(&self, context: &SecurityContext) -> Result<bool, Error>;

    /// Whether the loaded module of the project confines nothing, since the policy makes an
    /// exception for containers. What can't be told is no confinement.
    fn exempts_containers(&self) -> bool {
        let exempt = |types: ContainerTypes| self.is_permissive(&types.process).unwrap_or(true);
        self.has_module() && ContainerTypes::of_module().map_or(true, exempt)
    }

    /// Labels a node unless it has that label already; true where it had not. Labelling that was
    /// interrupted goes on this way.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    fn ensure(&self, fd: BorrowedFd<'_>, context: &SecurityContext) -> Result<bool, Error> {
        // a label that is there and cannot be read is no reason not to replace it
        if matches!(self.get(fd), Ok(Some(found)) if found == *context) {
            return Ok(false);
        }
        self.set(fd, context).map(|()| true)
    }
}
