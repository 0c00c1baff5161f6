//! tmpfiles.d(5) and sysusers.d(5): those of the service run inside, others are masked.

use std::collections::BTreeSet;

use vss_model::{AbsPath, Cause, MaskKind};

use crate::draft::{Draft, Source};
use crate::glob;
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
        for file in self.keep_own(draft, &TMPFILES) {
            for line in self.ask.text(&file).flatten().unwrap_or_default().lines() {
                self.tmpfiles_line(draft, &file, line, &mut said);
            }
        }
        for file in self.keep_own(draft, &SYSUSERS) {
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
