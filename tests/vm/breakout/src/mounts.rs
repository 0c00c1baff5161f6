//! Mounts made writable, and new ones of file systems that show the host.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::facts::Facts;
use crate::outcome::{Failure, Outcome, Step, any, refused};

/// Where something can be mounted.
pub(crate) const PLACE: &str = "/tmp/breakout-mount";

/// A setting of the whole machine that harms nobody, below `/proc/sys` or `/sys`, and what it is
/// changed to. Each attempt has its own, so that the case sees whose it was.
pub(crate) type Setting = (&'static str, &'static str);

const REMOUNT_PROC: Setting = ("fs/lease-break-time", "46");
const NEW_PROC: Setting = ("vm/stat_interval", "2");
const REMOUNT_SYS: Setting = ("kernel/mm/ksm/sleep_millisecs", "21");
const NEW_SYS: Setting = ("kernel/mm/ksm/pages_to_scan", "101");

/// Mounts of one's own, so that what an attempt mounts is gone with its process. Who can't have
/// that can't mount either, and tries it as things are.
pub(crate) fn apart() {
    if unshare(CloneFlags::CLONE_NEWNS).is_ok() {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        let _ = mount(None::<&str>, "/", None::<&str>, private, None::<&str>);
    }
}

/// Mounts a file system of the kernel at [`PLACE`].
pub(crate) fn new(kind: &str, options: Option<&str>) -> Result<(), Failure> {
    new_at(PLACE, kind, options)
}

pub(crate) fn new_at(place: &str, kind: &str, options: Option<&str>) -> Result<(), Failure> {
    apart();
    fs::create_dir_all(place).needed(place)?;
    mount(
        Some("breakout"),
        place,
        Some(kind),
        MsFlags::empty(),
        options,
    )
    .step(&format!("mount {kind}"))
}

/// Makes a mount writable, as `mount -o remount,bind,rw` does.
pub(crate) fn writable(place: &str) -> Result<(), Failure> {
    apart();
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    mount(None::<&str>, place, None::<&str>, flags, None::<&str>).step(&format!("remount {place}"))
}

/// Takes away whatever is mounted over a file.
pub(crate) fn uncover(place: &str) -> Result<(), Failure> {
    apart();
    umount2(place, MntFlags::MNT_DETACH).step(&format!("unmount {place}"))?;
    while umount2(place, MntFlags::MNT_DETACH).is_ok() {}
    Ok(())
}

/// Writes to a file that is there.
pub(crate) fn write(path: impl AsRef<Path>, text: &str) -> Outcome {
    let path = path.as_ref();
    let file = OpenOptions::new().write(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .step(&format!("write {}", path.display()))?;
    Ok(path.display().to_string())
}

fn create(path: &str) -> Outcome {
    fs::write(path, "made by a container\n").step(&format!("create {path}"))?;
    Ok(path.to_owned())
}

/// First as things are, then after something was done about it.
pub(crate) fn then(
    first: impl Fn() -> Outcome,
    change: impl FnOnce() -> Result<(), Failure>,
) -> Outcome {
    any([first(), change().and_then(|()| first())])
}

pub(crate) fn remount_root(_: &Facts) -> Outcome {
    then(|| create("/breakout-remount-root"), || writable("/"))
}

pub(crate) fn remount_usr(_: &Facts) -> Outcome {
    remount_usr_for("remount-usr")
}

pub(crate) fn remount_usr_for(name: &str) -> Outcome {
    let path = format!("/usr/breakout/{name}");
    then(|| create(&path), || writable("/usr"))
}

pub(crate) fn remount_proc_sys(_: &Facts) -> Outcome {
    let (path, value) = REMOUNT_PROC;
    let path = Path::new("/proc/sys").join(path);
    then(|| write(&path, value), || writable("/proc/sys"))
}

pub(crate) fn remount_sys(_: &Facts) -> Outcome {
    let (path, value) = REMOUNT_SYS;
    let path = Path::new("/sys").join(path);
    then(|| write(&path, value), || writable("/sys"))
}

pub(crate) fn new_proc(_: &Facts) -> Outcome {
    new_proc_for(NEW_PROC)
}

pub(crate) fn new_proc_for((path, value): Setting) -> Outcome {
    new("proc", None)?;
    write(Path::new(PLACE).join("sys").join(path), value)
}

pub(crate) fn new_sysfs(_: &Facts) -> Outcome {
    new_sysfs_for(NEW_SYS)
}

pub(crate) fn new_sysfs_for((path, value): Setting) -> Outcome {
    new("sysfs", None)?;
    write(Path::new(PLACE).join(path), value)
}

/// What a new mount shows.
fn shown(kind: &str) -> Outcome {
    new(kind, None)?;
    let count = fs::read_dir(PLACE).step("read the directory")?.count();
    if count == 0 {
        return refused(kind, "it is empty");
    }
    Ok(format!("{count} entries"))
}

pub(crate) fn debugfs(_: &Facts) -> Outcome {
    shown("debugfs")
}

pub(crate) fn tracefs(_: &Facts) -> Outcome {
    shown("tracefs")
}

/// Has the host run a program of the attacker's for files of a kind. In a user namespace of one's
/// own the kernel has another list.
pub(crate) fn binfmt_misc(_: &Facts) -> Outcome {
    new("binfmt_misc", None)?;
    let rule = ":breakout:M::BREAKOUT::/usr/breakout/agent:";
    write(Path::new(PLACE).join("register"), rule)?;
    if crate::namespaces::is_initial()? {
        Ok("registered".to_owned())
    } else {
        refused("register", "the list is the user namespace's own")
    }
}
