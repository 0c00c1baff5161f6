//! What a unit says of itself and of others, as types.

use std::time::Duration;

use vss_model::UnitName;

use crate::search::LoadedUnit;
use crate::settings::Settings;
use crate::specifier::{SpecifierContext, expand};
use crate::timespan::{self, TimeSpan};
use crate::words;

/// How a service says that it is up (`Type=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceType {
    /// At once.
    Simple,
    /// When its program was executed.
    Exec,
    /// When its first process has ended.
    Forking,
    /// When it has ended.
    Oneshot,
    /// When it has its name on the bus.
    Dbus,
    /// When it says so.
    Notify,
    /// When it says so, after reloading too.
    NotifyReload,
    /// When no job waits any more.
    Idle,
}

/// The settings of a service, as types. Specifiers are replaced; a value that can't be is as if
/// it were not set, as systemd treats it.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    settings: &'a Settings,
    context: &'a SpecifierContext,
}

impl<'a> Service<'a> {
    /// Looks at settings.
    #[must_use]
    pub fn new(settings: &'a Settings, context: &'a SpecifierContext) -> Self {
        Self { settings, context }
    }

    fn text(&self, key: &str) -> Option<String> {
        expand(self.settings.last("Service", key)?, self.context).ok()
    }

    /// `Type=`, or what systemd takes where it isn't set.
    #[must_use]
    pub fn service_type(&self) -> ServiceType {
        match self.settings.last("Service", "Type") {
            Some("exec") => ServiceType::Exec,
            Some("forking") => ServiceType::Forking,
            Some("oneshot") => ServiceType::Oneshot,
            Some("dbus") => ServiceType::Dbus,
            Some("notify") => ServiceType::Notify,
            Some("notify-reload") => ServiceType::NotifyReload,
            Some("idle") => ServiceType::Idle,
            Some("simple") => ServiceType::Simple,
            _ if self.settings.last("Service", "BusName").is_some() => ServiceType::Dbus,
            _ if self.settings.last("Service", "ExecStart").is_none() => ServiceType::Oneshot,
            _ => ServiceType::Simple,
        }
    }

    /// `User=`.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        self.text("User")
    }

    /// `Group=`.
    #[must_use]
    pub fn group(&self) -> Option<String> {
        self.text("Group")
    }

    /// `SupplementaryGroups=`.
    #[must_use]
    pub fn supplementary_groups(&self) -> Vec<String> {
        let words = self.settings.words("Service", "SupplementaryGroups");
        words
            .iter()
            .filter_map(|w| expand(w, self.context).ok())
            .collect()
    }

    /// `DynamicUser=`.
    #[must_use]
    pub fn dynamic_user(&self) -> bool {
        self.settings
            .boolean("Service", "DynamicUser")
            .unwrap_or(false)
    }

    /// `BusName=`.
    #[must_use]
    pub fn bus_name(&self) -> Option<String> {
        self.text("BusName")
    }

    /// `RemainAfterExit=`.
    #[must_use]
    pub fn remain_after_exit(&self) -> bool {
        self.settings
            .boolean("Service", "RemainAfterExit")
            .unwrap_or(false)
    }

    /// Whether the service can be reloaded.
    #[must_use]
    pub fn can_reload(&self) -> bool {
        self.settings.last("Service", "ExecReload").is_some()
            || self.service_type() == ServiceType::NotifyReload
    }

    /// How long a start may take; `None` where systemd's default holds.
    #[must_use]
    pub fn timeout_start(&self) -> Option<TimeSpan> {
        let set = self.timeout("TimeoutStartSec");
        let oneshot = self.service_type() == ServiceType::Oneshot;
        set.or(oneshot.then_some(TimeSpan::Infinite))
    }

    /// How long a stop may take; `None` where systemd's default holds.
    #[must_use]
    pub fn timeout_stop(&self) -> Option<TimeSpan> {
        self.timeout("TimeoutStopSec")
    }

    /// The later of the key itself and `TimeoutSec=`, which sets both. For both, 0 is no limit.
    fn timeout(&self, key: &str) -> Option<TimeSpan> {
        let entries = self.settings.entries().iter().rev();
        entries
            .filter(|e| e.section == "Service" && (e.key == key || e.key == "TimeoutSec"))
            .find_map(|e| timespan::parse(&e.value))
            .map(|span| match span {
                TimeSpan::Finite(Duration::ZERO) => TimeSpan::Infinite,
                other => other,
            })
    }
}

