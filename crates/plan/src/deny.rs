//! The deny list: what no source but `--copy` of that very path brings in.

use vss_model::{AbsPath, Cause, CopyScope, Generated, MaskKind};

use crate::draft::{Draft, Source};
use crate::facts::PathFacts;
use crate::follow::Named;
use crate::outcome::Warning;
use crate::paths::Scope;
use crate::rules::{DenyEntry, DenyFate};

impl Scope<'_, '_> {
    /// Takes out of the draft what the deny list holds, unless it is the service's own or was
    /// asked for by its very path.
    pub(crate) fn deny(&self, draft: &mut Draft, named: &Named, asked: &[AbsPath]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (path, scope, _) in draft.copies() {
            if scope == CopyScope::Node {
                self.deny_path(draft, &path, named, asked, &mut warnings);
                continue;
            }
            let mut hidden: Option<&AbsPath> = None;
            for watched in self
                .ask
                .tree(&path)
                .map(|t| t.watched.as_slice())
                .unwrap_or_default()
            {
                if hidden.is_some_and(|h| watched.starts_with(h))
                    || draft.is_hidden(watched)
                    || draft.has_from(Source::Deny, watched)
                {
                    continue;
                }
                if self.deny_path(draft, watched, named, asked, &mut warnings) {
                    hidden = Some(watched);
                }
            }
        }
        warnings.sort();
        warnings.dedup();
        warnings
    }

    /// Decides on one path; whether it is hidden with all below it.
    fn deny_path(
        &self,
        draft: &mut Draft,
        path: &AbsPath,
        named: &Named,
        asked: &[AbsPath],
        warnings: &mut Vec<Warning>,
    ) -> bool {
        let Some(entry) = self.rules.denied(path) else {
            return false;
        };
        let Some(facts) = self.ask.path(path) else {
            return false;
        };
        let is_directory = matches!(facts, PathFacts::Directory { .. });
        if asked.contains(path) {
            warnings.push(Warning::DenyOverridden {
                path: path.clone(),
                why: entry.why.clone(),
            });
            return false;
        }
        if let Some(cause) = own_by_name(entry, path, named) {
            if !is_directory {
                draft.node(Source::Package, path, cause.clone());
                warnings.push(Warning::OwnSecret {
                    path: path.clone(),
                    named_by: cause.to_string(),
                });
            }
            return false;
        }
        let holds_asked = named
            .keys()
            .chain(asked)
            .any(|n| n != path && n.starts_with(path));
        let alone = draft.has(path) && !draft.in_tree(path);
        if is_directory && (holds_asked || alone) {
            return false;
        }
        let cause = entry.cause();
        match (entry.fate, public_half(path)) {
            (DenyFate::SshHostKey, Some(public)) if !is_directory => {
                draft.generate(Source::Deny, path, Generated::SshHostKey { public }, cause);
            }
            _ => draft.mask(Source::Deny, path, MaskKind::Absent, cause),
        }
        true
    }
}

/// Why a secret is the service's own: one of its files or units names it, or the denied directory
/// that it is in.
pub(crate) fn own_by_name<'n>(
    entry: &DenyEntry,
    path: &AbsPath,
    named: &'n Named,
) -> Option<&'n Cause> {
    if !entry.unless_named {
        return None;
    }
    let within = |p: &AbsPath| crate::glob::matches(&entry.pattern, &p.as_path().to_string_lossy());
    path.ancestors()
        .take_while(within)
        .find_map(|p| named.get(&p))
}

fn public_half(key: &AbsPath) -> Option<AbsPath> {
    let mut name = key.file_name()?.to_owned();
    name.push(".pub");
    key.parent()?.join(name).ok()
}
