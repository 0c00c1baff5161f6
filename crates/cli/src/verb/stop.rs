//! `stop`: gracefully, by force only after the timeout of the unit inside.

use clap::Args as ClapArgs;
use vss_manager::outcome::StopOutcome;

use super::{Machine, bulk, control};
use crate::failure::{Failure, Status};
use crate::options::{FormatOptions, Names};
use crate::ui::Ui;
use crate::watch::Watch;

/// Stop containers
///
/// Asks the systemd inside to shut down, and ends it by force only where that takes longer than the
/// stop timeout of the service. A container that is not running is left as it is.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service stop web1 db1")]
pub(crate) struct Args {
    /// Say what would be stopped and stop nothing
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
        return bulk::would(&host, &args.names.names, args.output, ui, "stop");
    }
    let watch = Watch::new(args.output.quiet);
    let act =
        |name: &_, _: &mut Ui| Ok(vss_manager::lifecycle::stop(&host, name, &control(&watch))?);
    bulk::run(&args.names.names, args.output, ui, act, say)
}

fn say(stopped: &StopOutcome) -> String {
    let name = &stopped.name;
    match (stopped.already, stopped.killed) {
        (true, _) => format!("{name} is not running"),
        (false, true) => format!("Stopped {name} by force: it did not stop in time"),
        (false, false) => format!("Stopped {name}"),
    }
}
