//! The container's first process, found from the host.
//!
//! The LXC driver gives a domain the process id of its controller, `libvirt_lxc`, as its id. The
//! controller clones the container's first process into a new pid namespace, so that is its child
//! whose innermost id is 1 (`NSpid:` in proc_pid_status(5)).

use std::fs;
use std::path::Path;

/// What there is of a container's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// It runs, with this process id.
    Alive(u32),
    /// It ended, and its controller has not taken notice. It never will if that was before the
    /// controller listened: libvirt 9.0 installs its SIGCHLD handler after it let the container go
    /// (`virLXCControllerMain`).
    Dead,
    /// It is not there, or not yet.
    Unseen,
}

/// What `/proc/PID/status` says of a process's place.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    alive: bool,
    parent: u32,
    /// From the reader's pid namespace inwards.
    ids: Vec<u32>,
}

fn parse_place(status: &str) -> Option<Place> {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let ids = field("NSpid")?
        .split_whitespace()
        .map(|id| id.parse().ok())
        .collect::<Option<Vec<u32>>>()?;
    let parent = field("PPid")?.trim().parse().ok()?;
    // Z is a zombie, X a dead process (proc_pid_status(5)).
    let alive = !field("State")?.trim_start().starts_with(['Z', 'X']);
    Some(Place { alive, parent, ids })
}

/// A process, as the first one of a pid namespace below the controller's.
fn as_first(proc: &Path, pid: u32, controller: u32) -> First {
    let status = fs::read_to_string(proc.join(pid.to_string()).join("status"));
    match status.ok().as_deref().and_then(parse_place) {
        Some(place) if place.parent == controller && place.ids.len() > 1 => {
            match (place.ids.last(), place.alive) {
                (Some(1), true) => First::Alive(pid),
                (Some(1), false) => First::Dead,
                _ => First::Unseen,
            }
        }
        _ => First::Unseen,
    }
}

/// The children of a process as the kernel lists them (`CONFIG_PROC_CHILDREN`), of each thread.
fn children(proc: &Path, pid: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(proc.join(pid.to_string()).join("task")).ok()? {
        let list = fs::read_to_string(thread.ok()?.path().join("children")).ok()?;
        found.extend(
            list.split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    Some(found)
}

/// All process ids.
fn all(proc: &Path) -> Vec<u32> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The first process of the container that this controller runs. `proc` is where procfs is
/// mounted.
pub(crate) fn container_init(proc: &Path, controller: u32) -> First {
    let candidates = match children(proc, controller) {
        Some(children) => children,
        // it has just ended, which libvirtd may not know yet, and its container with it: that is not
        // looked for among all
        None if !proc.join(controller.to_string()).exists() => return First::Dead,
        None => all(proc),
    };
    candidates
        .into_iter()
        .map(|pid| as_first(proc, pid, controller))
        .find(|first| *first != First::Unseen)
        .unwrap_or(First::Unseen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(proc: &Path, pid: u32, parent: u32, ids: &str) {
        let dir = proc.join(pid.to_string());
        fs::create_dir_all(dir.join("task").join(pid.to_string())).unwrap();
        let status =
            format!("Name:\tx\nState:\tS (sleeping)\nNSpid:\t{ids}\nPPid:\t{parent}\nPPidX:\t9\n");
        fs::write(dir.join("status"), status).unwrap();
    }

    #[test]
    fn a49_the_first_process_is_the_controllers_child_and_1_inside() {
        let proc = tempfile::tempdir().unwrap();
        let proc = proc.path();
        process(proc, 10, 1, "10");
        process(proc, 11, 10, "11");
        process(proc, 12, 10, "12\t1");
        process(proc, 13, 12, "13\t2");
        process(proc, 14, 9, "14\t1");
        assert_eq!(container_init(proc, 10), First::Alive(12));
        let list = proc.join("10/task/10/children");
        fs::write(&list, "11 12 ").unwrap();
        assert_eq!(container_init(proc, 10), First::Alive(12));
        let zombie = "State:\tZ (zombie)\nNSpid:\t12\t1\nPPid:\t10\n";
        fs::write(proc.join("12/status"), zombie).unwrap();
        assert_eq!(container_init(proc, 10), First::Dead);
        fs::write(&list, "11 ").unwrap();
        assert_eq!(container_init(proc, 10), First::Unseen);
        assert_eq!(container_init(proc, 77), First::Dead);
    }

    #[test]
    fn nothing_is_below_a_controller_that_is_gone() {
        let proc = tempfile::tempdir().unwrap();
        process(proc.path(), 15, 77, "15\t1");
        assert_eq!(container_init(proc.path(), 77), First::Dead);
        process(proc.path(), 77, 1, "77");
        assert_eq!(container_init(proc.path(), 77), First::Alive(15));
    }

    #[test]
    fn a_status_without_its_fields_is_nobodys() {
        assert_eq!(parse_place("State:\tS\nPPid:\t1\n"), None);
        assert_eq!(parse_place("State:\tS\nNSpid:\tx\nPPid:\t1\n"), None);
        let place = parse_place("State:\tR\nPPid:\t4\nNSpid:\t5\t1\n");
        assert_eq!(
            place,
            Some(Place {
                alive: true,
                parent: 4,
                ids: vec![5, 1]
            })
        );
    }
}
