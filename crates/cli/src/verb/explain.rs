//! `explain`: why a path is what it is in a container.

use clap::Args as ClapArgs;

use crate::options::{ContainerOptions, FormatOptions};

/// Say why a path is private, shared, masked or absent in a container
///
/// Of a container that exists, as it was made; or, with -u and create's other options, as it would
/// be made.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "virt-sandbox-service explain [OPTIONS] NAME PATH
       virt-sandbox-service explain [OPTIONS] -u UNIT [NAME] PATH",
    after_help = "Examples:
  virt-sandbox-service explain web1 /etc/apache2/mods-enabled
  virt-sandbox-service explain -C -u mariadb.service /var/lib/mysql"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container, and the absolute path inside it
    #[arg(value_name = "NAME PATH", required = true, num_args = 1..=2)]
    pub(crate) name_and_path: Vec<std::ffi::OsString>,
}
