//! Processes of the host, read from `/proc`.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use vss_model::{AbsPath, Sanitized};

/// A mounted proc(5).
#[derive(Debug, Clone)]
pub(crate) struct Proc(PathBuf, Kernel);

/// What the kernel says of itself there; tests have another.
#[derive(Debug, Clone)]
struct Kernel(PathBuf);

/// A process that has a file open for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenForWriting {
    /// The process.
    pub(crate) pid: u32,
    /// Its command name, as the kernel has it.
    pub(crate) command: String,
    /// The unit whose cgroup it is in.
    pub(crate) unit: Option<String>,
    /// The file.
    pub(crate) path: AbsPath,
}

/// What a set of processes uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// How many they are.
    pub(crate) processes: u64,
    /// Their proportional share of memory, in bytes.
    pub(crate) memory: u64,
}

impl Proc {
    /// The host's.
    pub(crate) fn host() -> Self {
        Self(PathBuf::from("/proc"), Kernel(PathBuf::from("/proc")))
    }

    /// The same with another kernel's word on what it can.
    #[cfg(test)]
    pub(crate) fn with_kernel(self, proc: PathBuf) -> Self {
        Self(self.0, Kernel(proc))
    }

    /// When a process started, in clock ticks since boot: field 22 of proc_pid_stat(5), which
    /// tells a process from a later one with the same pid.
    pub(crate) fn start_time(&self, pid: u32) -> Option<u64> {
        let stat = fs::read(self.0.join(pid.to_string()).join("stat")).ok()?;
        // the command in parentheses may hold anything, parentheses and spaces included
        let after = stat.iter().rposition(|&b| b == b')')?;
        let text = std::str::from_utf8(stat.get(after + 2..)?).ok()?;
        let mut fields = text.split(' ');
        let state = fields.next()?;
        if state == "Z" || state == "X" {
            return None;
        }
        fields.nth(18)?.parse().ok()
    }

    /// Whether this very process still runs.
    pub(crate) fn runs(&self, pid: u32, start: u64) -> bool {
        pid != 0 && self.start_time(pid) == Some(start)
    }

    /// All processes.
    fn pids(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let mut pids: Vec<u32> = entries
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        pids
    }

    fn pid_namespace(&self, pid: &str) -> Option<PathBuf> {
        fs::read_link(self.0.join(pid).join("ns/pid")).ok()
    }

    /// The processes of our own pid namespace, so of no container, that hold a file at or below
    /// `base` open for writing or mapped shared and writable; each file of each process. A process
    /// with mounts of its own may have another file at that path, which doesn't count.
    pub(crate) fn writers_below(&self, base: &AbsPath) -> Vec<OpenForWriting> {
        let own = self.pid_namespace("self");
        let me = std::process::id();
        let mut found = Vec::new();
        for pid in self.pids() {
            if pid == me || own.is_none() || self.pid_namespace(&pid.to_string()) != own {
                continue;
            }
            let mut paths = self.open_for_writing(pid, base);
            paths.extend(self.mapped_for_writing(pid, base));
            paths.sort_unstable();
            paths.dedup();
            found.extend(paths.into_iter().map(|path| OpenForWriting {
                pid,
                command: self.command(pid),
                unit: self.unit(pid),
                path,
            }));
        }
        found
    }

    fn open_for_writing(&self, pid: u32, base: &AbsPath) -> Vec<AbsPath> {
        let dir = self.0.join(pid.to_string());
        let Ok(entries) = fs::read_dir(dir.join("fd")) else {
            return Vec::new();
        };
        let written = |entry: fs::DirEntry| {
            let path = AbsPath::new(fs::read_link(entry.path()).ok()?).ok()?;
            let info = || fs::read_to_string(dir.join("fdinfo").join(entry.file_name()));
            let written = path.starts_with(base) && has_write_access(&info().ok()?);
            (written && self.has_our(&path, pid)).then_some(path)
        };
        entries.flatten().filter_map(written).collect()
    }

    fn mapped_for_writing(&self, pid: u32, base: &AbsPath) -> Vec<AbsPath> {
        let maps = fs::read(self.0.join(pid.to_string()).join("maps")).unwrap_or_default();
        maps.split(|&b| b == b'\n')
            .filter_map(shared_writable_file)
            .filter(|path| path.starts_with(base) && self.has_our(path, pid))
            .collect()
    }

