//! Where `make install` puts what the programs need of each other.
//!
//! The prefix is fixed when they are built: `make build install PREFIX=/usr/local`. It has to be
//! `/usr` or below it, because the init is run inside, where the host's `/usr` is what it shares
//! with the host; and on the same file system as `/usr`, as mounts below that don't appear inside.

/// The runner: what the host unit executes.
pub const RUNNER: &str = concat!(env!("VSS_PREFIX"), "/libexec/virt-sandbox-run");
/// The first process of a container.
pub const INIT: &str = concat!(env!("VSS_PREFIX"), "/libexec/virt-sandbox-init");
/// The definition of the project's own libvirt network, for as long as libvirt doesn't have it.
pub const NETWORK: &str = concat!(env!("VSS_PREFIX"), "/share/virt-sandbox/network.xml");
/// Rules that packages bring.
pub const RULES: &str = concat!(env!("VSS_PREFIX"), "/lib/virt-sandbox/rules.d");
/// Rules of the administrator.
pub const OWN_RULES: &str = "/etc/virt-sandbox/rules.d";
