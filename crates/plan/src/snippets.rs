//! tmpfiles.d(5) and sysusers.d(5): those of the service run inside, others are masked.

use std::collections::BTreeSet;

use vss_model::{AbsPath, Cause, MaskKind};

use crate::draft::{Draft, Source};
use crate::glob;
use crate::packages::is_own_place;
use crate::paths::Scope;

/// A directory of snippets below `/usr/lib` and its namesake in `/etc`.
struct Place {
    shipped: &'static str,
    private: &'static str,
    pulled_by: &'static str,
}

const TMPFILES: Place = Place {
    shipped: "/usr/lib/tmpfiles.d",
    private: "/etc/tmpfiles.d",
    pulled_by: "systemd-tmpfiles-setup.service",
};
const SYSUSERS: Place = Place {
    shipped: "/usr/lib/sysusers.d",
    private: "/etc/sysusers.d",
    pulled_by: "systemd-sysusers.service",
};
const GENERATORS: [Place; 2] = [
    Place {
        shipped: "/usr/lib/systemd/system-generators",
        private: "/etc/systemd/system-generators",
        pulled_by: "every start of systemd",
    },
    Place {
        shipped: "/usr/lib/systemd/system-environment-generators",
        private: "/etc/systemd/system-environment-generators",
        pulled_by: "every start of systemd",
    },
];

/// What makes units of init scripts; it runs inside for a service that has no other unit.
const OF_SCRIPTS: &str = "systemd-sysv-generator";

/// What the snippets of the service say.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Users and groups that they name.
    pub(crate) accounts: BTreeSet<String>,
    /// Whether there are users to make.
    pub(crate) has_users: bool,
}

impl Scope<'_, '_> {
    /// Masks what is not the service's, and claims what the service's snippets name.
    pub(crate) fn snippets(&self, draft: &mut Draft) -> Said {
        let mut said = Said::default();
        let mut tmpfiles = self.keep_own(draft, &TMPFILES);
        tmpfiles.extend(self.added(draft, &TMPFILES, |draft, line| {
            let path = line.split_whitespace().nth(1);
            path.is_some_and(|path| self.is_services_place(draft, path))
        }));
        for file in tmpfiles {
            for line in self.ask.text(&file).flatten().unwrap_or_default().lines() {
                self.tmpfiles_line(draft, &file, line, &mut said);
            }
        }
        let mut sysusers = self.keep_own(draft, &SYSUSERS);
        sysusers.extend(self.added(draft, &SYSUSERS, |_, line| {
            let name = line.split_whitespace().nth(1);
            name.is_some_and(|name| self.is_services_account(name))
        }));
        for file in sysusers {
            for line in self.ask.text(&file).flatten().unwrap_or_default().lines() {
                let mut words = line.split_whitespace();
                if let (Some(kind), Some(name)) = (words.next(), words.next())
                    && matches!(kind.trim_end_matches('!'), "u" | "g" | "m")
                {
                    said.accounts.insert(name.to_owned());
                    said.has_users |= !self
                        .rules
                        .inside
                        .snippets
                        .iter()
                        .any(|s| file.as_path().ends_with(s));
                }
            }
        }
        for place in &GENERATORS {
            self.keep_own(draft, place);
        }
        said
    }

    /// Masks the files of a place that are neither the service's nor every container's; the
    /// service's own, as the host's administrator may have replaced them in `/etc`.
    fn keep_own(&self, draft: &mut Draft, place: &Place) -> Vec<AbsPath> {
        let (Ok(shipped), Ok(private)) = (
            place.shipped.parse::<AbsPath>(),
            place.private.parse::<AbsPath>(),
        ) else {
            return Vec::new();
        };
        let mut own = Vec::new();
        let has_script = self.units.members.values().any(|m| m.facts.is_of_script());
        let replaced = self.ask.list(&private).flatten().unwrap_or_default();
        for entry in self.ask.list(&shipped).flatten().unwrap_or_default() {
            let (Some(file), Some(override_)) = (entry.path(&shipped), entry.path(&private)) else {
                continue;
            };
            let everyones = self
                .rules
                .inside
                .snippets
                .iter()
                .any(|s| glob::matches(s, &entry.text()))
                || has_script && entry.name == OF_SCRIPTS;
            if self.packages.lists(&file) {
                let is_replaced = replaced.iter().any(|r| r.name == entry.name);
                if is_replaced {
                    let cause = Cause::Snippet { file: file.clone() };
                    draft.node(Source::Package, &override_, cause);
                }
                own.push(if is_replaced { override_ } else { file });
            } else if !everyones {
                let cause = Cause::OutsideClosure {
                    package: None,
                    pulled_by: place.pulled_by.to_owned(),
                };
                draft.need(&override_, cause.clone());
                draft.mask(Source::Baseline, &override_, MaskKind::NullLink, cause);
            }
        }
        own
    }

