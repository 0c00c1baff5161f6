//! `connect`: a shell inside a container.

use std::io::{self, IsTerminal};

use clap::Args as ClapArgs;
use vss_model::SandboxName;

use super::execute::failed;
use super::{Machine, caller};
use crate::failure::{Failure, Status};

/// Open a root shell in a container; ^] ends it
///
/// On a terminal of its own inside the container, so that nothing inside can type into yours.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service connect web1")]
pub(crate) struct Args {
    /// The container
    pub(crate) name: SandboxName,
}

pub(super) fn run(args: &Args, machine: &Machine) -> Result<Status, Failure> {
    let host = machine.open().map_err(|f| f.status(Status::EXECUTE))?;
    if !io::stdin().is_terminal() {
        let hint = format!("virt-sandbox-service execute -i {} -- sh", args.name);
        return Err(Failure::new("connect needs a terminal").hint(hint));
    }
    vss_manager::inside::prepare().map_err(failed)?;
    let code = vss_manager::inside::connect(&host, &args.name, &caller()).map_err(failed)?;
    Ok(Status::of_command(code))
}
