//! `start`: until the service inside is active.

use clap::Args as ClapArgs;
use vss_manager::outcome::StartOutcome;

use super::{Machine, bulk, control};
use crate::failure::{Failure, Status};
use crate::options::{FormatOptions, Names};
use crate::ui::Ui;
use crate::watch::Watch;

/// Start containers; return when their services are active
///
/// Through systemd where it is PID 1, else by a detached runner. A start that fails shows the
/// service's error and its last log lines. With several names the others are started all the same,
/// and the exit status tells that one failed.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service start web1 db1")]
pub(crate) struct Args {
    /// Say what would be started and start nothing
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
        return bulk::would(&host, &args.names.names, args.output, ui, "start");
    }
    let watch = Watch::new(args.output.quiet);
    let act = |name: &_, _: &mut Ui| {
        Ok(vss_manager::lifecycle::start(
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
    if started.already {
        format!("{name} is running already{address}")
    } else {
        format!("Started {name}{address}")
    }
}
