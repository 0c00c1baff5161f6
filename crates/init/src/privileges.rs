//! What this process, and so every process inside, may never do again.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
};
use vss_model::Confinement;
use vss_model::confinement::capability::{self, Capability};
use vss_model::confinement::seccomp::{self, Arch};

use crate::failure::{Failure, Stage};
use crate::sys;

/// Gives up what the confinement takes: first from the bounding set, which no exec gets over, then
/// the system calls, for which `CAP_SYS_ADMIN` is needed, last from this process.
pub(crate) fn reduce(confinement: Confinement) -> Result<(), Failure> {
    let kept = capability::capabilities(confinement);
    bound(kept)?;
    let arch = Arch::native()
        .ok_or_else(|| Failure::new(Stage::Seccomp, "there is no filter for this architecture"))?;
    sys::load_filter(&seccomp::program(confinement, arch))
        .map_err(Failure::io(Stage::Seccomp, "seccomp"))?;
    keep(kept)
}

/// Capabilities that this program does not know (a later kernel's) go too under a confinement
/// that takes any.
fn bound(kept: u64) -> Result<(), Failure> {
    let fail = Failure::io(Stage::Capabilities, "bounding set");
    if kept == capability::capabilities(Confinement::None) {
        return Ok(());
    }
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        let known = usize::try_from(number).is_ok_and(|number| number < Capability::ALL.len());
        match capability_is_in_bounding_set(one) {
            Ok(true) if kept & one.bits() == 0 => {
                if let Err(error) = remove_capability_from_bounding_set(one) {
                    return Err(fail(error));
                }
            }
            Ok(_) => {}
            Err(error) if known => return Err(fail(error)),
            // The kernel's last one has been passed.
            Err(_) => break,
        }
    }
    Ok(())
}

fn keep(kept: u64) -> Result<(), Failure> {
    let object = "capabilities";
    clear_ambient_capability_set().map_err(Failure::io(Stage::Capabilities, object))?;
    let now = capabilities(None).map_err(Failure::io(Stage::Capabilities, object))?;
    let kept = CapabilitySet::from_bits_retain(kept);
    let sets = CapabilitySets {
        effective: now.effective & kept,
        permitted: now.permitted & kept,
        inheritable: now.inheritable & kept,
    };
    set_capabilities(None, sets).map_err(Failure::io(Stage::Capabilities, object))
}
