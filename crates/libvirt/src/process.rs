//! The container's first process, found from the host.
//!
//! The LXC driver gives a domain the process id of its controller, `libvirt_lxc`, as its id. The
//! controller clones the container's first process into a new pid namespace, so that is its child
//! whose innermost id is 1 (`NSpid:` in proc_pid_status(5)).

use std::fs;
use std::path::Path;

/// What `/proc/PID/status` says of a process's place.
#[derive(Debug, PartialEq, Eq)]
struct Place {
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
    Some(Place { parent, ids })
}

/// Whether a process is the first one of a pid namespace below the controller's.
fn is_init(proc: &Path, pid: u32, controller: u32) -> bool {
    let status = fs::read_to_string(proc.join(pid.to_string()).join("status"));
    let place = status.ok().as_deref().and_then(parse_place);
    place.is_some_and(|place| {
        place.parent == controller && place.ids.len() > 1 && place.ids.last() == Some(&1)
    })
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

/// The first process of the container that this controller runs; `None` where there is none (any
/// more). `proc` is where procfs is mounted.
pub(crate) fn container_init(proc: &Path, controller: u32) -> Option<u32> {
    let candidates = children(proc, controller).unwrap_or_else(|| all(proc));
    candidates
        .into_iter()
        .find(|&pid| is_init(proc, pid, controller))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(proc: &Path, pid: u32, parent: u32, ids: &str) {
        let dir = proc.join(pid.to_string());
        fs::create_dir_all(dir.join("task").join(pid.to_string())).unwrap();
        let status = format!("Name:\tx\nNSpid:\t{ids}\nPPid:\t{parent}\nPPidX:\t9\n");
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
        assert_eq!(container_init(proc, 10), Some(12));
        let list = proc.join("10/task/10/children");
        fs::write(&list, "11 12 ").unwrap();
        assert_eq!(container_init(proc, 10), Some(12));
        fs::write(&list, "11 ").unwrap();
        assert_eq!(container_init(proc, 10), None, "the child ended");
        assert_eq!(container_init(proc, 77), None, "the controller ended");
    }

    #[test]
    fn a_status_without_its_fields_is_nobodys() {
        assert_eq!(parse_place("Name: x\nPPid:\t1\n"), None);
        assert_eq!(parse_place("NSpid:\tx\nPPid:\t1\n"), None);
        let place = parse_place("PPid:\t4\nNSpid:\t5\t1\n");
        assert_eq!(
            place,
            Some(Place {
                parent: 4,
                ids: vec![5, 1]
            })
        );
    }
}
