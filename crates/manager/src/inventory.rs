//! `list`, `status` and `inspect`: what there is and how it fares, as values.

pub(crate) mod confined;
mod inner;
mod status;

use std::collections::BTreeSet;

use vss_config::Phase;
use vss_model::{SandboxConfig, SandboxName, SandboxState};

use crate::error::Result;
use crate::host::Host;
use crate::lifecycle;
use crate::outcome::ListEntry;

use confined::Selinux;

pub use status::{inspect, status};

/// All sandboxes, by name. Asks neither libvirt nor systemd, so that five hundred are listed in no
/// time; `degraded` is for [`status`] to find out.
///
/// # Errors
/// Where the directory of configs can't be read.
pub fn list(host: &Host) -> Result<Vec<ListEntry>> {
    let store = host.store();
    let unfinished: BTreeSet<SandboxName> = store.pending()?.into_iter().collect();
    let mut names = store.names()?;
    names.extend(unfinished.iter().cloned());
    names.sort_unstable();
    names.dedup();
    let configs = store.load_all(&names);
    let selinux = Selinux::now(host.labeller());
    Ok(names
        .into_iter()
        .zip(configs)
        .filter_map(|(name, config)| {
            let config = still_there(host, &name, config)?;
            let incomplete = unfinished.contains(&name) && is_abandoned(host, &name);
            Some(line(host, selinux, name, config, incomplete))
        })
        .collect())
}

/// Whether nobody works on a change that was begun. One of which that can't be told was.
fn is_abandoned(host: &Host, name: &SandboxName) -> bool {
    host.store().is_abandoned(name).unwrap_or(true)
}

/// The config of a sandbox of which there was a trace; `None` where a delete, or the undoing of a
/// create, has come to its end meanwhile.
pub(crate) fn still_there(
    host: &Host,
    name: &SandboxName,
    config: vss_config::Result<SandboxConfig>,
) -> Option<vss_config::Result<SandboxConfig>> {
    let store = host.store();
    let is_missing = |config: &vss_config::Result<SandboxConfig>| {
        matches!(config, Err(vss_config::Error::NoSandbox { .. }))
    };
    if !is_missing(&config) || store.is_pending(name).unwrap_or(true) {
        return Some(config);
    }
    // a create that has come to its end has left one
    Some(store.load(name)).filter(|config| !is_missing(config))
}

fn line(
    host: &Host,
    selinux: Selinux,
    name: SandboxName,
    config: vss_config::Result<SandboxConfig>,
    incomplete: bool,
) -> ListEntry {
    let mut entry = ListEntry {
        name,
        units: Vec::new(),
        state: SandboxState::Broken,
        confinement: None,
        confined: None,
        as_planned: None,
        private_users: None,
        address: None,
        since: None,
        problem: None,
    };
    match config {
        Ok(config) => fill(host, selinux, &mut entry, &config),
        Err(vss_config::Error::NoSandbox { .. }) => entry.state = SandboxState::Incomplete,
        Err(error) => entry.problem = Some(told(&error.into())),
    }
    if incomplete {
        entry.state = SandboxState::Incomplete;
        entry.problem =
            Some("a change was cut short; the next create, start or delete cleans up".to_owned());
    }
    entry
}

/// An error and what to do about it.
fn told(error: &crate::Error) -> String {
    let text = error.with_causes();
    match error.hint() {
        Some(hint) => format!("{text}; {hint}"),
        None => text,
    }
}

fn fill(host: &Host, selinux: Selinux, entry: &mut ListEntry, config: &SandboxConfig) {
    entry.units.clone_from(&config.units);
    entry.confinement = Some(config.confinement);
    entry.private_users = config.private_users;
    entry.address = config.network.as_ref().map(|network| network.address);
    entry.state = SandboxState::Stopped;
    let live = lifecycle::live_state(host, config);
    if let Ok(live) = &live {
        let (word, as_planned) = confined::word(selinux, config, live.as_ref());
        (entry.confined, entry.as_planned) = (Some(word), Some(as_planned));
    }
    match live {
        Ok(Some(state)) => {
            entry.since = Some(state.started);
            entry.state = match state.phase {
                Phase::Starting => SandboxState::Starting,
                Phase::Ready => SandboxState::Running,
                Phase::Stopping => SandboxState::Stopping,
            };
        }
        Ok(None) => match lifecycle::attended(host, config) {
            Ok(Some(state)) => entry.state = state,
            // one that can't be read was left by a failure too
            Ok(None) if !matches!(host.store().failure(&entry.name), Ok(None)) => {
                entry.state = SandboxState::Failed;
            }
            Ok(None) => {}
            Err(error) => entry.problem = Some(error.with_causes()),
        },
        Err(error) => entry.problem = Some(error.with_causes()),
    }
}
