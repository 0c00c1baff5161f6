//! The settings of a unit: its file and its drop-ins applied in order, with the resets that an
//! empty value makes.

use vss_model::AbsPath;

use crate::text::UnitText;

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The section.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value, as it is written: specifiers not replaced.
    pub value: String,
    /// The file that has it.
    pub file: AbsPath,
    /// The line there, from 1.
    pub line: usize,
}

/// The settings of a unit, in the order in which systemd reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    entries: Vec<Setting>,
}

impl Settings {
    /// Adds what a file says to what was read before it.
    ///
    /// An empty value takes back what was said of the same key, and of the keys that share a list
    /// with it: all conditions are one list, all assertions, all sockets, all timers, all bind mounts.
    /// Relations to other units can't be taken back (systemd.unit(5)), nor can what takes one of a
    /// few words, a boolean or a time span: to systemd an empty value is none of them.
    pub fn apply(&mut self, file: &AbsPath, text: &UnitText) {
        for assignment in text.assignments() {
            if assignment.value.is_empty() {
                let kept = is_relation(assignment.section, assignment.key)
                    || NEVER_EMPTY.contains(&assignment.key);
                if !kept {
                    self.reset(assignment.section, assignment.key);
                }
                continue;
            }
            self.entries.push(Setting {
                section: assignment.section.to_owned(),
                key: assignment.key.to_owned(),
                value: assignment.value.to_owned(),
                file: file.clone(),
                line: assignment.line,
            });
        }
    }

    fn reset(&mut self, section: &str, key: &str) {
        let list = shared_list(section, key);
        self.entries.retain(|entry| {
            entry.section != section
                || (entry.key != key
                    && (list.is_none() || shared_list(section, &entry.key) != list))
        });
    }

    /// All settings, in order.
    #[must_use]
    pub fn entries(&self) -> &[Setting] {
        &self.entries
    }

    /// The settings of a key, in order.
    pub fn of<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a Setting> {
        self.entries
            .iter()
            .filter(move |entry| entry.section == section && entry.key == key)
    }

    /// All values of a key, in order.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.of(section, key).map(|entry| entry.value.as_str())
    }

    /// The value in force of a key that takes one: the last.
    #[must_use]
    pub fn last(&self, section: &str, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.section == section && entry.key == key)
            .map(|entry| entry.value.as_str())
    }
}

/// The settings that relate a unit to others, which an empty value does not reset.
const RELATIONS: [&str; 23] = [
    "Requires",
    "Requisite",
    "Wants",
    "BindsTo",
    "BindTo",
    "PartOf",
    "Upholds",
    "Conflicts",
    "Before",
    "After",
    "OnFailure",
    "OnSuccess",
    "PropagatesReloadTo",
    "PropagateReloadTo",
    "ReloadPropagatedFrom",
    "PropagateReloadFrom",
    "PropagatesStopTo",
    "StopPropagatedFrom",
    "JoinsNamespaceOf",
    "RequiresMountsFor",
    "WantsMountsFor",
    "RequiresOverridable",
    "RequisiteOverridable",
];

/// The settings of one value that systemd ignores an empty one of, of those that somebody here
/// reads.
const NEVER_EMPTY: [&str; 16] = [
    "Type",
    "BusName",
    "TimeoutSec",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "DynamicUser",
    "PrivateUsers",
    "PrivateTmp",
    "RemainAfterExit",
    "Restart",
    "StandardInput",
    "StandardOutput",
    "StandardError",
    "Accept",
    "Service",
    "Unit",
];

fn is_relation(section: &str, key: &str) -> bool {
    section == "Unit" && RELATIONS.contains(&key)
}

/// The list that a key shares with others, where an empty value of one resets all.
fn shared_list(section: &str, key: &str) -> Option<&'static str> {
    let timers = [
        "OnActiveSec",
        "OnBootSec",
        "OnStartupSec",
        "OnUnitActiveSec",
        "OnUnitInactiveSec",
        "OnCalendar",
    ];
    match section {
        _ if matches!(key, "BindPaths" | "BindReadOnlyPaths") => Some("Bind"),
        _ if matches!(key, "LoadCredential" | "LoadCredentialEncrypted") => Some("LoadCredential"),
        "Unit" if key.starts_with("Condition") => Some("Condition"),
        "Unit" if key.starts_with("Assert") => Some("Assert"),
        "Socket" if key.starts_with("Listen") => Some("Listen"),
        "Path" if key.starts_with("Path") || key == "DirectoryNotEmpty" => Some("Path"),
        "Timer" if timers.contains(&key) => Some("Timer"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    fn settings(files: &[&str]) -> Settings {
        let mut out = Settings::default();
        for (n, text) in files.iter().enumerate() {
            let file = format!("/f{n}").parse().unwrap();
            out.apply(&file, &parse(text.as_bytes()));
        }
        out
    }

    #[test]
    fn a_drop_in_replaces_what_it_resets() {
        let settings = settings(&[
            "[Service]\nExecStart=/bin/a\nExecStartPre=/bin/p\nUser=a\nEnvironment=A=1\n",
            "[Service]\nExecStart=\nExecStart=/bin/b\nUser=b\nEnvironment=B=2\n",
        ]);
        let values = |key| settings.values("Service", key).collect::<Vec<_>>();
        assert_eq!(values("ExecStart"), ["/bin/b"]);
        assert_eq!(values("ExecStartPre"), ["/bin/p"]);
        assert_eq!(values("Environment"), ["A=1", "B=2"]);
        assert_eq!(settings.last("Service", "User"), Some("b"));
        let from = settings.of("Service", "User").last().unwrap();
        assert_eq!((from.file.to_string().as_str(), from.line), ("/f1", 4));
    }

    #[test]
    fn relations_can_not_be_reset_and_conditions_all_at_once() {
        let settings = settings(&[
            "[Unit]\nAfter=a.service\nConditionPathExists=/x\nConditionUser=root\nAssertPathExists=/y\n",
            "[Unit]\nAfter=\nConditionHost=\n[Socket]\nListenStream=1\nListenDatagram=\nListenStream=2\n",
        ]);
        let left: Vec<_> = settings.entries().iter().map(|e| e.key.as_str()).collect();
        assert_eq!(left, ["After", "AssertPathExists", "ListenStream"]);
        assert_eq!(settings.last("Socket", "ListenStream"), Some("2"));
    }

    #[test]
    fn an_empty_value_is_no_word_of_a_few_and_takes_none_back() {
        let settings = settings(&[
            "[Service]\nType=notify\nDynamicUser=yes\nTimeoutSec=900\nUser=a\nRootDirectory=/r\n",
            "[Service]\nType=\nDynamicUser=\nTimeoutSec=\nUser=\nRootDirectory=\n",
        ]);
        let left: Vec<_> = settings.entries().iter().map(|e| e.key.as_str()).collect();
        assert_eq!(left, ["Type", "DynamicUser", "TimeoutSec"]);
    }

    #[test]
    fn keys_that_share_a_list_are_reset_together() {
        let settings = settings(&[
            "[Service]\nBindPaths=/a\nBindReadOnlyPaths=/b\nLoadCredentialEncrypted=c:/c\nReadWritePaths=/d\n",
            "[Service]\nBindPaths=\nLoadCredential=\nBindReadOnlyPaths=/e\n",
        ]);
        let left: Vec<_> = settings
            .entries()
            .iter()
            .map(|e| e.value.as_str())
            .collect();
        assert_eq!(left, ["/d", "/e"]);
    }
}
