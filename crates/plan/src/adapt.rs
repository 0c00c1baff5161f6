//! What a unit says that its confinement can't do, and what is done instead.
//!
//! `reduced` has no CAP_SYS_ADMIN, so no mount namespace can be made inside. systemd leaves out
//! the hardening that depends on one, except where a unit would then see other files than it is
//! meant to: there it fails with 226/NAMESPACE. Such a setting is set aside by a drop-in, with a
//! warning, where the unit can do without: the container has nothing to be hidden from it.
//!
//! So are, under every confinement, capabilities and real-time priorities that nothing inside can
//! have, as systemd takes them for a failure: `selinux`, `userns` and `reduced` keep no
//! CAP_SYS_NICE, and what is in a user namespace has it for its own processes' processors only.

use vss_model::confinement::capability::{Capability, capabilities};
use vss_model::{Confinement, UnitName};

use crate::confine::Confined;
use crate::facts::UnitFacts;
use crate::outcome::Warning;
use crate::values;

/// Settings that can be set aside, with the value that does so, and what that comes to.
const SET_ASIDE: [(&str, &str, &str); 5] = [
    ("BindPaths", "", NOT_BOUND),
    ("BindReadOnlyPaths", "", NOT_BOUND),
    ("TemporaryFileSystem", "", "what it hides is seen"),
    ("LogNamespace", "", "it logs with the container"),
    ("PrivateUsers", "no", "it sees the container's users"),
];
const NOT_BOUND: &str = "the paths are not there under their other names";
/// Settings without which the unit would be another, and which take a mount namespace.
const FATAL: [&str; 2] = ["NetworkNamespacePath", "RootDirectory"];
/// Settings that take a loop device, and no container has one.
const IMAGES: [&str; 4] = [
    "RootImage",
    "MountImages",
    "ExtensionImages",
    "ExtensionDirectories",
];
/// The devices of every container.
const DEVICES: [&str; 9] = [
    "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts",
];
const AMBIENT: &str = "AmbientCapabilities";
/// What `DynamicUser=` implies and needs no mounts (systemd.exec(5)).
const OF_DYNAMIC_USER: [(&str, &str); 4] = [
    ("DynamicUser", "no"),
    ("NoNewPrivileges", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("RemoveIPC", "yes"),
];

/// What is made of a unit under its confinement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Adaptation {
    /// Assignments of the drop-in's `[Service]`.
    pub(crate) service: Vec<(String, String)>,
    /// A user to be made in place of a dynamic one.
    pub(crate) user: Option<String>,
    pub(crate) warnings: Vec<Warning>,
}

/// The devices that a unit names and no container has.
pub(crate) fn absent_devices(unit: &UnitFacts) -> Vec<Warning> {
    let mut out = Adaptation::default();
    for value in unit.values("DeviceAllow") {
        let device = value.split_whitespace().next().unwrap_or_default();
        let name = device.strip_prefix("/dev/").unwrap_or_default();
        let first = name.split('/').next().unwrap_or_default();
        if !name.is_empty() && !DEVICES.contains(&first) {
            let effect = "the device is not in the container";
            out.warn(&unit.name, "DeviceAllow", device, effect);
        }
    }
    out.warnings
}

/// What has to be changed of a unit.
pub(crate) fn adapt(unit: &UnitFacts, confined: Confined) -> Adaptation {
    let mut out = Adaptation::default();
    if unit.name.suffix() != "service" {
        return out;
    }
    let kept = capabilities(confined.by);
    let has = |capability: Capability| kept & capability.bit() != 0;
    if !has(Capability::SysAdmin) {
        out.namespaces(unit, confined.by);
    }
    out.images(unit, confined.by);
    out.capabilities(unit, confined.by);
    if confined.users.is_some() || !has(Capability::SysNice) {
        out.priorities(unit, confined);
    }
    out
}

fn is_off(value: &str) -> bool {
    values::boolean(value) == Some(false)
}

