//! `plan`: what `create` would make.

use clap::Args as ClapArgs;
use vss_manager::{CreateRequest, Host};
use vss_model::SandboxName;

use super::Machine;
use crate::failure::{Failure, Status};
use crate::options::{ContainerOptions, Format, FormatOptions};
use crate::render;
use crate::ui::Ui;

/// Show what create would make; change nothing
///
/// Every path with what becomes of it (copy, share, mask, generate), its size and its cause; then
/// the label, the host unit and the libvirt domain. A path that is not listed follows the nearest
/// one above it that is.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service plan -C -u apache2.service web1
  virt-sandbox-service plan -u ssh.service --format json ssh1 |
      jq '.root.entries[].path'")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container's name: a-z, 0-9, '.', '_', '-'; at most 63 characters
    pub(crate) name: SandboxName,
}

pub(super) fn run(args: Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let request = args.container.request(args.name)?;
    show(&machine.open()?, &request, false, args.output, ui)
}

/// Plans and shows the plan; `create --dry-run` is the same.
pub(super) fn show(
    host: &Host,
    request: &CreateRequest,
    enable: bool,
    output: FormatOptions,
    ui: &mut Ui,
) -> Result<Status, Failure> {
    let plan = vss_manager::create::plan(host, request)?;
    if enable {
        host.can_enable(&plan.config.host_unit)?;
    }
    match output.format {
        Format::Json => render::json(ui.out(), &plan)?,
        Format::Table => {
            render::plan::text(ui.out(), &plan)?;
            for warning in &plan.warnings {
                ui.warning(&warning.to_string());
            }
        }
    }
    Ok(Status::OK)
}
