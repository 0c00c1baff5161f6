//! Domains, in this project's terms.

use std::path::PathBuf;
use std::time::Duration;

use vss_model::{DomainSpec, SandboxName, SecurityContext, Uuid};

use crate::error::{Result, StartError};

/// What libvirt knows of a domain, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainInfo {
    /// Its name, which need not be one of ours.
    pub name: String,
    /// Its UUID.
    pub uuid: Uuid,
    /// Whether it runs.
    pub active: bool,
    /// The SELinux context that its XML states; a running domain's is the real one.
    pub label: Option<SecurityContext>,
}

/// A running container, by the host's process ids.
///
/// They were right when they were read, and may be another process's soon after: open a pidfd,
/// then ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningDomain {
    /// The domain's UUID, the sandbox's.
    pub uuid: Uuid,
    /// The domain's name.
    pub name: String,
    /// The container's first process, PID 1 inside.
    pub init_pid: u32,
    /// `libvirt_lxc`, its parent; also the domain's id in libvirt.
    pub controller_pid: u32,
}

/// Domains of libvirt's LXC driver.
pub trait Hypervisor {
    /// All of them, whoever they belong to.
    ///
    /// # Errors
    /// Where libvirt doesn't answer.
    fn domains(&self) -> Result<Vec<DomainInfo>>;

    /// The running domain with this UUID; `None` where there is none, or its first process ended.
    /// Takes a second where that process is dead, as libvirt may be restarting it. A domain whose
    /// first process is dead may stay in libvirt: [`destroy`](Self::destroy) clears it away.
    ///
    /// # Errors
    /// [`NoInit`](crate::Error::NoInit), after five seconds, where the domain runs and no first
    /// process of it is to be seen; where libvirt doesn't answer.
    fn find(&self, uuid: Uuid) -> Result<Option<RunningDomain>>;

    /// The running domain of this name. Compare its UUID before believing that it is the
    /// sandbox's.
    ///
    /// # Errors
    /// As [`find`](Self::find), with the same waits.
    fn find_by_name(&self, name: &SandboxName) -> Result<Option<RunningDomain>>;

    /// Starts a transient domain, once. [`start()`] gets over a race.
    ///
    /// # Errors
    /// Where it didn't start; nothing of it is left then.
    fn start(&self, spec: &DomainSpec) -> Result<RunningDomain, StartError>;

    /// Ends the domain with this UUID without asking it: its processes are killed. `Ok` where
    /// there is none.
    ///
    /// # Errors
    /// Where libvirt refuses or doesn't answer.
    fn destroy(&self, uuid: Uuid) -> Result<()>;

    /// The terminal device on the host that shows the domain's console; `None` where it doesn't
    /// run.
    ///
    /// Put it into raw mode as it is opened: what is read would else be echoed back, as input to
    /// the container.
    ///
    /// # Errors
    /// Where libvirt doesn't answer.
    fn console(&self, uuid: Uuid) -> Result<Option<PathBuf>>;

    /// The memory in bytes that the domain's cgroup has in use; `None` where it doesn't run.
    ///
    /// # Errors
    /// Where libvirt doesn't answer.
    fn memory(&self, uuid: Uuid) -> Result<Option<u64>>;
}

/// How often a start is tried before its race counts as a failure.
const ATTEMPTS: u32 = 20;

/// Starts a domain, again where libvirt's race hit it.
///
/// Another attempt is independent of the last: what hit it was a moment of another container's
/// life. The pause grows to 100 ms, so that the pauses together take 1.5 s at most.
///
/// # Errors
/// Those of [`Hypervisor::start`]; a race only after the last attempt.
pub fn start(hypervisor: &dyn Hypervisor, spec: &DomainSpec) -> Result<RunningDomain, StartError> {
    for attempt in 1..ATTEMPTS {
        match hypervisor.start(spec) {
            Err(error @ StartError::Race { .. }) => {
                tracing::info!(
                    domain = spec.name.as_str(),
                    attempt,
                    cause = std::error::Error::source(&error).map(tracing::field::display),
                    "libvirt's start race, trying again"
                );
                std::thread::sleep(Duration::from_millis(u64::from(attempt * 10).min(100)));
            }
            other => return other,
        }
    }
    hypervisor.start(spec)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;
    use crate::error::Reply;
    use crate::testing::FakeHypervisor;

    fn spec() -> DomainSpec {
        DomainSpec {
            name: "web1".parse().unwrap(),
            uuid: Uuid::from_u128(7),
            init: "/sbin/init".parse().unwrap(),
            init_args: vec![],
            init_env: vec![],
            memory_kib: 1,
            filesystems: vec![],
            interfaces: vec![],
            private_users: None,
            label: None,
        }
    }

    fn race() -> StartError {
        let source = virt::error::Error::from(CString::new("a\0").unwrap_err());
        StartError::Race {
            name: "web1".to_owned(),
            source: Reply::from(source),
        }
    }

    #[test]
    fn a_race_is_tried_again_and_anything_else_is_not() {
        let hypervisor = FakeHypervisor::default();
        hypervisor.fail_start(race());
        hypervisor.fail_start(race());
        let running = start(&hypervisor, &spec()).unwrap();
        assert_eq!(hypervisor.starts(), 3);
        assert_eq!(hypervisor.find(spec().uuid).unwrap(), Some(running));
        let error = start(&hypervisor, &spec()).unwrap_err();
        assert!(matches!(error, StartError::Running { .. }));
        assert_eq!(hypervisor.starts(), 4);
    }

    #[test]
    fn a_race_that_never_ends_is_a_failure_in_the_end() {
        let hypervisor = FakeHypervisor::default();
        for _ in 0..ATTEMPTS {
            hypervisor.fail_start(race());
        }
        assert!(start(&hypervisor, &spec()).unwrap_err().is_race());
        assert_eq!(hypervisor.starts(), ATTEMPTS as usize);
    }
}
