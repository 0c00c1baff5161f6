//! `execute`: a command inside a container.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use clap::Args as ClapArgs;
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use vss_manager::Error;
use vss_manager::inside::ExecuteRequest;
use vss_model::SandboxName;

use super::{Machine, caller};
use crate::failure::{Failure, Status};

/// Run a command in a container
///
/// In the container's namespaces, cgroup and label, with no more capabilities than its first
/// process has, a clean environment, and the command looked up inside. Options for the command
/// follow it; options of execute stand before it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Exit status:
  The command's own; 128 and the number of the signal that ended it;
  127 where it was not found inside, 126 where it could not be run,
  125 where execute itself failed.

Examples:
  virt-sandbox-service execute web1 -- apachectl configtest
  virt-sandbox-service execute --user www-data web1 id
  virt-sandbox-service execute -it web1 bash")]
pub(crate) struct Args {
    /// Run it as this user of the container, by name or number [default: root]
    ///
    /// With the group after a colon, and with no other group then.
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,

    /// Run it in this directory of the container
    #[arg(short, long, value_name = "DIR", value_parser = directory)]
    pub(crate) workdir: Option<String>,

    /// Set a variable of its environment; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,

    /// Pass stdin on
    #[arg(short, long)]
    pub(crate) interactive: bool,

    /// Give it a terminal, and stdin; also done where stdin, stdout and stderr are one
    #[arg(short, long)]
    pub(crate) tty: bool,

    /// The container
    pub(crate) name: SandboxName,

    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,
}

/// A variable for an environment (environ(7)).
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has to be of the form NAME=VALUE".to_owned()),
    }
}

/// What it is relative to would be anybody's guess.
fn directory(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("it has to be an absolute path".to_owned()),
    }
}

pub(super) fn run(args: Args, machine: &Machine) -> Result<Status, Failure> {
    let host = machine.open().map_err(|f| f.status(Status::EXECUTE))?;
    vss_manager::inside::prepare().map_err(failed)?;
    let tty = args.tty || is_on_terminal();
    let request = ExecuteRequest {
        argv: args.command,
        user: args.user,
        workdir: args.workdir,
        env: args.env,
        interactive: args.interactive || tty,
        tty,
        caller: caller(),
    };
    let code = vss_manager::inside::execute(&host, &args.name, &request).map_err(failed)?;
    Ok(Status::of_command(code))
}

/// Whether all is a terminal that is this process's to use: on one inside both outputs are one, and
/// somebody who has sent one elsewhere wants two; in the background, as under timeout(1), the terminal
/// is another's.
fn is_on_terminal() -> bool {
    let foreground = tcgetpgrp(io::stdin());
    io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && io::stderr().is_terminal()
        && foreground.is_ok_and(|group| group == getpgrp())
}

/// A failure of ours is never taken for the command's: its statuses are those of podman-exec(1).
pub(super) fn failed(error: Error) -> Failure {
    let status = match &error {
        Error::Enter(error) => Status::of_command(error.status()),
        _ => Status::EXECUTE,
    };
    Failure::from(error).status(status)
}
