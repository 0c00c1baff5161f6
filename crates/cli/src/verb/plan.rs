//! `plan`: what `create` would make.

use clap::Args as ClapArgs;
use vss_model::SandboxName;

use crate::options::{ContainerOptions, FormatOptions};

/// Show what create would make; change nothing
///
/// Every path with what becomes of it (copy, share, mask, generate), its size and its cause; then
/// the label, the host unit and the libvirt domain. A path that is not listed follows the nearest
/// one above it that is.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service plan -C -u apache2.service web1
  virt-sandbox-service plan -u ssh.service --format json ssh1 | jq '.root[].path'")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container's name: a-z, 0-9, '.', '_', '-'; at most 63 characters
    pub(crate) name: SandboxName,
}
