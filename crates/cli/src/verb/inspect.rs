//! `inspect`: everything that is known of containers, for programs.

use clap::Args as ClapArgs;

use super::{Machine, bulk};
use crate::failure::{Failure, Status};
use crate::options::{Format, FormatOptions, Names};
use crate::ui::Ui;

/// Print all that is known of containers, as a JSON array
///
/// The stored config, the state, the host unit and the libvirt domain that the config amounts to.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service inspect web1 | jq -r '.[0].config.label'")]
pub(crate) struct Args {
    /// Taken as of the other verbs; there is no other
    #[arg(long, alias = "output", value_name = "FORMAT", value_parser = ["json"], hide = true)]
    pub(crate) format: Option<String>,

    #[command(flatten)]
    pub(crate) names: Names,
}

pub(super) fn run(args: &Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let host = machine.open()?;
    let output = FormatOptions {
        format: Format::Json,
        quiet: false,
    };
    let act = |name: &_| Ok(vss_manager::inventory::inspect(&host, name)?);
    bulk::run(&args.names.names, output, ui, act, |_| String::new())
}
