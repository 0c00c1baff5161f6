//! What rules and the user add to the general plan, and the mounts that follow from it.

use vss_model::{AbsPath, Cause, Disposition, MaskKind};

use crate::draft::{Draft, Source};
use crate::facts::PathFacts;
use crate::glob;
use crate::outcome::PlanError;
use crate::packages::PackageClosure;
use crate::paths::Scope;
use crate::request::CreateRequest;
use crate::root_plan::RootPlan;
use crate::rules::{Rule, Rules};
use crate::suitable;
use crate::units::UnitClosure;

/// The rules whose unit runs, or whose package is in the closure.
pub(crate) fn rules_that_hold<'r>(
    rules: &'r Rules,
    units: &UnitClosure<'_>,
    packages: &PackageClosure<'_>,
) -> Vec<&'r Rule> {
    let units: Vec<String> = units.names.iter().map(|u| u.as_str().to_owned()).collect();
    let packages: Vec<String> = packages
        .packages
        .keys()
        .map(|p| p.as_str().to_owned())
        .collect();
    let any = |patterns: &[String], names: &[String]| {
        patterns
            .iter()
            .any(|p| names.iter().any(|n| glob::matches(p, n)))
    };
    let holds = |rule: &&Rule| any(&rule.body.units, &units) || any(&rule.body.packages, &packages);
    rules.rules.iter().filter(holds).collect()
}

/// Claims what rules say of paths.
///
/// # Errors
/// Where a path can't be shared.
pub(crate) fn ruled(scope: &Scope<'_, '_>, draft: &mut Draft) -> Result<(), PlanError> {
    for rule in rules_that_hold(scope.rules, scope.units, scope.packages) {
        let cause = Cause::Rule {
            file: rule.file.clone(),
            why: rule.body.why.clone(),
        };
        for path in &rule.body.copy {
            copy(scope, draft, Source::Rule, path, &cause);
        }
        for path in &rule.body.share {
            // a rule is for many hosts: what it names may be elsewhere here, or not be there
            let Some(path) = scope.ask.real(path) else {
                continue;
            };
            suitable::possible(&path, &suitable::said_by(&cause, "share"))?;
            if !matches!(scope.ask.path(&path), Some(PathFacts::Missing)) {
                draft.claim(Source::Rule, &path, Disposition::Share, cause.clone());
            }
        }
        for path in &rule.body.mask {
            let path = scope.ask.resolve(path).unwrap_or_else(|| path.clone());
            draft.mask(Source::Rule, &path, MaskKind::Absent, cause.clone());
        }
    }
    Ok(())
}

/// Copies a path as somebody says, a directory whole; whether it is there.
fn copy(
    scope: &Scope<'_, '_>,
    draft: &mut Draft,
    source: Source,
    path: &AbsPath,
    cause: &Cause,
) -> bool {
    match scope.ask.path(path) {
        None => true,
        Some(PathFacts::Missing | PathFacts::Special) => false,
        Some(PathFacts::Directory { .. }) => {
            draft.tree(source, path, cause.clone());
            true
        }
        Some(PathFacts::Link { .. }) => {
            draft.node(source, path, cause.clone());
            if let Some(target) = scope.ask.link_target(path).flatten().filter(|t| t != path) {
                scope.claim(draft, source, &target, &Cause::Link { from: path.clone() });
            }
            true
        }
        Some(PathFacts::File { .. }) => {
            draft.node(source, path, cause.clone());
            true
        }
    }
}

/// Claims what the user says with `--copy`, `--share` and `--mask`.
///
/// # Errors
/// Where a path is not there, or can't be what the option asks for.
pub(crate) fn asked(
    scope: &Scope<'_, '_>,
    draft: &mut Draft,
    request: &CreateRequest,
) -> Result<(), PlanError> {
    suitable::contradiction(request)?;
    for path in &request.copy {
        if is_shared_fragment(scope, path) {
            continue;
        }
        suitable::to_copy(scope, path)?;
        if !copy(scope, draft, Source::User, path, &cause("--copy")) {
            return Err(suitable::no_such(path, "--copy"));
        }
    }
    for path in &request.share {
        suitable::to_share(scope, path)?;
        draft.claim(Source::User, path, Disposition::Share, cause("--share"));
    }
    for path in &request.mask {
        suitable::to_mask(scope, path)?;
        draft.mask(Source::User, path, MaskKind::Absent, cause("--mask"));
    }
    Ok(())
}

/// Whether it is a requested unit's own file below `/usr`: naming it says that the unit has nothing
/// else ([`PlanError::Unowned`]), and the container sees it there as it is.
fn is_shared_fragment(scope: &Scope<'_, '_>, path: &AbsPath) -> bool {
    let mut members = scope.units.members.values();
    path.as_path().starts_with("/usr")
        && members.any(|member| member.requested && member.facts.fragment == *path)
}

fn cause(option: &str) -> Cause {
    Cause::User {
        option: option.to_owned(),
    }
}

/// The mounts that a plan needs besides the standard ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mounts {
    pub(crate) writable: Vec<AbsPath>,
    pub(crate) shared: Vec<AbsPath>,
}

/// The topmost paths outside `/etc`, `/var` and `/root` that are the container's own, and what is
/// shared besides `/usr`.
pub(crate) fn mounts(scope: &Scope<'_, '_>, root: &RootPlan) -> Mounts {
    const STANDARD: [&str; 4] = ["/etc", "/var", "/root", "/usr"];
    let mut mounts = Mounts::default();
    for entry in &root.entries {
        let path = &entry.path;
        let is_standard = |base: &&str| path.as_path() == std::path::Path::new(base);
        match entry.disposition {
            Disposition::Share if !STANDARD.iter().any(is_standard) => {
                mounts.shared.push(path.clone());
            }
            Disposition::Copy { .. } => {
                let private = ["/etc", "/var", "/root"]
                    .iter()
                    .any(|b| path.as_path().starts_with(b));
                let covered = mounts.writable.iter().any(|w| path.starts_with(w));
                if !private && !covered && path.depth() >= 2 {
                    // a single file is written by replacing it: its directory has to be writable
                    let facts = scope.ask.path(path);
                    let is_directory = matches!(facts, Some(PathFacts::Directory { .. }));
                    let mount = if is_directory {
                        Some(path.clone())
                    } else {
                        path.parent()
                    };
                    mounts.writable.extend(mount);
                }
            }
            _ => {}
        }
    }
    mounts
}
