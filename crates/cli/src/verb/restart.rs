//! `restart`: stop and start.

use clap::Args as ClapArgs;

use crate::options::{FormatOptions, Names};

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
