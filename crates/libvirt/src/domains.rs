//! Domains over a real connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use roxmltree::Document;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::ErrorNumber;
use vss_model::{DomainSpec, SandboxName, Uuid};

use crate::connection::Libvirt;
use crate::error::{Error, Reply, Result, StartError, is_cgroup_race, refused};
use crate::hypervisor::{DomainInfo, Hypervisor, RunningDomain};
use crate::process::First;
use crate::{domain_xml, process, read, startup_log};

/// How often a first process is looked for, 10 ms apart. It may be missing while a domain ends, or
/// while libvirt restarts one whose inside rebooted.
const LOOKS: u32 = 500;

/// How often a dead first process is looked at before libvirt is thought not to notice.
const DEAD_LOOKS: u32 = 100;

/// `None` for "no such domain".
fn found(result: Result<Domain, virt::error::Error>, what: &str) -> Result<Option<Domain>> {
    match result.map_err(refused(format!("look for the domain {what}"))) {
        Ok(domain) => Ok(Some(domain)),
        Err(Error::Refused { source, .. }) if source.is(ErrorNumber::NoDomain) => Ok(None),
        Err(error) => Err(error),
    }
}

fn by_uuid(connection: &Connect, uuid: Uuid) -> Result<Option<Domain>> {
    found(connection.lookup_domain_by_uuid(uuid), &uuid.to_string())
}

fn by_name(connection: &Connect, name: &str) -> Result<Option<Domain>> {
    found(connection.lookup_domain_by_name(name), name)
}

/// The description of a domain; `None` where it ended meanwhile.
pub(crate) fn description(domain: &Domain) -> Result<Option<String>> {
    match domain.xml_desc(0).map_err(Reply::from) {
        Ok(xml) => Ok(Some(xml)),
        Err(source) if source.is(ErrorNumber::NoDomain) => Ok(None),
        Err(source) => Err(Error::Refused {
            action: "describe a domain".to_owned(),
            source,
        }),
    }
}

fn name_of(domain: &Domain) -> Result<String> {
    domain.name().map_err(refused("name a domain"))
}

fn uuid_of(domain: &Domain) -> Result<Uuid> {
    domain.uuid().map_err(refused("identify a domain"))
}

fn info(domain: &Domain) -> Result<Option<DomainInfo>> {
    let name = name_of(domain)?;
    let Some(xml) = description(domain)? else {
        return Ok(None);
    };
    let document = read::parse(&xml).map_err(|reason| Error::Answer {
        object: format!("the domain {name}"),
        reason,
    })?;
    Ok(Some(DomainInfo {
        uuid: uuid_of(domain)?,
        active: domain.id().is_some(),
        label: read::selinux_label(&document),
        name,
    }))
}

impl Libvirt {
    /// Whether the first process of a domain waits for an interface that the runner makes.
    ///
    /// # Errors
    /// Where libvirt doesn't answer.
    pub fn awaits_interface(&self, uuid: Uuid) -> Result<bool> {
        let running = self.of_running(uuid, |document| Ok(read::awaits_interface(document)))?;
        Ok(running.unwrap_or(false))
    }