impl Adaptation {
    /// Sets aside what takes a mount namespace.
    fn namespaces(&mut self, unit: &UnitFacts, by: Confinement) {
        for (key, aside, effect) in SET_ASIDE {
            if let Some(value) = unit.last(key).filter(|v| !is_off(v)) {
                self.service.push((key.to_owned(), aside.to_owned()));
                let effect = format!("set aside under {by}: {effect}");
                self.warn(&unit.name, key, value, &effect);
            }
        }
        for key in FATAL {
            if let Some(value) = unit.last(key) {
                let effect =
                    format!("it fails with 226/NAMESPACE under {by}, which has no CAP_SYS_ADMIN");
                self.warn(&unit.name, key, value, &effect);
            }
        }
        let Some(value) = unit.last("DynamicUser").filter(|v| !is_off(v)) else {
            return;
        };
        let user = unit
            .last("User")
            .map_or_else(|| user_of(&unit.name), str::to_owned);
        let fixed = OF_DYNAMIC_USER
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.to_owned()));
        self.service.extend(fixed);
        self.service.push(("User".to_owned(), user.clone()));
        let effect =
            format!("set aside under {by}: it runs as the user {user}, made in the container");
        self.warn(&unit.name, "DynamicUser", value, &effect);
        self.user = Some(user);
    }

    /// Says which images can't be had.
    fn images(&mut self, unit: &UnitFacts, by: Confinement) {
        let reason = if by == Confinement::Reduced {
            "it fails with 226/NAMESPACE under reduced, which has no CAP_SYS_ADMIN"
        } else {
            "it fails with 226/NAMESPACE: a container has no loop device"
        };
        for key in IMAGES {
            // directories take no loop device
            let can = key == "ExtensionDirectories" && by != Confinement::Reduced;
            if let Some(value) = unit.last(key).filter(|_| !can) {
                self.warn(&unit.name, key, value, reason);
            }
        }
    }

    /// Leaves of the ambient capabilities those that are to be had: of the others systemd says
    /// 218/CAPABILITIES.
    fn capabilities(&mut self, unit: &UnitFacts, by: Confinement) {
        let kept = capabilities(by);
        let is_had = |name: &&str| Capability::from_name(name).is_none_or(|c| kept & c.bit() != 0);
        let words = || unit.values(AMBIENT).flat_map(str::split_whitespace);
        // "all but these" is what systemd itself makes of the bounding set
        if words().any(|w| w.starts_with('~')) || words().all(|w| is_had(&w)) {
            return;
        }
        let had: Vec<&str> = words().filter(is_had).collect();
        self.service.push((AMBIENT.to_owned(), String::new()));
        if !had.is_empty() {
            self.service.push((AMBIENT.to_owned(), had.join(" ")));
        }
        let lost: Vec<&str> = words().filter(|w| !is_had(w)).collect();
        let effect = format!("set aside under {by}: no process of the container can have it");
        self.warn(&unit.name, AMBIENT, &lost.join(" "), &effect);
    }

    /// Sets priorities aside that need CAP_SYS_NICE, which counts in the host's user namespace
    /// only: 214/SETSCHEDULER and 211/IOPRIO.
    fn priorities(&mut self, unit: &UnitFacts, confined: Confined) {
        let under = if confined.by == Confinement::None {
            "in a user namespace".to_owned()
        } else {
            format!("under {}", confined.by)
        };
        for (key, real_time, value) in [
            ("CPUSchedulingPolicy", ["fifo", "rr"], "other"),
            ("IOSchedulingClass", ["realtime", "1"], "best-effort"),
        ] {
            if let Some(found) = unit.last(key).filter(|v| real_time.contains(v)) {
                self.service.push((key.to_owned(), value.to_owned()));
                let effect = format!("set aside {under}: real-time priority is the host's to give");
                self.warn(&unit.name, key, found, &effect);
            }
        }
    }

    fn warn(&mut self, unit: &UnitName, key: &str, value: &str, effect: &str) {
        self.warnings.push(Warning::Confined {
            unit: unit.clone(),
            setting: format!("{key}={value}"),
            effect: effect.to_owned(),
        });
    }
}

/// A user name after a unit, as systemd makes one for a dynamic user: of allowed characters, at
/// most 31.
fn user_of(unit: &UnitName) -> String {
    let mut name: String = unit
        .prefix()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .take(31)
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert(0, '_');
        name.truncate(31);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(settings: &[(&str, &str)]) -> UnitFacts {
        UnitFacts::with("9x.y@i.service", settings)
    }

    fn by(by: Confinement) -> Confined {
        Confined { by, users: None }
    }

    #[test]
    fn what_would_fail_is_set_aside_and_said() {
        let service = unit(&[
            ("DynamicUser", "yes"),
            ("BindPaths", "/a:/b"),
            ("RootImage", "/i"),
        ]);
        let adapted = adapt(&service, by(Confinement::Reduced));
        assert_eq!(adapted.user.as_deref(), Some("_9x_y"));
        assert!(
            adapted
                .service
                .contains(&("BindPaths".to_owned(), String::new()))
        );
        assert!(
            adapted
                .service
                .contains(&("DynamicUser".to_owned(), "no".to_owned()))
        );
        assert_eq!(adapted.warnings.len(), 3);
        for other in [Confinement::Selinux, Confinement::Userns, Confinement::None] {
            let adapted = adapt(&service, by(other));
            assert_eq!((adapted.service.len(), adapted.user), (0, None), "{other}");
            // the image
            assert_eq!(adapted.warnings.len(), 1, "{other}");
        }
    }

    #[test]
    fn what_no_process_inside_can_have_is_set_aside() {
        let service = unit(&[
            ("AmbientCapabilities", "CAP_NET_RAW CAP_SYS_NICE"),
            ("AmbientCapabilities", "CAP_SYS_TIME"),
            ("CPUSchedulingPolicy", "fifo"),
            ("IOSchedulingClass", "idle"),
        ]);
        let adapted = adapt(&service, by(Confinement::Reduced));
        for other in [Confinement::Selinux, Confinement::Userns] {
            assert_eq!(
                adapt(&service, by(other)).service,
                adapted.service,
                "{other}"
            );
        }
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            adapted.service,
            [
                set("AmbientCapabilities", ""),
                set("AmbientCapabilities", "CAP_NET_RAW"),
                set("CPUSchedulingPolicy", "other"),
            ]
        );
        assert_eq!(adapted.warnings.len(), 2);
        let content = unit(&[("AmbientCapabilities", "CAP_NET_RAW CAP_CHOWN")]);
        assert_eq!(
            adapt(&content, by(Confinement::Reduced)),
            Adaptation::default()
        );
    }

    #[test]
    fn a_user_namespace_has_no_real_time_whatever_else_it_has() {
        let service = unit(&[("CPUSchedulingPolicy", "rr")]);
        let mut none = by(Confinement::None);
        assert_eq!(adapt(&service, none), Adaptation::default());
        none.users = Some(vss_model::PrivateUsers::Pick);
        let adapted = adapt(&service, none);
        assert_eq!(adapted.service.len(), 1);
        assert!(
            adapted.warnings[0]
                .to_string()
                .contains("in a user namespace")
        );
    }
}
