//! What can go wrong, and the exit status that it means.

use std::io;
use std::path::PathBuf;

use vss_model::Sanitized;

/// What can go wrong on the way in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process is gone, or another has its number by now.
    #[error("the container's first process {pid} is gone")]
    Gone {
        /// Its process id.
        pid: u32,
    },
    /// PID 1 is not confined yet, so a command would not be either.
    #[error("the container is still being set up; try again")]
    NotConfined,
    /// The container stopped while the command ran.
    #[error("the container stopped while the command ran")]
    Stopped,
    /// `/proc` is not what it should be.
    #[error("/proc is not the kernel's procfs, so nothing that it says of process {pid} counts")]
    FakeProc {
        /// The process asked for.
        pid: u32,
    },
    /// Something about PID 1 can't be read.
    #[error("can't read {what} of process {pid}")]
    Read {
        /// What.
        what: &'static str,
        /// The process.
        pid: u32,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The caller has more than one thread, so a fork would be a gamble.
    #[error("a process of {0} threads can't enter a container")]
    Threads(usize),
    /// Something on the caller's side failed.
    #[error("can't {action}")]
    Caller {
        /// What, as a verb.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A cgroup of PID 1 can't be joined.
    #[error("can't join the cgroup {}", .path.display())]
    Cgroup {
        /// Its `cgroup.procs`, or its path where its hierarchy isn't mounted.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The command holds something that no command can have.
    #[error("{0}")]
    Command(&'static str),
    /// A step in the container failed.
    #[error("can't {} in the container{}", .stage.words(), colon(.object))]
    Inside {
        /// Which.
        stage: Stage,
        /// On what, where there is something to name.
        object: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The container has no such user.
    #[error("the container has no user {}", Sanitized::text(.0))]
    User(String),
    /// The container has no such group.
    #[error("the container has no group {}", Sanitized::text(.0))]
    Group(String),
    /// The container has no such program.
    #[error("{}: no such program in the container", Sanitized::text(.0))]
    NotFound(String),
    /// The program is there and can't be executed.
    #[error("{}: can't be executed in the container", Sanitized::text(.program))]
    NotExecutable {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The command runs with another label than it should: it was killed.
    #[error("the command ran with the label {found} instead of {wanted} and was killed")]
    Label {
        /// The label that it had.
        found: String,
        /// The label that it should have.
        wanted: String,
    },
    /// The socket in the container can't be connected to.
    #[error("can't connect to {} in the container", .path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn colon(object: &str) -> String {
    if object.is_empty() {
        String::new()
    } else {
        format!(": {}", Sanitized::text(object))
    }
}

/// Names what the caller's side tried.
pub(crate) fn caller<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Caller {
        action,
        source: error.into(),
    }
}

impl Error {
    /// The exit status that a command of this program has for it, as podman-exec(1) does: 127
    /// where there is no such program, 126 where it can't be executed, 137 where the container
    /// stopped, 125 for the rest.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::NotFound(_) => 127,
            Self::NotExecutable { .. } => 126,
            Self::Stopped => 137,
            _ => 125,
        }
    }

    /// Whether a cgroup can't be joined because PID 1 has left it: it is gone, or has handed its
    /// controllers on and takes no process any more.
    pub(crate) fn is_left_cgroup(&self) -> bool {
        match self {
            Self::Cgroup { source, .. }
            | Self::Inside {
                stage: Stage::Cgroup,
                source,
                ..
            } => matches!(
                source.raw_os_error(),
                Some(libc::EBUSY | libc::ENOENT | libc::ENODEV)
            ),
            _ => false,
        }
    }
}

/// A step inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Becoming untraceable.
    Hide,
    /// Putting the standard streams in place.
    Streams,
    /// Joining the cgroups.
    Cgroup,
    /// Taking the label.
    Label,
    /// Joining the namespaces.
    Namespaces,
    /// Reading the users and groups.
    Accounts,
    /// Opening a terminal.
    Terminal,
    /// Closing the host's descriptors.
    Close,
    /// Giving up capabilities.
    Capabilities,
    /// Becoming the user.
    User,
    /// Filtering system calls.
    Filter,
    /// Going to the working directory.
    Directory,
    /// Starting a process.
    Fork,
    /// Beginning a session.
    Session,
}

impl Stage {
    pub(crate) const ALL: [Self; 14] = [
        Self::Hide,
        Self::Streams,
        Self::Cgroup,
        Self::Label,
        Self::Namespaces,
        Self::Accounts,
        Self::Terminal,
        Self::Close,
        Self::Capabilities,
        Self::User,
        Self::Filter,
        Self::Directory,
        Self::Fork,
        Self::Session,
    ];

    /// What it does, as a verb.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Hide => "become untraceable",
            Self::Streams => "put the standard streams in place",
            Self::Cgroup => "join the cgroups",
            Self::Label => "take the security label",
            Self::Namespaces => "join the namespaces",
            Self::Accounts => "read the users and groups",
            Self::Terminal => "open a terminal",
            Self::Close => "close the host's files",
            Self::Capabilities => "give up capabilities",
            Self::User => "become the user",
            Self::Filter => "filter system calls",
            Self::Directory => "go to the working directory",
            Self::Fork => "start a process",
            Self::Session => "begin a session",
        }
    }
}
