//! `restart`: stop and start.

use clap::Args as ClapArgs;
use vss_manager::outcome::StartOutcome;

use super::{Machine, bulk, control};
use crate::failure::{Failure, Status};
use crate::options::{FormatOptions, Names};
use crate::ui::Ui;
use crate::watch::Watch;

/// Stop containers and start them again
///
/// A change of the config or of the host's packages counts from then on. A container that is not
/// running is started.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service restart web1")]
pub(crate) struct Args {
    /// Say what would be restarted and restart nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    #[command(flatten)]
    pub(crate) names: Names,
}

pub(super) fn run(args: &Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let host = machine.open()?;
    if args.dry_run {
        return bulk::would(&host, &args.names.names, args.output, ui, "restart");
    }
    let watch = Watch::new(args.output.quiet);
    let act = |name: &_, _: &mut Ui| {
        Ok(vss_manager::lifecycle::restart(
            &host,
            name,
            &control(&watch),
        )?)
    };
    bulk::run(&args.names.names, args.output, ui, act, say)
}

fn say(started: &StartOutcome) -> String {
    let name = &started.name;
    let address = started.address.map(|a| format!(" at {a}"));
    let address = address.unwrap_or_default();
    format!("Restarted {name}{address}")
}
