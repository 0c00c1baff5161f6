//! How much is copied, what stays on the host, and who writes it meanwhile.

use vss_model::{AbsPath, Cause, CopyScope, Disposition};

use crate::accounts::Accounts;
use crate::facts::{PathFacts, PathKind};
use crate::homes::{home_of, is_home_of_people};
use crate::outcome::{PlanError, Warning};
use crate::paths::Scope;
use crate::region::{Region, is_hosts_own, is_own_top, region};
use crate::request::CreateRequest;
use crate::root_plan::{Fate, PlanEntry, RootPlan};

/// From how many bytes on a copy is worth a warning.
const LARGE: u64 = 1 << 30;

/// Adds sizes to the entries, and warnings where they are large.
pub(crate) fn measure(scope: &Scope<'_, '_>, root: &mut RootPlan, warnings: &mut Vec<Warning>) {
    let is_anothers = |e: &&PlanEntry| matches!(e.causes[..], [Cause::OtherInstance { .. }, ..]);
    let left = root.entries.iter().filter(is_anothers);
    let left: Vec<AbsPath> = left.map(|e| e.path.clone()).collect();
    for entry in &mut root.entries {
        let (bytes, files) = match &entry.disposition {
            Disposition::Copy {
                scope: CopyScope::Tree,
            } => {
                let Some(tree) = scope.ask.tree(&entry.path) else {
                    continue;
                };
                let (bytes, files) = anothers(scope, &left, &entry.path);
                (
                    tree.bytes.saturating_sub(bytes),
                    tree.files.saturating_sub(files),
                )
            }
            Disposition::Copy {
                scope: CopyScope::Node,
            } => match scope.ask.path(&entry.path) {
                Some(PathFacts::File { size, .. }) => (*size, 1),
                Some(PathFacts::Link { .. }) => (0, 1),
                _ => continue,
            },
            Disposition::Generate {
                what: vss_model::Generated::File { text, .. },
            } => (text.len() as u64, 1),
            _ => continue,
        };
        entry.bytes = Some(bytes);
        entry.files = Some(files);
        if bytes >= LARGE {
            warnings.push(Warning::Large {
                path: entry.path.clone(),
                bytes,
            });
        }
    }
}

/// The bytes and files below a path that are other instances' and stay on the host.
fn anothers(scope: &Scope<'_, '_>, left: &[AbsPath], path: &AbsPath) -> (u64, u64) {
    left.iter()
        .filter(|l| l.starts_with(path))
        .filter_map(|l| scope.ask.tree(l))
        .fold((0, 0), |(bytes, files), tree| {
            (bytes + tree.bytes, files + tree.files)
        })
}

/// Data of the host that the service would miss: a database that starts empty may not start.
pub(crate) fn data_left(scope: &Scope<'_, '_>, root: &RootPlan, warnings: &mut Vec<Warning>) {
    let listed = |path: &AbsPath| {
        let packages = scope.packages.packages.values();
        let files = packages.flat_map(|p| &p.files);
        let is_file = |f: &AbsPath| {
            let facts = scope.ask.path(f);
            facts.is_some_and(|f| !matches!(f, PathFacts::Missing | PathFacts::Directory { .. }))
        };
        let below = files.map(|f| &f.path).filter(|f| f.starts_with(path));
        below.filter(|f| is_file(f)).count() as u64
    };
    let has_more = |path: &AbsPath| scope.ask.tree(path).is_some_and(|t| t.files > listed(path));
    let not_copied = |entry: &&PlanEntry| {
        let everyones = |c: &Cause| matches!(c, Cause::Baseline { .. } | Cause::Volatile { .. });
        entry.causes.contains(&Cause::NoCopy) && !entry.causes.iter().any(everyones)
    };
    let mut paths: Vec<AbsPath> = Vec::new();
    for entry in root.entries.iter().filter(not_copied) {
        let told = paths.last().is_some_and(|p| entry.path.starts_with(p));
        if !told && has_more(&entry.path) {
            paths.push(entry.path.clone());
        }
    }
    if !paths.is_empty() {
        warnings.push(Warning::DataLeft { paths });
    }
    homes_left(scope, root, warnings);
    tops_left(scope, root, warnings);
}

/// Top directories that units work in.
fn tops_left(scope: &Scope<'_, '_>, root: &RootPlan, warnings: &mut Vec<Warning>) {
    for member in scope.units.members.values() {
        let named = member.facts.paths.iter();
        for named in named.filter(|n| n.kind == PathKind::Directory && is_own_top(&n.path)) {
            let path = scope.ask.real(&named.path);
            if let Some(path) = path.filter(|p| is_own_top(p) && is_left(scope, root, p)) {
                warnings.push(Warning::NotBrought {
                    unit: member.facts.name.clone(),
                    setting: format!("{}={}", named.directive, named.path),
                    path,
                });
            }
        }
    }
}

/// Homes of people that units run as.
fn homes_left(scope: &Scope<'_, '_>, root: &RootPlan, warnings: &mut Vec<Warning>) {
    let Some(accounts) = scope.ask.accounts().map(Accounts::parse) else {
        return;
    };
    for member in scope.units.members.values() {
        let home = home_of(member.facts, &accounts).filter(is_home_of_people);
        let home = home.and_then(|home| scope.ask.resolve(&home));
        if let Some(path) = home.filter(|home| is_left(scope, root, home)) {
            warnings.push(Warning::NotBrought {
                unit: member.facts.name.clone(),
                setting: format!("User={}", member.facts.last("User").unwrap_or_default()),
                path,
            });
        }
    }
}

/// Whether a directory is on the host, and neither it nor anything in it comes along.
fn is_left(scope: &Scope<'_, '_>, root: &RootPlan, directory: &AbsPath) -> bool {
    let brings = |entry: &PlanEntry| {
        let is_below = entry.path != *directory && entry.path.starts_with(directory);
        is_below
            || directory.starts_with(&entry.path)
                && matches!(
                    entry.disposition,
                    Disposition::Share
                        | Disposition::Copy {
                            scope: CopyScope::Tree
                        }
                )
    };
    let facts = scope.ask.path(directory);
    matches!(facts, Some(PathFacts::Directory { .. })) && !root.entries.iter().any(brings)
}

/// Whether data is copied that somebody writes.
///
/// # Errors
/// Where it is, and wasn't allowed.
pub(crate) fn live_data(
    scope: &Scope<'_, '_>,
    request: &CreateRequest,
    root: &RootPlan,
    warnings: &mut Vec<Warning>,
) -> Result<(), PlanError> {
    for entry in &root.entries {
        let whole = matches!(
            entry.disposition,
            Disposition::Copy {
                scope: CopyScope::Tree
            }
        );
        let is_data = region(&entry.path) == Region::Data || is_hosts_own(&entry.path);
        if !whole || !is_data {
            continue;
        }
        // one process may write what is taken and what is left behind
        let mut writers = scope.ask.writers(&entry.path).unwrap_or_default().to_vec();
        writers.retain(|w| root.explain(&w.path).fate == Fate::Private);
        writers.dedup_by_key(|w| w.pid);
        if writers.is_empty() {
            continue;
        }
        if !request.allow_live_copy {
            return Err(PlanError::LiveData {
                path: entry.path.clone(),
                writers,
            });
        }
        warnings.push(Warning::LiveCopy {
            path: entry.path.clone(),
            writers: writers.iter().map(ToString::to_string).collect(),
        });
    }
    Ok(())
}
