//! Facts of units: as they are on disk, because another systemd than the host's will load them.

use vss_model::{AbsPath, UnitName};
use vss_plan::facts::{HostUnitFacts, IgnoredLine, NamedPath, PathKind, Setting, UnitFacts};
use vss_tree::Root;
use vss_unit::{LoadedUnit, SpecifierContext};

use crate::enablement;
use crate::error::{IoContext, Result};
use crate::host::Host;

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// The most files that a pattern stands for.
const MAX_MATCHES: usize = 256;

/// A unit that systemd would not load is told of where it was asked for; another unit's is one that is
/// not there, as to systemd.
pub(super) fn unit(host: &Host, name: &UnitName, asked_for: bool) -> Result<Option<UnitFacts>> {
    match vss_unit::load(host.root(), name) {
        Ok(Some(unit)) => facts(host, &unit).map(Some),
        Ok(None) => Ok(None),
        Err(vss_unit::Error::Unreadable { .. }) if !asked_for => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn names(host: &Host) -> Result<Vec<UnitName>> {
    Ok(vss_unit::names(host.root())?)
}

fn facts(host: &Host, unit: &LoadedUnit) -> Result<UnitFacts> {
    let context = unit.context();
    Ok(UnitFacts {
        name: unit.name.clone(),
        masked: unit.masked,
        found: unit.fragment.clone(),
        fragment: if unit.masked {
            unit.fragment.clone()
        } else {
            resolve(host, &unit.fragment)?
        },
        drop_ins: unit.drop_ins.clone(),
        settings: settings(unit, &context),
        paths: named_paths(host.tree()?, unit, &context)?,
        wants: unit.wants.clone(),
        requires: unit.requires.clone(),
        alias_links: unit.alias_links.clone(),
        ignored: unit.ignored.iter().map(ignored_line).collect(),
    })
}

fn ignored_line(line: &vss_unit::IgnoredLine) -> IgnoredLine {
    IgnoredLine {
        file: line.file.clone(),
        line: line.line,
        reason: line.reason.to_owned(),
        ends_file: line.ends_file,
    }
}

/// Follows a path to the file that it is, within the host's root.
fn resolve(host: &Host, path: &AbsPath) -> Result<AbsPath> {
    let mut path = path.clone();
    for _ in 0..MAX_LINKS {
        match host.tree()?.metadata(path.as_path())? {
            Some(found) if found.kind == vss_tree::Kind::Link => {
                let target = host.tree()?.read_link(path.as_path())?;
                match path.resolve_link(target) {
                    Ok(next) => path = next,
                    Err(_) => break,
                }
            }
            _ => break,
        }
    }
    Ok(path)
}

/// A value whose specifiers stand for facts that only the container will have stays as written.
fn settings(unit: &LoadedUnit, context: &SpecifierContext) -> Vec<Setting> {
    unit.settings
        .entries()
        .iter()
        .map(|entry| Setting {
            section: entry.section.clone(),
            key: entry.key.clone(),
            value: vss_unit::expand(&entry.value, context).unwrap_or_else(|_| entry.value.clone()),
        })
        .collect()
}

/// The paths that a unit names; of those that may mean one of several files, or none, the ones that
/// are there.
fn named_paths(
    root: &Root,
    unit: &LoadedUnit,
    context: &SpecifierContext,
) -> Result<Vec<NamedPath>> {
    use vss_unit::PathKind as Named;
    let mut out: Vec<NamedPath> = Vec::new();
    let mut searched: Option<vss_unit::NamedPath> = None;
    for named in vss_unit::paths_named(&unit.settings, context) {
        match named.kind {
            Named::RelativeArgument => {
                if is_there(root, &named.path)? {
                    out.extend(named_path(named));
                }
            }
            Named::SearchedProgram => {
                let is_found = searched.as_ref().is_some_and(|found| {
                    found.directive == named.directive
                        && found.path.file_name() == named.path.file_name()
                });
                if !is_found && is_there(root, &named.path)? {
                    searched = Some(named.clone());
                    out.extend(named_path(named));
                }
            }
            Named::File if named.pattern => out.extend(matching(root, &named)?),
            _ => out.extend(named_path(named)),
        }
    }
    Ok(out)
}

fn is_there(root: &Root, path: &AbsPath) -> Result<bool> {
    Ok(root.metadata(path.as_path())?.is_some())
}

/// The files that a pattern finds in its directory.
fn matching(root: &Root, named: &vss_unit::NamedPath) -> Result<Vec<NamedPath>> {
    let (Some(directory), Some(pattern)) = (named.path.parent(), named.path.file_name()) else {
        return Ok(Vec::new());
    };
    let pattern = pattern.to_string_lossy();
    let is_plain = directory_of_pattern(&named.path) == directory;
    if !is_plain {
        return Ok(named_path(named.clone()).into_iter().collect());
    }
    let found = root.metadata(directory.as_path())?;
    if !found.is_some_and(|found| found.is_directory()) {
        return Ok(Vec::new());
    }
    let mut names: Vec<_> = root
        .list(directory.as_path())?
        .into_iter()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| vss_unit::pattern::matches(&pattern, name))
        .collect();
    names.sort();
    names.truncate(MAX_MATCHES);
    let found = names.iter().filter_map(|name| directory.join(name).ok());
    Ok(found
        .filter_map(|path| {
            named_path(vss_unit::NamedPath {
                path,
                pattern: false,
                optional: true,
                ..named.clone()
            })
        })
        .collect())
}

/// A pattern counts as the directory that it is in; a condition on one can't be foreseen.
fn named_path(named: vss_unit::NamedPath) -> Option<NamedPath> {
    let kind = kind(named.kind);
    let path = if named.pattern {
        if matches!(kind, PathKind::Condition | PathKind::Unwanted) {
            return None;
        }
        directory_of_pattern(&named.path)
    } else {
        named.path
    };
    Some(NamedPath {
        path,
        directive: named.directive.trim_end_matches('=').to_owned(),
        optional: named.optional || named.pattern,
        kind,
        any_instance: named.any_instance,
    })
}

fn directory_of_pattern(pattern: &AbsPath) -> AbsPath {
    let wild = |path: &AbsPath| {
        path.as_path()
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .any(|b| matches!(b, b'*' | b'?' | b'['))
    };
    pattern
        .ancestors()
        .find(|path| !wild(path))
        .unwrap_or_else(AbsPath::root)
}

fn kind(kind: vss_unit::PathKind) -> PathKind {
    use vss_unit::PathKind as Named;
    match kind {
        Named::Program | Named::SearchedProgram | Named::Argument | Named::RelativeArgument => {
            PathKind::Exec
        }
        Named::File | Named::Output | Named::Image | Named::Watched => PathKind::File,
        Named::RuntimeDirectory | Named::PidFile => PathKind::Runtime,
        Named::StateDirectory
        | Named::CacheDirectory
        | Named::LogsDirectory
        | Named::ConfigurationDirectory => PathKind::Managed,
        Named::WorkingDirectory
        | Named::RootDirectory
        | Named::Writable
        | Named::ReadOnly
        | Named::BindSource
        | Named::MountsFor => PathKind::Directory,
        Named::Inaccessible | Named::MountPoint => PathKind::MountPoint,
        Named::Socket => PathKind::Socket,
        Named::Condition { negated: true, .. } => PathKind::Unwanted,
        Named::Condition { negated: false, .. } => PathKind::Condition,
    }
}

pub(super) fn host_unit(host: &Host, name: &UnitName) -> Result<HostUnitFacts> {
    let dir = host.unit_dir();
    let template = match name.template() {
        Some(template) => vss_unit::find_file(host.root(), &template)?,
        None => None,
    };
    Ok(HostUnitFacts {
        file: vss_unit::find_file(host.root(), name)?,
        template,
        enabled: enablement::links(&dir, name)
            .at("list", &dir)?
            .iter()
            .map(|link| host.shown(link))
            .collect(),
        active: match host.services()? {
            Some(services) => services.status(name)?.active.is_up(),
            None => false,
        },
        drop_ins: vss_unit::drop_ins(host.root(), name)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_pattern_stands_for_its_directory() {
        let of = |p: &str| directory_of_pattern(&p.parse().unwrap()).to_string();
        assert_eq!(of("/etc/default/x*.conf"), "/etc/default");
        assert_eq!(of("/etc/*/x"), "/etc");
    }

    /// What a service with these settings names, of a host with these files.
    fn named(unit: &str, settings: &str, files: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let unit: UnitName = unit.parse().unwrap();
        let file = unit.template().unwrap_or_else(|| unit.clone());
        let text = format!("[Service]\n{settings}");
        write(&format!("/usr/lib/systemd/system/{file}"), &text);
        for file in files {
            write(file, "");
        }
        let unit = vss_unit::load(dir.path(), &unit).unwrap().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let named = named_paths(&root, &unit, &unit.context()).unwrap();
        named
            .iter()
            .map(|n| format!("{}={}", n.directive, n.path))
            .collect()
    }

    #[test]
    fn a_relative_argument_counts_where_there_is_such_a_file() {
        let settings = "WorkingDirectory=/etc/vpn\nExecStart=/usr/bin/vpn --name vpn-%i %i.conf\n";
        let files = ["/etc/vpn/one.conf", "/etc/vpn/two.conf"];
        let found = named("vpn@one.service", settings, &files);
        assert_eq!(
            found,
            [
                "WorkingDirectory=/etc/vpn",
                "ExecStart=/usr/bin/vpn",
                "ExecStart=/etc/vpn/one.conf"
            ]
        );
    }

    #[test]
    fn a_pattern_of_files_stands_for_those_that_are_there() {
        let settings = "EnvironmentFile=-/etc/default/foo-*\nEnvironmentFile=/etc/none/*.env\n";
        let files = [
            "/etc/default/foo-a",
            "/etc/default/foo-b",
            "/etc/default/bar",
        ];
        let found = named("foo.service", settings, &files);
        assert_eq!(
            found,
            [
                "EnvironmentFile=/etc/default/foo-a",
                "EnvironmentFile=/etc/default/foo-b"
            ]
        );
    }

    #[test]
    fn a_program_without_a_directory_is_where_systemd_finds_it() {
        let settings = "ExecStartPre=web -t\nExecStart=web\nExecStop=stop-web\n";
        let files = ["/usr/local/bin/web", "/usr/sbin/web", "/usr/bin/stop-web"];
        let found = named("web.service", settings, &files);
        let web = "/usr/local/bin/web";
        assert_eq!(
            found,
            [
                format!("ExecStartPre={web}"),
                format!("ExecStart={web}"),
                "ExecStop=/usr/bin/stop-web".to_owned()
            ]
        );
    }
}
