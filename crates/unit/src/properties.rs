//! The properties of a unit, as its manager tells them, read with suspicion.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use vss_model::{InnerState, UnitName};
use zbus::{OwnedObjectPath, OwnedVariant};

use crate::manager::{ManagerError, ManagerResult, UnitStatus};

/// The most bytes of a text that are kept.
const MAX_TEXT: usize = 4096;
/// The most entries of a list that are kept.
const MAX_LIST: usize = 256;
/// The most units that another one wants: each of them is asked after in its turn.
const MAX_WANTED: usize = 64;

/// A condition: its name, whether one of several suffices, whether it is negated, what it tests,
/// and how it came out: below 0 not met, above 0 met.
type Condition = (String, bool, bool, String, i32);

/// The properties of one interface.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    values: HashMap<String, OwnedVariant>,
}

impl Properties {
    pub(crate) fn new(values: HashMap<String, OwnedVariant>) -> Self {
        Self { values }
    }

    /// A property; `None` where it isn't there, an error where it is of another type.
    fn get<T: TryFrom<OwnedVariant>>(&self, name: &'static str) -> ManagerResult<Option<T>> {
        let malformed = || ManagerError::Malformed { what: name };
        let Some(value) = self.values.get(name) else {
            return Ok(None);
        };
        let value = value.try_clone().map_err(|_| malformed())?;
        T::try_from(value).map(Some).map_err(|_| malformed())
    }

    /// A property that every unit has.
    fn need<T: TryFrom<OwnedVariant>>(&self, name: &'static str) -> ManagerResult<T> {
        self.get(name)?
            .ok_or(ManagerError::Malformed { what: name })
    }

    fn text(&self, name: &'static str) -> ManagerResult<String> {
        Ok(self
            .get::<String>(name)?
            .map(|t| bounded(&t))
            .unwrap_or_default())
    }

    /// The status of a unit, of which these are the properties that all units have.
    pub(crate) fn status(&self, own: &Self) -> ManagerResult<UnitStatus> {
        let (job, _): (u32, OwnedObjectPath) = self
            .get("Job")?
            .unwrap_or_else(|| (0, OwnedObjectPath::default()));
        let drop_ins: Vec<String> = self.get("DropInPaths")?.unwrap_or_default();
        let left_inactive: u64 = self.get("InactiveExitTimestamp")?.unwrap_or(0);
        Ok(UnitStatus {
            load: bounded(&self.need::<String>("LoadState")?),
            active: InnerState::from_word(&self.need::<String>("ActiveState")?),
            sub: bounded(&self.need::<String>("SubState")?),
            result: own.text("Result")?,
            exec_main_status: own.get("ExecMainStatus")?.unwrap_or(0),
            exec_main_code: own.get("ExecMainCode")?.unwrap_or(0),
            status_text: own.text("StatusText")?,
            since: self.get("StateChangeTimestamp")?.and_then(moment),
            condition_met: self.held("ConditionTimestamp", "ConditionResult")?
                && self.held("AssertTimestamp", "AssertResult")?,
            failed_conditions: [self.failed("Conditions")?, self.failed("Asserts")?].concat(),
            has_run: left_inactive != 0,
            job_pending: job != 0,
            main_pid: own.get("MainPID")?.unwrap_or(0),
            drop_ins: drop_ins.iter().take(MAX_LIST).map(|p| bounded(p)).collect(),
            fragment: self.text("FragmentPath")?,
            oneshot: own.text("Type")? == "oneshot",
            wanted: self.wanted()?,
        })
    }

    /// What does work of its own: targets, slices and mounts, which systemd adds to what a service
    /// requires, do none.
    fn wanted(&self) -> ManagerResult<Vec<UnitName>> {
        let mut all: Vec<String> = self.get("Wants")?.unwrap_or_default();
        all.extend(self.get::<Vec<String>>("Requires")?.unwrap_or_default());
        let works = |name: &UnitName| matches!(name.suffix(), "service" | "socket");
        let mut names: Vec<UnitName> = all
            .iter()
            // a word without a type would be read as a service
            .filter_map(|word| {
                word.parse()
                    .ok()
                    .filter(|name: &UnitName| name.as_str() == word)
            })
            .filter(|name| works(name) && !name.is_template())
            .collect();
        names.sort();
        names.dedup();
        names.truncate(MAX_WANTED);
        Ok(names)
    }

    /// Whether conditions or assertions held when they were last tested. Never tested, which the
    /// time 0 says, is no failure.
    fn held(&self, tested: &'static str, result: &'static str) -> ManagerResult<bool> {
        let tested: u64 = self.get(tested)?.unwrap_or(0);
        Ok(tested == 0 || self.get(result)?.unwrap_or(true))
    }

    fn failed(&self, list: &'static str) -> ManagerResult<Vec<String>> {
        let all: Vec<Condition> = self.get(list)?.unwrap_or_default();
        Ok(all
            .into_iter()
            .filter(|(.., outcome)| *outcome < 0)
            .take(MAX_LIST)
            .map(|(name, trigger, negate, parameter, _)| {
                let (trigger, negate) = (
                    if trigger { "|" } else { "" },
                    if negate { "!" } else { "" },
                );
                bounded(&format!("{name}={trigger}{negate}{parameter}"))
            })
            .collect())
    }
}

/// Microseconds since 1970 as a moment; `None` for 0, which says never, and for what no clock has.
fn moment(micros: u64) -> Option<SystemTime> {
    if micros == 0 {
        return None;
    }
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))
}

/// A text cut to a length that no sane one has.
pub(crate) fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a46_texts_are_cut_between_characters() {
        assert_eq!(bounded("abc"), "abc");
        let long = format!("x{}", "\u{e4}".repeat(MAX_TEXT));
        assert_eq!(bounded(&long).len(), MAX_TEXT - 1);
    }

    #[test]
    fn a46_wanted_services_and_sockets_are_named_once_and_not_without_end() {
        let list = |names: Vec<String>| zbus::OwnedVariant::try_from(zbus::Variant::from(names));
        let properties = |wants: Vec<String>, requires: Vec<String>| {
            let values = [("Wants", wants), ("Requires", requires)]
                .map(|(name, names)| (name.to_owned(), list(names).unwrap()));
            Properties::new(values.into())
        };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let found = properties(
            words("b@main.service tmp.mount a.socket word no\u{1b}.service t@.service"),
            words("sysinit.target system.slice b@main.service c.service"),
        );
        let wanted = found.wanted().unwrap();
        let wanted: Vec<&str> = wanted.iter().map(UnitName::as_str).collect();
        assert_eq!(wanted, ["a.socket", "b@main.service", "c.service"]);
        let many = (0..1000).map(|n| format!("x{n}.service")).collect();
        assert_eq!(
            properties(many, Vec::new()).wanted().unwrap().len(),
            MAX_WANTED
        );
        assert!(Properties::default().wanted().unwrap().is_empty());
    }

    #[test]
    fn moments_that_no_clock_has_are_none() {
        assert_eq!(moment(0), None);
        assert_eq!(
            moment(1_000_000),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
        );
        let _ = moment(u64::MAX);
    }
}
