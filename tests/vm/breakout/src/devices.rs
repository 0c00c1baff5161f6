//! The host's disk and ports.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::facts::Facts;
use crate::mounts::{self, PLACE};
use crate::outcome::{Failure, Outcome, Step, any, refused};
use crate::secret;
use crate::sys::{Arg, call};

/// A second place, for what is mounted while the first is in use.
const DISK: &str = "/tmp/breakout-disk";
const NODE: &str = "/dev/breakout-disk";

/// A node of the host's disk.
fn node(facts: &Facts) -> Result<(), Failure> {
    let device = makedev(facts.number("disk-major")?, facts.number("disk-minor")?);
    let _ = fs::remove_file(NODE);
    let mode = Mode::from_bits_truncate(0o600);
    mknod(NODE, SFlag::S_IFBLK, mode, device).step("mknod")
}

/// Reads where ext4 has its magic number.
fn read_disk(path: &Path) -> Outcome {
    let mut magic = [0; 2];
    File::open(path)
        .step("open the disk")?
        .read_exact_at(&mut magic, 1080)
        .step("read the disk")?;
    if magic == [0x53, 0xef] {
        Ok("its superblock".to_owned())
    } else {
        refused("read the disk", format!("{magic:?} is not its superblock"))
    }
}

pub(crate) fn mknod_disk(facts: &Facts) -> Outcome {
    let outcome = node(facts).and_then(|()| read_disk(Path::new(NODE)));
    let _ = fs::remove_file(NODE);
    outcome
}

/// By a node that was made, and by the one in a new devtmpfs, which is the host's own `/dev`.
pub(crate) fn mount_disk(facts: &Facts) -> Outcome {
    let made = node(facts).and_then(|()| mount_node(NODE));
    let _ = fs::remove_file(NODE);
    if made.is_ok() {
        return made;
    }
    let name = facts.text("disk-name")?;
    let found = mounts::new("devtmpfs", None).and_then(|()| mount_node(&format!("{PLACE}/{name}")));
    any([made, found])
}

fn mount_node(node: &str) -> Outcome {
    mounts::apart();
    fs::create_dir_all(DISK).needed(DISK)?;
    mount(
        Some(node),
        DISK,
        Some("ext4"),
        MsFlags::empty(),
        None::<&str>,
    )
    .step("mount the disk")?;
    secret::at(Path::new(DISK).join("etc/shadow"))
}

/// The kernel has one devtmpfs, whoever mounts it.
pub(crate) fn devtmpfs(_: &Facts) -> Outcome {
    mounts::new("devtmpfs", None)?;
    let path = Path::new(PLACE).join("breakout-devtmpfs");
    fs::write(&path, "").step("create a file")?;
    Ok("made".to_owned())
}

/// Asks for the ports of the real-time clock and uses none.
pub(crate) fn io_ports(_: &Facts) -> Outcome {
    let args = [Arg::Number(0x70), Arg::Number(2), Arg::Number(1)];
    call(libc::SYS_ioperm, &args).step("ioperm")?;
    Ok("allowed".to_owned())
}
