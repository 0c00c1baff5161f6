//! `stop`: gracefully, by force only after the timeout of the unit inside.

use clap::Args as ClapArgs;

use crate::options::{FormatOptions, Names};

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
