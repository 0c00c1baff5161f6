//! `execute` and `connect`: a command inside a running container.

use std::ffi::OsString;

use vss_config::Confined;
use vss_enter::{Command, Container};
use vss_model::SandboxName;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::lifecycle;
use crate::traces;

/// What is passed on of the caller's environment; all else in it stays outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// Its `TERM`.
    pub term: Option<String>,
    /// Its `LANG`.
    pub lang: Option<String>,
}

/// A command to run inside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecuteRequest {
    /// The command, looked up inside, and its arguments.
    pub argv: Vec<OsString>,
    /// `--user`: as whom; root where `None`.
    pub user: Option<String>,
    /// `--workdir`: where.
    pub workdir: Option<String>,
    /// `--env`: what its environment has besides a clean one.
    pub env: Vec<(String, String)>,
    /// `-t`: on a terminal of its own.
    pub tty: bool,
    /// `-i`: with this command's standard input.
    pub interactive: bool,
    /// Of the caller's environment.
    pub caller: Caller,
}

/// Has this program run from a copy of itself that nothing inside can change; to be called before
/// anything else is done for [`execute`] and [`connect`].
///
/// # Errors
/// Where that can't be had.
pub fn prepare() -> Result<()> {
    Ok(vss_enter::run_sealed(c"virt-sandbox-se")?)
}

/// Runs a command inside; its exit status, 125 where it could not be tried, 126 and 127 where it
/// could not be run or found, 128 and the number of the signal that ended it.
///
/// # Errors
/// Where the sandbox doesn't run or can't be entered.
pub fn execute(host: &Host, name: &SandboxName, request: &ExecuteRequest) -> Result<u8> {
    let (confined, container) = open(host, name)?;
    let command = Command {
        user: request.user.clone(),
        workdir: request.workdir.clone(),
        env: request.env.clone(),
        tty: request.tty,
        interactive: request.interactive,
        term: request.caller.term.clone(),
        lang: request.caller.lang.clone(),
        label: label(host, &confined),
        argv: request.argv.clone(),
        ..Command::new(Vec::new(), confined.confinement)
    };
    Ok(container.run(&command)?)
}

/// A root shell inside on a terminal of its own, which `^]` ends; its exit status.
///
/// # Errors
/// As [`execute`].
pub fn connect(host: &Host, name: &SandboxName, caller: &Caller) -> Result<u8> {
    let (confined, container) = open(host, name)?;
    let shell = Command {
        tty: true,
        interactive: true,
        escape: Some(Command::CONTROL_BRACKET),
        term: caller.term.clone(),
        lang: caller.lang.clone(),
        label: label(host, &confined),
        ..Command::new(Vec::new(), confined.confinement)
    };
    Ok(container.run(&shell)?)
}

/// What runs, and what it was started with: whoever joins is confined as it is, whatever its config
/// says meanwhile.
fn open(host: &Host, name: &SandboxName) -> Result<(Confined, Container)> {
    let config = traces::load(host, name)?;
    let state =
        lifecycle::live_state(host, &config)?.ok_or_else(|| Error::NotRunning(name.clone()))?;
    let container = Container::open(state.init_pid, state.init_start)?;
    Ok((state.confined(&config), container))
}

/// The context to run in; `None` where SELinux is off.
fn label(host: &Host, confined: &Confined) -> Option<vss_model::SecurityContext> {
    (host.labeller().mode() != vss_selinux::Mode::Disabled).then(|| confined.label.clone())
}
