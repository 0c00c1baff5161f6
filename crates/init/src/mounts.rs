//! The flags of the container's mounts, and what is mounted over files of the kernel.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, FileType, FsWord, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat, fstatfs, openat2,
};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, OpenTreeFlags, mount, mount_bind, mount_change, open_tree,
};
use vss_model::confinement::surface;

use crate::failure::{Failure, Stage};
use crate::sys;

/// Attributes of one mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes(u64);

impl Attributes {
    pub(crate) const READ_ONLY: Self = Self(libc::MOUNT_ATTR_RDONLY);
    const NO_SETUID: Self = Self(libc::MOUNT_ATTR_NOSUID);
    const NO_DEVICES: Self = Self(libc::MOUNT_ATTR_NODEV);

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const SYSFS_MAGIC: FsWord = 0x6265_6572;

/// Opens a directory or file without following any link, to mount on it.
fn open(path: &Path) -> Result<OwnedFd, Errno> {
    openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
}

/// Everything below relies on `/proc` and `/sys` being the kernel's own (A05).
pub(crate) fn check_kernel_file_systems() -> Result<(), Failure> {
    for (path, magic) in [("/proc", PROC_SUPER_MAGIC), ("/sys", SYSFS_MAGIC)] {
        let found = open(Path::new(path))
            .and_then(fstatfs)
            .map_err(Failure::io(Stage::KernelFiles, path))?;
        if found.f_type != magic {
            let text = format!("{path}: its file system is of type {:#x}", found.f_type);
            return Err(Failure::new(Stage::KernelFiles, text));
        }
    }
    Ok(())
}

/// Adds attributes to the mount at `path`, which has to be one.
pub(crate) fn set(path: &Path, attributes: Attributes, stage: Stage) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let mount = open(path).map_err(Failure::io(stage, &shown))?;
    sys::add_mount_attributes(std::os::fd::AsFd::as_fd(&mount), attributes.0)
        .map_err(Failure::io(stage, &shown))
}

/// A line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq)]
pub(crate) struct Mounted {
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
}

/// All mounts, in the order in which they were made.
pub(crate) fn list() -> Result<Vec<Mounted>, Failure> {
    let text = fs::read("/proc/self/mountinfo")
        .map_err(Failure::io(Stage::Mounts, "/proc/self/mountinfo"))?;
    Ok(parse_mounts(&text))
}

/// Refuses trees that a link in the container's own root led libvirt to (A07).
///
/// The runner looks before a start; on a reboot inside libvirt starts the container anew without it,
/// and mounts wherever the links lead that an earlier run of the container has put in the place of
/// its `/etc`, say. Who may undo mounts can put one there: root of a user namespace, for one. What is
/// looked at is the root alone, without what is mounted on it.
pub(crate) fn check_own_trees(writable: &[PathBuf]) -> Result<(), Failure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let root = open_tree(CWD, "/", flags).map_err(Failure::io(Stage::Mounts, "/"))?;
    check_beneath(&root, writable)
}

fn check_beneath(root: &OwnedFd, writable: &[PathBuf]) -> Result<(), Failure> {
    for path in writable {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let look = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        match openat2(root, inside, look, Mode::empty(), resolve) {
            Ok(_) => {}
            Err(Errno::LOOP) => {
                let text = format!("{}: a link leads to it", path.display());
                return Err(Failure::new(Stage::Mounts, text));
            }
            Err(error) => {
                let path = path.display().to_string();
                return Err(Failure::io(Stage::Mounts, &path)(error));
            }
        }
    }
    Ok(())
}

/// Makes `/` and `/usr` read-only, and takes device nodes and, wherever somebody inside can
/// write, set-user-id programs from every mount.
///
/// What libvirt mounted is what counts, not what was asked for: nothing that is writable is
/// forgotten. Each of `writable` and of `read_only`, which libvirt left writable, has to be a mount
/// of its own.
pub(crate) fn harden(writable: &[PathBuf], read_only: &[PathBuf]) -> Result<(), Failure> {
    let mounted = list()?;
    for path in writable.iter().chain(read_only) {
        if !mounted.iter().any(|mount| mount.target == *path) {
            let text = format!("{}: not a mount of its own", path.display());
            return Err(Failure::new(Stage::Mounts, text));
        }
    }
    if !mounted.iter().any(|mount| mount.target == Path::new(LOCKS)) {
        mount_locks()?;
    }
    for mount in &mounted {
        if let Some(attributes) = wanted(mount) {
            set(&mount.target, attributes, Stage::Mounts)?;
        }
    }
    for path in read_only {
        set(path, Attributes::READ_ONLY, Stage::Mounts)?;
    }
    if mounted.iter().any(|mount| mount.target == Path::new(RUN)) {
        close_run()?;
    }
    Ok(())
}

