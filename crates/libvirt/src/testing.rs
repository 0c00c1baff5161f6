//! Fakes for the tests of other crates, in memory. They refuse what libvirt refuses.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vss_model::{DomainSpec, NetworkChoice, SandboxName, Uuid};

use crate::error::{Result, StartError};
use crate::hypervisor::{DomainInfo, Hypervisor, RunningDomain};
use crate::networks::{NetworkError, NetworkInfo, Networks, OWN_UUID};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Domains {
    known: BTreeMap<Uuid, (DomainInfo, Option<RunningDomain>)>,
    failures: VecDeque<StartError>,
    starts: usize,
    next_pid: u32,
}

/// A hypervisor in memory. Process ids of its domains are above any real one.
#[derive(Debug, Default)]
pub struct FakeHypervisor(Mutex<Domains>);

impl FakeHypervisor {
    /// Has the next start fail like this; several in a row are taken in order.
    pub fn fail_start(&self, error: StartError) {
        lock(&self.0).failures.push_back(error);
    }

    /// Adds a domain that somebody else defined, running or not.
    pub fn add(&self, info: DomainInfo) {
        let mut domains = lock(&self.0);
        let running = info.active.then(|| domains.process(info.uuid, &info.name));
        domains.known.insert(info.uuid, (info, running));
    }

    /// Has a domain end by itself.
    pub fn end(&self, uuid: Uuid) {
        lock(&self.0).known.remove(&uuid);
    }

    /// How many starts were tried.
    pub fn starts(&self) -> usize {
        lock(&self.0).starts
    }
}

impl Domains {
    fn process(&mut self, uuid: Uuid, name: &str) -> RunningDomain {
        self.next_pid += 2;
        // pid_max is 4194304 at most (proc_sys_kernel(5)).
        let controller_pid = 5_000_000 + self.next_pid;
        RunningDomain {
            uuid,
            name: name.to_owned(),
            init_pid: controller_pid + 1,
            controller_pid,
        }
    }
}

impl Hypervisor for FakeHypervisor {
    fn domains(&self) -> Result<Vec<DomainInfo>> {
        Ok(lock(&self.0)
            .known
            .values()
            .map(|(info, _)| info.clone())
            .collect())
    }

    fn find(&self, uuid: Uuid) -> Result<Option<RunningDomain>> {
        Ok(lock(&self.0)
            .known
            .get(&uuid)
            .and_then(|(_, running)| running.clone()))
    }

    fn find_by_name(&self, name: &SandboxName) -> Result<Option<RunningDomain>> {
        Ok(lock(&self.0)
            .known
            .values()
            .find(|(info, _)| info.name == name.as_str())
            .and_then(|(_, running)| running.clone()))
    }

    fn start(&self, spec: &DomainSpec) -> Result<RunningDomain, StartError> {
        crate::domain_xml(spec)?;
        let mut domains = lock(&self.0);
        domains.starts += 1;
        if let Some(error) = domains.failures.pop_front() {
            return Err(error);
        }
        let name = spec.name.to_string();
        for (info, running) in domains.known.values() {
            if info.name == name && info.uuid != spec.uuid {
                let uuid = info.uuid;
                return Err(StartError::NameTaken { name, uuid });
            }
            if info.uuid == spec.uuid && running.is_some() {
                return Err(StartError::Running { name });
            }
        }
        let running = domains.process(spec.uuid, &name);
        let info = DomainInfo {
            name,
            uuid: spec.uuid,
            active: true,
            label: spec.label.clone(),
        };
        domains
            .known
            .insert(spec.uuid, (info, Some(running.clone())));
        Ok(running)
    }

    fn destroy(&self, uuid: Uuid) -> Result<()> {
        self.end(uuid);
        Ok(())
    }

    fn console(&self, uuid: Uuid) -> Result<Option<PathBuf>> {
        Ok(self.find(uuid)?.map(|_| PathBuf::from("/dev/null")))
    }

    fn memory(&self, uuid: Uuid) -> Result<Option<u64>> {
        Ok(self.find(uuid)?.map(|_| 12 << 20))
    }
}

/// Networks in memory.
#[derive(Debug, Default)]
pub struct FakeNetworks(Mutex<BTreeMap<String, NetworkInfo>>);

impl FakeNetworks {
    /// Adds a network that somebody else defined.
    pub fn add(&self, name: &str, info: NetworkInfo) {
        lock(&self.0).insert(name.to_owned(), info);
    }

    /// The project's own network as shipped.
    #[must_use]
    pub fn own() -> NetworkInfo {
        let gateway = [10, 203, 240, 1].into();
        NetworkInfo {
            uuid: OWN_UUID,
            active: true,
            bridge: "virbr-sandbox".to_owned(),
            gateway,
            prefix: 20,
            in_use: vec![gateway],
            dhcp_ranges: Vec::new(),
            macs: Vec::new(),
        }
    }
}

impl Networks for FakeNetworks {
    fn info(&self, name: &str) -> Result<Option<NetworkInfo>, NetworkError> {
        Ok(lock(&self.0).get(name).cloned())
    }

    fn ensure(&self, name: &str, _definition: &Path) -> Result<Option<String>, NetworkError> {
        let mut networks = lock(&self.0);
        let own = name == NetworkChoice::OWN;
        if own {
            networks
                .entry(name.to_owned())
                .or_insert_with(Self::own)
                .active = true;
        }
        let name = name.to_owned();
        match networks.get(&name) {
            None => Err(NetworkError::Missing { name }),
            Some(info) if !info.active => Err(NetworkError::Inactive { name }),
            Some(info) => Ok(Some(info.bridge.clone())),
        }
    }

    fn release(&self, _definition: &Path) -> Result<bool, NetworkError> {
        let mut networks = lock(&self.0);
        let own = networks
            .get(NetworkChoice::OWN)
            .is_some_and(|n| n.uuid == OWN_UUID);
        Ok(own && networks.remove(NetworkChoice::OWN).is_some())
    }
}
