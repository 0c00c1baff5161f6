//! Where links and path strings in the service's configuration lead.

use std::collections::{BTreeMap, BTreeSet};

use vss_model::{AbsPath, Cause, CopyScope};

use crate::ask::resolve_escaped;
use crate::deny::own_by_name;
use crate::draft::{Draft, Source};
use crate::facts::{NamedPath, PathFacts, PathKind};
use crate::links::Budget;
use crate::mentions::MAX_PATHS;
use crate::outcome::Warning;
use crate::packages::is_own_place;
use crate::paths::Scope;
use crate::region::{Region, region};
use crate::root_plan::{MAX_SYMLINKS, MOUNTED};

/// The most paths that are followed; a configuration names a few dozen.
const MAX_FOLLOWED: usize = 8192;

/// How often data may lead to data that leads on: each time the host is asked again.
const MAX_DATA_ROUNDS: usize = 16;

/// The paths that the service's own files name or link to, with where.
pub(crate) type Named = BTreeMap<AbsPath, Cause>;

impl Scope<'_, '_> {
    /// Notes that a path is named, and with it each path that it leads to where it is a link: a
    /// service that opens the link reads what is at its end.
    pub(crate) fn name(&self, draft: &mut Draft, named: &mut Named, path: AbsPath, cause: Cause) {
        if named.contains_key(&path) {
            return;
        }
        let hops = if self.is_told_elsewhere(draft, &path) {
            Vec::new()
        } else {
            self.hops(&path)
        };
        let is_secret = |path: &AbsPath| self.rules.denied(path).is_some();
        // of anything else the link itself brings what belongs to the service
        let is_of_secret = is_secret(&path) || hops.iter().any(|(hop, _)| is_secret(hop));
        named.insert(path, cause);
        for (hop, cause) in hops {
            if is_of_secret {
                self.take_linked(draft, &hop, &cause);
            }
            named.entry(hop).or_insert(cause);
        }
    }

    /// Whether it is known without a look where a path leads: it is made for every container, or
    /// part of a tree whose links all name what they lead to.
    fn is_told_elsewhere(&self, draft: &Draft, path: &AbsPath) -> bool {
        let is_mounted = MOUNTED.iter().any(|m| path.as_path().starts_with(m));
        let is_followed = path.as_path().starts_with("/etc")
            && draft.in_tree(path)
            && self.rules.denied(path).is_none();
        is_mounted || is_followed || self.rules.is_made(path)
    }

    /// Notes what the service's units name: a key that stands in a unit is as much the service's
    /// own as one in its configuration.
    pub(crate) fn name_of_units(&self, draft: &mut Draft, named: &mut Named) {
        for member in self.units.members.values() {
            for path in member.facts.paths.iter().filter(|p| is_for_use(p)) {
                let cause = Cause::Unit {
                    unit: member.facts.name.clone(),
                    directive: format!("{}=", path.directive),
                };
                let place = self.ask.resolve(&path.path);
                if let Some(place) = place.filter(|p| region(p) != Region::Elsewhere) {
                    self.name(draft, named, place, cause);
                }
            }
        }
    }

    /// Notes what the links lead to that the user asks for: who copies a link means what it stands
    /// for. Of a directory that is no more than itself, as if it were asked for.
    pub(crate) fn name_asked(&self, named: &mut Named, asked: &[AbsPath]) {
        let is_directory =
            |path: &AbsPath| matches!(self.ask.path(path), Some(PathFacts::Directory { .. }));
        for (hop, cause) in asked.iter().flat_map(|path| self.hops(path)) {
            if !is_directory(&hop) {
                named.entry(hop).or_insert(cause);
            }
        }
    }

    /// Where a link leads, link by link, each with the one that leads there; nothing where a path
    /// is no link. One that comes back to itself ends, and so does one that is not root's.
    fn hops(&self, path: &AbsPath) -> Vec<(AbsPath, Cause)> {
        let mut hops = Vec::new();
        let mut link = path.clone();
        for _ in 0..MAX_SYMLINKS {
            let target = self.ask.link_target(&link).flatten();
            let Some(target) = target.and_then(|t| self.ask.resolve(&t)) else {
                break;
            };
            if !self.is_roots(&link)
                || target == *path
                || hops.iter().any(|(hop, _)| *hop == target)
            {
                break;
            }
            hops.push((target.clone(), Cause::Link { from: link }));
            link = target;
        }
        hops
    }

