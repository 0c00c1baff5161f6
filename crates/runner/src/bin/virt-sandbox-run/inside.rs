//! Asking the systemd inside, on its private socket.

use std::path::Path;
use std::time::Duration;

use vss_enter::Container;
use vss_model::{InnerState, Sanitized, UnitName};
use vss_runner::outcome::{self, Trouble, UnitView};
use vss_runner::say;
use vss_unit::{JobResult, Limits, ManagerError, ServiceManager, Systemd};

use crate::error::Error;
use crate::sandbox::Sandbox;

/// For one answer: a container that doesn't answer is asked again.
const ANSWER: Duration = Duration::from_secs(5);

impl Sandbox {
    fn systemd(&self, container: &Container) -> Result<Systemd, Error> {
        let stream = container.connect(Path::new(Systemd::PRIVATE_SOCKET))?;
        let limits = Limits {
            call: ANSWER,
            job: self.config.timeouts.start.map(Duration::from_secs),
            until: None,
        };
        Systemd::over(stream, limits).map_err(|source| self.inside(source))
    }

    fn inside(&self, source: ManagerError) -> Error {
        Error::Inside {
            name: self.name().clone(),
            source,
        }
    }

    /// The states of the units that the sandbox is for.
    pub(crate) fn ask_units(&self, container: &Container) -> Result<Vec<UnitView>, Error> {
        let systemd = self.systemd(container)?;
        let view = |unit: &UnitName| view(&systemd, unit).map_err(|source| self.inside(source));
        self.config.units.iter().map(view).collect()
    }

    /// What is wrong where a unit of the sandbox is up in name only: it has no process and only
    /// stands for others.
    pub(crate) fn ask_stood_for(&self, container: &Container) -> Result<Option<Trouble>, Error> {
        let systemd = self.systemd(container)?;
        let units = &self.config.units;
        for unit in units {
            let views = stood_for(&systemd, unit, units).map_err(|source| self.inside(source))?;
            if let Some(trouble) = outcome::hollow(&views) {
                return Ok(Some(trouble));
            }
            for failed in views
                .iter()
                .filter(|view| view.active == InnerState::Failed)
            {
                let name = Sanitized::text(&failed.name);
                say(&format!("{}: {name} failed inside", self.name()));
            }
        }
        Ok(None)
    }
}

/// What a unit stands for, less the sandbox's own units.
fn stood_for(
    manager: &dyn ServiceManager,
    unit: &UnitName,
    own: &[UnitName],
) -> Result<Vec<UnitView>, ManagerError> {
    let status = manager.status(unit)?;
    let others = status
        .stands_for()
        .iter()
        .filter(|name| !own.contains(name));
    others.map(|name| view(manager, name)).collect()
}

fn view(manager: &dyn ServiceManager, unit: &UnitName) -> Result<UnitView, ManagerError> {
    let status = manager.status(unit)?;
    Ok(UnitView {
        name: unit.to_string(),
        load: status.load,
        active: status.active,
        result: status.result,
        code: status.exec_main_code,
        status: status.exec_main_status,
        condition_met: status.condition_met,
        failed_conditions: status.failed_conditions,
        has_run: status.has_run,
        job_pending: status.job_pending,
    })
}

/// Has every unit that can read its configuration anew.
pub(crate) fn reload(sandbox: &Sandbox) -> Result<u8, Error> {
    let name = sandbox.name();
    let state = sandbox
        .store
        .state(name)?
        .ok_or_else(|| Error::NotRunning(name.clone()))?;
    let container = Container::open(state.init_pid, state.init_start)?;
    let systemd = sandbox.systemd(&container)?;
    let mut any = false;
    for unit in &sandbox.config.units {
        match systemd.reload_unit(unit) {
            Ok(JobResult::Done) => any = true,
            Ok(result) => {
                return Err(Error::Reload {
                    name: name.clone(),
                    unit: unit.to_string(),
                    result: result.to_string(),
                });
            }
            Err(ManagerError::Refused { name, .. })
                if name == "org.freedesktop.systemd1.JobTypeNotApplicable" => {}
            Err(source) => return Err(sandbox.inside(source)),
        }
    }
    if any {
        Ok(0)
    } else {
        Err(Error::NothingToReload(name.clone()))
    }
}