    /// The files that the host's administrator has added to a place, no package having one of that
    /// name, and of which a line is about the service.
    fn added(
        &self,
        draft: &mut Draft,
        place: &Place,
        is_about: impl Fn(&Draft, &str) -> bool,
    ) -> Vec<AbsPath> {
        let (Ok(shipped), Ok(private)) = (
            place.shipped.parse::<AbsPath>(),
            place.private.parse::<AbsPath>(),
        ) else {
            return Vec::new();
        };
        let shipped = self.ask.list(&shipped).flatten().unwrap_or_default();
        let entries = self.ask.list(&private).flatten().unwrap_or_default();
        let added = entries.iter().filter(|entry| {
            entry.name.ends_with(".conf") && !shipped.iter().any(|s| s.name == entry.name)
        });
        let mut own = Vec::new();
        for file in added.filter_map(|entry| private.join(&entry.name).ok()) {
            let is_anothers = self.ask.owners(&file).is_none_or(|o| !o.is_empty());
            let text = self.ask.text(&file).flatten().unwrap_or_default();
            let mut lines = text.lines().filter(|line| !line.starts_with('#'));
            if self.packages.lists(&file) {
                own.push(file);
            } else if !is_anothers && lines.any(|line| is_about(draft, line)) {
                let cause = Cause::Snippet { file: file.clone() };
                draft.node(Source::Package, &file, cause);
                own.push(file);
            }
        }
        own
    }

    /// Whether a path of a snippet is where the service has something: taken already, named by a
    /// unit, or below `/run` called like the service.
    fn is_services_place(&self, draft: &Draft, path: &str) -> bool {
        let Ok(path) = path.trim_matches('"').parse::<AbsPath>() else {
            return false;
        };
        let Some(path) = self.ask.resolve(&path).filter(|p| p.depth() >= 2) else {
            return false;
        };
        let mut named = self.units.members.values().flat_map(|m| &m.facts.paths);
        let is_taken = draft.is_copied(&path) && draft.source_of(&path) > Some(Source::Baseline);
        let is_called = path.as_path().starts_with("/run")
            && path.ancestors().find(|p| p.depth() == 2).is_some_and(|p| {
                let name = p.file_name().unwrap_or_default().to_string_lossy();
                self.packages.names.contains(&*name)
            });
        is_taken || is_called || named.any(|n| is_own_place(&path) && n.path.starts_with(&path))
    }

    /// Whether units run as a user or group, or the service is called like it.
    fn is_services_account(&self, name: &str) -> bool {
        let mut members = self.units.members.values();
        self.packages.names.contains(name)
            || members.any(|member| {
                ["User", "Group", "SupplementaryGroups"].iter().any(|key| {
                    let values = member.facts.values(key);
                    values
                        .flat_map(str::split_whitespace)
                        .any(|value| value == name)
                })
            })
    }

    /// Claims the path of a line where the host has it, and notes its owner and group.
    fn tmpfiles_line(&self, draft: &mut Draft, file: &AbsPath, line: &str, said: &mut Said) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, path, rest @ ..] = words.as_slice() else {
            return;
        };
        if kind.starts_with('#') {
            return;
        }
        let account = |n: usize| {
            rest.get(n)
                .filter(|a| **a != "-")
                .map(|a| a.trim_start_matches(':').to_owned())
        };
        said.accounts
            .extend([account(1), account(2)].into_iter().flatten());
        let makes = kind.starts_with(['f', 'F', 'd', 'D', 'v', 'q', 'Q', 'L', 'C', 'e', 'w']);
        let path = path.trim_matches('"');
        if makes
            && !path.contains(['%', '*', '?'])
            && let Ok(path) = path.parse::<AbsPath>()
        {
            let cause = Cause::Snippet { file: file.clone() };
            self.claim(draft, Source::Package, &path, &cause);
        }
    }
}
