//! The systemd inside: what it starts, what it must not, and how it tells that the service ended.

use std::collections::BTreeMap;

use vss_model::installed::INIT;
use vss_model::unit_file::UnitFile;
use vss_model::{AbsPath, Cause, Generated, MaskKind, UnitName};

use crate::draft::{Draft, Source};
use crate::facts::ListEntry;
use crate::glob;
use crate::paths::Scope;

/// Where vendors' units are.
const SHIPPED: &str = "/usr/lib/systemd/system";
/// Where the container's own units are.
const PRIVATE: &str = "/etc/systemd/system";
/// The unit that reports the end of the service.
pub(crate) const ENDED: &str = "virt-sandbox-ended.service";
/// The target that the container boots into.
pub(crate) const TARGET: &str = "virt-sandbox.target";
/// The first systemd that passes `$MONITOR_*` to the units of `OnFailure=` and `OnSuccess=`.
const MONITOR_SINCE: u32 = 251;

/// What the systemd inside has to be set up for.
#[derive(Debug)]
pub(crate) struct Setup<'p> {
    /// The units that were asked for, by their real names: an alias of the host may be none inside.
    pub(crate) requested: &'p [UnitName],
    /// Whether the service's snippets make users.
    pub(crate) has_users: bool,
    /// Assignments of `[Service]` by unit.
    pub(crate) adapted: BTreeMap<UnitName, Vec<(String, String)>>,
}

impl Scope<'_, '_> {
    /// Masks what the service doesn't need and adds the units that are made for it.
    pub(crate) fn inside(&self, draft: &mut Draft, setup: &Setup<'_>) {
        let requested = setup.requested;
        for (name, pulled_by) in self.outsiders(setup.has_users) {
            let cause = Cause::OutsideClosure {
                package: None,
                pulled_by,
            };
            if let Some(path) = private(&name) {
                draft.need(&path, cause.clone());
                draft.mask(Source::Baseline, &path, MaskKind::NullLink, cause);
            }
        }
        let why = |text: &str| Cause::Baseline {
            why: text.to_owned(),
        };
        let mut make = |name: &str, unit: &UnitFile, text: &str| {
            if let Some(path) = private(name) {
                draft.need(&path, why(text));
                draft.generate(Source::User, &path, file(unit.to_string()), why(text));
            }
        };
        make(TARGET, &target(requested), "what the container boots into");
        make(
            ENDED,
            &ended(requested),
            "tells the host how the service ended",
        );
        let systemd = self.ask.host().map_or(0, |h| h.systemd);
        let tells_both = systemd == 0 || systemd >= MONITOR_SINCE;
        for member in self.units.members.values() {
            let unit = &member.facts.name;
            let watched = requested.contains(unit);
            let service = setup
                .adapted
                .get(unit)
                .map(Vec::as_slice)
                .unwrap_or_default();
            if watched || !service.is_empty() {
                let name = format!("{unit}.d/50-virt-sandbox.conf");
                let text = drop_in(unit, watched, tells_both, service);
                make(&name, &text, "has the end of the service told to the host");
            }
        }
        if let Some(path) = private("default.target") {
            let target = TARGET.to_owned();
            let why = why("what the container boots into");
            draft.need(&path, why.clone());
            draft.generate(Source::User, &path, Generated::Link { target }, why);
        }
        self.wants_links(draft);
    }

    /// The links of the host's administrator from one unit of the service to another.
    fn wants_links(&self, draft: &mut Draft) {
        for member in self.units.members.values() {
            let by = &member.facts.name;
            for (directory, units) in [
                ("wants", &member.facts.wants),
                ("requires", &member.facts.requires),
            ] {
                for unit in units.iter().filter(|u| self.units.names.contains(*u)) {
                    let cause = Cause::RequiredUnit {
                        by: by.clone(),
                        directive: directory.to_owned(),
                    };
                    if let Some(path) = private(&format!("{by}.{directory}/{unit}"))
                        && !matches!(
                            self.ask.path(&path),
                            None | Some(crate::facts::PathFacts::Missing)
                        )
                    {
                        draft.node(Source::Unit, &path, cause);
                    }
                }
            }
        }
    }

