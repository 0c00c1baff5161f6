//! Giving up what PID 1 doesn't have, in the one order in which it works.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
};
use vss_model::Confinement;
use vss_model::confinement::seccomp::{self, Arch};

use crate::account::Account;
use crate::channel::Failure;
use crate::error::Stage;
use crate::sys;
use crate::target::Target;

/// The bounding set first, because taking from it needs a capability; then the system calls,
/// because a filter needs another; then the user, which takes all from anyone but root; last what
/// root has left.
pub(crate) fn reduce(
    target: &Target,
    confinement: Confinement,
    account: &Account,
) -> Result<(), Failure> {
    let fail = |stage: Stage| move |error: io::Error| Failure::at(stage, "", &error);
    bound(target.bounding).map_err(fail(Stage::Capabilities))?;
    if target.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(|e| fail(Stage::Capabilities)(e.into()))?;
    }
    groups(account).map_err(fail(Stage::User))?;
    filter(confinement).map_err(fail(Stage::Filter))?;
    user(account).map_err(fail(Stage::User))?;
    keep(target.bounding, account.uid == 0).map_err(fail(Stage::Capabilities))
}

fn bound(kept: u64) -> io::Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) if kept & one.bits() == 0 => remove_capability_from_bounding_set(one)?,
            Ok(_) => {}
            // past the kernel's last one
            Err(_) => break,
        }
    }
    Ok(())
}

fn groups(account: &Account) -> io::Result<()> {
    let ids: Vec<Gid> = account
        .groups
        .iter()
        .map(|gid| Gid::from_raw(*gid))
        .collect();
    rustix::thread::set_thread_groups(&ids)?;
    let gid = Gid::from_raw(account.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    Ok(())
}

fn filter(confinement: Confinement) -> io::Result<()> {
    let arch = Arch::native().ok_or(io::ErrorKind::Unsupported)?;
    sys::load_filter(&seccomp::program(confinement, arch))
}

fn user(account: &Account) -> io::Result<()> {
    let uid = Uid::from_raw(account.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

fn keep(bounding: u64, is_root: bool) -> io::Result<()> {
    clear_ambient_capability_set()?;
    let now = capabilities(None)?;
    let kept = if is_root { bounding } else { 0 };
    let kept = CapabilitySet::from_bits_retain(kept);
    set_capabilities(
        None,
        CapabilitySets {
            effective: now.effective & kept,
            permitted: now.permitted & kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}
