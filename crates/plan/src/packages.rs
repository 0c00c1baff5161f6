//! Which packages a service consists of: those that own it, their plug-ins, what they depend on.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use vss_model::{AbsPath, Package, PackageName, RelationKind};

use crate::ask::Ask;
use crate::facts::PathKind;
use crate::rules::Rules;
use crate::units::UnitClosure;

/// The most packages that are asked what they list in a directory shared with the service.
pub(crate) const MAX_NEIGHBOURS: usize = 12;
/// The most packages of a closure: beyond, something is wrong with the base set.
const MAX_CLOSURE: usize = 2000;

/// The packages of a service.
#[derive(Debug, Default)]
pub(crate) struct PackageClosure<'a> {
    /// Seeds, plug-ins and dependencies.
    pub(crate) packages: BTreeMap<PackageName, &'a Package>,
    /// Those that own the service, and their plug-ins.
    pub(crate) seeds: BTreeSet<PackageName>,
    /// What the service may be called: names of seeds, of their sources and of the units asked for.
    pub(crate) names: BTreeSet<String>,
    /// Directories for upkeep that are the configuration of the service itself.
    pub(crate) own_upkeep: Vec<AbsPath>,
    /// Directories of a package of the closure in which others leave something for upkeep.
    pub(crate) shared_with_upkeep: Vec<AbsPath>,
    /// Packages that would be of the closure, were they wholly installed.
    pub(crate) unfinished: BTreeMap<PackageName, &'a Package>,
    /// Every path that a package of the closure lists.
    listed: HashSet<&'a AbsPath>,
}

impl<'a> PackageClosure<'a> {
    /// The closure for these units: owners of unit files and of the programs that units name,
    /// their siblings of the same source, plug-ins, dependencies.
    pub(crate) fn of(
        ask: &Ask<'a>,
        rules: &Rules,
        units: &UnitClosure<'a>,
        extra: &[PackageName],
    ) -> Self {
        let mut closure = Self::default();
        let asked_for = units.members.values().filter(|m| m.requested);
        closure.names = asked_for
            .map(|m| m.facts.name.prefix().to_owned())
            .collect();
        for name in owners_of_units(ask, rules, units)
            .into_iter()
            .chain(extra.iter().cloned())
        {
            closure.add_seed(ask, &name);
            let source = closure.packages.get(&name).map(|p| p.source.as_str());
            for sibling in source.and_then(|s| ask.of_source(s)).unwrap_or_default() {
                if !rules.is_base(sibling) {
                    closure.add_seed(ask, sibling);
                }
            }
        }
        closure.add_dependencies(ask, rules);
        while closure.add_plug_ins(ask, rules) {
            closure.add_dependencies(ask, rules);
        }
        closure.own_upkeep = closure.upkeep_of_seeds(rules);
        closure.shared_with_upkeep = closure.named_and_partly_upkeep(rules);
        let names = closure.names_of_seeds();
        closure.names.extend(names);
        let files = closure.packages.values().flat_map(|p| &p.files);
        closure.listed = files.map(|f| &f.path).collect();
        closure
    }

    fn add_seed(&mut self, ask: &Ask<'a>, name: &PackageName) {
        if let Some(Some(package)) = ask.package(name)
            && self.finished(package)
        {
            self.packages.insert(name.clone(), package);
            self.seeds.insert(name.clone());
        }
    }

    /// Whether a package that is meant to be of the closure is wholly installed; one that is not is
    /// remembered.
    fn finished(&mut self, package: &'a Package) -> bool {
        if package.unfinished.is_some() {
            self.unfinished.insert(package.name.clone(), package);
        }
        package.unfinished.is_none()
    }

    /// Follows what is depended on, except into the base set.
    fn add_dependencies(&mut self, ask: &Ask<'a>, rules: &Rules) {
        let mut todo: Vec<&'a Package> = self.packages.values().copied().collect();
        while let Some(package) = todo.pop() {
            let depends = package
                .relations
                .iter()
                .filter(|r| r.kind == RelationKind::Depends);
            for relation in depends {
                let known = self.packages.contains_key(&relation.to);
                if known || rules.is_base(&relation.to) || self.packages.len() >= MAX_CLOSURE {
                    continue;
                }
                let Some(Some(needed)) = ask.package(&relation.to) else {
                    continue;
                };
                if !needed.essential && self.finished(needed) {
                    self.packages.insert(relation.to.clone(), needed);
                    todo.push(needed);
                }
            }
        }
    }