/// libvirt mounts each tmpfs as one of temporary files, in which everybody may make some. In this
/// one, sockets and PID files of services are looked for by name.
const RUN: &str = "/run";

fn close_run() -> Result<(), Failure> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(RUN, flags, Mode::empty())
        .and_then(|run| rustix::fs::fchmod(run, Mode::from_raw_mode(0o755)))
        .map_err(Failure::io(Stage::Mounts, RUN))
}

/// Debian's systemd mounts this before anything else and halts if it can't, which without
/// `CAP_SYS_ADMIN` it can't; what is mounted already it leaves alone.
const LOCKS: &str = "/run/lock";

fn mount_locks() -> Result<(), Failure> {
    let fail = Failure::io(Stage::Mounts, LOCKS);
    match rustix::fs::mkdir(LOCKS, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(fail(error)),
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", LOCKS, "tmpfs", flags, c"mode=1777,size=5m").map_err(fail)
}

/// The attributes that a mount is given; `None` for those of the kernel.
fn wanted(mount: &Mounted) -> Option<Attributes> {
    let nothing_set = Attributes::NO_SETUID.and(Attributes::NO_DEVICES);
    let target = &mount.target;
    if target == Path::new("/") {
        Some(nothing_set.and(Attributes::READ_ONLY))
    } else if target == Path::new("/usr") {
        Some(Attributes::NO_DEVICES.and(Attributes::READ_ONLY))
    } else if target.starts_with("/proc") || target.starts_with("/sys") {
        None
    } else if target.starts_with("/dev") && !target.starts_with("/dev/shm") {
        // The devices that libvirt made.
        Some(Attributes::NO_SETUID)
    } else if mount.read_only {
        Some(Attributes::NO_DEVICES)
    } else {
        Some(nothing_set)
    }
}

/// The mounts in the order in which they were made. Where one covers another at the same place,
/// both stand here and the upper one is set twice; nothing inside can take the upper one away
/// without being able to mount.
fn parse_mounts(mountinfo: &[u8]) -> Vec<Mounted> {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ').skip(4);
            let target = unescape(fields.next()?);
            let options = fields.next()?;
            Some(Mounted {
                target: OsString::from_vec(target).into(),
                read_only: options.split(|byte| *byte == b',').any(|o| o == b"ro"),
            })
        })
        .collect()
}

/// Blank, tab, newline and backslash stand there as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (
                b'\\',
                [
                    a @ b'0'..=b'3',
                    b @ b'0'..=b'7',
                    c @ b'0'..=b'7',
                    after @ ..,
                ],
            ) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Has what is mounted in a namespace below this one show in this one, too, as on a host. systemd makes
/// a unit's credentials in such a namespace and mounts them where the unit looks; as PID 1 of a
/// container it takes propagation as it finds it. libvirt leaves mounts that only get what the host's
/// get, and of this the host's get nothing.
pub(crate) fn share() -> Result<(), Failure> {
    let flags = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/", flags).map_err(Failure::io(Stage::Mounts, "/"))
}

/// Mounts over the files of `/proc` and `/sys` that show or change the host.
pub(crate) fn mask() -> Result<(), Failure> {
    for path in surface::READ_ONLY {
        make_read_only(path)?;
    }
    check_null_device()?;
    for path in surface::MASKED_FILES {
        if exists(path)? {
            mount_bind("/dev/null", *path).map_err(Failure::io(Stage::Masks, path))?;
        }
    }
    let mut first: Option<&str> = None;
    for path in surface::MASKED_DIRECTORIES {
        if !exists(path)? {
            continue;
        }
        match first {
            // One empty file system serves for all.
            Some(empty) => mount_bind(empty, *path),
            None => mount_empty(path),
        }
        .map_err(Failure::io(Stage::Masks, path))?;
        first = first.or(Some(path));
    }
    Ok(())
}

fn mount_empty(path: &str) -> Result<(), Errno> {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(
        "tmpfs",
        path,
        "tmpfs",
        flags,
        c"mode=0555,size=4k,nr_inodes=2",
    )
}

fn exists(path: &str) -> Result<bool, Failure> {
    match open(Path::new(path)) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(Failure::io(Stage::Masks, path)(error)),
    }
}

