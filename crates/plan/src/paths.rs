//! Which paths of `/etc`, `/var`, `/srv`, `/opt` belong to the service.

use std::collections::{BTreeMap, BTreeSet};

use vss_model::{AbsPath, Cause, Generated, Package, PackageName};

use crate::accounts::Accounts;
use crate::ask::Ask;
use crate::draft::{Draft, Source};
use crate::facts::{EntryKind, NamedPath, PathFacts, PathKind};
use crate::packages::{MAX_NEIGHBOURS, PackageClosure, is_own_place};
use crate::region::{Region, is_hosts_own, region, region_for};
use crate::rules::Rules;
use crate::units::UnitClosure;

/// What decides on paths: facts, tables, and the closures that are known already.
pub(crate) struct Scope<'s, 'a> {
    pub(crate) ask: &'s Ask<'a>,
    pub(crate) rules: &'s Rules,
    pub(crate) units: &'s UnitClosure<'a>,
    pub(crate) packages: &'s PackageClosure<'a>,
    /// `-C`.
    pub(crate) copy_data: bool,
}

impl Scope<'_, '_> {
    /// Claims a path as far as it is the service's: a file alone, a directory whole where only the
    /// closure owns it. Answers whether anything is there.
    pub(crate) fn claim(
        &self,
        draft: &mut Draft,
        source: Source,
        path: &AbsPath,
        cause: &Cause,
    ) -> bool {
        let Some(path) = self.ask.resolve(path) else {
            return false;
        };
        if region_for(&path, cause) == Region::Elsewhere || path.depth() < 2 {
            return false;
        }
        // what is made for every container is no package's and no unit's to bring from the host
        if source < Source::Rule && self.rules.is_made(&path) {
            return true;
        }
        let Some(facts) = self.ask.path(&path) else {
            return false;
        };
        match facts {
            PathFacts::Missing => return false,
            PathFacts::Special => draft.skip(&path, "neither file, directory nor link"),
            PathFacts::File { .. } => self.claim_file(draft, source, &path, cause),
            PathFacts::Link { .. } => {
                draft.node(source, &path, cause.clone());
                self.follow_link(draft, source, &path);
            }
            PathFacts::Directory { .. } => self.claim_directory(draft, source, &path, cause),
        }
        true
    }

    /// A file, unless it is a log or a cache that the service writes: of that the directory.
    fn claim_file(&self, draft: &mut Draft, source: Source, path: &AbsPath, cause: &Cause) {
        let is_listed = matches!(cause, Cause::Package { .. });
        match path.parent() {
            Some(directory) if !is_listed && self.rules.volatile(path).is_some() => {
                if is_own_place(&directory) && !draft.has(&directory) {
                    self.claim_directory(draft, source, &directory, cause);
                }
            }
            _ => draft.node(source, path, cause.clone()),
        }
    }

    fn follow_link(&self, draft: &mut Draft, source: Source, link: &AbsPath) {
        let target = self.ask.link_target(link).flatten();
        if let Some(target) = target.filter(|t| !draft.has(t) && !draft.in_tree(t) && t != link) {
            self.claim(draft, source, &target, &Cause::Link { from: link.clone() });
        }
    }

    fn claim_directory(&self, draft: &mut Draft, source: Source, path: &AbsPath, cause: &Cause) {
        if let Some(volatile) = self.rules.volatile(path) {
            self.claim_volatile(draft, source, path, cause, &volatile.what);
            return;
        }
        let wanted = match region_for(path, cause) {
            Region::Config => true,
            Region::Data => self.copy_data,
            Region::Elsewhere => false,
        };
        let home_of_a_user = path.as_path().starts_with("/home") && path.depth() < 3;
        let is_ours = || {
            let named = matches!(
                cause,
                Cause::NamedIn { .. } | Cause::Unit { .. } | Cause::Link { .. }
            );
            self.packages.owns(self.ask, path) || named && self.is_free_for_data(path)
        };
        let may_be_whole =
            is_own_place(path) && !home_of_a_user && self.rules.denied(path).is_none();
        if wanted && may_be_whole && is_ours() {
            draft.tree(source, path, cause.clone());
            self.name_owners(draft, source, path);
        } else {
            draft.node(source, path, cause.clone());
            if !wanted {
                draft.node(source, path, Cause::NoCopy);
            }
        }
    }

