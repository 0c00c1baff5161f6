//! Facts of the host as a whole and of what other containers hold.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::ffi::OsStrExt;

use vss_model::path::escape_bytes;
use vss_model::{AbsPath, Level, NetworkChoice, SandboxConfig, SandboxName, Sanitized};
use vss_plan::facts::{HeldLevel, HostFacts, InUse, NetworkFacts, SelinuxMode, Writer};
use vss_selinux::Mode;
use vss_tree::Kind;

use crate::error::{Error, Result};
use crate::host::{Containers, Host};

/// The most bytes of small files of the host.
const MAX_SMALL: u64 = 64 * 1024;

pub(super) fn host(host: &Host) -> Result<HostFacts> {
    let root_links = root_links(host)?;
    let types = host.labeller().types()?;
    Ok(HostFacts {
        merged_usr: ["bin", "sbin", "lib"]
            .iter()
            .all(|name| root_links.contains_key(*name)),
        root_links,
        machine_id: host
            .small_file("/etc/machine-id", MAX_SMALL)?
            .unwrap_or_default()
            .trim()
            .to_owned(),
        systemd: systemd_version(host)?,
        selinux: match host.labeller().mode() {
            Mode::Disabled => SelinuxMode::Disabled,
            Mode::Permissive => SelinuxMode::Permissive,
            Mode::Enforcing if host.labeller().exempts_containers() => SelinuxMode::Exempt,
            Mode::Enforcing => SelinuxMode::Enforcing,
        },
        process_context: types.process,
        file_context: types.file,
        cgroup_v2: host.proc().cgroup_v2_only(),
        policy_module: host.labeller().has_module(),
        user_namespaces: host.proc().makes_user_namespaces(),
    })
}

fn root_links(host: &Host) -> Result<BTreeMap<String, String>> {
    let tree = host.tree()?;
    let mut links = BTreeMap::new();
    for (name, metadata) in tree.list("/".as_ref())? {
        if metadata.kind == Kind::Link {
            let target = tree.read_link(name.as_ref())?;
            links.insert(
                escape_bytes(name.as_bytes()),
                escape_bytes(target.as_os_str().as_bytes()),
            );
        }
    }
    Ok(links)
}

/// The major version of the host's systemd, by the name of the library that all its programs
/// share: `libsystemd-shared-252.so`. 0 where there is none.
fn systemd_version(host: &Host) -> Result<u32> {
    let tree = host.tree()?;
    let mut directories = vec!["/usr/lib/systemd".into(), "/usr/lib64/systemd".into()];
    for (name, metadata) in tree.list("/usr/lib".as_ref())? {
        if metadata.is_directory() && name.as_bytes().ends_with(b"-linux-gnu") {
            directories.push(std::path::Path::new("/usr/lib").join(name).join("systemd"));
        }
    }
    for directory in directories {
        let is_directory = tree
            .metadata(&directory)?
            .is_some_and(|found| found.is_directory());
        if !is_directory {
            continue;
        }
        for (name, _) in tree.list(&directory)? {
            if let Some(version) = name.to_str().and_then(version_of_library) {
                return Ok(version);
            }
        }
    }
    Ok(0)
}

fn version_of_library(file: &str) -> Option<u32> {
    let version = file
        .strip_prefix("libsystemd-shared-")?
        .strip_suffix(".so")?;
    // Debian says 257.8, Fedora 257.8-1.fc42
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// What is taken, from stored configs, reservations, libvirt and live processes, for a sandbox that
/// is not there yet: a domain of its name is somebody else's, and would let it be made and never
/// be started.
pub(super) fn in_use(containers: &Containers, name: &SandboxName) -> Result<InUse> {
    let mut taken = Taken::default();
    let store = &containers.store;
    let names = store.names()?;
    // one that can't be read has its reservation
    let configs: Vec<_> = store.load_all(&names).into_iter().flatten().collect();
    for config in &configs {
        taken.hold_config(config);
    }
    let reserved = store.in_use_beside(&configs)?;
    for label in reserved.labels {
        let level = Level::s0(label.categories);
        taken.hold(level, format!("sandbox {}", label.name));
    }
    for address in reserved.addresses {
        taken.facts.addresses.push(address.address);
        taken.facts.macs.push(address.mac);
    }
    for domain in containers.hypervisor()?.domains()? {
        if domain.name == name.as_str() {
            return Err(Error::DomainTaken {
                name: name.clone(),
                uuid: domain.uuid,
            });
        }
        if let Some(label) = domain.label {
            let by = format!("libvirt domain {}", Sanitized::text(&domain.name));
            taken.hold(label.level().clone(), by);
        }
    }
    for context in containers.labeller.live()? {
        let by = format!("a process with the label {context}");
        taken.hold(context.level().clone(), by);
    }
    let mut taken = taken.facts;
    taken.addresses.sort();
    taken.addresses.dedup();
    taken.macs.sort();
    taken.macs.dedup();
    Ok(taken)
}

/// What was found to be taken by now.
#[derive(Default)]
struct Taken {
    facts: InUse,
    holders: HashSet<(String, String)>,
}

impl Taken {
    fn hold_config(&mut self, config: &SandboxConfig) {
        let by = format!("sandbox {}", config.name);
        self.hold(config.label.level().clone(), by);
        if let Some(network) = &config.network {
            self.facts.addresses.push(network.address);
            self.facts.macs.push(network.mac);
        }
    }

    /// Only a level with categories keeps others off, and each holder counts once.
    fn hold(&mut self, level: Level, by: String) {
        if !level.clearance().is_empty() && self.holders.insert((level.to_string(), by.clone())) {
            self.facts.levels.push(HeldLevel { level, by });
        }
    }
}

pub(super) fn network(host: &Host, name: &str) -> Result<Option<NetworkFacts>> {
    let info = match host.networks()?.info(name)? {
        None if name == NetworkChoice::OWN => {
            let (gateway, prefix) = vss_libvirt::shipped_address(&host.network_file(), name)?;
            return Ok(Some(NetworkFacts {
                gateway,
                prefix,
                in_use: vec![gateway],
            }));
        }
        other => other,
    };
    Ok(info.map(|info| NetworkFacts {
        gateway: info.gateway,
        prefix: info.prefix,
        in_use: info.in_use,
    }))
}

pub(super) fn writers(host: &Host, path: &AbsPath) -> Vec<Writer> {
    host.proc()
        .writers_below(path)
        .into_iter()
        .map(|writer| Writer {
            pid: writer.pid,
            command: writer.command,
            unit: writer.unit,
            path: writer.path,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_systemd_is_in_its_librarys_name() {
        assert_eq!(version_of_library("libsystemd-shared-252.so"), Some(252));
        assert_eq!(
            version_of_library("libsystemd-shared-257.8-1.fc42.so"),
            Some(257)
        );
        assert_eq!(version_of_library("libsystemd-core-252.so"), None);
    }
}
