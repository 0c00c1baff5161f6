//! What a part of the tree is to a container, by its path alone.

use vss_model::{AbsPath, Cause};

/// What a part of the tree is to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    /// Configuration, and software in `/opt`: copied always.
    Config,
    /// Data: copied with `-C`.
    Data,
    /// Shared, in memory, or the kernel's.
    Elsewhere,
}

pub(crate) fn region(path: &AbsPath) -> Region {
    let is_in = |base: &str| path.as_path().starts_with(base);
    if is_in("/etc") || is_in("/opt") {
        Region::Config
    } else if ["/var", "/srv", "/home", "/root"].into_iter().any(is_in) {
        Region::Data
    } else {
        Region::Elsewhere
    }
}

/// The same of a path with what names it: a unit may work in a directory of the host's own, which
/// to all others is elsewhere.
pub(crate) fn region_for(path: &AbsPath, cause: &Cause) -> Region {
    match region(path) {
        Region::Elsewhere if matches!(cause, Cause::Unit { .. }) && is_hosts_own(path) => {
            Region::Data
        }
        region => region,
    }
}

/// Whether a path is in a top directory that hosts have for their own, as `/data` or `/mnt`, and not
/// in one of `/usr`, of what is made at each start, or of the kernel's.
pub(crate) fn is_hosts_own(path: &AbsPath) -> bool {
    const STANDARD: [&str; 13] = [
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/run", "/tmp", "/proc",
        "/sys", "/dev", "/boot",
    ];
    let is_in = |base: &str| path.as_path().starts_with(base);
    path.depth() > 0 && region(path) == Region::Elsewhere && !STANDARD.into_iter().any(is_in)
}

/// Whether a path is such a directory itself: too much to be taken because something names it.
pub(crate) fn is_own_top(path: &AbsPath) -> bool {
    let is_for_mounts = ["/mnt", "/media"]
        .iter()
        .any(|top| path.as_path() == std::path::Path::new(top));
    path.depth() == 1 && is_hosts_own(path) && !is_for_mounts
}
