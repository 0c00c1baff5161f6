//! Which units run inside: those asked for, what they need, and how they are started.

use std::collections::{BTreeMap, BTreeSet};

use vss_model::{AbsPath, Cause, PackageName, UnitName};

use crate::ask::Ask;
use crate::facts::{PathFacts, UnitFacts};
use crate::outcome::PlanError;
use crate::values;

/// Directives whose units have to run too.
const STRONG: [&str; 9] = [
    "Requires",
    "Requisite",
    "BindsTo",
    "Upholds",
    "Sockets",
    "Service",
    "Unit",
    "Also",
    "JoinsNamespaceOf",
];
/// Directives whose units run too where they belong to the service.
const WEAK: [&str; 3] = ["Wants", "OnFailure", "OnSuccess"];

/// A unit that runs inside.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) facts: &'a UnitFacts,
    /// Why: empty for one that was asked for.
    pub(crate) causes: Vec<Cause>,
    /// Whether it was asked for.
    pub(crate) requested: bool,
}

/// The units that run inside, by their real names.
#[derive(Debug, Default)]
pub(crate) struct UnitClosure<'a> {
    pub(crate) members: BTreeMap<UnitName, Member<'a>>,
    /// Names that mean one of them: aliases as they were named, and those that the host has links
    /// of its own for.
    pub(crate) names: BTreeSet<UnitName>,
    /// Required units that the host doesn't have, and by which unit.
    pub(crate) absent: Vec<(UnitName, UnitName, &'static str)>,
}

