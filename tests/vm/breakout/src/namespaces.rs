//! What a user namespace of one's own gives: all capabilities, over what belongs to it.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use crate::facts::Facts;
use crate::outcome::{Failure, Outcome, Step};
use crate::{mounts, run};

/// Whether this process is in the user namespace of the host.
pub(crate) fn is_initial() -> Result<bool, Failure> {
    let map = fs::read_to_string("/proc/self/uid_map").needed("/proc/self/uid_map")?;
    let fields: Vec<_> = map.split_whitespace().collect();
    Ok(fields == ["0", "0", "4294967295"])
}

/// Becomes root in a new one, with mounts of its own.
fn enter(more: CloneFlags) -> Result<(), Failure> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS | more).step("unshare")?;
    fs::write("/proc/self/setgroups", "deny").step("setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).step("uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).step("gid_map")
}

pub(crate) fn remount(_: &Facts) -> Outcome {
    enter(CloneFlags::empty())?;
    mounts::remount_usr_for("user-namespace")
}

/// With a PID namespace, whose processes a new `/proc` would show, in a process that is in it.
pub(crate) fn new_proc(_: &Facts) -> Outcome {
    enter(CloneFlags::CLONE_NEWPID)?;
    run::apart(NEW_PROC)
}

/// What is tried in there, under a name that is on no list.
pub(crate) const NEW_PROC: &str = "new-proc-in-user-namespace";

pub(crate) fn new_proc_inside(_: &Facts) -> Outcome {
    mounts::new_proc_for(("vm/page-cluster", "4"))
}

/// With a network namespace, which a new sysfs would belong to.
pub(crate) fn new_sysfs(_: &Facts) -> Outcome {
    enter(CloneFlags::CLONE_NEWNET)?;
    mounts::new_sysfs_for(("kernel/mm/ksm/stable_node_chains_prune_millisecs", "2001"))
}
