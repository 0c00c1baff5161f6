//! `status`: how one container is.

use clap::Args as ClapArgs;
use vss_model::SandboxName;

use crate::options::FormatOptions;

/// Show how a container is
///
/// Its state and that of the units inside, what confines it, its label, addresses, memory, and
/// since when it runs. The exit status is 0 where it runs, and 3 where it doesn't.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service status web1
  virt-sandbox-service status --format json web1 | jq -r .state")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container
    pub(crate) name: SandboxName,
}