    /// Whether a process has the same file at a path as we have.
    fn has_our(&self, path: &AbsPath, pid: u32) -> bool {
        let root = self.0.join(pid.to_string()).join("root");
        let theirs = root.join(path.as_path().strip_prefix("/").unwrap_or(path.as_path()));
        let identity = |path: &Path| {
            let file = fs::symlink_metadata(path).ok()?;
            Some((file.dev(), file.ino()))
        };
        identity(path.as_path()).is_some_and(|ours| identity(&theirs) == Some(ours))
    }

    /// The command name of a process, sanitised; empty where it is gone.
    pub(crate) fn command(&self, pid: u32) -> String {
        let comm = fs::read(self.0.join(pid.to_string()).join("comm")).unwrap_or_default();
        Sanitized::bytes(comm.trim_ascii_end()).to_string()
    }

    fn unit(&self, pid: u32) -> Option<String> {
        let text = fs::read_to_string(self.0.join(pid.to_string()).join("cgroup")).ok()?;
        unit_of_cgroup(&text)
    }

    /// What the processes in the pid namespace of `init` use.
    pub(crate) fn usage_of_namespace(&self, init: u32) -> Option<Usage> {
        let namespace = self.pid_namespace(&init.to_string())?;
        let mut usage = Usage::default();
        for pid in self.pids() {
            if self.pid_namespace(&pid.to_string()).as_ref() == Some(&namespace) {
                usage.processes += 1;
                usage.memory += self.memory(pid).unwrap_or(0);
            }
        }
        Some(usage)
    }

