//! What belongs to an instance of a template, and what to others and is left behind.
//!
//! A template says by `%i` which paths are an instance's own: `/var/lib/postgresql/%I`,
//! `/etc/redis/redis-%i.conf`. What its pattern finds beside the instance's own path is a
//! neighbour's data or configuration, and a directory that is taken whole would bring it along.

use std::collections::BTreeSet;

use vss_model::{AbsPath, Cause, MaskKind, UnitName};

use crate::draft::{Draft, Source};
use crate::facts::{EntryKind, NamedPath, PathFacts};
use crate::follow::Named;
use crate::glob;
use crate::packages::is_own_place;
use crate::paths::Scope;
use crate::region::{Region, region};

/// What the name of an instance's file may end in.
const TAILS: [&str; 4] = [".conf", ".cfg", ".ini", ".d"];

impl Scope<'_, '_> {
    /// Leaves out of what is taken the paths of other instances. What a package lists is everyone's,
    /// what a rule or the user names is wanted, and both stay.
    pub(crate) fn other_instances(&self, draft: &mut Draft) {
        for member in self.units.members.values() {
            for named in &member.facts.paths {
                let Some(pattern) = &named.any_instance else {
                    continue;
                };
                for path in self.instances_of(pattern) {
                    if self.is_another(draft, &named.path, &path) {
                        let cause = because(&member.facts.name, named, pattern);
                        draft.mask(Source::Instance, &path, MaskKind::Absent, cause);
                    }
                }
            }
        }
    }

    /// Leaves out what lies beside another instance's file and bears the same name:
    /// `/etc/openvpn/server/two.crt` beside `two.conf`. What somebody names is wanted and stays;
    /// names that only such files give don't count.
    pub(crate) fn beside_other_instances(&self, draft: &mut Draft, named: &Named) {
        for member in self.units.members.values() {
            for own in &member.facts.paths {
                let Some(pattern) = &own.any_instance else {
                    continue;
                };
                for other in self.instances_of(pattern) {
                    // what was left out as another's
                    if draft.source_of(&other) != Some(Source::Instance) {
                        continue;
                    }
                    let Some(stem) = stem_of(&other, pattern) else {
                        continue;
                    };
                    for path in self.beside(&other, &stem, &own.path, pattern) {
                        if self.is_anothers_companion(draft, &path, &stem, &own.path, named) {
                            let cause = because(&member.facts.name, own, pattern);
                            draft.mask(Source::Instance, &path, MaskKind::Absent, cause);
                        }
                    }
                }
            }
        }
    }