    /// Whether packages list nothing but directories in a directory for data, so that what is in
    /// it is data of whoever names it (`/var/www/html`).
    pub(crate) fn is_free_for_data(&self, path: &AbsPath) -> bool {
        let owners = self.ask.owners_below(path).unwrap_or_default();
        let lists_directories = |name: &PackageName| {
            let Some(Some(package)) = self.ask.package(name) else {
                return false;
            };
            let mut below = package.files.iter().filter(|f| f.path.starts_with(path));
            below.all(|f| matches!(self.ask.path(&f.path), Some(PathFacts::Directory { .. })))
        };
        (region(path) == Region::Data || is_hosts_own(path))
            && owners.len() <= MAX_NEIGHBOURS
            && owners.iter().all(lists_directories)
    }

    /// Says that a directory is taken whole because of its owners.
    fn name_owners(&self, draft: &mut Draft, source: Source, path: &AbsPath) {
        let mut owners: Vec<PackageName> = self.ask.owners_below(path).unwrap_or_default().to_vec();
        owners.retain(|o| self.packages.packages.contains_key(o));
        if !owners.is_empty() {
            let directory = path.clone();
            draft.tree(source, path, Cause::WholeDirectory { directory, owners });
        }
    }

    /// Logs and caches: the directory, and with `-C` those in it, where the closure owns it.
    fn claim_volatile(
        &self,
        draft: &mut Draft,
        source: Source,
        path: &AbsPath,
        cause: &Cause,
        what: &str,
    ) {
        let why = Cause::Volatile {
            what: what.to_owned(),
        };
        draft.node(source, path, cause.clone());
        draft.node(source, path, why.clone());
        if self.copy_data && self.packages.owns(self.ask, path) {
            for inside in self.ask.directories(path).unwrap_or_default() {
                draft.node(source, inside, why.clone());
            }
        }
    }

    /// The paths that the packages of the closure list.
    pub(crate) fn listed(&self, draft: &mut Draft) {
        for package in self.packages.packages.values() {
            let for_upkeep = self.directories_for_upkeep(package);
            for file in &package.files {
                let in_place = region(&file.path) != Region::Elsewhere && file.path.depth() >= 2;
                if !in_place || draft.in_tree(&file.path) || self.is_everyones(&file.path) {
                    continue;
                }
                let cause = Cause::Package {
                    package: package.name.clone(),
                    version: package.version.clone(),
                    config: file.flags.config,
                };
                if self.is_upkeep(&file.path) || for_upkeep.contains(&file.path) {
                    self.claim_upkeep(draft, &package.name, &file.path, cause);
                    continue;
                }
                let there = self.claim(draft, Source::Package, &file.path, &cause);
                if !there && self.is_missing(&file.path) && !file.flags.ghost {
                    draft.skip(
                        &file.path,
                        &format!("{} lists it, the host doesn't have it", package.name),
                    );
                }
            }
        }
    }

    /// What is for the host's upkeep is left behind, but for the directories that a service may
    /// look into (`/etc/cron.d` of cron).
    fn claim_upkeep(&self, draft: &mut Draft, package: &PackageName, path: &AbsPath, cause: Cause) {
        let is_seed = self.packages.seeds.contains(package) && path.depth() == 2;
        if is_seed && matches!(self.ask.path(path), Some(PathFacts::Directory { .. })) {
            draft.node(Source::Package, path, cause);
        }
    }

    /// The directories in which a package has nothing but what is for upkeep.
    fn directories_for_upkeep(&self, package: &Package) -> BTreeSet<AbsPath> {
        let above = |upkeep: bool| {
            let files = package.files.iter().map(|f| &f.path);
            let files = files.filter(move |f| self.is_upkeep(f) == upkeep);
            files.flat_map(|f| f.ancestors().skip(1))
        };
        let mut directories: BTreeSet<AbsPath> = above(true).collect();
        for directory in above(false) {
            directories.remove(&directory);
        }
        directories
    }

    /// Whether a path is for a caretaker of the host that is not the service.
    pub(crate) fn is_upkeep(&self, path: &AbsPath) -> bool {
        self.packages.is_upkeep(self.rules, path)
    }

    /// Directories of the standard layout, which the baseline has.
    fn is_everyones(&self, path: &AbsPath) -> bool {
        self.rules.in_baseline(path) || !is_own_place(path)
    }

    fn is_missing(&self, path: &AbsPath) -> bool {
        matches!(self.ask.path(path), Some(PathFacts::Missing))
    }