    /// Adds packages that relate to a seed and put files into a directory of the seeds; whether
    /// there were any. Such are modules of a server, which no dependency leads to.
    fn add_plug_ins(&mut self, ask: &Ask<'a>, rules: &Rules) -> bool {
        let homes = self.homes(rules);
        let mut related = BTreeSet::new();
        for seed in &self.seeds {
            let names = ask.dependents(seed).unwrap_or_default();
            related.extend(names.iter().map(|(name, _)| name.clone()));
            let named = self.packages.get(seed).map(|p| &p.relations);
            related.extend(named.into_iter().flatten().map(|r| r.to.clone()));
        }
        let mut found = false;
        for name in related {
            if self.seeds.contains(&name) || rules.is_base(&name) {
                continue;
            }
            let Some(Some(package)) = ask.package(&name) else {
                continue;
            };
            let puts_into = |home: &AbsPath| {
                let mut files = package.files.iter();
                files.any(|f| f.path != *home && f.path.starts_with(home))
            };
            // one that brings a service of its own is that service, not a part of this one
            if homes.iter().any(puts_into)
                && !package.files.iter().any(|f| is_service(&f.path))
                && self.finished(package)
            {
                self.packages.insert(name.clone(), package);
                self.seeds.insert(name);
                found = true;
            }
        }
        found
    }

    /// The directories in `/etc` and `/var` that are named after the seeds: theirs, whoever else
    /// puts files there.
    fn homes(&self, rules: &Rules) -> BTreeSet<AbsPath> {
        let names = self.names_of_seeds();
        let own_upkeep = self.upkeep_of_seeds(rules);
        let is_upkeep = |path: &AbsPath| {
            rules.is_upkeep(path) && !own_upkeep.iter().any(|own| path.starts_with(own))
        };
        let mut homes = BTreeSet::new();
        for package in self.seeds.iter().filter_map(|s| self.packages.get(s)) {
            for file in &package.files {
                let in_place = ["/etc", "/var"]
                    .iter()
                    .any(|b| file.path.as_path().starts_with(b));
                let home = file.path.ancestors().skip(1).find(|p| {
                    p.file_name()
                        .is_some_and(|n| names.contains(&*n.to_string_lossy()))
                });
                homes.extend(home.filter(|h| in_place && is_own_place(h) && !is_upkeep(h)));
            }
        }
        homes
    }

    /// The directories for upkeep that are named after the service and in which its own packages
    /// have something: `/etc/fail2ban` of fail2ban, `/etc/rsyslog.d` of rsyslog. To others it is a
    /// place where they leave something for a caretaker of the host; it is this caretaker's own.
    fn upkeep_of_seeds(&self, rules: &Rules) -> Vec<AbsPath> {
        let names = self.names_of_seeds();
        let is_named = |directory: &AbsPath| {
            directory.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                let name = name.strip_suffix(".d").unwrap_or(&name);
                names.contains(name) || self.names.contains(name)
            })
        };
        let seeds: Vec<_> = self
            .seeds
            .iter()
            .filter_map(|s| self.packages.get(s))
            .collect();
        let has_files = |directory: &AbsPath| {
            let mut files = seeds.iter().flat_map(|p| &p.files);
            files.any(|f| f.path.starts_with(directory))
        };
        rules
            .upkeep_directories()
            .filter(|d| is_named(d) && has_files(d))
            .collect()
    }

    /// The directories that are for upkeep in part, are called like a package of the closure and
    /// hold something else of it: `/etc/ppp` of ppp, where every mail server has a hook.
    fn named_and_partly_upkeep(&self, rules: &Rules) -> Vec<AbsPath> {
        let is_its_own = |directory: &AbsPath| {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let package = self.packages.get(&PackageName::from(&*name));
            package.is_some_and(|package| {
                let mut files = package.files.iter().map(|f| &f.path);
                files.any(|f| f != directory && f.starts_with(directory) && !rules.is_upkeep(f))
            })
        };
        rules.partly_upkeep().filter(is_its_own).collect()
    }

    /// Whether a path is for the upkeep of the host and not what the service itself is about.
    pub(crate) fn is_upkeep(&self, rules: &Rules, path: &AbsPath) -> bool {
        rules.is_upkeep(path) && !self.own_upkeep.iter().any(|own| path.starts_with(own))
    }

    /// Whether the service's own packages bring something for the system bus.
    pub(crate) fn is_on_bus(&self) -> bool {
        const BUS: [&str; 3] = [
            "/usr/share/dbus-1/system.d",
            "/usr/share/dbus-1/system-services",
            "/etc/dbus-1/system.d",
        ];
        let seeds = self.seeds.iter().filter_map(|s| self.packages.get(s));
        seeds.flat_map(|p| &p.files).any(|f| {
            let parent = f.path.parent();
            parent.is_some_and(|p| BUS.iter().any(|b| p.as_path() == std::path::Path::new(b)))
        })
    }

    /// What the service may be called: names of seeds and of their sources.
    fn names_of_seeds(&self) -> BTreeSet<String> {
        let seeds = self.seeds.iter().filter_map(|s| self.packages.get(s));
        let mut names: BTreeSet<String> = BTreeSet::new();
        for package in seeds {
            let plain = package.name.as_str().split(':').next().unwrap_or_default();
            for name in [plain, package.source.as_str()] {
                names.insert(name.to_owned());
                for tail in ["-server", "-daemon", "-common", "-core", "-bin"] {
                    names.extend(name.strip_suffix(tail).map(str::to_owned));
                }
            }
        }
        names
    }

    /// Whether a directory holds nothing of packages outside the closure: nobody else lists
    /// anything in it, or only what the closure lists too, or it is named after the service.
    pub(crate) fn owns(&self, ask: &Ask<'a>, directory: &AbsPath) -> bool {
        let Some(owners) = ask.owners_below(directory) else {
            return false;
        };
        let foreign: Vec<_> = owners
            .iter()
            .filter(|o| !self.packages.contains_key(*o))
            .collect();
        if foreign.is_empty() {
            return true;
        }
        if owners.len() == foreign.len() || !is_own_place(directory) {
            return false;
        }
        let named = directory
            .file_name()
            .is_some_and(|n| self.names.contains(&*n.to_string_lossy()));
        named && self.seeds_list(directory)
            || foreign.len() <= MAX_NEIGHBOURS
                && foreign.iter().all(|f| self.adds_nothing(ask, f, directory))
    }

    /// Whether a package of the closure lists a path.
    pub(crate) fn lists(&self, path: &AbsPath) -> bool {
        self.listed.contains(path)
    }

    fn seeds_list(&self, path: &AbsPath) -> bool {
        let mut seeds = self.seeds.iter().filter_map(|s| self.packages.get(s));
        seeds.any(|p| p.files.iter().any(|f| f.path == *path))
    }

    /// Whether all that a package lists in a directory is listed by the closure as well.
    fn adds_nothing(&self, ask: &Ask<'a>, name: &PackageName, directory: &AbsPath) -> bool {
        let Some(Some(package)) = ask.package(name) else {
            return false;
        };
        let mut theirs = package
            .files
            .iter()
            .filter(|f| f.path.starts_with(directory));
        theirs.all(|f| self.listed.contains(&f.path))
    }
}

