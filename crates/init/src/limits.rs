//! Hard resource limits, lifted while it is still allowed.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::{Failure, Stage};

/// The most that `fs.nr_open` is by default; used where it can't be read.
const NR_OPEN: u64 = 1_048_576;

/// Lifts the hard limits that units commonly raise: open files to the kernel's own limit, as
/// systemd does on a host, the others entirely. The soft limits stay.
///
/// libvirtd's own limits would hold for the container otherwise (8192 open files, say), and only
/// `CAP_SYS_RESOURCE` lifts a hard limit. What they protect, the cgroup does. Where the host itself
/// does not have the capability (a host that is a container), they stay.
pub(crate) fn lift() -> Result<(), Failure> {
    let files = std::fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(NR_OPEN);
    let wanted = [
        (Resource::Nofile, Some(files), "open files"),
        (Resource::Nproc, None, "processes"),
        (Resource::Memlock, None, "locked memory"),
        (Resource::Core, None, "core size"),
        (Resource::Stack, None, "stack size"),
        (Resource::Sigpending, None, "pending signals"),
        (Resource::Msgqueue, None, "message queues"),
    ];
    for (resource, maximum, name) in wanted {
        let current = getrlimit(resource).current;
        let limit = Rlimit { current, maximum };
        match setrlimit(resource, limit) {
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(Failure::io(Stage::Limits, name)(error)),
        }
    }
    Ok(())
}
