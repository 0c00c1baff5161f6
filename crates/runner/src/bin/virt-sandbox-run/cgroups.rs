//! The cgroups that the init made, to be removed where libvirt doesn't.
//!
//! libvirt removes its own directories with all below. On cgroup v1 there may be hierarchies in
//! which it makes none (`name=systemd` on a host without systemd), and the v2 hierarchy beside
//! them, which need not be mounted anywhere.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use vss_config::Store;
use vss_model::SandboxName;
use vss_model::confinement::payload_cgroup;

use crate::error::{Error, at, is_gone};
use crate::sandbox::Sandbox;

const FILE: &str = "cgroups";
/// Stands in the file before a path in a v2 hierarchy that is mounted nowhere.
const UNMOUNTED: &str = "cgroup2:";
/// How often removing is tried, 10 ms apart: the last processes may not be gone yet.
const ATTEMPTS: u32 = 100;

impl Sandbox {
    /// Notes where the cgroups of PID 1 are or will be, as long as it has some.
    pub(crate) fn note_cgroups(&self, init: u32) -> Result<(), Error> {
        let of = format!("/proc/{init}/cgroup");
        let membership = match fs::read_to_string(&of) {
            // what was noted before holds still
            Err(error) if is_gone(&error) => return Ok(()),
            read => read.map_err(at("read", &of))?,
        };
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .map_err(at("read", "/proc/self/mountinfo"))?;
        let found = directories(&membership, &mounts, &payload_cgroup(self.config.uuid));
        let path = file(&self.store, self.name());
        fs::write(&path, found.join("\n")).map_err(at("write", path))
    }

    /// Removes what was noted and is still there.
    pub(crate) fn remove_cgroups(&self) {
        let payload = payload_cgroup(self.config.uuid);
        remove_noted(&self.store, self.name(), &payload);
    }
}

/// As [`Sandbox::remove_cgroups`], of a sandbox whose config can't be read.
pub(crate) fn remove_noted(store: &Store, name: &SandboxName, payload: &str) {
    let path = file(store, name);
    let noted = fs::read_to_string(&path).unwrap_or_default();
    for line in noted.lines().filter(|line| line.ends_with(payload)) {
        match line.strip_prefix(UNMOUNTED) {
            None => remove_patiently(Path::new(line)),
            Some(below) => {
                if let Ok(root) = mount_unseen() {
                    let root = format!("/proc/self/fd/{}", root.as_raw_fd());
                    remove_patiently(&Path::new(&root).join(below.trim_start_matches('/')));
                }
            }
        }
    }
    let _ = fs::remove_file(path);
}

fn file(store: &Store, name: &SandboxName) -> PathBuf {
    store.places().runtime(name).join(FILE)
}

/// The v2 hierarchy, mounted at no path.
fn mount_unseen() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

fn remove_patiently(directory: &Path) {
    for _ in 0..ATTEMPTS {
        remove(directory);
        if !directory.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Directories only: the files of a cgroup go with it.
fn remove(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

/// The payload's directory in each hierarchy. The init may not have moved into it yet.
fn directories(membership: &str, mountinfo: &str, payload: &str) -> Vec<String> {
    membership
        .lines()
        .filter_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let path = match path.find(payload) {
                Some(start) => path[..start + payload.len()].to_owned(),
                None => format!("{}/{payload}", path.trim_end_matches('/')),
            };
            let mut mounts = mountinfo.lines();
            match mounts.find_map(|line| mount_point(line, controllers)) {
                Some((point, root)) => {
                    let path = path.strip_prefix(root)?.trim_start_matches('/');
                    Some(format!("{point}/{path}"))
                }
                None if controllers.is_empty() => Some(format!("{UNMOUNTED}{path}")),
                None => None,
            }
        })
        .collect()
}

/// The file through which processes are moved to the cgroup that this process is in, in any v1
/// hierarchy; `None` on a host without v1.
pub(crate) fn own_procs() -> Option<PathBuf> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    procs(&membership, &mounts)
}

fn procs(membership: &str, mountinfo: &str) -> Option<PathBuf> {
    membership.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        if controllers.is_empty() {
            return None;
        }
        let mut mounts = mountinfo.lines();
        let (point, root) = mounts.find_map(|line| mount_point(line, controllers))?;
        let path = path.strip_prefix(root)?.trim_start_matches('/');
        Some(Path::new(point).join(path).join("cgroup.procs"))
    })
}

/// Mount point and root of a line of mountinfo, if it is the hierarchy of these controllers.
fn mount_point<'a>(line: &'a str, controllers: &str) -> Option<(&'a str, &'a str)> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1)?);
    let is_it = match kind {
        "cgroup2" => controllers.is_empty(),
        "cgroup" => {
            let mut wanted = controllers.split(',');
            !controllers.is_empty() && wanted.all(|c| options.split(',').any(|o| o == c))
        }
        _ => false,
    };
    let mut left = left.split(' ').skip(3);
    let root = left.next()?;
    let point = left.next()?;
    is_it.then_some((point, if root == "/" { "" } else { root }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "1 2 0:1 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        1 2 0:1 /m /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n\
        1 2 0:1 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";

    #[test]
    fn the_payload_is_found_in_every_hierarchy() {
        let membership = "9:name=systemd:/p-1/init.scope\n4:cpu,cpuacct:/m/x.libvirt-lxc/p-1\n\
            3:pids:/\n2:memory:/not/mounted\n0::/w/p-1/init.scope\n";
        let expected = [
            "/sys/fs/cgroup/systemd/p-1",
            "/sys/fs/cgroup/cpu,cpuacct/x.libvirt-lxc/p-1",
            "/sys/fs/cgroup/pids/p-1",
            "cgroup2:/w/p-1",
        ];
        assert_eq!(directories(membership, V1, "p-1"), expected);
    }

    #[test]
    fn the_own_cgroup_is_found_in_the_first_v1_hierarchy_that_is_mounted() {
        let found = |membership: &str| procs(membership, V1);
        assert_eq!(
            found("2:memory:/m/x\n4:cpu,cpuacct:/m/x\n3:pids:/\n").unwrap(),
            Path::new("/sys/fs/cgroup/cpu,cpuacct/x/cgroup.procs")
        );
        assert_eq!(
            found("3:pids:/\n").unwrap(),
            Path::new("/sys/fs/cgroup/pids/cgroup.procs")
        );
        let v2 = "1 2 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(procs("0::/x\n", v2), None);
    }

    #[test]
    fn the_payload_is_found_on_v2() {
        let membership = "0::/machine.slice/x/libvirt/p-1/init.scope\n";
        let mounts = "1 2 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            directories(membership, mounts, "p-1"),
            ["/sys/fs/cgroup/machine.slice/x/libvirt/p-1"]
        );
    }
}
