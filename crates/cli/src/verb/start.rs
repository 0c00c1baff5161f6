//! `start`: until the service inside is active.

use clap::Args as ClapArgs;

use crate::options::{FormatOptions, Names};

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