    /// Reads the description of a domain; `None` where it doesn't run.
    fn of_running<T>(
        &self,
        uuid: Uuid,
        reading: impl Fn(&Document<'_>) -> Result<T, String>,
    ) -> Result<Option<T>> {
        self.ask(|connection| {
            let Some(domain) = by_uuid(connection, uuid)?.filter(|d| d.id().is_some()) else {
                return Ok(None);
            };
            let Some(xml) = description(&domain)? else {
                return Ok(None);
            };
            let read = read::parse(&xml).and_then(|document| reading(&document));
            read.map(Some).map_err(|reason| Error::Answer {
                object: format!("the domain {uuid}"),
                reason,
            })
        })
    }

    /// The running domain that `lookup` finds. The domain is looked up again after its first
    /// process was found: if its controller is the same then, the process was that controller's.
    fn running(
        &self,
        lookup: impl Fn(&Connect) -> Result<Option<Domain>>,
    ) -> Result<Option<RunningDomain>> {
        let mut last = (String::new(), 0);
        let mut dead = 0;
        for look in 0..LOOKS {
            if look > 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            let Some(domain) = self.ask(&lookup)? else {
                return Ok(None);
            };
            let Some(controller) = domain.id() else {
                return Ok(None);
            };
            let first = process::container_init(Path::new("/proc"), controller);
            let again = self.ask(&lookup)?.and_then(|domain| domain.id());
            last = (name_of(&domain)?, controller);
            match first {
                First::Alive(init_pid) if again == Some(controller) => {
                    return Ok(Some(RunningDomain {
                        uuid: uuid_of(&domain)?,
                        name: last.0,
                        init_pid,
                        controller_pid: controller,
                    }));
                }
                First::Dead if dead == DEAD_LOOKS => return Ok(None),
                First::Dead => dead += 1,
                _ => {}
            }
        }
        let (domain, controller) = last;
        Err(Error::NoInit { domain, controller })
    }

    /// What a failed start was about. Decided by what is there rather than by libvirt's words
    /// where that can be, as libvirtd translates them.
    fn start_error(&self, spec: &DomainSpec, source: Reply) -> Result<StartError> {
        let name = spec.name.to_string();
        if is_cgroup_race(source.message()) || was_cgroup_race(&source, &name) {
            return Ok(StartError::Race { name, source });
        }
        if let Some(error) = self.network_error(spec)? {
            return Ok(error);
        }
        if let Some(other) = self.ask(|c| by_name(c, &name))? {
            let uuid = uuid_of(&other)?;
            if uuid != spec.uuid {
                return Ok(StartError::NameTaken { name, uuid });
            }
        }
        if let Some(same) = self.ask(|c| by_uuid(c, spec.uuid))? {
            let other = name_of(&same)?;
            if other != name {
                let uuid = spec.uuid;
                return Ok(StartError::UuidTaken { name: other, uuid });
            }
            if same.id().is_some() {
                if self.find(spec.uuid)?.is_some() {
                    return Ok(StartError::Running { name });
                }
                // What is left of a container that ended is in the way until libvirt is told.
                self.destroy(spec.uuid)?;
                return Ok(StartError::Race { name, source });
            }
        }
        // "is already being removed", "is already being started", and the like: gone by now.
        if source.is(ErrorNumber::OperationFailed) || source.is(ErrorNumber::OperationInvalid) {
            return Ok(StartError::Race { name, source });
        }
        Ok(StartError::Failed { name, source })
    }

    /// The domain that was just made.
    fn just_started(&self, spec: &DomainSpec) -> Result<RunningDomain, StartError> {
        if let Some(running) = self.find(spec.uuid)? {
            return Ok(running);
        }
        self.destroy(spec.uuid)?;
        Err(StartError::Ended {
            name: spec.name.to_string(),
        })
    }

    fn network_error(&self, spec: &DomainSpec) -> Result<Option<StartError>> {
        for interface in &spec.interfaces {
            let network = interface.network.clone();
            match self.is_network_active(&network)? {
                None => return Ok(Some(StartError::NetworkMissing { network })),
                Some(false) => return Ok(Some(StartError::NetworkInactive { network })),
                Some(true) => {}
            }
        }
        Ok(None)
    }
}

/// The same by the log, where libvirtd's words may be cut off.
fn was_cgroup_race(source: &Reply, name: &str) -> bool {
    if !source.is(ErrorNumber::InternalError) {
        return false;
    }
    // The controller is about to write its last line.
    std::thread::sleep(Duration::from_millis(20));
    is_cgroup_race(&startup_log::of_last_start(
        Path::new(startup_log::DIRECTORY),
        name,
    ))
}

impl Hypervisor for Libvirt {
    fn domains(&self) -> Result<Vec<DomainInfo>> {
        self.ask(|connection| {
            let domains = connection
                .list_all_domains(0)
                .map_err(refused("list the domains"))?;
            domains
                .iter()
                .filter_map(|domain| info(domain).transpose())
                .collect()
        })
    }