/// How one unit names another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// The other unit.
    pub unit: UnitName,
    /// The directive, `Requires=`; `NAME.wants/` for a link in such a directory.
    pub directive: String,
    /// How strong.
    pub strength: Strength,
}

/// How much a unit needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// It fails without.
    Requires,
    /// It pulls it in.
    Wants,
    /// It only is ordered, tied or opposed to it.
    Mentions,
}

/// What pulls other units in, with its strength; all other relations only mention them.
const PULLING: [(&str, Strength); 6] = [
    ("Requires", Strength::Requires),
    ("Requisite", Strength::Requires),
    ("BindsTo", Strength::Requires),
    ("Wants", Strength::Wants),
    ("Upholds", Strength::Wants),
    ("OnFailure", Strength::Mentions),
];

/// The units that a unit names, what its type implies included; strongest first.
#[must_use]
pub fn dependencies(unit: &LoadedUnit) -> Vec<Dependency> {
    let context = unit.context();
    let mut out = Vec::new();
    for entry in unit.settings.entries() {
        let relation = entry.section == "Unit"
            && crate::settings::RELATIONS.contains(&entry.key.as_str())
            && !entry.key.ends_with("MountsFor");
        let sockets = entry.section == "Service" && entry.key == "Sockets";
        if !relation && !sockets {
            continue;
        }
        let strength = match PULLING.iter().find(|(key, _)| *key == entry.key) {
            Some((_, strength)) => *strength,
            None if sockets => Strength::Wants,
            None => Strength::Mentions,
        };
        for word in words::split(&entry.value) {
            let name = expand(&word, &context).ok().and_then(|n| n.parse().ok());
            out.extend(name.map(|unit| Dependency {
                unit,
                directive: format!("{}=", entry.key),
                strength,
            }));
        }
    }
    for (units, kind, strength) in [
        (&unit.requires, "requires", Strength::Requires),
        (&unit.wants, "wants", Strength::Wants),
    ] {
        out.extend(units.iter().map(|other| Dependency {
            unit: other.clone(),
            directive: format!("{}.{kind}/", unit.name),
            strength,
        }));
    }
    out.extend(implied(unit, &context));
    out.sort_by(|a, b| {
        (a.strength, &a.unit, &a.directive).cmp(&(b.strength, &b.unit, &b.directive))
    });
    out.dedup();
    out
}

/// What systemd adds by itself: the bus for what lives on it, the service that a socket, path or
/// timer starts.
fn implied(unit: &LoadedUnit, context: &SpecifierContext) -> Option<Dependency> {
    let settings = &unit.settings;
    let requires = |unit: UnitName, directive: &str| Dependency {
        unit,
        directive: directive.to_owned(),
        strength: Strength::Requires,
    };
    if unit.name.suffix() == "service" {
        let service = Service::new(settings, context);
        let on_bus = service.service_type() == ServiceType::Dbus || service.bus_name().is_some();
        let bus = "dbus.socket".parse().ok()?;
        return on_bus.then(|| requires(bus, "BusName="));
    }
    let (section, key) = match unit.name.suffix() {
        "socket" => ("Socket", "Service"),
        "path" => ("Path", "Unit"),
        "timer" => ("Timer", "Unit"),
        _ => return None,
    };
    let directive = format!("{key}=");
    if let Some(named) = settings.last(section, key) {
        let named = expand(named, context).ok()?.parse().ok()?;
        return Some(requires(named, &directive));
    }
    let stem = unit
        .name
        .as_str()
        .strip_suffix(unit.name.suffix())?
        .strip_suffix('.')?;
    let started = if settings.boolean("Socket", "Accept") == Some(true) {
        format!("{}@.service", unit.name.prefix())
    } else {
        format!("{stem}.service")
    };
    Some(requires(started.parse().ok()?, &directive))
}
