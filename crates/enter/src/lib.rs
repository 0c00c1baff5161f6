//! Into a running container, and out again with nothing left open.
//!
//! [`Container::open`] takes hold of the container by its PID 1: a pidfd, and the start time as
//! proof that the process is the one that is meant. [`Container::run`] runs a [`Command`] in it:
//!
//! 1. The caller, which has to have one thread only, waits until PID 1 is confined (`confined`), and
//!    reads all it needs of it from a verified procfs: namespaces, cgroups, bounding set (`target`).
//! 2. It forks (`launch`). The child (`child`) joins PID 1's cgroups, takes the label, joins the
//!    namespaces, becomes root of the container's own users where it has some (`users`), looks the
//!    user up in the container's own files, opens a terminal in the container's own devpts (`pty`),
//!    closes every descriptor of the host, and gives up what PID 1 doesn't have: bounding set, user,
//!    system calls, capabilities, in this order (`privileges`).
//! 3. It forks once more, because a PID namespace is entered by being born in it. Whoever can be
//!    seen from inside has no descriptor, no capability and no directory of the host any more, and
//!    can't be traced. It becomes a session of its own and, once the caller has hold of it,
//!    executes the command, found with the container's `PATH`.
//! 4. The caller (`session`) relays (`relay`) between its own standard streams and the
//!    container's: never is a descriptor of the host's terminal or of a file of the host passed
//!    inside.
//!
//! [`Container::connect`] reaches a socket inside by the same kind of detour: a forked child joins
//! the mount namespace and connects a socket that the caller made.
//!
//! Whoever enters does so from a sealed copy of its own program ([`run_sealed`]): what is inside
//! must not get hold of the file on the host.
//!
//! Everything inside is hostile: `/etc/passwd`, `/dev/pts`, the processes that watch.

mod account;
mod cgroup;
mod channel;
mod child;
mod command;
mod confined;
mod connect;
mod container;
mod environment;
mod error;
mod label;
mod launch;
mod level;
mod null;
mod privileges;
mod process;
mod procfs;
mod pty;
mod relay;
mod run;
mod sealed;
mod session;
mod signals;
mod sys;
mod target;
mod terminal;
mod users;

pub use command::Command;
pub use container::{Container, Signal, start_time};
pub use error::{Error, Stage};
pub use sealed::run_sealed;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
