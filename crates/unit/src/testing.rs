//! A service manager for tests: it keeps states in memory and notes what it was asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vss_model::{InnerState, UnitName};

use crate::manager::{JobResult, ManagerError, ManagerResult, ServiceManager, UnitStatus};

/// A service manager that does nothing but remember.
#[derive(Debug, Default)]
pub struct FakeServiceManager {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    calls: Vec<String>,
    units: BTreeMap<UnitName, UnitStatus>,
    results: BTreeMap<UnitName, JobResult>,
    refusals: BTreeMap<String, String>,
}

/// A unit that is loaded and down.
#[must_use]
pub fn inactive_unit() -> UnitStatus {
    UnitStatus {
        load: "loaded".to_owned(),
        active: InnerState::Inactive,
        sub: "dead".to_owned(),
        result: "success".to_owned(),
        exec_main_status: 0,
        exec_main_code: 0,
        status_text: String::new(),
        since: None,
        condition_met: true,
        failed_conditions: Vec::new(),
        has_run: true,
        job_pending: false,
        main_pid: 0,
        drop_ins: Vec::new(),
        fragment: String::new(),
        oneshot: false,
        wanted: Vec::new(),
    }
}

impl FakeServiceManager {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the state of a unit.
    pub fn set(&self, unit: &UnitName, status: UnitStatus) {
        self.inner().units.insert(unit.clone(), status);
    }

    /// Makes every job of a unit end so.
    pub fn end_jobs_with(&self, unit: &UnitName, result: JobResult) {
        self.inner().results.insert(unit.clone(), result);
    }

    /// Makes a call, `start a.service` or `reload`, fail with this text.
    pub fn refuse(&self, call: &str, message: &str) {
        self.inner()
            .refusals
            .insert(call.to_owned(), message.to_owned());
    }

    /// What it was asked, in order: `reload`, `start a.service`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.inner().calls.clone()
    }

    fn note(&self, verb: &str, unit: Option<&UnitName>) -> ManagerResult<MutexGuard<'_, Inner>> {
        let call = unit.map_or_else(|| verb.to_owned(), |unit| format!("{verb} {unit}"));
        let mut inner = self.inner();
        inner.calls.push(call.clone());
        match inner.refusals.get(&call).cloned() {
            None => Ok(inner),
            Some(message) => Err(ManagerError::Refused {
                call,
                name: "org.freedesktop.DBus.Error.Failed".to_owned(),
                message,
            }),
        }
    }

    fn job(
        &self,
        verb: &str,
        unit: &UnitName,
        done: (InnerState, &str),
    ) -> ManagerResult<JobResult> {
        let mut inner = self.note(verb, Some(unit))?;
        let result = inner.results.get(unit).cloned().unwrap_or(JobResult::Done);
        let status = inner
            .units
            .entry(unit.clone())
            .or_insert_with(inactive_unit);
        let (active, sub) = match result {
            JobResult::Done => done,
            JobResult::Skipped | JobResult::Canceled => (status.active, "dead"),
            _ => (InnerState::Failed, "failed"),
        };
        status.active = active;
        status.sub = sub.to_owned();
        Ok(result)
    }
}

impl ServiceManager for FakeServiceManager {
    fn reload(&self) -> ManagerResult<()> {
        self.note("reload", None).map(drop)
    }

    fn start(&self, unit: &UnitName, _: &dyn Fn() -> bool) -> ManagerResult<JobResult> {
        self.job("start", unit, (InnerState::Active, "running"))
    }

    fn stop(&self, unit: &UnitName, _: &dyn Fn() -> bool) -> ManagerResult<JobResult> {
        self.job("stop", unit, (InnerState::Inactive, "dead"))
    }

    fn restart(&self, unit: &UnitName) -> ManagerResult<JobResult> {
        self.job("restart", unit, (InnerState::Active, "running"))
    }

    fn reload_unit(&self, unit: &UnitName) -> ManagerResult<JobResult> {
        self.job("reload", unit, (InnerState::Active, "running"))
    }

    fn enable(&self, unit: &UnitName) -> ManagerResult<()> {
        self.note("enable", Some(unit)).map(drop)
    }

    fn disable(&self, unit: &UnitName) -> ManagerResult<()> {
        self.note("disable", Some(unit)).map(drop)
    }

    fn reset_failed(&self, unit: &UnitName) -> ManagerResult<()> {
        self.note("reset-failed", Some(unit)).map(drop)
    }

    fn status(&self, unit: &UnitName) -> ManagerResult<UnitStatus> {
        let inner = self.note("status", Some(unit))?;
        let absent = || UnitStatus {
            load: "not-found".to_owned(),
            ..inactive_unit()
        };
        Ok(inner.units.get(unit).cloned().unwrap_or_else(absent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fake_keeps_states_and_notes_calls() {
        let fake = FakeServiceManager::default();
        let (good, bad): (UnitName, UnitName) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert!(!fake.status(&good).unwrap().exists());
        fake.end_jobs_with(&bad, JobResult::Failed);
        fake.refuse("enable b.service", "no");
        assert!(fake.start(&good, &|| false).unwrap().is_done());
        assert!(fake.status(&good).unwrap().active.is_up());
        assert_eq!(fake.start(&bad, &|| false).unwrap(), JobResult::Failed);
        assert_eq!(fake.status(&bad).unwrap().active, InnerState::Failed);
        assert!(fake.enable(&bad).is_err());
        assert_eq!(
            fake.calls(),
            [
                "status a.service",
                "start a.service",
                "status a.service",
                "start b.service",
                "status b.service",
                "enable b.service"
            ]
        );
    }
}