    /// Whether nobody but root can have made a link: one in data that others write may lead to any
    /// secret. What is configuration is trusted as a whole.
    fn is_roots(&self, link: &AbsPath) -> bool {
        const OTHERS_WRITE: u32 = 0o022;
        if ["/etc", "/usr"]
            .iter()
            .any(|b| link.as_path().starts_with(b))
        {
            return true;
        }
        let mut above = link.ancestors().skip(1).filter(|p| p.depth() >= 2);
        above.all(|directory| match self.ask.path(&directory) {
            Some(PathFacts::Directory { mode, uid, .. }) => *uid == 0 && mode & OTHERS_WRITE == 0,
            _ => false,
        })
    }

    /// Follows links and path strings out of what is taken of `/etc`, links out of trees elsewhere,
    /// and out of what that leads to, until nothing new is found. Answers where a limit was hit.
    pub(crate) fn follow(&self, draft: &mut Draft, named: &mut Named) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut seen = BTreeSet::new();
        let mut budget = Budget::default();
        for round in 0.. {
            let sources: Vec<_> = draft
                .copies()
                .into_iter()
                .filter(|(path, _, source)| {
                    *source > Source::Baseline
                        && region(path) != Region::Elsewhere
                        && !seen.contains(path)
                })
                .collect();
            if sources.is_empty() {
                break;
            }
            for (path, scope, _) in sources {
                seen.insert(path.clone());
                if !path.as_path().starts_with("/etc") {
                    if scope == CopyScope::Tree && round < MAX_DATA_ROUNDS {
                        self.follow_data(draft, &path, &mut budget);
                    }
                    continue;
                }
                if scope == CopyScope::Node && !self.is_file(&path) {
                    continue;
                }
                let full = self.follow_from(draft, &path, scope, named, &mut warnings);
                if let Err(warning) = full {
                    warnings.push(warning);
                    return warnings;
                }
            }
        }
        warnings
    }

    fn is_file(&self, path: &AbsPath) -> bool {
        matches!(self.ask.path(path), Some(PathFacts::File { .. }))
    }

    /// Follows what one path leads to.
    ///
    /// # Errors
    /// Where no more can be followed, with what tells so.
    fn follow_from(
        &self,
        draft: &mut Draft,
        path: &AbsPath,
        scope: CopyScope,
        named: &mut Named,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Warning> {
        let mut enabled = BTreeSet::new();
        if scope == CopyScope::Tree {
            for (link, target) in self
                .ask
                .tree(path)
                .map(|t| t.links.as_slice())
                .unwrap_or_default()
            {
                if draft.is_hidden(link) || self.is_anothers_secret(link, named) {
                    continue;
                }
                if let Some(target) =
                    resolve_escaped(link, target).and_then(|t| self.ask.resolve(&t))
                {
                    enabled.insert(target.clone());
                    let cause = Cause::Link { from: link.clone() };
                    has_room(named, &target, path)?;
                    self.take_linked(draft, &target, &cause);
                    self.name(draft, named, target, cause);
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
            if mention.paths.len() > MAX_PATHS {
                warnings.push(Warning::NamesTooMany {
                    file: mention.file.clone(),
                    limit: MAX_PATHS,
                });
            }
            for target in mention.paths.iter().take(MAX_PATHS) {
                let Some(target) = self.ask.resolve(target) else {
                    continue;
                };
                let cause = Cause::NamedIn {
                    file: mention.file.clone(),
                };
                has_room(named, &target, &mention.file)?;
                self.take_named(draft, &target, &cause);
                self.name(draft, named, target, cause);
            }
        }
        Ok(())
    }

    /// Whether the deny list holds a link, so that it stays behind and what it leads to with it.
    fn is_anothers_secret(&self, link: &AbsPath, named: &Named) -> bool {
        let entry = self.rules.denied(link);
        entry.is_some_and(|entry| own_by_name(entry, link, named).is_none())
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

/// Whether one more path can be followed, which a file or a link in a directory names.
fn has_room(named: &Named, target: &AbsPath, at: &AbsPath) -> Result<(), Warning> {
    if named.len() < MAX_FOLLOWED || named.contains_key(target) {
        return Ok(());
    }
    Err(Warning::FollowsTooMany {
        at: at.clone(),
        limit: MAX_FOLLOWED,
    })
}

/// Whether a unit names a path because it wants what is there.
fn is_for_use(named: &NamedPath) -> bool {
    match named.kind {
        PathKind::Exec
        | PathKind::File
        | PathKind::Directory
        | PathKind::Managed
        | PathKind::Condition => true,
        PathKind::Runtime | PathKind::Socket | PathKind::Unwanted | PathKind::MountPoint => false,
    }
}
