//! A cgroup namespace of the container's own, and the cgroup file systems mounted afresh.
//!
//! Without it the systemd inside would work in the host's hierarchies, see the other containers'
//! and leave directories behind.
//!
//! The namespace begins one directory below the cgroup that libvirt set the limits on: a limit is
//! a file in the directory it holds for, and a namespace's root directory can be written to by
//! whoever can mount it. libvirt removes the directory with its own; in a v1 hierarchy that libvirt
//! makes no directory in, the runner does, by its name. After a reboot it may still be there, and is
//! emptied.
//!
//! The way down to that directory is taken in a namespace too, of which nothing is left in the end: in
//! the host's, whoever mounts the v2 hierarchy sets its options for all, and would undo what the
//! host's systemd set (`nsdelegate`, without which a container writes to the files of its own root).

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use vss_model::confinement::payload_cgroup;

use crate::failure::{Failure, Stage};
use crate::mounts::{self, Attributes};
use crate::sys;

/// Where everybody expects the hierarchies.
const TOP: &str = "/sys/fs/cgroup";
/// The hierarchy that systemd keeps its units in on cgroup v1.
const SYSTEMD: &str = "name=systemd";
/// Where systemd looks for a v2 hierarchy beside those of v1. With it, it hears when the last process
/// of a unit is gone; v1 tells that to a program of the host alone, and a unit whose main process
/// ends before its children would be stopping until its time is over.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

const FLAGS: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// A hierarchy of v1.
#[derive(Debug, PartialEq)]
struct Hierarchy {
    /// `cpu,cpuacct`, `name=systemd`.
    controllers: String,
}

/// What the host runs; it decides what the systemd inside finds.
#[derive(Debug, PartialEq)]
enum Layout {
    /// cgroup v1: one mount for each hierarchy, and v2 beside them where the kernel has it.
    V1(Vec<Hierarchy>),
    /// cgroup v2 alone.
    V2,
}

/// Enters a cgroup namespace. In a user namespace this goes the same way: its root mounts a hierarchy
/// once he has a namespace of it, and libvirt has given him the cgroup that this process is in.
pub(crate) fn enter() -> Result<(), Failure> {
    let uuid = std::env::var("container_uuid").map_err(Failure::io(
        Stage::Cgroup,
        "container_uuid in the environment",
    ))?;
    let uuid = uuid.parse().map_err(Failure::io(
        Stage::Cgroup,
        "container_uuid in the environment",
    ))?;
    let payload = payload_cgroup(uuid);
    let path = "/proc/self/cgroup";
    let text = fs::read_to_string(path).map_err(Failure::io(Stage::Cgroup, path))?;
    let layout = layout(&text).ok_or_else(|| {
        Failure::new(
            Stage::Cgroup,
            "the host has no cgroup hierarchy for systemd: neither v2 nor name=systemd",
        )
    })?;
    uncover()?;
    match layout {
        Layout::V1(hierarchies) => enter_v1(&hierarchies, &payload),
        Layout::V2 => enter_v2(&payload),
    }
}

/// Reads lines of the form `4:cpu,cpuacct:/path`; that of v2 has no controllers.
fn layout(text: &str) -> Option<Layout> {
    let mut v1 = Vec::new();
    let mut has_v2 = false;
    for line in text.lines() {
        match line.split(':').nth(1)? {
            "" => has_v2 = true,
            controllers => v1.push(Hierarchy {
                controllers: controllers.to_owned(),
            }),
        }
    }
    if v1.iter().any(|h| h.controllers == SYSTEMD) {
        Some(Layout::V1(v1))
    } else {
        has_v2.then_some(Layout::V2)
    }
}

/// Takes away what libvirt mounted there: the host's own hierarchies.
fn uncover() -> Result<(), Failure> {
    loop {
        match unmount(TOP, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Not a mount point any more.
            Err(Errno::INVAL) => return Ok(()),
            Err(error) => return Err(Failure::io(Stage::Cgroup, TOP)(error)),
        }
    }
}

fn enter_v1(hierarchies: &[Hierarchy], payload: &str) -> Result<(), Failure> {
    mount_top()?;
    unshare()?;
    for hierarchy in hierarchies {
        let directory = hierarchy.directory();
        hierarchy.mount_v1(&directory)?;
        descend(&directory, payload)?;
    }
    let unified = enter_unified(payload)?;
    // all at once: the kernel takes its time over each unmounting
    uncover()?;
    unshare()?;
    mount_top()?;
    if unified {
        make_directory(UNIFIED)?;
        mount_v2(UNIFIED)?;
    }
    for hierarchy in hierarchies {
        let directory = hierarchy.directory();
        hierarchy.mount_v1(&directory)?;
        if hierarchy.controllers == SYSTEMD {
            continue;
        }
        mounts::set(Path::new(&directory), Attributes::READ_ONLY, Stage::Cgroup)?;
        for name in hierarchy.aliases() {
            let link = format!("{TOP}/{name}");
            symlink(&hierarchy.controllers, &link).map_err(Failure::io(Stage::Cgroup, &link))?;
        }
    }
    mounts::set(Path::new(TOP), Attributes::READ_ONLY, Stage::Cgroup)
}

/// What the hierarchies are mounted in.
fn mount_top() -> Result<(), Failure> {
    let options = c"mode=0755,size=64k,nr_inodes=64";
    mount("tmpfs", TOP, "tmpfs", FLAGS, options).map_err(Failure::io(Stage::Cgroup, TOP))
}

