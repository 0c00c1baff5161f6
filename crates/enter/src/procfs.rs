//! What the kernel says of a process, read through a procfs that is one.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};

use crate::Result;
use crate::error::Error;

/// `PROC_SUPER_MAGIC` of `linux/magic.h`.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// `PF_EXITING` of the kernel's `linux/sched.h`, as it shows in the flags of proc_pid_stat(5).
const PF_EXITING: u64 = 4;

/// More than any of the files that are read here has.
const LIMIT: u64 = 1024 * 1024;

/// Opens `/proc`, if it is a procfs (A05).
pub(crate) fn open(pid: u32) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fake = || Error::FakeProc { pid };
    let proc = rustix::fs::open("/proc", flags, Mode::empty()).map_err(|_| fake())?;
    let kind = rustix::fs::fstatfs(&proc).map_err(|_| fake())?.f_type;
    if kind != PROC_SUPER_MAGIC {
        return Err(fake());
    }
    Ok(proc)
}

/// The directory of one process: after the process is gone, and its number another's, reads fail.
#[derive(Debug)]
pub(crate) struct ProcessDir {
    pid: u32,
    directory: OwnedFd,
}

impl ProcessDir {
    pub(crate) fn open(pid: u32) -> Result<Self> {
        let proc = open(pid)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let directory = rustix::fs::openat(&proc, pid.to_string(), flags, Mode::empty())
            .map_err(|_| Error::Gone { pid })?;
        Ok(Self { pid, directory })
    }

    /// A file of the process, whole.
    pub(crate) fn read(&self, file: &'static str) -> Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let opened = rustix::fs::openat(&self.directory, file, flags, Mode::empty());
        let mut bytes = Vec::new();
        opened
            .map_err(io::Error::from)
            .and_then(|fd| File::from(fd).take(LIMIT).read_to_end(&mut bytes))
            .map_err(|source| self.error(file, source))?;
        // a cgroup's or a program's name need not be UTF-8
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What a link in `ns/` says: `net:[4026531840]`.
    pub(crate) fn namespace(&self, kind: &'static str) -> Result<Vec<u8>> {
        rustix::fs::readlinkat(&self.directory, format!("ns/{kind}"), Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(|source| self.error("the namespaces", source.into()))
    }

    /// When the process started, in clock ticks since boot.
    pub(crate) fn start_time(&self) -> Result<u64> {
        let stat = self
            .read("stat")
            .map_err(|_| Error::Gone { pid: self.pid })?;
        stat_field(&stat, 22).ok_or_else(|| self.malformed("stat"))
    }

    /// Whether the process is on its way out: then all others of its PID namespace are killed.
    pub(crate) fn is_exiting(&self) -> bool {
        match self.read("stat") {
            Ok(stat) => stat_field(&stat, 9).is_none_or(|flags| flags & PF_EXITING != 0),
            Err(_) => true,
        }
    }

    /// The value of a line of `status`.
    pub(crate) fn status(&self, key: &str) -> Result<String> {
        let status = self.read("status")?;
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value
            .map(|v| v.trim().to_owned())
            .ok_or_else(|| self.malformed("status"))
    }

    pub(crate) fn malformed(&self, what: &'static str) -> Error {
        self.error(what, io::ErrorKind::InvalidData.into())
    }

    fn error(&self, what: &'static str, source: io::Error) -> Error {
        Error::Read {
            what,
            pid: self.pid,
            source,
        }
    }
}

/// A numbered field of proc_pid_stat(5), from 1. The second, the program's name in parentheses, is
/// the process's own choice and may hold anything, so counting begins behind its last `)`.
fn stat_field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()
}

/// How many threads this process has.
pub(crate) fn threads() -> io::Result<usize> {
    let mut count = 0;
    for entry in rustix::fs::Dir::new(rustix::fs::openat(
        CWD,
        "/proc/self/task",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)? {
        let entry = entry?;
        count += usize::from(entry.file_name().to_bytes()[0] != b'.');
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a49_a_program_s_name_can_not_forge_the_start_time() {
        let fields: Vec<String> = (3..=52).map(|n: u32| n.to_string()).collect();
        let forged = format!("7 (x) R 1 1 1 1 1 1 1 1 1) {}", fields.join(" "));
        assert_eq!(stat_field(&forged, 22), Some(22));
        assert_eq!(stat_field(&forged, 9), Some(9));
        assert_eq!(stat_field("7 (x", 22), None);
        assert_eq!(stat_field("7 (x) R 1", 22), None);
    }

    #[test]
    fn this_process_is_found() {
        let own = ProcessDir::open(std::process::id()).unwrap();
        assert!(own.start_time().unwrap() > 0);
        assert!(!own.is_exiting());
        assert!(own.status("CapBnd").unwrap().len() == 16);
        assert!(own.namespace("net").unwrap().starts_with(b"net:["));
        assert!(threads().unwrap() >= 2);
    }
}
