//! `create`: plan a container and make it.

use clap::Args as ClapArgs;
use vss_model::SandboxName;

use crate::options::{ContainerOptions, FormatOptions};

/// Make a container for units that this host has installed
///
/// Plans the container as 'plan' shows it, then makes its content, its config
/// /etc/libvirt-sandbox/services/NAME.sandbox and its host unit. Either all of that is there
/// afterwards, or nothing.
#[derive(Debug, ClapArgs)]
#[command(
    arg_required_else_help = false,
    after_help = "Examples:
  Apache with the host's web pages:
      virt-sandbox-service create -C -u apache2.service web1
  One PostgreSQL cluster, started now and at boot:
      virt-sandbox-service create -C -u postgresql@15-main --now --enable db1
  An SSH server that sees one more directory of the host:
      virt-sandbox-service create -u ssh.service --share /srv/files files1"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,

    /// Start it afterwards
    #[arg(long)]
    pub(crate) now: bool,

    /// Start it at boot
    #[arg(long)]
    pub(crate) enable: bool,

    /// Show the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container's name: a-z, 0-9, '.', '_', '-'; at most 63 characters
    pub(crate) name: SandboxName,
}