    fn memory(&self, pid: u32) -> Option<u64> {
        let rollup = self.0.join(pid.to_string()).join("smaps_rollup");
        let text = fs::read_to_string(rollup).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("Pss:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    }

    /// The file at `path` below a process's directory, as text; `None` where it can't be read.
    pub(crate) fn text(&self, pid: u32, path: &str) -> Option<String> {
        fs::read_to_string(self.0.join(pid.to_string()).join(path)).ok()
    }

    /// Whether the kernel makes user namespaces (namespaces(7)).
    pub(crate) fn makes_user_namespaces(&self) -> bool {
        let Kernel(proc) = &self.1;
        let limit = fs::read_to_string(proc.join("sys/user/max_user_namespaces"));
        let limit = limit.ok().and_then(|text| text.trim().parse().ok());
        proc.join("self/ns/user").symlink_metadata().is_ok() && limit.unwrap_or(0u64) > 0
    }

    /// Whether all controllers are in the one hierarchy of cgroup v2: by what is mounted, as a
    /// machine with v1 controllers may have an empty v2 hierarchy beside them (cgroups(7)).
    pub(crate) fn cgroup_v2_only(&self) -> bool {
        let Kernel(proc) = &self.1;
        let mounts = fs::read_to_string(proc.join("self/mountinfo")).unwrap_or_default();
        let has = |kind: &str| {
            mounts
                .lines()
                .filter_map(|line| line.split_once(" - "))
                .any(|(_, rest)| rest.split(' ').next() == Some(kind))
        };
        has("cgroup2") && !has("cgroup")
    }
}

/// Whether the `flags:` of proc_pid_fdinfo(5) have `O_WRONLY` or `O_RDWR`.
fn has_write_access(fdinfo: &str) -> bool {
    const ACCESS_MODE: u32 = 0o3;
    fdinfo
        .lines()
        .find_map(|l| l.strip_prefix("flags:"))
        .and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok())
        .is_some_and(|flags| matches!(flags & ACCESS_MODE, 1 | 2))
}

/// The file of a line of proc_pid_maps(5) that is mapped `MAP_SHARED` and writable.
fn shared_writable_file(line: &[u8]) -> Option<AbsPath> {
    let mut fields = line.splitn(6, |&b| b == b' ');
    let permissions = fields.nth(1)?;
    if permissions.get(1) != Some(&b'w') || permissions.get(3) != Some(&b's') {
        return None;
    }
    let path = fields.nth(3)?.trim_ascii_start();
    AbsPath::new(Path::new(std::ffi::OsStr::from_bytes(path))).ok()
}

/// The innermost service of proc_pid_cgroup(5), in systemd's own hierarchy.
fn unit_of_cgroup(text: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|l| l.contains(":name=systemd:") || l.starts_with("0::"))?;
    let path = line.splitn(3, ':').nth(2)?;
    path.rsplit('/')
        .find(|part| part.ends_with(".service") || part.ends_with(".scope"))
        .map(|unit| Sanitized::text(unit).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_time() {
        let proc = Proc::host();
        let me = std::process::id();
        let start = proc.start_time(me).unwrap();
        assert!(proc.runs(me, start));
        assert!(!proc.runs(me, start + 1));
        assert!(!proc.runs(0, 0));
    }

    #[test]
    fn writing_is_told_from_reading() {
        assert!(has_write_access("pos:\t0\nflags:\t0100001\nmnt_id:\t1\n"));
        assert!(has_write_access("pos:\t0\nflags:\t0100002\n"));
        assert!(!has_write_access("pos:\t0\nflags:\t0100000\n"));
        // O_PATH
        assert!(!has_write_access("pos:\t0\nflags:\t012000000\n"));
    }

    #[test]
    fn a_shared_mapping_counts_as_writing() {
        let line = b"7f0000000000-7f0000001000 rw-s 00000000 fe:00 123    /var/lib/x/data mdb";
        assert_eq!(
            shared_writable_file(line).unwrap().to_string(),
            "/var/lib/x/data mdb"
        );
        let private = b"7f0000000000-7f0000001000 rw-p 00000000 fe:00 123    /var/lib/x/data";
        assert!(shared_writable_file(private).is_none());
        assert!(shared_writable_file(b"7f0000000000-7f0000001000 rw-s 00000000 00:00 0").is_none());
    }

    #[test]
    fn another_process_that_writes_is_found_and_ourselves_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let base = AbsPath::new(dir.path()).unwrap();
        let _ours = fs::File::create(dir.path().join("ours")).unwrap();
        let theirs = fs::File::create(dir.path().join("theirs")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a process to be found")]
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .stdout(theirs)
            .stderr(fs::File::create(dir.path().join("more")).unwrap())
            .spawn()
            .unwrap();
        let found = Proc::host().writers_below(&base);
        child.kill().unwrap();
        child.wait().unwrap();
        let pids: Vec<u32> = found.iter().map(|w| w.pid).collect();
        assert_eq!(pids, [child.id(), child.id()]);
        let paths: Vec<_> = found.into_iter().map(|w| w.path).collect();
        assert_eq!(paths, ["more", "theirs"].map(|f| base.join(f).unwrap()));
    }

    #[test]
    fn a_file_that_is_another_at_the_same_path_is_not_ours() {
        let proc = tempfile::tempdir().unwrap();
        let here = tempfile::tempdir().unwrap();
        let path = AbsPath::new(here.path().join("file")).unwrap();
        fs::write(path.as_path(), "").unwrap();
        let has_our = |pid: u32| {
            let proc = Proc(proc.path().to_owned(), Kernel(proc.path().to_owned()));
            proc.has_our(&path, pid)
        };
        let root = |pid: u32| proc.path().join(pid.to_string()).join("root");
        fs::create_dir(proc.path().join("1")).unwrap();
        std::os::unix::fs::symlink("/", root(1)).unwrap();
        assert!(has_our(1));
        let others = root(2).join(path.as_path().strip_prefix("/").unwrap());
        fs::create_dir_all(others.parent().unwrap()).unwrap();
        assert!(!has_our(2), "there is none");
        fs::write(others, "").unwrap();
        assert!(!has_our(2), "it is another");
        fs::remove_file(path.as_path()).unwrap();
        assert!(!has_our(1), "it is gone");
    }

    #[test]
    fn the_unit_of_a_cgroup_is_the_innermost() {
        assert_eq!(
            unit_of_cgroup("0::/system.slice/mariadb.service\n").as_deref(),
            Some("mariadb.service")
        );
        assert_eq!(
            unit_of_cgroup("4:cpu:/x\n1:name=systemd:/system.slice/a.service/sub\n").as_deref(),
            Some("a.service")
        );
        assert_eq!(unit_of_cgroup("0::/\n"), None);
    }
}
