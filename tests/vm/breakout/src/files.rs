//! Files by their paths.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::facts::Facts;
use crate::outcome::{Outcome, Step};
use crate::secret;

pub(crate) fn host_shadow(_: &Facts) -> Outcome {
    secret::at("/etc/shadow")
}

pub(crate) fn host_root(_: &Facts) -> Outcome {
    secret::at("/root/breakout-secret")
}

pub(crate) fn host_var(_: &Facts) -> Outcome {
    secret::at("/var/lib/breakout-secret")
}

/// By where it is on the host.
pub(crate) fn other_content(facts: &Facts) -> Outcome {
    secret::at(facts.text("other")?)
}

/// A file in the container's own content that has the label of another container, as the host's
/// administrator may put there. Only a label holds this.
pub(crate) fn foreign_label(_: &Facts) -> Outcome {
    secret::at("/var/lib/breakout/foreign")
}

/// A second name for a file of the host, which outlives an update of it. Names on one mount are
/// never given to files on another, even of the same file system.
pub(crate) fn link_usr(_: &Facts) -> Outcome {
    let name = "/var/lib/breakout/linked";
    fs::hard_link("/usr/breakout/file", name).step("link")?;
    Ok(name.to_owned())
}

/// Leaves a set-uid program of root's; whether a user of the host can run it is for the case to try.
pub(crate) fn leave_set_uid(path: &str) -> Outcome {
    let _ = fs::remove_file(path);
    fs::copy("/proc/self/exe", path).step("copy")?;
    fs::set_permissions(path, PermissionsExt::from_mode(0o4755)).step("chmod")?;
    Ok(path.to_owned())
}
