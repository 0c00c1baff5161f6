//! cgroups: other people's frozen and killed, one's own limits raised, and programs run by the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use crate::facts::Facts;
use crate::mounts::{self, PLACE};
use crate::outcome::{Failure, Outcome, Step, any, refused};

const TOP: &str = "/sys/fs/cgroup";

/// Writes to a file of a cgroup of the host: by the mount that is there, by that mount once it is
/// writable, and by a new one.
fn write(cgroup: &str, file: &str, value: &str) -> Outcome {
    let act = |top: &str| mounts::write(place(top, cgroup).join(file), value);
    let there = mounts::then(|| act(TOP), || mounts::writable(TOP));
    let fresh = mounts::new("cgroup2", None).and_then(|()| act(PLACE));
    any([there, fresh])
}

fn place(top: &str, cgroup: &str) -> PathBuf {
    Path::new(top).join(cgroup.trim_start_matches('/'))
}

pub(crate) fn freeze(facts: &Facts) -> Outcome {
    write(facts.text("cgroup-to-freeze")?, "cgroup.freeze", "1")
}

pub(crate) fn kill(facts: &Facts) -> Outcome {
    write(facts.text("cgroup-to-kill")?, "cgroup.kill", "1")
}

/// Raises the limit that the host has set above what the container sees, and then uses it.
pub(crate) fn limit(facts: &Facts) -> Outcome {
    let raised = write(facts.text("cgroup-with-limit")?, "pids.max", "max");
    // What is its own it may raise, which does not help.
    let _ = fs::write(Path::new(TOP).join("pids.max"), "max");
    let wanted: usize = facts.number("more-than-limit")?;
    let (keep, wait) = mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let mut started = Vec::new();
    let mut failed = None;
    while started.len() < wanted {
        let wait = wait.clone();
        let thread = thread::Builder::new().stack_size(16 << 10).spawn(move || {
            // Ends when the sender is gone.
            let _ = wait.lock().map(|wait| wait.recv());
        });
        match thread {
            Ok(thread) => started.push(thread),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(keep);
    for thread in started.drain(..) {
        let _ = thread.join();
    }
    match (failed, raised) {
        (None, _) => Ok(format!("{wanted} threads")),
        (Some(_), Err(failure)) => Err(failure),
        (Some(error), Ok(_)) => Err(error).step("threads"),
    }
}

/// cgroup v1 runs a program of one's choice, on the host and as its root, for a cgroup that became
/// empty. A hierarchy without a controller can be made on a host of cgroup v2 as well.
///
/// It has a name of its own each time: who may not make one may still mount one that is there.
pub(crate) fn release_agent(facts: &Facts) -> Outcome {
    let options = format!("none,name={}", facts.text("hierarchy")?);
    mounts::new("cgroup", Some(&options))?;
    let top = Path::new(PLACE);
    let child = top.join("child");
    let outcome = trigger(top, &child);
    let _ = fs::write(top.join("cgroup.procs"), std::process::id().to_string());
    let _ = fs::remove_dir(&child);
    outcome
}

fn trigger(top: &Path, child: &Path) -> Outcome {
    mounts::write(top.join("release_agent"), "/usr/breakout/agent")?;
    fs::create_dir(child).step("create a cgroup")?;
    mounts::write(child.join("notify_on_release"), "1")?;
    leave(child, top)?;
    Ok("triggered".to_owned())
}

/// Enters a cgroup and leaves it, so that it is empty.
fn leave(child: &Path, top: &Path) -> Result<(), Failure> {
    let own = std::process::id().to_string();
    mounts::write(child.join("cgroup.procs"), &own)?;
    mounts::write(top.join("cgroup.procs"), &own)?;
    if fs::read_to_string(child.join("cgroup.procs")).is_ok_and(|left| left.is_empty()) {
        Ok(())
    } else {
        refused("leave the cgroup", "it is not empty")
    }
}
