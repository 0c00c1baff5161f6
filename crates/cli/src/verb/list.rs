//! `list`: all containers.

use clap::Args as ClapArgs;

use crate::options::FormatOptions;

/// List the containers
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service list
  virt-sandbox-service list -q | xargs virt-sandbox-service stop
  virt-sandbox-service list --format json | jq -r '.[] | select(.state == \"running\") | .name'")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// Leave out the heading
    #[arg(long)]
    pub(crate) no_legend: bool,
}
