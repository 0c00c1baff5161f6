//! Files of the host by their handles: by number in a file system that is partly mounted inside.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::facts::Facts;
use crate::outcome::{Failure, Outcome, Step};
use crate::secret;
use crate::sys::{self, Arg, call};

/// `FILEID_INO32_GEN`: inode and generation.
const INODE: i32 = 1;
/// The root of an ext4 file system is inode 2, of generation 0.
const EXT4_ROOT: u64 = 2;
/// `FILEID_KERNFS`: the number of a node of cgroupfs or sysfs.
const NODE: i32 = 0xfe;
/// The root of the kernel's own file systems.
const NODE_ROOT: u64 = 1;

/// The root of the file system that something is on.
fn root(of: &str, kind: i32, handle: u64) -> Result<OwnedFd, Failure> {
    let inside = File::open(of).needed(of)?;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    sys::open_by_handle(inside.as_fd(), kind, handle, flags).step("open by handle")
}

fn open(root: &OwnedFd, path: &str, flags: OFlag) -> Result<File, Failure> {
    let mode = Mode::from_bits_truncate(0o644);
    let path = path.trim_start_matches('/');
    openat(root, Path::new(path), flags | OFlag::O_CLOEXEC, mode)
        .map(File::from)
        .step(&format!("open {path}"))
}

fn host() -> Result<OwnedFd, Failure> {
    root("/etc", INODE, EXT4_ROOT)
}

fn read(path: &str) -> Outcome {
    let path = path.to_owned();
    secret::in_file(open(&host()?, &path, OFlag::O_RDONLY)?, &path)
}

pub(crate) fn shadow(_: &Facts) -> Outcome {
    read("etc/shadow")
}

pub(crate) fn content(facts: &Facts) -> Outcome {
    read(facts.text("other")?)
}

/// The mount of `/etc` is writable, and so then is the host's root.
pub(crate) fn write(_: &Facts) -> Outcome {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
    let mut file = open(&host()?, "breakout-handle-write", flags)?;
    file.write_all(b"made by a container\n").step("write")?;
    Ok("written".to_owned())
}

/// A cgroup namespace hides what is above it from paths, not from handles.
pub(crate) fn cgroup(facts: &Facts) -> Outcome {
    let top = root("/sys/fs/cgroup", NODE, NODE_ROOT)?;
    let path = format!("{}/cgroup.freeze", facts.text("cgroup-by-handle")?);
    let mut file = open(&top, &path, OFlag::O_WRONLY)?;
    file.write_all(b"1").step("freeze")?;
    Ok(path)
}

/// To be told of every file that anybody opens, with a descriptor of it.
pub(crate) fn fanotify(_: &Facts) -> Outcome {
    const MARK_ADD: i64 = 0x1;
    const MARK_FILESYSTEM: i64 = 0x100;
    const OPEN: i64 = 0x20;
    let flags = Arg::Number(0);
    let access = Arg::Number(i64::from(libc::O_RDWR));
    let group =
        sys::descriptor(call(libc::SYS_fanotify_init, &[flags, access]).step("fanotify_init")?);
    let place = sys::text("/etc").needed("/etc")?;
    let args = [
        Arg::Fd(group.as_fd()),
        Arg::Number(MARK_ADD | MARK_FILESYSTEM),
        Arg::Number(OPEN),
        Arg::Number(i64::from(libc::AT_FDCWD)),
        Arg::Text(&place),
    ];
    call(libc::SYS_fanotify_mark, &args).step("fanotify_mark")?;
    Ok("told".to_owned())
}