fn make_directory(path: &str) -> Result<(), Failure> {
    fs::create_dir(path).map_err(Failure::io(Stage::Cgroup, path))
}

/// Moves into a v2 cgroup as well; `false` where the kernel has no v2.
fn enter_unified(payload: &str) -> Result<bool, Failure> {
    make_directory(UNIFIED)?;
    match mount("cgroup2", UNIFIED, "cgroup2", FLAGS, None) {
        Ok(()) => {}
        Err(Errno::NODEV) => return Ok(false),
        Err(error) => return Err(Failure::io(Stage::Cgroup, UNIFIED)(error)),
    }
    descend(UNIFIED, payload)?;
    Ok(true)
}

fn enter_v2(payload: &str) -> Result<(), Failure> {
    unshare()?;
    mount_v2(TOP)?;
    descend(TOP, payload)?;
    unmount(TOP, UnmountFlags::empty()).map_err(Failure::io(Stage::Cgroup, TOP))?;
    unshare()?;
    mount_v2(TOP)
}

/// Makes the cgroups that this process is in the roots of a new namespace.
fn unshare() -> Result<(), Failure> {
    sys::unshare_cgroup().map_err(Failure::io(Stage::Cgroup, "unshare"))
}

fn mount_v2(at: &str) -> Result<(), Failure> {
    mount("cgroup2", at, "cgroup2", FLAGS, None).map_err(Failure::io(Stage::Cgroup, at))
}

/// Makes the cgroup below this process's own, which is the root of what is mounted, and moves into it.
fn descend(mounted: &str, payload: &str) -> Result<(), Failure> {
    let payload = format!("{mounted}/{payload}");
    let fail = |error: io::Error| Failure::io(Stage::Cgroup, &payload)(error);
    match fs::create_dir(&payload) {
        // after a reboot
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove_below(Path::new(&payload));
        }
        made => made.map_err(fail)?,
    }
    // A new cpuset is empty and takes no process.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let parent = Path::new(mounted).join(file);
        if mounted.ends_with("/cpuset") && parent.exists() {
            let value = fs::read(parent).map_err(fail)?;
            write(&Path::new(&payload).join(file), &value).map_err(fail)?;
        }
    }
    write(&Path::new(&payload).join("cgroup.procs"), b"0").map_err(fail)
}

/// Removes the cgroups in a directory as far as nothing is in them: a systemd takes over what it finds.
/// The files of a cgroup go with it.
fn remove_below(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path());
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Writes to a file of the kernel, which is there already.
fn write(path: &Path, value: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(value)
}

impl Hierarchy {
    fn directory(&self) -> String {
        let name = self.controllers.strip_prefix("name=");
        format!("{TOP}/{}", name.unwrap_or(&self.controllers))
    }

    /// The single controllers of a hierarchy that has several.
    fn aliases(&self) -> impl Iterator<Item = &str> {
        self.controllers
            .split(',')
            .filter(|name| *name != self.controllers)
    }

    /// Mounts it in a directory that is made for it.
    fn mount_v1(&self, directory: &str) -> Result<(), Failure> {
        make_directory(directory)?;
        let options = if self.controllers.starts_with("name=") {
            format!("none,{}\0", self.controllers)
        } else {
            format!("{}\0", self.controllers)
        };
        let options = std::ffi::CStr::from_bytes_until_nul(options.as_bytes()).ok();
        mount("cgroup", directory, "cgroup", FLAGS, options)
            .map_err(Failure::io(Stage::Cgroup, directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_is_every_hierarchy_but_the_empty_v2() {
        let text = "3:name=systemd:/machine/a\n2:cpu,cpuacct:/x:y\n0::/\n";
        let Some(Layout::V1(found)) = layout(text) else {
            panic!("not v1");
        };
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].directory(), "/sys/fs/cgroup/systemd");
        assert_eq!(found[1].aliases().collect::<Vec<_>>(), ["cpu", "cpuacct"]);
        assert_eq!(found[0].aliases().count(), 0);
    }

    #[test]
    fn v2_stands_alone_even_beside_a_stray_v1_controller() {
        for text in [
            "0::/machine.slice/x/libvirt\n",
            "1:net_cls:/\n0::/machine.slice/x/libvirt\n",
        ] {
            assert_eq!(layout(text), Some(Layout::V2));
        }
    }

    #[test]
    fn what_an_earlier_boot_left_is_removed_but_for_what_is_in_use() {
        let payload = tempfile::tempdir().unwrap();
        let below = |path: &str| payload.path().join(path);
        for path in ["init.scope", "system.slice/a.service", "user.slice"] {
            fs::create_dir_all(below(path)).unwrap();
        }
        // a directory can't be removed with a file in it, nor a cgroup with a process
        fs::write(below("user.slice/in-use"), "").unwrap();
        fs::write(below("cgroup.procs"), "").unwrap();
        remove_below(payload.path());
        assert!(!below("init.scope").exists() && !below("system.slice").exists());
        assert!(below("user.slice/in-use").exists() && below("cgroup.procs").exists());
    }

    #[test]
    fn v1_without_a_hierarchy_for_systemd_is_nothing() {
        assert_eq!(layout("1:cpu:/\n"), None);
        assert_eq!(layout(""), None);
    }
}
