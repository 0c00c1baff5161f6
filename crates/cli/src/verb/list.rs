//! `list`: all containers.

use std::io::Write;

use clap::Args as ClapArgs;

use super::Machine;
use crate::failure::{Failure, Status};
use crate::options::{Format, FormatOptions};
use crate::render;
use crate::ui::Ui;

/// List the containers
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service list
  virt-sandbox-service list -q | xargs -r virt-sandbox-service stop
  virt-sandbox-service list --format json | jq -r '.[] | select(.state == \"running\") | .name'")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// Leave out the heading
    #[arg(long)]
    pub(crate) no_legend: bool,
}

pub(super) fn run(args: &Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let entries = vss_manager::inventory::list(&machine.open()?)?;
    match args.output.format {
        Format::Json => render::json(ui.out(), &entries)?,
        Format::Table if args.output.quiet => {
            for entry in &entries {
                writeln!(ui.out(), "{}", entry.name)?;
            }
        }
        Format::Table => {
            render::list::text(ui.out(), &entries, !args.no_legend)?;
            for entry in &entries {
                if let Some(problem) = &entry.problem {
                    ui.warning(&format!("{}: {problem}", entry.name));
                }
            }
        }
    }
    Ok(Status::OK)
}
