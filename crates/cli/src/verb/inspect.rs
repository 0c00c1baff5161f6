//! `inspect`: everything that is known of containers, for programs.

use clap::Args as ClapArgs;

use crate::options::Names;

/// Print all that is known of containers, as a JSON array
///
/// The stored config, the state, the host unit and the libvirt domain that the config amounts to.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service inspect web1 | jq -r '.[0].config.label'")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) names: Names,
}