fn is_service(path: &AbsPath) -> bool {
    let is_unit = path
        .parent()
        .is_some_and(|p| p.as_path().ends_with("systemd/system"));
    is_unit && path.as_path().extension().is_some_and(|e| e == "service")
}

/// Whether a directory is deep enough to be someone's own: `/etc/x`, `/var/lib/x`, `/var/www`.
pub(crate) fn is_own_place(path: &AbsPath) -> bool {
    const SHARED: [&str; 14] = [
        "/var/lib",
        "/var/log",
        "/var/cache",
        "/var/spool",
        "/var/tmp",
        "/var/run",
        "/var/lock",
        "/var/mail",
        "/var/opt",
        "/var/local",
        "/etc/default",
        "/etc/sysconfig",
        "/etc/init.d",
        "/etc/systemd",
    ];
    path.depth() >= 2
        && !SHARED
            .iter()
            .any(|s| path.as_path() == std::path::Path::new(s))
}

/// The packages that own the units' files, and those that own the programs that they start.
fn owners_of_units(ask: &Ask<'_>, rules: &Rules, units: &UnitClosure<'_>) -> BTreeSet<PackageName> {
    let mut owners = BTreeSet::new();
    for member in units.members.values() {
        let counts = |name: &&PackageName| member.requested || !rules.is_base(name);
        let of_file = owners_of_fragment(ask, &member.facts.fragment);
        owners.extend(of_file.iter().filter(counts).cloned());
        let programs = member.facts.paths.iter();
        for program in programs.filter(|named| named.kind == PathKind::Exec) {
            let of_program = owners_of_program(ask, &program.path);
            owners.extend(of_program.into_iter().filter(|o| !rules.is_base(o)));
        }
    }
    owners
}

/// The owners of a unit's file; of the administrator's version of a shipped one
/// (`systemctl edit --full`) those of the shipped one.
pub(crate) fn owners_of_fragment<'a>(ask: &Ask<'a>, fragment: &AbsPath) -> &'a [PackageName] {
    let owners = ask.owners(fragment).unwrap_or_default();
    let directory = std::path::Path::new("/etc/systemd/system");
    let shipped = fragment
        .file_name()
        .filter(|_| fragment.as_path().parent() == Some(directory))
        .and_then(|name| {
            AbsPath::new(std::path::Path::new("/usr/lib/systemd/system").join(name)).ok()
        });
    match shipped {
        Some(shipped) if owners.is_empty() => ask.owners(&shipped).unwrap_or_default(),
        _ => owners,
    }
}

/// The owners of a program in `/usr`, where it is by links (`/bin/x`) included.
fn owners_of_program(ask: &Ask<'_>, program: &AbsPath) -> BTreeSet<PackageName> {
    let mut places = BTreeSet::from([program.clone()]);
    places.extend(ask.resolve(program));
    let in_usr = places.iter().filter(|p| p.as_path().starts_with("/usr"));
    in_usr
        .filter_map(|place| ask.owners(place))
        .flatten()
        .cloned()
        .collect()
}
