//! The command: what an administrator types, and what is shown for it.
//!
//! 1. [`args`] turns argv into domain types; every syntax error ends here, with status 2.
//! 2. A verb ([`verb`], one file each) translates its arguments into a request of the manager,
//!    calls it, and hands what comes back to a renderer.
//! 3. A renderer ([`render`]) writes a plain value as text or as JSON, into anything that can be
//!    written to: text and JSON can't disagree, and neither needs a process to be tested.
//! 4. A [`failure::Failure`] becomes one message, its hints and the exit status.
//!
//! [`ui::Ui`] owns stdout and stderr. Nothing else prints.

mod args;
mod failure;
mod options;
mod render;
mod signals;
mod ui;
mod verb;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::failure::{Failure, Status};
use crate::ui::Ui;

fn main() -> ExitCode {
    signals::hear_of_children();
    let mut ui = Ui::new();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ui.clap(&error).into(),
    };
    let outcome = verb::run(cli, &mut ui).and_then(|status| {
        ui.flush()?;
        Ok(status)
    });
    outcome
        .unwrap_or_else(|failure: Failure| {
            let failure = failure.or_interrupted(signals::caught());
            ui.failure(&failure);
            failure.status
        })
        .into()
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}