impl UnitFacts {
    /// A unit with these settings in `[Service]`.
    #[cfg(test)]
    pub(crate) fn with(name: &str, settings: &[(&str, &str)]) -> Self {
        let setting = |&(key, value): &(&str, &str)| crate::facts::Setting {
            section: "Service".to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let file: AbsPath = "/usr/lib/systemd/system/x.service".parse().unwrap();
        Self {
            name: name.parse().unwrap(),
            masked: false,
            found: file.clone(),
            fragment: file,
            drop_ins: Vec::new(),
            settings: settings.iter().map(setting).collect(),
            paths: Vec::new(),
            wants: Vec::new(),
            requires: Vec::new(),
            alias_links: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// The values of a key in any section, in order.
    pub(crate) fn values<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'s str> {
        self.settings
            .iter()
            .filter(move |s| s.key == key)
            .map(|s| s.value.as_str())
    }

    /// The value of a key that counts where it is no list: the last that systemd takes for one.
    pub(crate) fn last<'s>(&'s self, key: &'s str) -> Option<&'s str> {
        let taken = self.values(key).filter(|v| values::is_taken(key, v));
        taken.last().filter(|v| !v.is_empty())
    }

    /// The values of a key that name units. Of several units to trigger systemd keeps the first
    /// (`config_parse_trigger_unit()`), of several services of a socket the last.
    fn values_in_force<'s>(&'s self, key: &'s str) -> Vec<&'s str> {
        let mut values = self.values(key);
        match key {
            "Unit" => values
                .find(|v| values::is_taken(key, v))
                .into_iter()
                .collect(),
            "Service" => self.last(key).into_iter().collect(),
            _ => values.collect(),
        }
    }

    fn units_of(&self, key: &str) -> Vec<UnitName> {
        self.values_in_force(key)
            .into_iter()
            .flat_map(values::unit_words)
            .filter_map(|name| self.meant(&name.parse().ok()?))
            .collect()
    }

    /// What it means by a name: a template is the instance that it is itself, or that is called like
    /// it (`resolve_template()` of systemd).
    fn meant(&self, named: &UnitName) -> Option<UnitName> {
        if self.name.is_template() {
            return Some(named.clone());
        }
        let instance = self.name.instance().unwrap_or(self.name.prefix());
        named.instantiate(instance).ok()
    }

    /// Whether it is made of an init script, by systemd's generator, which then has to run inside.
    pub(crate) fn is_of_script(&self) -> bool {
        self.found.as_path().starts_with("/etc/init.d") && self.last("SourcePath").is_some()
    }

    /// Whether a start of it lasts until its commands have ended, which is so too of a service that
    /// has none to start with.
    pub(crate) fn is_oneshot(&self) -> bool {
        match self.last("Type") {
            Some(kind) => kind == "oneshot",
            None => self.last("BusName").is_none() && self.last("ExecStart").is_none(),
        }
    }

    /// Whether it speaks on the system bus.
    fn is_on_bus(&self) -> bool {
        self.last("Type") == Some("dbus") || self.last("BusName").is_some()
    }

    /// The units that have to run too, each with the directive.
    fn required(&self) -> Vec<(UnitName, &'static str)> {
        let mut out = Vec::new();
        for key in STRONG {
            out.extend(self.units_of(key).into_iter().map(|u| (u, key)));
        }
        out.extend(
            self.requires
                .iter()
                .filter_map(|u| Some((self.meant(u)?, "Requires"))),
        );
        if self.is_on_bus() {
            let bus = ["dbus.socket", "dbus.service"].map(|n| n.parse().ok());
            out.extend(bus.into_iter().flatten().map(|u| (u, "Type=dbus")));
        }
        out.extend(self.activated().map(|u| (u, "activates")));
        out
    }

    /// What a socket, timer or path unit starts where it doesn't say.
    fn activated(&self) -> Option<UnitName> {
        let suffix = self.name.suffix();
        if !matches!(suffix, "socket" | "timer" | "path")
            || self.last("Service").is_some()
            || self.last("Unit").is_some()
        {
            return None;
        }
        let stem = self.name.as_str().strip_suffix(suffix)?;
        let stem = stem.strip_suffix('.')?;
        let accept = self.last("Accept").and_then(values::boolean) == Some(true);
        let at = if suffix == "socket" && accept && !stem.contains('@') {
            "@"
        } else {
            ""
        };
        format!("{stem}{at}.service").parse().ok()
    }

    fn wanted(&self) -> Vec<(UnitName, &'static str)> {
        let mut out: Vec<_> = WEAK
            .into_iter()
            .flat_map(|key| self.units_of(key).into_iter().map(move |u| (u, key)))
            .collect();
        out.extend(
            self.wants
                .iter()
                .filter_map(|u| Some((self.meant(u)?, "Wants"))),
        );
        out
    }
}

impl<'a> UnitClosure<'a> {
    /// The units asked for and all that they require.
    ///
    /// # Errors
    /// Where a unit that was asked for doesn't exist, is masked or is of a kind that a container
    /// has no use for.
    pub(crate) fn of(ask: &Ask<'a>, requested: &[UnitName]) -> Result<Self, PlanError> {
        let mut closure = Self::default();
        for name in requested {
            let Some(found) = ask.unit(name) else {
                continue;
            };
            let Some(facts) = found else {
                return Err(unknown(ask, name));
            };
            if facts.masked {
                return Err(PlanError::MaskedUnit {
                    unit: name.clone(),
                    file: facts.found.clone(),
                });
            }
            check_kind(name)?;
            closure.add(ask, name, facts, None);
        }
        Ok(closure)
    }

    fn add(&mut self, ask: &Ask<'a>, name: &UnitName, facts: &'a UnitFacts, cause: Option<Cause>) {
        self.names.insert(name.clone());
        self.names.insert(facts.name.clone());
        let aliases = facts.alias_links.iter().filter_map(|link| link.file_name());
        self.names
            .extend(aliases.filter_map(|alias| alias.to_str()?.parse().ok()));
        let requested = cause.is_none();
        if let Some(known) = self.members.get_mut(&facts.name) {
            known
                .causes
                .extend(cause.filter(|c| !known.causes.contains(c)));
            known.requested |= requested;
            return;
        }
        let member = Member {
            facts,
            causes: cause.into_iter().collect(),
            requested,
        };
        self.members.insert(facts.name.clone(), member);
        for (unit, directive) in facts.required() {
            self.require(ask, &unit, &facts.name, directive);
        }
    }

    /// Adds a unit that another one needs.
    pub(crate) fn require(
        &mut self,
        ask: &Ask<'a>,
        unit: &UnitName,
        by: &UnitName,
        directive: &'static str,
    ) {
        if self.names.contains(unit) && self.members.contains_key(unit) {
            return;
        }
        let cause = Cause::RequiredUnit {
            by: by.clone(),
            directive: directive.to_owned(),
        };
        match ask.unit(unit) {
            None => {}
            Some(Some(facts)) if !facts.masked => self.add(ask, unit, facts, Some(cause)),
            // what is started with it, if it is there (Also=, a timer's own idea)
            Some(_) if matches!(directive, "Also" | "JoinsNamespaceOf" | "Upholds") => {}
            Some(_) => self.absent.push((unit.clone(), by.clone(), directive)),
        }
    }

    /// The links of the host that give a unit of the service another name, which others may know it
    /// by: a socket that says no unit starts the one of its own name, be that an alias.
    pub(crate) fn alias_links(&self) -> impl Iterator<Item = (&'a AbsPath, Cause)> {
        self.members.values().flat_map(|member| {
            let facts = member.facts;
            facts.alias_links.iter().map(|link| {
                let cause = Cause::Unit {
                    unit: facts.name.clone(),
                    directive: "Alias=".to_owned(),
                };
                (link, cause)
            })
        })
    }

    /// Adds the wanted units whose file belongs to one of these packages; whether there were any.
    pub(crate) fn admit_wanted(&mut self, ask: &Ask<'a>, packages: &BTreeSet<PackageName>) -> bool {
        let mut candidates = Vec::new();
        for member in self.members.values() {
            let by = &member.facts.name;
            candidates.extend(
                member
                    .facts
                    .wanted()
                    .into_iter()
                    .map(|(u, d)| (u, d, by.clone())),
            );
        }
        let before = self.members.len();
        for (unit, directive, by) in candidates {
            if self.names.contains(&unit) || unit.suffix() == "target" {
                continue;
            }
            let Some(Some(facts)) = ask.unit(&unit) else {
                continue;
            };
            let Some(owners) = ask.owners(&facts.fragment) else {
                continue;
            };
            if owners.iter().any(|o| packages.contains(o)) {
                self.require(ask, &unit, &by, directive);
            }
        }
        self.members.len() > before
    }
}

fn check_kind(name: &UnitName) -> Result<(), PlanError> {
    let reason = match name.suffix() {
        "device" | "swap" | "mount" | "automount" => "devices and mounts are the host's",
        "slice" | "scope" => "it runs nothing",
        _ => return Ok(()),
    };
    Err(PlanError::UnsuitableUnit {
        unit: name.clone(),
        reason: reason.to_owned(),
    })
}

/// The error on a unit that isn't there: that a generator of the host made it, or up to three names
/// that are near.
fn unknown(ask: &Ask<'_>, unit: &UnitName) -> PlanError {
    for kind in ["generator.early", "generator", "generator.late"] {
        if let Ok(file) = format!("/run/systemd/{kind}/{unit}").parse()
            && !matches!(ask.path(&file), None | Some(PathFacts::Missing))
        {
            let unit = unit.clone();
            return PlanError::GeneratedUnit { unit, file };
        }
    }
    let wanted = unit.as_str();
    let mut near: Vec<(usize, &UnitName)> = ask
        .unit_names()
        .unwrap_or_default()
        .iter()
        .map(|name| (distance(wanted, name.as_str(), unit.prefix()), name))
        .filter(|(distance, _)| *distance <= (unit.prefix().len() / 3).max(1))
        .collect();
    near.sort();
    PlanError::UnknownUnit {
        unit: unit.clone(),
        suggestions: near.into_iter().take(3).map(|(_, n)| n.clone()).collect(),
    }
}

/// How far two names are apart: edits, or 1 where one begins with what was asked for.
fn distance(a: &str, b: &str, prefix: &str) -> usize {
    if prefix.len() >= 3 && b.starts_with(prefix) {
        return 1;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_is_named_stands_for_an_instance() {
        for (unit, named, expected) in [
            ("a@one.service", "b@.service", "b@one.service"),
            ("a.service", "b@.service", "b@a.service"),
            ("a@.service", "b@.service", "b@.service"),
            ("a@one.service", "b@two.service", "b@two.service"),
            ("a@one.service", "b.service", "b.service"),
        ] {
            let unit = UnitFacts::with(unit, &[("Requires", named), ("Wants", named)]);
            let names = |found: Vec<(UnitName, &str)>| -> Vec<String> {
                found.into_iter().map(|(u, _)| u.to_string()).collect()
            };
            assert_eq!(names(unit.required()), [expected]);
            assert_eq!(names(unit.wanted()), [expected]);
        }
    }

    #[test]
    fn of_several_units_to_start_the_one_that_systemd_keeps_is_required() {
        for (unit, settings, expected) in [
            (
                "a.timer",
                &[("Unit", "one.service"), ("Unit", "two.service")][..],
                "one.service",
            ),
            (
                "a.path",
                &[("Unit", "none"), ("Unit", "two.service")],
                "two.service",
            ),
            (
                "a.socket",
                &[("Service", "one.service"), ("Service", "two.service")],
                "two.service",
            ),
        ] {
            let unit = UnitFacts::with(unit, settings);
            let required = unit.required();
            let names: Vec<&str> = required.iter().map(|(u, _)| u.as_str()).collect();
            assert_eq!(names, [expected]);
        }
    }
}