    fn find(&self, uuid: Uuid) -> Result<Option<RunningDomain>> {
        self.running(|connection| by_uuid(connection, uuid))
    }

    fn find_by_name(&self, name: &SandboxName) -> Result<Option<RunningDomain>> {
        self.running(|connection| by_name(connection, name.as_str()))
    }

    fn start(&self, spec: &DomainSpec) -> Result<RunningDomain, StartError> {
        let xml = domain_xml(spec)?;
        loop {
            match self.connection().create_domain_xml(&xml, 0) {
                Ok(_) => return self.just_started(spec),
                Err(error) => {
                    // Where the connection broke over it, the domain may run or not.
                    if !self.reopened()? {
                        return Err(self.start_error(spec, error.into())?);
                    }
                    if let Some(running) = self.find(spec.uuid)? {
                        return Ok(running);
                    }
                }
            }
        }
    }

    /// Kills the first process before libvirt is asked: its death is the death of all the others
    /// (pid_namespaces(7)). libvirt alone sends SIGTERM first, and then waits 1.8 s, which a
    /// container's first process ignores. A controller that outlived the first process is killed in
    /// its place, which libvirt does only after 10 s.
    fn destroy(&self, uuid: Uuid) -> Result<()> {
        match self.find(uuid) {
            Ok(Some(running)) => kill(running.init_pid, || {
                self.find(uuid)
                    .is_ok_and(|again| again.as_ref() == Some(&running))
            }),
            Ok(None) | Err(Error::NoInit { .. }) => {
                let controller = || {
                    let domain = self.ask(|connection| by_uuid(connection, uuid));
                    domain.ok().flatten().and_then(|domain| domain.id())
                };
                if let Some(pid) = controller() {
                    kill(pid, || controller() == Some(pid));
                }
            }
            Err(_) => {}
        }
        self.ask(|connection| {
            let Some(domain) = by_uuid(connection, uuid)? else {
                return Ok(());
            };
            match domain.destroy().map_err(Reply::from) {
                Ok(()) => Ok(()),
                // It ended by itself meanwhile.
                Err(source)
                    if source.is(ErrorNumber::NoDomain)
                        || source.is(ErrorNumber::OperationInvalid) =>
                {
                    Ok(())
                }
                Err(source) => Err(Error::Refused {
                    action: format!("destroy the domain {}", name_of(&domain)?),
                    source,
                }),
            }
        })
    }

    fn console(&self, uuid: Uuid) -> Result<Option<PathBuf>> {
        self.of_running(uuid, |document| {
            read::console(document).ok_or_else(|| "it has no console".to_owned())
        })
    }

    fn memory(&self, uuid: Uuid) -> Result<Option<u64>> {
        self.ask(|connection| {
            let Some(domain) = by_uuid(connection, uuid)?.filter(|d| d.id().is_some()) else {
                return Ok(None);
            };
            match domain.info().map_err(Reply::from) {
                Ok(info) => Ok(Some(info.memory * 1024)),
                Err(source) if source.is(ErrorNumber::NoDomain) => Ok(None),
                Err(source) => Err(Error::Refused {
                    action: "measure the memory of a domain".to_owned(),
                    source,
                }),
            }
        })
    }
}

/// Kills a process, if it is `still` the one that is meant once a handle holds it, and waits until it
/// is gone. What is left undone is libvirt's to do.
fn kill(pid: u32, still: impl FnOnce() -> bool) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(handle) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return;
    };
    if !still() || pidfd_send_signal(&handle, Signal::KILL).is_err() {
        return;
    }
    let deadline = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    if let Err(error) = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&deadline)) {
        tracing::debug!(%error, "waiting for a killed container");
    }
}
