//! What can go wrong, each stage with an exit status of its own.

use std::fmt;

use vss_model::exit::OF_INIT;

/// A stage of the start; the discriminant is the exit status.
///
/// The numbers lie below those that systemd uses for its units (200 and up) and above those of
/// common programs, so that a status read in a log names the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// The arguments, or not the first process.
    Usage = 180,
    /// `/proc` or `/sys` is not what it should be.
    KernelFiles = 181,
    /// The SELinux context is another one.
    Label = 182,
    /// Resource limits.
    Limits = 183,
    /// The session keyring.
    Keyring = 184,
    /// The cgroup, its namespace or its file system.
    Cgroup = 185,
    /// The flags of the container's mounts.
    Mounts = 186,
    /// What is mounted over files of `/proc` and `/sys`.
    Masks = 187,
    /// Bounding set, capabilities.
    Capabilities = 188,
    /// The system call filter.
    Seccomp = 189,
    /// Starting systemd.
    Exec = 190,
    /// Telling the host how a service ended.
    Ended = 191,
    /// The user namespace is another one.
    Users = 192,
    /// The network interface.
    Network = 193,
}

/// The host takes these for a start that failed: no stage may lie outside.
const _: () = assert!(
    Stage::Usage as u8 == *OF_INIT.start() && Stage::Network as u8 == *OF_INIT.end(),
    "the stages are not those that the host knows"
);

impl Stage {
    pub(crate) fn exit_status(self) -> u8 {
        self as u8
    }
}

/// A failure: one line for the console.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    text: String,
}

impl Failure {
    pub(crate) fn new(stage: Stage, text: impl Into<String>) -> Self {
        Self {
            stage,
            text: text.into(),
        }
    }

    /// For `map_err`: puts the object before the system's own words.
    pub(crate) fn io<E: fmt::Display>(stage: Stage, object: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::new(stage, format!("{object}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = match self.stage {
            Stage::Usage => "usage",
            Stage::KernelFiles => "cannot trust the kernel's file systems",
            Stage::Label => "wrong security label",
            Stage::Limits => "cannot set the resource limits",
            Stage::Keyring => "cannot leave the host's keyring",
            Stage::Cgroup => "cannot make the cgroup namespace",
            Stage::Mounts => "cannot harden the mounts",
            Stage::Masks => "cannot mask",
            Stage::Capabilities => "cannot give capabilities up",
            Stage::Seccomp => "cannot load the system call filter",
            Stage::Exec => "cannot start the container's systemd",
            Stage::Users => "wrong user namespace",
            Stage::Network => "cannot connect to the network",
            Stage::Ended => "cannot tell the host that the service ended",
        };
        write!(f, "{doing}: {}", self.text)
    }
}
