//! `status`: how one container is.

use clap::Args as ClapArgs;
use vss_model::SandboxName;

use super::Machine;
use crate::failure::{Failure, Status as ExitStatus};
use crate::options::{Format, FormatOptions};
use crate::render;
use crate::ui::Ui;

/// Show how a container is
///
/// Its state and that of the units inside, what confines it, its label, addresses, memory, and
/// since when it runs. The exit status is 0 where it runs, and 3 where it doesn't.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service status web1
  virt-sandbox-service status --format json web1 | jq -r .state")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container
    pub(crate) name: SandboxName,
}

pub(super) fn run(args: &Args, machine: &Machine, ui: &mut Ui) -> Result<ExitStatus, Failure> {
    let status = vss_manager::inventory::status(&machine.open()?, &args.name)?;
    match args.output.format {
        Format::Json => render::json(ui.out(), &status)?,
        Format::Table if args.output.quiet => {}
        Format::Table => render::status::text(ui.out(), &status)?,
    }
    Ok(if status.entry.state.has_domain() {
        ExitStatus::OK
    } else {
        ExitStatus::NOT_RUNNING
    })
}
