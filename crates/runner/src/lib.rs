//! Running a container, from its start to its end.
//!
//! Two programs, one process: `virt-sandbox-run` starts the domain and waits until its service is
//! up, then replaces itself by `virt-sandbox-wait`, which does without libvirt and so rests in less
//! than 1 MB; when the container is gone that replaces itself by `virt-sandbox-run ended`, which
//! finds out why and cleans up. The process id stays the same all the while, and with it the host
//! unit's main process; what is open goes along ([`handover`]).
//!
//! This library is what both programs need, and nothing in it may need libvirt, D-Bus or serde:
//!
//! - [`watch`]: the loop over the container's pidfd, console, readiness socket and the signals.
//! - [`datagram`]: messages from inside; [`notify`]: which of them are believed; [`upstream`]: what
//!   the host's systemd is told.
//! - [`console`]: what the container prints, on its way to the journal: in lines, made harmless, and
//!   not too many.
//! - [`blame`]: which unit inside kept another from being started.
//! - [`outcome`]: the table of what happens inside and what it means outside, as pure functions.
//!
//! What comes from inside, be it a message, a line or the report of an end, is a claim of somebody
//! hostile. It decides what becomes of that container and of nothing else.

pub mod blame;
pub mod console;
pub mod datagram;
pub mod handover;
pub mod notify;
pub mod outcome;
pub mod sys;
pub mod upstream;
pub mod watch;

/// Writes a line to stderr: the journal, or the log of a detached runner.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
