//! `delete`: no trace is left.

use std::ffi::OsString;

use clap::Args as ClapArgs;

use crate::options::{FormatOptions, Names};

/// Remove containers with all that belongs to them
///
/// Content, config, manifest, host unit, label and address. Shows what goes and asks first, on a
/// terminal. Works from any half-made state, and removes nothing that does not carry the
/// container's own UUID.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service delete --dry-run web1
  virt-sandbox-service delete --yes web1 db1
  virt-sandbox-service delete --force --keep-content web1")]
pub(crate) struct Args {
    /// Stop it first where it is running
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Don't ask
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// Leave the content directory where it is
    #[arg(long)]
    pub(crate) keep_content: bool,

    /// Show what would go and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Taken from scripts of the ancestor, where it had to be repeated; the config knows the path
    #[arg(short, long, value_name = "DIR", hide = true)]
    pub(crate) path: Option<OsString>,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    #[command(flatten)]
    pub(crate) names: Names,
}
