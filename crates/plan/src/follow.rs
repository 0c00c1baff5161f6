//! Where links and path strings in the service's configuration lead.

use std::collections::{BTreeMap, BTreeSet};

use vss_model::{AbsPath, Cause, CopyScope};

use crate::ask::resolve_escaped;
use crate::draft::{Draft, Source};
use crate::facts::PathFacts;
use crate::packages::is_own_place;
use crate::paths::{Region, Scope, region};

/// The most paths that are followed; a configuration names a few dozen.
const MAX_FOLLOWED: usize = 2000;

/// The paths that the service's own files name or link to, with where.
pub(crate) type Named = BTreeMap<AbsPath, Cause>;

impl Scope<'_, '_> {
    /// Follows links and path strings out of what is taken of `/etc` and `/opt`, and out of what
    /// that leads to, until nothing new is found.
    pub(crate) fn follow(&self, draft: &mut Draft) -> Named {
        let mut named = Named::new();
        let mut seen = BTreeSet::new();
        loop {
            let sources: Vec<_> = draft
                .copies()
                .into_iter()
                .filter(|(path, _, source)| {
                    *source > Source::Baseline
                        && path.as_path().starts_with("/etc")
                        && !seen.contains(path)
                })
                .collect();
            if sources.is_empty() || named.len() >= MAX_FOLLOWED {
                return named;
            }
            for (path, scope, _) in sources {
                seen.insert(path.clone());
                if scope == CopyScope::Node && !self.is_file(&path) {
                    continue;
                }
                self.follow_from(draft, &path, scope, &mut named);
            }
        }
    }

    fn is_file(&self, path: &AbsPath) -> bool {
        matches!(self.ask.path(path), Some(PathFacts::File { .. }))
    }

    fn follow_from(&self, draft: &mut Draft, path: &AbsPath, scope: CopyScope, named: &mut Named) {
        let mut enabled = BTreeSet::new();
        if scope == CopyScope::Tree {
            for (link, target) in self
                .ask
                .tree(path)
                .map(|t| t.links.as_slice())
                .unwrap_or_default()
            {
                if draft.is_hidden(link) {
                    continue;
                }
                if let Some(target) =
                    resolve_escaped(link, target).and_then(|t| self.ask.resolve(&t))
                {
                    enabled.insert(target.clone());
                    let cause = Cause::Link { from: link.clone() };
                    self.take_linked(draft, &target, &cause);
                    named.entry(target).or_insert(cause);
                }
            }
        }
        for mention in self.ask.mentions(path).unwrap_or_default() {
            let in_force =
                |file: &AbsPath| *file == *path || file.ancestors().any(|f| enabled.contains(&f));
            if draft.is_hidden(&mention.file)
                || self.is_upkeep(&mention.file)
                || self.rules.is_choice(&mention.file) && !in_force(&mention.file)
            {
                continue;
            }
            for target in &mention.paths {
                let Some(target) = self.ask.resolve(target) else {
                    continue;
                };
                let cause = Cause::NamedIn {
                    file: mention.file.clone(),
                };
                self.take_named(draft, &target, &cause);
                named.entry(target).or_insert(cause);
            }
        }
    }

    fn take_linked(&self, draft: &mut Draft, target: &AbsPath, cause: &Cause) {
        if !self.is_settled(draft, target) {
            self.claim(draft, Source::Package, target, cause);
        }
    }

    /// A path that a file names: what is there; where nothing is, the directory in which the
    /// service would make it.
    fn take_named(&self, draft: &mut Draft, target: &AbsPath, cause: &Cause) {
        if self.is_settled(draft, target) {
            return;
        }
        match self.ask.path(target) {
            Some(PathFacts::Missing | PathFacts::Special) => {
                let parent = target.parent().filter(|p| region(p) == Region::Data);
                if let Some(parent) = parent.filter(|p| !self.is_settled(draft, p)) {
                    self.claim(draft, Source::Package, &parent, cause);
                }
            }
            Some(PathFacts::Directory { .. }) if self.is_anothers(target) => {
                draft.tree(Source::Package, target, cause.clone());
            }
            Some(_) => drop(self.claim(draft, Source::Package, target, cause)),
            None => {}
        }
    }

    /// Whether a configuration directory belongs to packages that are neither in the closure nor
    /// on every host: the configuration that names it is what ties it to the service.
    fn is_anothers(&self, path: &AbsPath) -> bool {
        let owners = self.ask.owners_below(path).unwrap_or_default();
        region(path) == Region::Config
            && !owners.is_empty()
            && !owners.iter().any(|o| self.rules.is_base(o))
    }

    /// Whether a path needs no claim, or can't have one by being named.
    fn is_settled(&self, draft: &Draft, path: &AbsPath) -> bool {
        region(path) == Region::Elsewhere
            || !is_own_place(path)
            || self.rules.in_baseline(path)
            || self.is_upkeep(path)
            || draft.in_tree(path)
            || draft.has(path)
    }
}
