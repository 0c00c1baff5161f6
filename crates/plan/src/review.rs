//! What an administrator has to know of a plan before it is carried out: refusals and warnings.

use vss_model::confinement::capability::{Capability, capabilities};
use vss_model::{AbsPath, Confinement, UnitName};

use crate::ask::Ask;
use crate::facts::{NamedPath, PathFacts, PathKind, UnitFacts};
use crate::outcome::{PlanError, Warning};
use crate::packages::{PackageClosure, owners_of_fragment};
use crate::paths::Scope;
use crate::region::{Region, is_hosts_own, region};
use crate::request::CreateRequest;
use crate::root_plan::{Fate, MAX_SYMLINKS, RootPlan};

/// Whether the host unit's name is free, and what would apply to it.
///
/// # Errors
/// Where the host uses a unit of that name.
pub(crate) fn host_unit(ask: &Ask<'_>, unit: &UnitName) -> Result<Vec<Warning>, PlanError> {
    let Some(facts) = ask.host_unit(unit) else {
        return Ok(Vec::new());
    };
    let by = match (&facts.file, facts.enabled.first()) {
        (Some(file), _) => Some(file.to_string()),
        (None, Some(link)) => Some(format!("enabled by {link}")),
        (None, None) => facts.active.then(|| "it is active".to_owned()),
    };
    if let Some(by) = by {
        return Err(PlanError::HostUnitTaken {
            unit: unit.clone(),
            by,
        });
    }
    let warning = facts
        .template
        .as_ref()
        .map(|template| Warning::TemplateInstance {
            unit: unit.clone(),
            template: template.clone(),
            drop_ins: facts.drop_ins.clone(),
        });
    Ok(warning.into_iter().collect())
}

/// Whether it is known what belongs to each unit that was asked for.
///
/// # Errors
/// Where the package that has the unit is half installed, and where no package and no path outside
/// `/usr` tells; not with `--copy`.
pub(crate) fn ownership(scope: &Scope<'_, '_>, request: &CreateRequest) -> Result<(), PlanError> {
    if !request.copy.is_empty() {
        return Ok(());
    }
    let is_own = |path: &AbsPath| region(path) != Region::Elsewhere || is_hosts_own(path);
    let names_own = |p: &NamedPath| p.kind != PathKind::Runtime && is_own(&p.path);
    for member in scope.units.members.values().filter(|m| m.requested) {
        let owners = owners_of_fragment(scope.ask, &member.facts.fragment);
        let unfinished = |name| scope.packages.unfinished.get(name);
        // whatever else is known: the paths of this package would be missing
        if let Some(package) = owners.iter().find_map(unfinished) {
            return Err(PlanError::Unfinished {
                unit: member.facts.name.clone(),
                package: package.name.clone(),
                state: package.unfinished.clone().unwrap_or_default(),
            });
        }
        if scope.packages.seeds.is_empty() && !member.facts.paths.iter().any(names_own) {
            return Err(PlanError::Unowned {
                unit: member.facts.name.clone(),
                file: member.facts.fragment.clone(),
            });
        }
    }
    Ok(())
}

/// What packages of the service have and the plan does not: those that are half installed, and
/// what could not be read of the others.
pub(crate) fn left_out(packages: &PackageClosure<'_>) -> Vec<Warning> {
    let unfinished = packages.unfinished.iter().map(|(name, package)| {
        let state = package.unfinished.clone().unwrap_or_default();
        Warning::Unfinished {
            package: name.clone(),
            state,
        }
    });
    let notes = packages.packages.iter().flat_map(|(name, package)| {
        package.notes.iter().map(|note| Warning::LeftOut {
            package: name.clone(),
            note: note.clone(),
        })
    });
    unfinished.chain(notes).collect()
}

/// The lines of a unit's files that are not in force, which the administrator may think they are.
pub(crate) fn ignored_lines(unit: &UnitFacts) -> impl Iterator<Item = Warning> {
    unit.ignored.iter().map(|ignored| Warning::IgnoredLine {
        unit: unit.name.clone(),
        file: ignored.file.clone(),
        line: ignored.line,
        reason: ignored.reason.clone(),
        ends_file: ignored.ends_file,
    })
}

/// Conditions and assertions that can be seen to fail inside.
pub(crate) fn conditions(
    scope: &Scope<'_, '_>,
    root: &RootPlan,
    confinement: Confinement,
    warnings: &mut Vec<Warning>,
) {
    for member in scope.units.members.values() {
        for (unit, by, directive) in &scope.units.absent {
            if *by == member.facts.name {
                warnings.push(Warning::Condition {
                    unit: by.clone(),
                    condition: format!("{directive}={unit}"),
                });
            }
        }
        for named in &member.facts.paths {
            let holds = match named.kind {
                PathKind::Condition => is_there(scope, root, &named.path),
                PathKind::Unwanted => is_there(scope, root, &named.path).map(|there| !there),
                _ => continue,
            };
            if holds == Some(false) && !named.optional {
                let not = if named.kind == PathKind::Unwanted {
                    "!"
                } else {
                    ""
                };
                warnings.push(Warning::Condition {
                    unit: member.facts.name.clone(),
                    condition: format!("{}={not}{}", named.directive, named.path),
                });
            }
        }
        for (key, holds) in [
            (
                "Virtualization",
                runs_in_container as fn(&str, Confinement) -> bool,
            ),
            ("Capability", may_have),
        ] {
            for kind in ["Condition", "Assert"] {
                let directive = format!("{kind}{key}");
                for value in member.facts.values(&directive) {
                    if !holds(value, confinement) {
                        warnings.push(Warning::Condition {
                            unit: member.facts.name.clone(),
                            condition: format!("{directive}={value}"),
                        });
                    }
                }
            }
        }
    }
}

