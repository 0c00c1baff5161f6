//! The file system that the host's root and the container's trees are on, as a whole: what is mounted
//! is the container's own, the file system is everybody's.

use std::fs::File;
use std::os::fd::AsFd;

use nix::mount::{MsFlags, mount};

use crate::facts::Facts;
use crate::outcome::{Outcome, Step};
use crate::sys::{self, Arg, call};

/// A tree of the container's own.
const TREE: &str = "/etc";

/// Changes an option of the host's file system by a remount, and harms nobody with it.
pub(crate) fn remount(_: &Facts) -> Outcome {
    crate::mounts::apart();
    mount(
        None::<&str>,
        TREE,
        None::<&str>,
        MsFlags::MS_REMOUNT,
        Some("commit=6"),
    )
    .step("remount")?;
    Ok("commit=6".to_owned())
}

/// The same by the newer calls.
pub(crate) fn reconfigure(_: &Facts) -> Outcome {
    const SET_STRING: i64 = 1;
    const RECONFIGURE: i64 = 7;
    let tree = sys::text(TREE).needed(TREE)?;
    let (key, value) = (c"max_batch_time".to_owned(), c"14999".to_owned());
    let here = Arg::Number(i64::from(libc::AT_FDCWD));
    let args = [here, Arg::Text(&tree), Arg::Number(0)];
    let picked = sys::descriptor(call(libc::SYS_fspick, &args).step("fspick")?);
    let picked = Arg::Fd(picked.as_fd());
    let zero = Arg::Number(0);
    let set = [
        picked,
        Arg::Number(SET_STRING),
        Arg::Text(&key),
        Arg::Text(&value),
        zero,
    ];
    call(libc::SYS_fsconfig, &set).step("fsconfig")?;
    let apply = [picked, Arg::Number(RECONFIGURE), zero, zero, zero];
    call(libc::SYS_fsconfig, &apply).step("reconfigure")?;
    Ok("max_batch_time=14999".to_owned())
}

/// Holds all who write to the host's file system, and lets them go on at once.
pub(crate) fn freeze(_: &Facts) -> Outcome {
    const FREEZE: u64 = 0xc004_5877;
    const THAW: u64 = 0xc004_5878;
    let tree = File::open(TREE).needed(TREE)?;
    let nothing = [0_u8; 4];
    sys::ioctl(tree.as_fd(), FREEZE, &nothing).step("freeze")?;
    sys::ioctl(tree.as_fd(), THAW, &nothing).step("thaw")?;
    Ok("frozen".to_owned())
}