    /// Units that would start and are neither the service's nor every container's, with what
    /// would start them.
    fn outsiders(&self, has_users: bool) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        let Ok(shipped) = SHIPPED.parse::<AbsPath>() else {
            return out;
        };
        let entries = self.ask.list(&shipped).flatten().unwrap_or_default();
        for entry in entries.iter().filter(|e| pulls_in(e)) {
            let Some(directory) = entry.path(&shipped) else {
                continue;
            };
            for unit in self.ask.list(&directory).flatten().unwrap_or_default() {
                out.insert(unit.text(), entry.text());
            }
        }
        for name in &self.rules.inside.mask {
            if entries.iter().any(|e| e.text() == *name) {
                out.entry(name.clone())
                    .or_insert_with(|| "systemd itself".to_owned());
            }
        }
        let allowed = |name: &str| {
            self.rules
                .inside
                .units
                .iter()
                .any(|a| glob::matches(a, name))
                || self.units.names.iter().any(|u| u.as_str() == name)
                || has_users && name == "systemd-sysusers.service"
        };
        out.retain(|name, _| !allowed(name));
        out
    }
}

fn pulls_in(entry: &ListEntry) -> bool {
    let starts = entry.name.ends_with(".wants") || entry.name.ends_with(".requires");
    starts && !entry.name.starts_with("initrd")
}

fn private(name: &str) -> Option<AbsPath> {
    format!("{PRIVATE}/{name}").parse().ok()
}

fn file(text: String) -> Generated {
    Generated::File {
        text,
        mode: 0o644,
        uid: 0,
        gid: 0,
    }
}

/// The target of the boot: up when the units are up, so that READY=1 means what it says.
fn target(requested: &[UnitName]) -> UnitFile {
    let units = joined(requested);
    UnitFile::new(&["The boot target of this container, made by virt-sandbox-service."]).section(
        "Unit",
        &[
            ("Description", "Services of this container"),
            ("Documentation", "man:virt-sandbox-service(1)"),
            ("Requires", "basic.target"),
            ("Wants", &units),
            ("After", &format!("basic.target {units}")),
            ("Conflicts", "rescue.service rescue.target"),
            ("AllowIsolate", "yes"),
        ],
    )
}

/// The unit that has the end of a service told to the host, unless it is coming back.
fn ended(requested: &[UnitName]) -> UnitFile {
    let command = format!("{INIT} --ended {}", joined(requested));
    UnitFile::new(&["Made by virt-sandbox-service."])
        .section(
            "Unit",
            &[
                ("Description", "Tell the host that the service ended"),
                // it may be asked for as often as the service comes back
                ("StartLimitIntervalSec", "0"),
                ("CollectMode", "inactive-or-failed"),
            ],
        )
        .section(
            "Service",
            &[
                ("Type", "oneshot"),
                (
                    "ExecStart",
                    &vss_model::unit_file::escape_specifiers(&command),
                ),
            ],
        )
}

/// The drop-in of a unit: its end is told, and what its confinement can't do is set aside.
fn drop_in(
    unit: &UnitName,
    watched: bool,
    tells_both: bool,
    service: &[(String, String)],
) -> UnitFile {
    let mut file = UnitFile::new(&["Made by virt-sandbox-service."]);
    if watched {
        let mut entries = vec![("OnFailure", ENDED)];
        // a socket, timer or target that is up has nothing that could end well
        if tells_both && unit.suffix() == "service" {
            entries.push(("OnSuccess", ENDED));
        }
        file = file.section("Unit", &entries);
    }
    if !service.is_empty() {
        let entries: Vec<_> = service
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        file = file.section("Service", &entries);
    }
    file
}

fn joined(units: &[UnitName]) -> String {
    let names: Vec<&str> = units.iter().map(UnitName::as_str).collect();
    names.join(" ")
}