/// libvirt has made `/sys` and `/proc/sys` mounts of their own; what is none becomes one, without
/// what is mounted below it.
fn make_read_only(path: &str) -> Result<(), Failure> {
    if !exists(path)? {
        return Ok(());
    }
    let attempt = set(Path::new(path), Attributes::READ_ONLY, Stage::Masks);
    if attempt.is_ok() {
        return attempt;
    }
    mount_bind(path, path).map_err(Failure::io(Stage::Masks, path))?;
    set(Path::new(path), Attributes::READ_ONLY, Stage::Masks)
}

/// What is mounted over files has to be the kernel's null device, not a file that somebody left
/// (A06).
fn check_null_device() -> Result<(), Failure> {
    let path = "/dev/null";
    let found = open(Path::new(path))
        .and_then(fstat)
        .map_err(Failure::io(Stage::Masks, path))?;
    let is_device = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    if is_device && found.st_rdev == rustix::fs::makedev(1, 3) {
        return Ok(());
    }
    Err(Failure::new(
        Stage::Masks,
        "/dev/null is not the null device",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(target: &str, read_only: bool) -> Mounted {
        Mounted {
            target: target.into(),
            read_only,
        }
    }

    #[test]
    fn a07_a_link_in_the_way_to_a_tree_is_refused() {
        let place = std::env::temp_dir().join(format!("vss-init-a07-{}", std::process::id()));
        fs::create_dir_all(place.join("srv/data")).unwrap();
        fs::create_dir_all(place.join("host/data")).unwrap();
        let root = OwnedFd::from(fs::File::open(&place).unwrap());
        let check = |path: &str| check_beneath(&root, &[path.into()]);
        check("/srv/data").unwrap();
        for target in ["../host/data", "/host/data"] {
            fs::rename(place.join("srv/data"), place.join("srv/aside")).unwrap();
            std::os::unix::fs::symlink(target, place.join("srv/data")).unwrap();
            let failure = check("/srv/data").unwrap_err().to_string();
            assert!(
                failure.contains("/srv/data: a link leads to it"),
                "{failure}"
            );
            fs::remove_file(place.join("srv/data")).unwrap();
            fs::rename(place.join("srv/aside"), place.join("srv/data")).unwrap();
        }
        fs::rename(place.join("srv"), place.join("aside")).unwrap();
        std::os::unix::fs::symlink("aside", place.join("srv")).unwrap();
        assert!(check("/srv/data").is_err(), "a link further up");
        fs::remove_file(place.join("srv")).unwrap();
        fs::rename(place.join("aside"), place.join("srv")).unwrap();
        check("/srv/data").unwrap();
        for directory in ["srv/data", "srv", "host/data", "host", ""] {
            fs::remove_dir(place.join(directory)).unwrap();
        }
    }

    #[test]
    fn mountinfo_is_read_with_its_escapes() {
        let text = b"36 35 98:0 /m /a\\040b\\134 rw,noatime master:1 - ext3 /dev/root rw\n\
            37 35 98:0 / /usr ro,nosuid - ext4 /dev/vda rw\n";
        assert_eq!(
            parse_mounts(text),
            [mounted("/a b\\", false), mounted("/usr", true)]
        );
    }

    #[test]
    fn a15_whatever_is_writable_has_no_setuid_and_no_devices() {
        let both = Attributes::NO_SETUID.and(Attributes::NO_DEVICES);
        for target in ["/etc", "/var", "/run", "/tmp", "/dev/shm", "/srv/data"] {
            assert_eq!(wanted(&mounted(target, false)), Some(both), "{target}");
        }
        assert_eq!(wanted(&mounted("/dev", false)), Some(Attributes::NO_SETUID));
    }

    #[test]
    fn the_root_and_usr_are_read_only_and_usr_keeps_its_setuid_programs() {
        for read_only in [true, false] {
            let root = wanted(&mounted("/", read_only)).unwrap();
            let usr = wanted(&mounted("/usr", read_only)).unwrap();
            assert_ne!(root.0 & Attributes::READ_ONLY.0, 0);
            assert_ne!(root.0 & Attributes::NO_SETUID.0, 0);
            assert_ne!(usr.0 & Attributes::READ_ONLY.0, 0);
            assert_eq!(usr.0 & Attributes::NO_SETUID.0, 0);
        }
    }

    #[test]
    fn what_is_shared_read_only_keeps_its_setuid_programs() {
        assert_eq!(
            wanted(&mounted("/opt/app", true)),
            Some(Attributes::NO_DEVICES)
        );
        assert_eq!(wanted(&mounted("/proc/sys", true)), None);
    }
}
