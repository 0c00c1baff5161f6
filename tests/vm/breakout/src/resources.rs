//! More of the machine than a container should have.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::facts::Facts;
use crate::mounts;
use crate::outcome::{Outcome, Step};
use crate::sys::{self, Arg, call};

/// A priority that takes a processor from everybody else.
pub(crate) fn real_time(_: &Facts) -> Outcome {
    const FIFO: i64 = 1;
    let priority = 1_i32.to_ne_bytes();
    let args = [Arg::Number(0), Arg::Number(FIFO), Arg::Bytes(&priority)];
    call(libc::SYS_sched_setscheduler, &args).step("sched_setscheduler")?;
    Ok("set".to_owned())
}

/// Not to be killed where memory runs out.
pub(crate) fn oom_score(_: &Facts) -> Outcome {
    mounts::write("/proc/self/oom_score_adj", "-1000")
}

/// Has the host write its memory to a file of the container's.
pub(crate) fn swap(_: &Facts) -> Outcome {
    const PAGE: usize = 4096;
    let path = "/var/lib/breakout/swap";
    let mut area = vec![0_u8; 16 * PAGE];
    // The version and the last page, then the signature at the end of the first page.
    area[1024..1028].copy_from_slice(&1_u32.to_ne_bytes());
    area[1028..1032].copy_from_slice(&15_u32.to_ne_bytes());
    area[PAGE - 10..PAGE].copy_from_slice(b"SWAPSPACE2");
    fs::write(path, &area).needed(path)?;
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).needed(path)?;
    let name = sys::text(path).needed(path)?;
    call(libc::SYS_swapon, &[Arg::Text(&name), Arg::Number(0)]).step("swapon")?;
    Ok(path.to_owned())
}
