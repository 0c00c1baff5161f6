//! One sandbox in full.

use std::time::{SystemTime, UNIX_EPOCH};

use vss_config::RuntimeState;
use vss_enter::Container;
use vss_model::{InnerState, SandboxConfig, SandboxName, SandboxState, Sanitized, UnitName};
use vss_unit::{ServiceManager, Systemd, UnitStatus};

use super::confined::{self, Selinux};
use crate::content::Ownership;
use crate::enablement;
use crate::error::{IoContext, Result};
use crate::host::Host;
use crate::lifecycle;
use crate::outcome::{HostUnit, InnerUnit, Inspection, ListEntry, Status};
use crate::removal::Identity;
use crate::traces;

/// Where the systemd inside listens for root, and for root only (org.freedesktop.systemd1(5)).
const INNER_SYSTEMD: &str = "/run/systemd/private";

/// How a sandbox fares.
///
/// # Errors
/// Where there is no such sandbox, or its config can't be read.
pub fn status(host: &Host, name: &SandboxName) -> Result<Status> {
    let config = traces::load(host, name)?;
    let incomplete = host.store().pending()?.contains(name) && super::is_abandoned(host, name);
    let selinux = Selinux::now(host.labeller());
    let mut entry = super::line(host, selinux, name.clone(), Ok(config.clone()), incomplete);
    let live = lifecycle::live_state(host, &config)?;
    // before anything here starts a thread: who enters a container forks
    let (inner, inner_problem) = match &live {
        Some(state) => inner_units(&config, state),
        None => (Vec::new(), None),
    };
    degrade(&mut entry, &inner);
    let usage = live
        .as_ref()
        .and_then(|state| host.proc().usage_of_namespace(state.init_pid));
    let live_label = match &live {
        Some(state) => host.labeller().of_process(state.init_pid)?,
        None => None,
    };
    let shown = |text: &String| Sanitized::text(text).to_string();
    let failure = host.store().failure(name)?;
    Ok(Status {
        uuid: config.uuid,
        content: config.content.clone(),
        host_unit: host_unit(host, &config)?,
        inner,
        inner_problem,
        label: config.label.clone(),
        confined_by: confined::protections(host, selinux, &config, live.as_ref()),
        live_label,
        memory: usage.map(|usage| usage.memory),
        processes: usage.map(|usage| usage.processes),
        init_pid: live.map(|state| state.init_pid),
        last_failure: failure.as_ref().map(|failure| shown(&failure.message)),
        last_log: failure.map_or_else(Vec::new, |failure| failure.log.iter().map(shown).collect()),
        entry,
    })
}

/// A container that runs while a service in it doesn't is degraded.
fn degrade(entry: &mut ListEntry, inner: &[InnerUnit]) {
    let down = |unit: &InnerUnit| matches!(unit.state, InnerState::Failed | InnerState::Inactive);
    if entry.state == SandboxState::Running && inner.iter().any(down) {
        entry.state = SandboxState::Degraded;
    }
}

fn inner_units(config: &SandboxConfig, state: &RuntimeState) -> (Vec<InnerUnit>, Option<String>) {
    match ask_inside(config, state) {
        Ok(units) => (units, None),
        Err(error) => (Vec::new(), Some(error.with_causes())),
    }
}

fn ask_inside(config: &SandboxConfig, state: &RuntimeState) -> Result<Vec<InnerUnit>> {
    let container = Container::open(state.init_pid, state.init_start)?;
    let stream = container.connect(INNER_SYSTEMD.as_ref())?;
    let systemd = Systemd::over(stream)?;
    // those that a unit of the sandbox only stands for tell of themselves where they failed
    let failed = systemd.failed()?;
    let others = failed.iter().filter(|unit| !config.units.contains(unit));
    config
        .units
        .iter()
        .chain(others)
        .map(|unit| Ok(inner_unit(unit, &systemd.status(unit)?)))
        .collect()
}

fn inner_unit(unit: &UnitName, status: &UnitStatus) -> InnerUnit {
    let shown = |text: &str| Sanitized::text(text).to_string();
    InnerUnit {
        unit: unit.clone(),
        state: status.active,
        sub: shown(&status.sub),
        result: shown(&status.result),
        text: shown(&status.status_text),
        since: status.since.and_then(seconds),
    }
}

fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn host_unit(host: &Host, config: &SandboxConfig) -> Result<HostUnit> {
    let name = &config.host_unit;
    let dir = host.unit_dir();
    Ok(HostUnit {
        path: host.shown(&host.unit_file(name)),
        ours: Identity::of(config).unit_ownership(host)? == Ownership::Ours,
        enabled: !enablement::links(&dir, name).at("list", &dir)?.is_empty(),
        active: match host.services()? {
            Some(services) => Some(services.status(name)?.active),
            None => None,
        },
        name: name.clone(),
    })
}

/// All that is stored of a sandbox, and what would be made of it at the next start.
///
/// # Errors
/// As [`status`].
pub fn inspect(host: &Host, name: &SandboxName) -> Result<Inspection> {
    let status = status(host, name)?;
    let config = traces::load(host, name)?;
    Ok(Inspection {
        domain_xml: vss_libvirt::domain_xml(&vss_plan::domain_spec(&config))?,
        unit_text: vss_plan::host_unit(&config).to_string(),
        manifest: host
            .store()
            .manifest_load(name)?
            .filter(|manifest| manifest.uuid == config.uuid),
        config_file: host.shown(&host.places().config(name)),
        config,
        status,
    })
}
