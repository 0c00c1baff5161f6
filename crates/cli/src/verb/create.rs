//! `create`: plan a container and make it.

use clap::Args as ClapArgs;
use vss_manager::create::CreateOptions;
use vss_model::SandboxName;

use super::{Machine, control};
use crate::failure::{Failure, Status};
use crate::options::{ContainerOptions, Format, FormatOptions};
use crate::render;
use crate::ui::Ui;
use crate::watch::Watch;

/// Make a container for units that this host has installed
///
/// Plans the container as 'plan' shows it, then makes its content, its config
/// /etc/libvirt-sandbox/services/NAME.sandbox and its host unit. Either all of that is there
/// afterwards, or nothing.
#[derive(Debug, ClapArgs)]
#[command(
    arg_required_else_help = false,
    after_help = "Examples:
  Apache with the host's web pages:
      virt-sandbox-service create -C -u apache2.service --confinement reduced web1
  One PostgreSQL cluster, started now and at boot:
      virt-sandbox-service create -C -u postgresql@15-main --confinement reduced --now --enable db1
  An SSH server that sees one more directory of the host:
      virt-sandbox-service create -u ssh.service --confinement reduced --share /srv/files files1"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,

    /// Start it afterwards
    #[arg(long)]
    pub(crate) now: bool,

    /// Start it at boot
    #[arg(long)]
    pub(crate) enable: bool,

    /// Show the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container's name: a-z, 0-9, '.', '_', '-'; at most 63 characters
    pub(crate) name: SandboxName,
}

pub(super) fn run(args: Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let Args {
        container,
        now,
        enable,
        dry_run,
        output,
        name,
    } = args;
    ui.set_quiet(output.quiet);
    let request = container.request(name)?;
    let host = machine.open()?;
    if dry_run {
        return super::plan::show(&host, &request, output, ui);
    }
    let watch = Watch::new(output.quiet);
    let control = control(&watch);
    let options = CreateOptions { enable };
    let mut created = vss_manager::create::create(&host, &request, &options, &control)?;
    let is_table = output.format == Format::Table;
    if is_table {
        for warning in &created.warnings {
            ui.warning(warning);
        }
        if !output.quiet {
            render::created::text(ui.out(), &created)?;
        }
        // a start that takes long, or fails, leaves no doubt about what was made
        ui.flush()?;
    }
    let started = now.then(|| vss_manager::lifecycle::start(&host, &request.name, &control));
    if let Some(Ok(outcome)) = &started {
        created.started = true;
        if is_table {
            ui.line(&super::lifecycle::started(outcome))?;
        }
    }
    if !is_table {
        render::json(ui.out(), &created)?;
    }
    match started {
        Some(Err(error)) => Err(error.into()),
        _ => Ok(Status::OK),
    }
}
