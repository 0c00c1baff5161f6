//! The cgroups of PID 1: of version 1 one per hierarchy, of version 2 one.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::Result;
use crate::error::Error;

/// A cgroup that a process is in: a line of cgroups(7)'s `/proc/PID/cgroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Membership<'a> {
    /// Controllers of a version 1 hierarchy, or its `name=`; empty for version 2.
    controllers: &'a str,
    path: &'a str,
}

/// Where a hierarchy is mounted: a line of proc_pid_mountinfo(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// The cgroup that is the root of the mount.
    root: String,
    point: PathBuf,
    /// The options of the hierarchy, its controllers among them; `None` for version 2.
    options: Option<String>,
}

/// Opens the files to write one's number to, for all cgroups of `container` that this process is
/// not in already. All three arguments are texts of procfs.
pub(crate) fn open(container: &str, own: &str, mountinfo: &str) -> Result<Vec<(PathBuf, OwnedFd)>> {
    files(container, own, mountinfo)?
        .into_iter()
        .map(|file| match file.open() {
            Ok(fd) => Ok((file.path, fd)),
            Err(source) => Err(Error::Cgroup {
                path: file.path,
                source: source.into(),
            }),
        })
        .collect()
}

/// A `cgroup.procs`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Procs {
    path: PathBuf,
    /// The path is below the root of a v2 hierarchy that is mounted nowhere: beside v1 it need not
    /// be, and the init uses it all the same.
    unmounted: bool,
}

impl Procs {
    fn open(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if !self.unmounted {
            return rustix::fs::open(&self.path, flags, Mode::empty());
        }
        let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::empty();
        let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        let below = self.path.strip_prefix("/").unwrap_or(&self.path);
        rustix::fs::openat(root, below, flags, Mode::empty())
    }
}

fn files(container: &str, own: &str, mountinfo: &str) -> Result<Vec<Procs>> {
    let own: Vec<Membership<'_>> = memberships(own).collect();
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(mount).collect();
    let wanted = memberships(container).filter(|membership| !own.contains(membership));
    wanted
        .map(|membership| file(&membership, &mounts))
        .collect()
}

fn memberships(text: &str) -> impl Iterator<Item = Membership<'_>> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some(Membership { controllers, path })
    })
}

fn file(membership: &Membership<'_>, mounts: &[Mount]) -> Result<Procs> {
    let below = |mount: &Mount| {
        let rest = Path::new(membership.path).strip_prefix(&mount.root).ok()?;
        Some(Procs {
            path: mount.point.join(rest).join("cgroup.procs"),
            unmounted: false,
        })
    };
    // a path that leaves the root of this process's own cgroup namespace begins with /..
    let climbs = Path::new(membership.path)
        .components()
        .any(|c| c.as_os_str() == "..");
    if membership.controllers.is_empty() && !climbs && !mounts.iter().any(|mount| mount.has("")) {
        return Ok(Procs {
            path: Path::new(membership.path).join("cgroup.procs"),
            unmounted: true,
        });
    }
    mounts
        .iter()
        .filter(|mount| !climbs && mount.has(membership.controllers))
        .find_map(below)
        .ok_or_else(|| Error::Cgroup {
            path: PathBuf::from(format!("{}:{}", membership.controllers, membership.path)),
            source: std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "its hierarchy is not mounted, or not as far up",
            ),
        })
}

impl Mount {
    fn has(&self, controllers: &str) -> bool {
        match &self.options {
            None => controllers.is_empty(),
            Some(options) => {
                let options: Vec<&str> = options.split(',').collect();
                !controllers.is_empty() && controllers.split(',').all(|c| options.contains(&c))
            }
        }
    }
}

fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let right: Vec<&str> = right.split(' ').collect();
    let (root, point) = (left.get(3)?, left.get(4)?);
    let options = match *right.first()? {
        "cgroup" => Some((*right.get(2)?).to_owned()),
        "cgroup2" => None,
        _ => return None,
    };
    let point = PathBuf::from(OsString::from_vec(unescape(point)));
    Some(Mount {
        root: (*root).to_owned(),
        point,
        options,
    })
}

/// Blanks and backslashes stand as three octal digits in mountinfo.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        match octal {
            Some(byte) if first == b'\\' => {
                out.push(byte);
                rest = &tail[3..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n\
        31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
        32 25 0:28 /docker/a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        33 25 0:29 / /mnt/with\\040blank rw - cgroup2 cgroup2 rw\n\
        34 25 0:30 / /tmp rw - tmpfs tmpfs rw,memory\n";

    #[test]
    fn every_hierarchy_is_found_where_it_is_mounted() {
        let container = "4:cpu,cpuacct:/machine/lxc-web1\n3:name=systemd:/machine/lxc-web1/init.scope\n\
            2:memory:/docker/a/machine/x\n0::/machine.slice/web1/init.scope\n";
        let own = "4:cpu,cpuacct:/\n3:name=systemd:/\n2:memory:/docker/a\n0::/\n";
        let expected = [
            "/sys/fs/cgroup/cpu,cpuacct/machine/lxc-web1/cgroup.procs",
            "/sys/fs/cgroup/systemd/machine/lxc-web1/init.scope/cgroup.procs",
            "/sys/fs/cgroup/memory/machine/x/cgroup.procs",
            "/mnt/with blank/machine.slice/web1/init.scope/cgroup.procs",
        ];
        assert_eq!(
            files(container, own, V1).unwrap(),
            expected.map(|path| Procs {
                path: path.into(),
                unmounted: false
            })
        );
    }

    #[test]
    fn a_v2_hierarchy_that_is_mounted_nowhere_is_joined_too() {
        let expected = Procs {
            path: "/p-1/init.scope/cgroup.procs".into(),
            unmounted: true,
        };
        assert_eq!(
            files("0::/p-1/init.scope\n", "0::/\n", "").unwrap(),
            [expected]
        );
    }

    #[test]
    fn where_the_caller_is_already_nothing_is_to_be_joined() {
        let same = "9:pids:/a\n0::/\n";
        assert!(files(same, same, "").unwrap().is_empty());
        assert!(files("9:pids:/b\n0::/\n", same, "").is_err());
        assert!(files("2:memory:/elsewhere\n", "", V1).is_err());
        assert!(files("0::/../../x\n", "", V1).is_err());
    }
}
