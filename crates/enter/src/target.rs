//! All that is to be known of PID 1 before the way in, read by the caller on the host.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::thread::ThreadNameSpaceType;
use vss_model::Confinement;
use vss_model::confinement::capability;

use crate::Result;
use crate::cgroup;
use crate::container::Container;
use crate::error::Error;
use crate::procfs::{self, ProcessDir};

/// What PID 1 is in and held by.
#[derive(Debug)]
pub(crate) struct Target {
    /// Those that the caller is not in already.
    pub(crate) namespaces: ThreadNameSpaceType,
    /// `cgroup.procs` of each cgroup to join.
    pub(crate) cgroups: Vec<(PathBuf, OwnedFd)>,
    /// `CapBnd`, and never more than the confinement leaves.
    pub(crate) bounding: u64,
    pub(crate) no_new_privileges: bool,
    /// The host's procfs.
    pub(crate) proc: OwnedFd,
}

const NAMESPACES: [(&str, ThreadNameSpaceType); 7] = [
    ("user", ThreadNameSpaceType::USER),
    ("mnt", ThreadNameSpaceType::MOUNT),
    ("pid", ThreadNameSpaceType::PROCESS_ID),
    ("net", ThreadNameSpaceType::NETWORK),
    ("ipc", ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
    ("uts", ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
    ("cgroup", ThreadNameSpaceType::CONTROL_GROUP),
];

/// A container without these is the host: then the process is not what it was taken for.
const OF_ANY_CONTAINER: ThreadNameSpaceType =
    ThreadNameSpaceType::MOUNT.union(ThreadNameSpaceType::PROCESS_ID);

/// Refuses a process that is in no container.
pub(crate) fn check(container: &Container) -> Result<()> {
    let own = ProcessDir::open(std::process::id())?;
    namespaces(container, &own, OF_ANY_CONTAINER).map(drop)
}

/// The namespaces of a container that this process is not in, `needed` among them.
fn namespaces(
    container: &Container,
    own: &ProcessDir,
    needed: ThreadNameSpaceType,
) -> Result<ThreadNameSpaceType> {
    let theirs = &container.directory;
    let mut namespaces = ThreadNameSpaceType::empty();
    for (kind, flag) in NAMESPACES {
        if theirs.namespace(kind)? != own.namespace(kind)? {
            namespaces |= flag;
        }
    }
    if !namespaces.contains(needed) {
        return Err(theirs.malformed("the namespaces"));
    }
    Ok(namespaces)
}

impl Target {
    /// Reads a container whose PID 1 is confined by now. It may still move to another cgroup.
    pub(crate) fn of(container: &Container, confinement: Confinement) -> Result<Self> {
        let theirs = &container.directory;
        let own = ProcessDir::open(std::process::id())?;
        // the init has made the last
        let needed = OF_ANY_CONTAINER | ThreadNameSpaceType::CONTROL_GROUP;
        let namespaces = namespaces(container, &own, needed)?;
        let bounding = u64::from_str_radix(&theirs.status("CapBnd")?, 16)
            .map_err(|_| theirs.malformed("status"))?;
        let target = Self {
            namespaces,
            cgroups: cgroup::open(
                &theirs.read("cgroup")?,
                &own.read("cgroup")?,
                &own.read("mountinfo")?,
            )?,
            bounding: capability::limited(confinement, bounding),
            no_new_privileges: theirs.status("NoNewPrivs")? == "1",
            proc: procfs::open(container.pid)?,
        };
        // what was read is of the container only if it lived to the end of the reading
        if container.wait(Some(std::time::Duration::ZERO))? {
            return Err(Error::Gone { pid: container.pid });
        }
        Ok(target)
    }
}
