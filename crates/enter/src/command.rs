//! What is to be run in a container.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use vss_model::{Confinement, SecurityContext};

use crate::Result;
use crate::error::Error;

/// What is to be run in a container, and as whom.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program and its arguments; none for the login shell of the user, which starts in their
    /// home directory.
    pub argv: Vec<OsString>,
    /// Who runs it, out of the container's own `/etc/passwd` and `/etc/group`: `NAME`, `UID`,
    /// either with `:GROUP` or `:GID`. root where it isn't given.
    pub user: Option<String>,
    /// The directory where it starts, `/` where it isn't given.
    pub workdir: Option<String>,
    /// Environment variables besides, and in place of, the usual ones.
    pub env: Vec<(String, String)>,
    /// Whether it gets a terminal of its own.
    pub tty: bool,
    /// Whether it reads what the caller's standard input has; else it finds it empty.
    pub interactive: bool,
    /// The byte that ends a session at a terminal when typed: `Some(0x1d)` for `^]`.
    pub escape: Option<u8>,
    /// The caller's `TERM`, passed on with a terminal.
    pub term: Option<String>,
    /// The caller's `LANG`.
    pub lang: Option<String>,
    /// What holds PID 1: the same filter of system calls is put on the command.
    pub confinement: Confinement,
    /// The label that it runs with; `None` where SELinux is off.
    pub label: Option<SecurityContext>,
}

impl Command {
    /// The byte of `^]`.
    pub const CONTROL_BRACKET: u8 = 0x1d;

    /// A program run by root, without terminal and input. Arguments that are no text are given by
    /// [`argv`](Self::argv).
    #[must_use]
    pub fn new(argv: Vec<String>, confinement: Confinement) -> Self {
        Self {
            argv: argv.into_iter().map(OsString::from).collect(),
            user: None,
            workdir: None,
            env: Vec::new(),
            tty: false,
            interactive: false,
            escape: None,
            term: None,
            lang: None,
            confinement,
            label: None,
        }
    }

    /// Refuses what the kernel can't be given.
    pub(crate) fn check(&self) -> Result<()> {
        let nul = |text: &String| text.contains('\0');
        let has_nul = |argument: &OsString| argument.as_bytes().contains(&0);
        if self.argv.iter().any(has_nul) || self.workdir.iter().any(nul) {
            return Err(Error::Command("a command can't have a NUL character in it"));
        }
        if self.argv.first().is_some_and(|program| program.is_empty()) {
            return Err(Error::NotFound(String::new()));
        }
        if self
            .env
            .iter()
            .any(|(k, v)| k.is_empty() || k.contains('=') || nul(k) || nul(v))
        {
            return Err(Error::Command(
                "an environment variable has the form NAME=VALUE",
            ));
        }
        if self
            .workdir
            .as_ref()
            .is_some_and(|directory| !directory.starts_with('/'))
        {
            return Err(Error::Command(
                "the working directory has to be an absolute path",
            ));
        }
        Ok(())
    }
}
