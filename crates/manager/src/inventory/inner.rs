//! The units inside, as the systemd there tells of them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vss_config::RuntimeState;
use vss_enter::Container;
use vss_model::{InnerState, SandboxConfig, Sanitized, UnitName};
use vss_unit::{Limits, ManagerResult, ServiceManager, Systemd, UnitStatus};

use crate::error::Result;
use crate::outcome::InnerUnit;

/// For all questions together: whoever asks for a status waits for it.
const ANSWERS: Duration = Duration::from_secs(10);
/// So many failed units are told of; a systemd that has more has other worries.
const MOST_FAILED: usize = 16;

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Inside {
    pub(super) units: Vec<InnerUnit>,
    /// How many failed that are not among them.
    pub(super) more_failed: usize,
    /// Whether something that should be up is not.
    pub(super) degraded: bool,
    /// Why not all could be asked.
    pub(super) problem: Option<String>,
}

impl Inside {
    pub(super) fn ask(config: &SandboxConfig, state: &RuntimeState) -> Self {
        let mut inside = Self::default();
        if let Err(error) = inside.ask_systemd(config, state) {
            inside.problem = Some(error.with_causes());
        }
        inside
    }

    fn ask_systemd(&mut self, config: &SandboxConfig, state: &RuntimeState) -> Result<()> {
        let limits = Limits {
            call: ANSWERS,
            job: None,
            until: Some(Instant::now() + ANSWERS),
        };
        let container = Container::open(state.init_pid, state.init_start)?;
        let socket = Systemd::PRIVATE_SOCKET.as_ref();
        let stream = container.connect_within(socket, ANSWERS)?;
        let systemd = Systemd::over(stream, limits)?;
        self.fill(&config.units, &systemd, || systemd.failed())?;
        Ok(())
    }

    /// The sandbox's own units first, and what they stand for; then others that failed, of which
    /// there may be more than can be told.
    fn fill(
        &mut self,
        own: &[UnitName],
        manager: &dyn ServiceManager,
        failed: impl FnOnce() -> ManagerResult<Vec<UnitName>>,
    ) -> ManagerResult<()> {
        let mut stood_for = Vec::new();
        for unit in own {
            let status = manager.status(unit)?;
            self.degraded |= is_down(status.active);
            self.units.push(inner_unit(unit, &status));
            stood_for.extend_from_slice(status.stands_for());
        }
        for unit in &stood_for {
            if self.has(unit) {
                continue;
            }
            let status = manager.status(unit)?;
            // wanted in vain: not there, or masked
            if status.load == "loaded" {
                self.degraded |= is_missed(&status);
                self.units.push(inner_unit(unit, &status));
            }
        }
        let mut failed = failed()?;
        failed.retain(|unit| !self.has(unit));
        self.degraded |= !failed.is_empty();
        self.more_failed = failed.len();
        for unit in failed.iter().take(MOST_FAILED) {
            self.units.push(inner_unit(unit, &manager.status(unit)?));
            self.more_failed -= 1;
        }
        Ok(())
    }

    fn has(&self, unit: &UnitName) -> bool {
        self.units.iter().any(|known| known.unit == *unit)
    }
}

fn is_down(state: InnerState) -> bool {
    matches!(state, InnerState::Failed | InnerState::Inactive)
}

/// Whether a unit that does another one's work doesn't: neither is it done with it, nor was it not
/// to be started here.
fn is_missed(status: &UnitStatus) -> bool {
    let is_done = status.oneshot && status.has_run;
    status.active == InnerState::Failed
        || (is_down(status.active) && !is_done && status.condition_met)
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

#[cfg(test)]
mod tests {
    use super::*;
    use vss_unit::ManagerError;
    use vss_unit::testing::{FakeServiceManager, inactive_unit};

    fn unit(name: &str) -> UnitName {
        name.parse().unwrap()
    }

    fn active(sub: &str) -> UnitStatus {
        UnitStatus {
            active: InnerState::Active,
            sub: sub.to_owned(),
            ..inactive_unit()
        }
    }

    /// What is found of `pg.service`, which has no process and wants the cluster and some more.
    fn found(cluster: UnitStatus, failed: &[UnitName]) -> Inside {
        let manager = FakeServiceManager::default();
        let own = [unit("pg"), unit("own")];
        let wanted = ["pg@main", "own", "gone", "hidden.socket"];
        manager.set(
            &own[0],
            UnitStatus {
                wanted: wanted.map(unit).to_vec(),
                ..active("exited")
            },
        );
        let running = UnitStatus {
            wanted: vec![unit("not-asked")],
            ..active("running")
        };
        manager.set(&own[1], running);
        manager.set(&unit("pg@main"), cluster);
        let masked = UnitStatus {
            load: "masked".to_owned(),
            ..inactive_unit()
        };
        manager.set(&unit("hidden.socket"), masked);
        let mut inside = Inside::default();
        inside.fill(&own, &manager, || Ok(failed.to_vec())).unwrap();
        inside
    }

    fn names(inside: &Inside) -> Vec<&str> {
        inside.units.iter().map(|unit| unit.unit.as_str()).collect()
    }

    #[test]
    fn what_a_unit_stands_for_is_told_and_missed_where_it_is_down() {
        let up = found(active("running"), &[]);
        assert_eq!(names(&up), ["pg.service", "own.service", "pg@main.service"]);
        assert!(!up.degraded);
        let stopped = found(inactive_unit(), &[]);
        assert_eq!(names(&stopped), names(&up));
        assert!(stopped.degraded);
        let failed = UnitStatus {
            active: InnerState::Failed,
            ..inactive_unit()
        };
        let failed = found(failed, &[unit("pg@main")]);
        assert_eq!(names(&failed), names(&up));
        assert!(failed.degraded);
        let done = UnitStatus {
            oneshot: true,
            ..inactive_unit()
        };
        assert!(!found(done, &[]).degraded);
        let skipped = UnitStatus {
            condition_met: false,
            ..inactive_unit()
        };
        assert!(!found(skipped, &[]).degraded);
    }

    #[test]
    fn of_many_failed_units_the_first_are_told_and_the_others_counted() {
        let many: Vec<UnitName> = (0..1000).map(|n| unit(&format!("x{n:04}"))).collect();
        let inside = found(active("running"), &many);
        assert_eq!(inside.units.len(), 3 + MOST_FAILED);
        assert_eq!(inside.more_failed, 1000 - MOST_FAILED);
        assert!(inside.degraded);
    }

    #[test]
    fn a_failure_to_list_the_failed_units_keeps_the_others() {
        let manager = FakeServiceManager::default();
        manager.set(&unit("a"), active("running"));
        let mut inside = Inside::default();
        let call = "ListUnitsFiltered";
        let error = inside.fill(&[unit("a")], &manager, || {
            Err(ManagerError::TimedOut { call })
        });
        assert!(error.is_err());
        assert_eq!(names(&inside), ["a.service"]);
    }
}