/// Whether `ConditionVirtualization=` holds in an LXC container; one of several alternatives (`|`)
/// is given the benefit of the doubt.
fn runs_in_container(value: &str, _: Confinement) -> bool {
    let (wanted, value) = match value.strip_prefix('!') {
        Some(rest) => (false, rest.trim()),
        None => (true, value.trim()),
    };
    let holds = matches!(
        value,
        "yes" | "true" | "1" | "on" | "container" | "lxc-libvirt"
    );
    value.starts_with('|') || holds == wanted
}

/// Whether `ConditionCapability=` holds, of a capability that the confinement keeps or takes.
fn may_have(value: &str, confinement: Confinement) -> bool {
    let (wanted, name) = match value.strip_prefix('!') {
        Some(rest) => (false, rest.trim()),
        None => (true, value.trim()),
    };
    match Capability::from_name(name) {
        Some(capability) => (capabilities(confinement) & capability.bit() != 0) == wanted,
        None => true,
    }
}

/// Shared paths that libvirt can't reach as the root of a user namespace, which is nobody in
/// particular to the host.
pub(crate) fn reach(scope: &Scope<'_, '_>, shared: &[AbsPath], warnings: &mut Vec<Warning>) {
    for path in shared {
        if let Some(at) = closed_above(scope, path) {
            warnings.push(Warning::OutOfReach {
                path: path.clone(),
                at,
            });
        }
    }
}

/// The same of the directory that the content is in. It is root's alone and lets those users through
/// itself; those above it have to let everybody through.
pub(crate) fn reach_content(scope: &Scope<'_, '_>, content: &AbsPath) -> Result<(), PlanError> {
    let parent = content.parent().unwrap_or_else(AbsPath::root);
    match closed_above(scope, &parent) {
        None => Ok(()),
        Some(at) => Err(PlanError::UnsuitablePath {
            path: parent,
            option: "--path".to_owned(),
            reason: format!(
                "the users of the container do not get through {at} (`chmod o+x {at}` lets everybody through)"
            ),
        }),
    }
}

/// The directory above a path that lets only its owner or group through.
fn closed_above(scope: &Scope<'_, '_>, path: &AbsPath) -> Option<AbsPath> {
    const OTHERS_ENTER: u32 = 0o001;
    path.ancestors().skip(1).find(|above| {
        above.depth() > 0
            && matches!(
                scope.ask.path(above),
                Some(PathFacts::Directory { mode, .. }) if mode & OTHERS_ENTER == 0
            )
    })
}

/// Whether a path will be there inside; `None` where nobody can tell.
fn is_there(scope: &Scope<'_, '_>, root: &RootPlan, path: &AbsPath) -> Option<bool> {
    let path = scope.ask.resolve(path)?;
    let on_host = || Some(!matches!(scope.ask.path(&path)?, PathFacts::Missing));
    if path.as_path().starts_with("/usr") {
        return on_host();
    }
    if region(&path) == Region::Elsewhere {
        return None;
    }
    match root.explain(&path).fate {
        Fate::Generated => Some(true),
        Fate::Private | Fate::Shared => on_host(),
        Fate::Absent | Fate::Masked => Some(false),
    }
}

/// Configuration that units name and that the host doesn't have, and programs that lead out of the
/// container (the interpreter of a virtual environment): such a unit fails at its start.
pub(crate) fn missing(scope: &Scope<'_, '_>, root: &RootPlan, warnings: &mut Vec<Warning>) {
    for member in scope.units.members.values() {
        for named in member.facts.paths.iter().filter(|n| !n.optional) {
            let is_program = named.kind == PathKind::Exec && !is_shared(&named.path);
            let is_config = matches!(named.kind, PathKind::Exec | PathKind::File)
                && region(&named.path) == Region::Config;
            let path = match is_program {
                true => led_to(scope, &named.path),
                false => Some(named.path.clone()),
            };
            let Some(path) = path.filter(|_| is_program || is_config) else {
                continue;
            };
            let absent = matches!(scope.ask.path(&path), Some(PathFacts::Missing))
                || is_program && is_there(scope, root, &path) == Some(false);
            if absent {
                let mut named_by = format!("{}= of {}", named.directive, member.facts.name);
                if path != named.path {
                    named_by = format!("{named_by}, which leads there from {}", named.path);
                }
                warnings.push(Warning::MissingPath { path, named_by });
            }
        }
    }
}

fn is_shared(path: &AbsPath) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64"]
        .iter()
        .any(|base| path.as_path().starts_with(base))
}

/// The file that a path is, links followed; `None` where it isn't known yet, or is shared.
fn led_to(scope: &Scope<'_, '_>, path: &AbsPath) -> Option<AbsPath> {
    let mut path = scope.ask.resolve(path)?;
    for _ in 0..MAX_SYMLINKS {
        if is_shared(&path) {
            return None;
        }
        match scope.ask.link_target(&path)? {
            Some(target) => path = scope.ask.resolve(&target)?,
            None => return Some(path),
        }
    }
    None
}
