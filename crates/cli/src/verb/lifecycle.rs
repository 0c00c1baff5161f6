//! `start`, `stop` and `restart`: which differ in what the manager is asked for, and in the words.

use clap::Args as ClapArgs;
use vss_manager::lifecycle::{self, Stop};
use vss_manager::outcome::{StartOutcome, StopOutcome};

use super::{Machine, bulk, control};
use crate::failure::{Failure, Status};
use crate::options::{FormatOptions, Names};
use crate::ui::Ui;
use crate::watch::Watch;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Say which would be touched and how they are, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StopArgs {
    /// Kill all that runs in it at once; what it has not written is lost
    #[arg(short, long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) common: Args,
}

impl StopArgs {
    pub(super) fn how(&self) -> Stop {
        if self.force {
            Stop::Force
        } else {
            Stop::Graceful
        }
    }
}

/// What is to be done with each of the containers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Start,
    Stop(Stop),
    Restart,
}

impl Change {
    fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop(_) => "stop",
            Self::Restart => "restart",
        }
    }
}

pub(super) fn run(
    change: Change,
    args: &Args,
    machine: &Machine,
    ui: &mut Ui,
) -> Result<Status, Failure> {
    let host = machine.open()?;
    let (names, output) = (&args.names.names, args.output);
    if args.dry_run {
        return bulk::would(&host, names, output, ui, change.verb());
    }
    let watch = Watch::new(output.quiet);
    let control = control(&watch);
    match change {
        Change::Start => {
            let act = |name: &_| Ok(lifecycle::start(&host, name, &control)?);
            bulk::run(names, output, ui, act, started)
        }
        Change::Stop(how) => {
            let act = |name: &_| Ok(lifecycle::stop(&host, name, how, &control)?);
            bulk::run(names, output, ui, act, |outcome| stopped(outcome, how))
        }
        Change::Restart => {
            let act = |name: &_| Ok(lifecycle::restart(&host, name, &control)?);
            bulk::run(names, output, ui, act, restarted)
        }
    }
}

pub(super) fn started(outcome: &StartOutcome) -> String {
    let (name, address) = (&outcome.name, address(outcome));
    if outcome.already {
        format!("{name} is running already{address}")
    } else {
        format!("Started {name}{address}")
    }
}

fn restarted(outcome: &StartOutcome) -> String {
    format!("Restarted {}{}", outcome.name, address(outcome))
}

fn address(outcome: &StartOutcome) -> String {
    outcome
        .address
        .map(|address| format!(" at {address}"))
        .unwrap_or_default()
}

fn stopped(outcome: &StopOutcome, how: Stop) -> String {
    let name = &outcome.name;
    match (outcome.already, outcome.killed) {
        (true, _) => format!("{name} is not running"),
        (false, true) if how == Stop::Force => format!("Stopped {name} by force"),
        (false, true) => format!("Stopped {name} by force: it did not stop in time"),
        (false, false) => format!("Stopped {name}"),
    }
}