    /// The paths that units name, and their files in `/etc`.
    pub(crate) fn named_by_units(&self, draft: &mut Draft) {
        for (link, cause) in self.units.alias_links() {
            draft.node(Source::Unit, link, cause);
        }
        for member in self.units.members.values() {
            let unit = &member.facts.name;
            let own = Cause::Unit {
                unit: unit.clone(),
                directive: String::new(),
            };
            let files = [&member.facts.found]
                .into_iter()
                .chain(&member.facts.drop_ins);
            for file in files.filter(|f| f.as_path().starts_with("/etc")) {
                draft.node(Source::Unit, file, own.clone());
                self.follow_link(draft, Source::Unit, file);
            }
            for named in &member.facts.paths {
                let cause = Cause::Unit {
                    unit: unit.clone(),
                    directive: format!("{}=", named.directive),
                };
                self.named_by_unit(draft, named, &cause);
            }
        }
    }

    fn named_by_unit(&self, draft: &mut Draft, named: &NamedPath, cause: &Cause) {
        match named.kind {
            PathKind::Runtime | PathKind::Unwanted | PathKind::MountPoint => {}
            PathKind::Socket => {
                if let Some(directory) = named.path.parent().filter(|d| d.depth() >= 2) {
                    self.claim(draft, Source::Unit, &directory, cause);
                }
            }
            PathKind::Exec => {
                self.claim(draft, Source::Unit, &self.program_home(&named.path), cause);
            }
            PathKind::File | PathKind::Directory | PathKind::Managed | PathKind::Condition => {
                self.claim(draft, Source::Unit, &named.path, cause);
            }
        }
    }

    /// Where units have something mounted over what is there: systemd wants a place for it, and the
    /// service never sees what it holds on the host. What others bring of it is left as it is.
    fn mount_points(&self, draft: &mut Draft) {
        for member in self.units.members.values() {
            let named = member.facts.paths.iter();
            for named in named.filter(|n| n.kind == PathKind::MountPoint && !n.optional) {
                let cause = Cause::MountPoint {
                    unit: member.facts.name.clone(),
                    directive: format!("{}=", named.directive),
                };
                self.mount_point(draft, &named.path, cause);
            }
        }
    }

    fn mount_point(&self, draft: &mut Draft, path: &AbsPath, cause: Cause) {
        let Some(path) = self.ask.resolve(path) else {
            return;
        };
        let is_ours = region(&path) != Region::Elsewhere
            || is_hosts_own(&path)
            || path.as_path() == std::path::Path::new("/boot");
        if !is_ours || draft.in_tree(&path) || draft.has(&path) {
            return;
        }
        match self.ask.path(&path) {
            Some(PathFacts::Directory { .. }) => draft.node(Source::Unit, &path, cause),
            Some(&PathFacts::File { mode, uid, gid, .. }) => {
                let what = Generated::File {
                    text: String::new(),
                    mode,
                    uid,
                    gid,
                };
                draft.generate(Source::Unit, &path, what, cause);
            }
            _ => {}
        }
    }

    /// What a program outside `/usr` comes with: `/opt/x` of `/opt/x/bin/y`, else the directory
    /// that it is in, unless that is everyone's.
    fn program_home(&self, program: &AbsPath) -> AbsPath {
        let is_in = |base: &str| program.as_path().starts_with(base);
        let home = if is_in("/opt") {
            program.ancestors().find(|p| p.depth() == 2)
        } else if is_in("/srv") || is_in("/home") || is_hosts_own(program) {
            program.parent().filter(|p| p.depth() >= 2)
        } else {
            None
        };
        home.unwrap_or_else(|| program.clone())
    }

    /// Files and directories that no package lists, but that bear the service's name or belong to
    /// its user: made by maintainer scripts (`/var/lib/mysql`, `/etc/default/x`).
    pub(crate) fn unlisted(&self, draft: &mut Draft, accounts: &Accounts) {
        self.mount_points(draft);
        self.homes(draft, accounts);
        let names = self.service_names(draft);
        for name in &names {
            for candidate in [
                format!("/etc/{name}"),
                format!("/etc/{name}.conf"),
                format!("/etc/{name}.cfg"),
                format!("/etc/{name}.d"),
                format!("/etc/default/{name}"),
                format!("/etc/sysconfig/{name}"),
            ] {
                if let Ok(path) = candidate.parse::<AbsPath>() {
                    self.unlisted_path(draft, &path, name);
                }
            }
        }
        let instances = self.instance_names(&names);
        for base in ["/etc", "/etc/default", "/etc/sysconfig"] {
            self.of_instance(draft, base, &instances);
        }
        let shared = &self.packages.shared_with_upkeep;
        for directory in self.packages.own_upkeep.iter().chain(shared) {
            self.unlisted_in(draft, directory);
        }
        let users = self.service_users(accounts);
        for base in ["/var/lib", "/var/spool", "/var/log", "/var/cache"] {
            let Ok(base) = base.parse::<AbsPath>() else {
                continue;
            };
            for entry in self.ask.list(&base).flatten().unwrap_or_default() {
                let Some(path) = entry.path(&base) else {
                    continue;
                };
                let name = entry.text();
                if entry.kind != EntryKind::Directory || draft.in_tree(&path) {
                    continue;
                }
                if names.contains(&name) || instances.contains(&name) {
                    self.unlisted_path(draft, &path, &name);
                } else if let Some(PathFacts::Directory { uid, .. }) = self.ask.path(&path)
                    && let Some(cause) = users.get(uid)
                    && self.is_unowned(&path)
                {
                    self.claim(draft, Source::Package, &path, cause);
                }
            }
        }
    }

