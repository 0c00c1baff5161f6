//! What crosses the border carries the container's level.
//!
//! A pipe or a socket has the context of the process that made it. The command's own goes up to all
//! categories, and SELinux lets no container touch what has categories that are not its own: neither
//! a pipe to write its output to, nor a connection, whose end inside takes the level of the one
//! outside. So both are made at the container's level. Where SELinux is off there is nothing to do,
//! and where a label can't be set, the policy decides whether the other side may use the thing.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, XattrFlags};
use vss_model::SecurityContext;

use crate::Result;
use crate::procfs::{self, ProcessDir};

/// The context of this process at the level of another; `None` where SELinux is off.
pub(crate) fn at_level_of(other: &SecurityContext) -> Option<SecurityContext> {
    let own = of_process(std::process::id())?;
    Some(own.with_level(other.level().clone()))
}

/// The context of a process; `None` where SELinux is off or the process is gone.
pub(crate) fn of_process(pid: u32) -> Option<SecurityContext> {
    let process = ProcessDir::open(pid).ok()?;
    process.read("attr/current").ok()?.trim_end().parse().ok()
}

/// Labels a pipe.
pub(crate) fn label_pipe(pipe: &OwnedFd, context: &SecurityContext) {
    let value = format!("{context}\0");
    let flags = XattrFlags::empty();
    let _ = rustix::fs::fsetxattr(pipe, "security.selinux", value.as_bytes(), flags);
}

/// Makes a socket with a context.
pub(crate) fn labelled_socket<S>(
    context: &SecurityContext,
    make: impl FnOnce() -> io::Result<S>,
) -> Result<io::Result<S>> {
    let proc = procfs::open(std::process::id())?;
    // of this thread alone, and back before anything else is made
    let say = |text: &str| -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let path = "thread-self/attr/sockcreate";
        let attribute = rustix::fs::openat(&proc, path, flags, Mode::empty())?;
        rustix::io::write(&attribute, text.as_bytes())?;
        Ok(())
    };
    let said = say(&context.to_string());
    let socket = make();
    if said.is_ok() {
        // a newline is none
        if let Err(error) = say("\n") {
            return Ok(Err(error));
        }
    }
    Ok(socket)
}
