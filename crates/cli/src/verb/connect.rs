//! `connect`: a shell inside a container.

use clap::Args as ClapArgs;
use vss_model::SandboxName;

/// Open a root shell in a container; ^] ends it
///
/// On a terminal of its own inside the container, so that nothing inside can type into yours.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service connect web1")]
pub(crate) struct Args {
    /// The container
    pub(crate) name: SandboxName,
}
