//! One sandbox in full.

use vss_model::{SandboxConfig, SandboxName, SandboxState, Sanitized};

use super::confined::{self, Selinux};
use super::inner::Inside;
use crate::content::Ownership;
use crate::enablement;
use crate::error::{IoContext, Result};
use crate::host::Host;
use crate::lifecycle;
use crate::outcome::{HostUnit, Inspection, Status};
use crate::removal::Identity;
use crate::traces;

/// How a sandbox fares.
///
/// # Errors
/// Where there is no such sandbox, or its config can't be read.
pub fn status(host: &Host, name: &SandboxName) -> Result<Status> {
    let config = traces::load(host, name)?;
    let incomplete = super::is_abandoned(host, name);
    let selinux = Selinux::now(host.labeller());
    let mut entry = super::line(host, selinux, name.clone(), Ok(config.clone()), incomplete);
    let live = lifecycle::live_state(host, &config)?;
    let inside = match &live {
        Some(state) => Inside::ask(&config, state),
        None => Inside::default(),
    };
    if entry.state == SandboxState::Running && inside.degraded {
        entry.state = SandboxState::Degraded;
    }
    if live.is_none() && entry.state == SandboxState::Starting {
        entry.problem = lost_sight(host, &config);
    }
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
        inner: inside.units,
        more_failed: inside.more_failed,
        inner_problem: inside.problem,
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

/// What is wrong where a container runs and nothing of it is known: its runner makes the directory
/// for that before it has libvirt start the domain, and removes it after the domain's end.
fn lost_sight(host: &Host, config: &SandboxConfig) -> Option<String> {
    let path = host.places().runtime(&config.name);
    let is_gone = matches!(path.try_exists(), Ok(false));
    let runs = || {
        matches!(
            host.hypervisor().map(|l| l.find(config.uuid)),
            Ok(Ok(Some(_)))
        )
    };
    (is_gone && runs()).then(|| {
        format!(
            "it runs, and {} is gone with what is known of it; stop it and start it again",
            host.shown(&path)
        )
    })
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