    /// The files beside another instance's that bear its name, and not this one's that is longer.
    fn beside(&self, other: &AbsPath, stem: &str, own: &AbsPath, pattern: &str) -> Vec<AbsPath> {
        let Some(directory) = other.parent() else {
            return Vec::new();
        };
        let own = stem_of(own, pattern).filter(|own| own.len() > stem.len());
        let entries = self.ask.list(&directory).flatten().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Link))
            .filter(|entry| {
                let name = entry.text();
                bears(&name, stem) && !own.as_ref().is_some_and(|own| bears(&name, own))
            })
            .filter_map(|entry| entry.path(&directory))
            .filter(|path| path != other)
            .collect()
    }

    fn is_anothers_companion(
        &self,
        draft: &Draft,
        path: &AbsPath,
        stem: &str,
        own: &AbsPath,
        named: &Named,
    ) -> bool {
        let taken = draft.in_tree(path) || draft.has(path);
        let wanted = draft.source_of(path) >= Some(Source::Instance);
        let by_companion = |cause: &Cause| match cause {
            Cause::NamedIn { file } | Cause::Link { from: file } => {
                file.parent() == path.parent() && bears(&name_of(file), stem)
            }
            _ => false,
        };
        let is_named = named.get(path).is_some_and(|cause| !by_companion(cause));
        if !taken || wanted || is_named || self.is_named(path) || !self.is_unowned(path) {
            return false;
        }
        // a name without a directory is nothing that is followed
        let text = self.ask.text(own).flatten();
        !text.is_some_and(|text| text.contains(&name_of(path)))
    }

    /// Claims what bears an instance's name alone in a directory of the service, and notes that it
    /// is named: `wg-quick up wg0` finds `/etc/wireguard/wg0.conf` by itself. In a directory that is
    /// taken whole it is found without being looked for.
    pub(crate) fn named_as_instances(&self, draft: &mut Draft, named: &mut Named) {
        let members = self.units.members.values().filter(|m| m.requested);
        let instances: BTreeSet<&str> = members.filter_map(|m| m.facts.name.instance()).collect();
        if instances.is_empty() {
            return;
        }
        for directory in self.places_of_seeds(draft) {
            for entry in self.ask.list(&directory).flatten().unwrap_or_default() {
                let name = entry.text();
                let stem = TAILS.iter().find_map(|tail| name.strip_suffix(tail));
                let instance = [stem, Some(&*name)].into_iter().flatten();
                let Some(instance) = instance.into_iter().find(|i| instances.contains(i)) else {
                    continue;
                };
                let path = entry.path(&directory);
                if let Some(path) = path.filter(|p| self.is_unowned(p)) {
                    self.unlisted_path(draft, &path, instance);
                    let name = instance.to_owned();
                    self.name(draft, named, path, Cause::Namesake { name });
                }
            }
        }
    }

    /// The directories of configuration that the service's own packages list, and of which there is
    /// something to be chosen.
    fn places_of_seeds(&self, draft: &Draft) -> BTreeSet<AbsPath> {
        let is_place = |path: &&AbsPath| {
            let taken = draft.in_tree(path) && self.rules.denied(path).is_none();
            path.as_path().starts_with("/etc")
                && is_own_place(path)
                && !taken
                && !self.is_upkeep(path)
                && !self.rules.in_baseline(path)
                && matches!(self.ask.path(path), Some(PathFacts::Directory { .. }))
        };
        let packages = &self.packages.packages;
        let seeds = self.packages.seeds.iter().filter_map(|s| packages.get(s));
        let listed = seeds.flat_map(|p| &p.files).map(|f| &f.path);
        listed.filter(is_place).cloned().collect()
    }

    /// The paths that a pattern finds.
    fn instances_of(&self, pattern: &str) -> Vec<AbsPath> {
        let mut found = vec![AbsPath::root()];
        for component in pattern.split('/').filter(|c| !c.is_empty()) {
            found = found
                .iter()
                .flat_map(|directory| self.matching(directory, component))
                .collect();
        }
        found
    }

    fn matching(&self, directory: &AbsPath, component: &str) -> Vec<AbsPath> {
        if !component.contains('*') {
            return directory.join(component).into_iter().collect();
        }
        if region(directory) == Region::Elsewhere || directory.depth() < 2 {
            return Vec::new();
        }
        self.ask
            .list(directory)
            .flatten()
            .unwrap_or_default()
            .iter()
            .filter(|entry| glob::matches(component, &entry.text()))
            .filter_map(|entry| entry.path(directory))
            .collect()
    }

    /// Whether a path of the pattern is another instance's, and would be taken.
    fn is_another(&self, draft: &Draft, own: &AbsPath, path: &AbsPath) -> bool {
        let taken = draft.in_tree(path) || draft.has(path);
        let wanted = draft.source_of(path) >= Some(Source::Instance);
        let related = own.starts_with(path) || path.starts_with(own);
        if !taken || wanted || related || self.is_named(path) {
            return false;
        }
        let unowned = self.ask.owners_below(path).is_some_and(<[_]>::is_empty);
        unowned && self.are_alike(own, path)
    }

    /// Whether a unit that runs inside names the path or something in it.
    fn is_named(&self, path: &AbsPath) -> bool {
        let mut named = self.units.members.values().flat_map(|m| &m.facts.paths);
        named.any(|n| n.path.starts_with(path))
    }

    /// Whether two paths are of one kind; one that isn't there may become any.
    fn are_alike(&self, own: &AbsPath, other: &AbsPath) -> bool {
        match (self.ask.path(own), self.ask.path(other)) {
            (Some(PathFacts::Missing), Some(other)) => *other != PathFacts::Missing,
            (Some(own), Some(other)) => {
                std::mem::discriminant(own) == std::mem::discriminant(other)
            }
            _ => false,
        }
    }
}

fn name_of(path: &AbsPath) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What a file of the pattern is called, less the pattern's extension; `None` where that has none.
fn stem_of(path: &AbsPath, pattern: &str) -> Option<String> {
    let (_, tail) = pattern.rsplit('/').next()?.rsplit_once('*')?;
    let name = name_of(path);
    let stem = name.strip_suffix(tail).filter(|_| tail.starts_with('.'))?;
    Some(stem.to_owned())
}

/// Whether a file is called so, with an extension.
fn bears(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem)
        .is_some_and(|rest| rest.starts_with('.'))
}

fn because(unit: &UnitName, named: &NamedPath, pattern: &str) -> Cause {
    Cause::OtherInstance {
        of: unit.clone(),
        pattern: pattern.to_owned(),
        directive: format!("{}=", named.directive),
    }
}