    pub(crate) fn unlisted_path(&self, draft: &mut Draft, path: &AbsPath, name: &str) {
        if draft.in_tree(path) || draft.has_from(Source::Unit, path) || self.is_missing(path) {
            return;
        }
        if self.is_unowned(path) {
            let name = name.to_owned();
            self.claim(draft, Source::Package, path, &Cause::Namesake { name });
        }
    }

    pub(crate) fn is_unowned(&self, path: &AbsPath) -> bool {
        self.ask.owners_below(path).is_some_and(<[_]>::is_empty)
    }

    /// What the service may be called: by its packages, units, users and configuration directory.
    fn service_names(&self, draft: &Draft) -> BTreeSet<String> {
        let mut names = self.packages.names.clone();
        for member in self.units.members.values() {
            if member.requested {
                names.extend(member.facts.last("User").map(str::to_owned));
            }
        }
        for (path, _, source) in draft.copies() {
            let is_config = path.depth() == 2 && path.as_path().starts_with("/etc");
            if is_config
                && source >= Source::Unit
                && draft.in_tree(&path)
                && self.listed_by_seed(&path)
            {
                names.extend(path.file_name().map(|n| n.to_string_lossy().into_owned()));
            }
        }
        names.retain(|n| n.len() >= 2 && !matches!(n.as_str(), "root" | "nobody" | "systemd"));
        names
    }

    /// What the instances that were asked for may be called: `/etc/apache2-two`,
    /// `/etc/default/dnsmasq.two`, `/var/lib/mysql-two`.
    fn instance_names(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        let members = self.units.members.values().filter(|m| m.requested);
        members
            .filter_map(|m| m.facts.name.instance())
            .filter(|instance| !instance.is_empty() && !instance.contains('/'))
            .flat_map(|instance| {
                let join = move |name| ['-', '@', '.'].map(|c| format!("{name}{c}{instance}"));
                names.iter().flat_map(join)
            })
            .collect()
    }

    /// What a directory of configuration holds that is named after an instance.
    fn of_instance(&self, draft: &mut Draft, base: &str, instances: &BTreeSet<String>) {
        let Ok(base) = base.parse::<AbsPath>() else {
            return;
        };
        if instances.is_empty() {
            return;
        }
        for entry in self.ask.list(&base).flatten().unwrap_or_default() {
            let name = entry.text();
            let stem = [".conf", ".cfg", ".d"]
                .iter()
                .find_map(|tail| name.strip_suffix(tail))
                .unwrap_or(&name);
            if instances.contains(stem)
                && let Some(path) = entry.path(&base)
            {
                self.unlisted_path(draft, &path, stem);
            }
        }
    }

    /// What the host's administrator has put into a directory of the service where other packages
    /// have put something too, so that it isn't taken whole.
    fn unlisted_in(&self, draft: &mut Draft, directory: &AbsPath) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        for entry in self.ask.list(directory).flatten().unwrap_or_default() {
            if let Ok(path) = directory.join(&entry.name) {
                self.unlisted_path(draft, &path, name.trim_end_matches(".d"));
            }
        }
    }

    fn listed_by_seed(&self, path: &AbsPath) -> bool {
        let owners = self.ask.owners(path).unwrap_or_default();
        owners.iter().any(|o| self.packages.seeds.contains(o))
    }

    /// The uids of the users that the service's units run as.
    fn service_users(&self, accounts: &Accounts) -> BTreeMap<u32, Cause> {
        let mut users = BTreeMap::new();
        for member in self.units.members.values() {
            let named = member.facts.last("User").and_then(|u| accounts.uid(u));
            if let Some(uid) = named.filter(|&uid| uid != 0 && uid != 65534) {
                let cause = Cause::Unit {
                    unit: member.facts.name.clone(),
                    directive: "User=".to_owned(),
                };
                users.insert(uid, cause);
            }
        }
        users
    }
}
