//! A small host in memory that answers what a plan asks.

use std::collections::{BTreeMap, BTreeSet};

use vss_model::path::escape_bytes;
use vss_model::{
    AbsPath, Cause, FileFlags, Package, PackageFile, PackageName, Relation, RelationKind, UnitName,
};
use vss_plan::facts::{
    Accounts, Answer, EntryKind, HeldLevel, HeldRange, HostFacts, HostUnitFacts, InUse, ListEntry,
    Mention, NamedPath, NetworkFacts, PathFacts, PathKind, Query, SelinuxMode, Setting, TreeFacts,
    UnitFacts, Writer,
};
use vss_plan::{
    Because, CreateRequest, Facts, PlanError, Progress, Rules, SandboxPlan, discover, plan,
};

enum Node {
    Directory { uid: u32 },
    File(String),
    Link(String),
}

/// The host. Every path that is added gets its directories.
pub(crate) struct World {
    nodes: BTreeMap<AbsPath, Node>,
    packages: BTreeMap<PackageName, Package>,
    units: BTreeMap<UnitName, UnitFacts>,
    pub(crate) host: HostFacts,
    pub(crate) host_unit: HostUnitFacts,
    pub(crate) levels: Vec<HeldLevel>,
    pub(crate) ranges: Vec<HeldRange>,
    /// Permission bits of directories, where they are not 0755.
    pub(crate) modes: BTreeMap<AbsPath, u32>,
    pub(crate) writers: Vec<Writer>,
    pub(crate) rules: Rules,
}

pub(crate) fn path(text: &str) -> AbsPath {
    text.parse().unwrap()
}

pub(crate) fn unit_name(text: &str) -> UnitName {
    text.parse().unwrap()
}

impl World {
    /// A host with a service `web` of a package of its own.
    pub(crate) fn new() -> Self {
        let mut world = Self {
            nodes: BTreeMap::new(),
            packages: BTreeMap::new(),
            units: BTreeMap::new(),
            host: HostFacts {
                merged_usr: true,
                root_links: BTreeMap::from([("bin".to_owned(), "usr/bin".to_owned())]),
                machine_id: "00112233445566778899aabbccddeeff".to_owned(),
                systemd: 252,
                selinux: SelinuxMode::Enforcing,
                process_context: "system_u:system_r:container_t:s0".parse().unwrap(),
                file_context: "system_u:object_r:container_file_t:s0".parse().unwrap(),
                cgroup_v2: true,
                policy_module: true,
                user_namespaces: true,
            },
            host_unit: HostUnitFacts::default(),
            levels: Vec::new(),
            ranges: Vec::new(),
            modes: BTreeMap::new(),
            writers: Vec::new(),
            rules: Rules::builtin().unwrap(),
        };
        for (directory, file) in [
            (
                "/usr/lib/systemd/system/sysinit.target.wants",
                "systemd-udevd.service",
            ),
            (
                "/usr/lib/systemd/system/sysinit.target.wants",
                "systemd-journald.service",
            ),
            (
                "/usr/lib/systemd/system/multi-user.target.wants",
                "other.service",
            ),
            ("/usr/lib/tmpfiles.d", "systemd.conf"),
            ("/usr/lib/tmpfiles.d", "other.conf"),
        ] {
            world.file(&format!("{directory}/{file}"), "");
        }
        world.file("/etc/shadow", "root:$6$secret:1::::::\n");
        world.link("/var/run", "/run");
        world.package(
            "web",
            "web",
            &[],
            &["/usr/lib/systemd/system/web.service", "/usr/sbin/web"],
        );
        world.unit("web.service", &[("ExecStart", "/usr/sbin/web")]);
        world
    }

    fn add(&mut self, at: &AbsPath, node: Node) {
        for above in at.ancestors().skip(1) {
            self.nodes
                .entry(above)
                .or_insert(Node::Directory { uid: 0 });
        }
        self.nodes.insert(at.clone(), node);
    }

    pub(crate) fn file(&mut self, at: &str, text: &str) {
        self.add(&path(at), Node::File(text.to_owned()));
    }

    pub(crate) fn link(&mut self, at: &str, target: &str) {
        self.add(&path(at), Node::Link(target.to_owned()));
    }

    pub(crate) fn directory(&mut self, at: &str, uid: u32) {
        self.add(&path(at), Node::Directory { uid });
    }

    /// A package; a path that ends with `/` is a directory. Its files in `/etc` and `/var` are
    /// made, unless they are there.
    pub(crate) fn package(
        &mut self,
        name: &str,
        source: &str,
        relations: &[(RelationKind, &str)],
        files: &[&str],
    ) {
        let mut listed = Vec::new();
        for file in files {
            let at = path(file);
            if !self.nodes.contains_key(&at) && !file.starts_with("/absent") {
                match file.ends_with('/') {
                    true => self.directory(file, 0),
                    false => self.file(file, ""),
                }
            }
            listed.push(PackageFile {
                path: at,
                flags: FileFlags::default(),
            });
        }
        let relation = |&(kind, to): &(RelationKind, &str)| Relation {
            kind,
            to: to.into(),
        };
        let package = Package {
            name: name.into(),
            version: "1".to_owned(),
            source: source.to_owned(),
            essential: false,
            relations: relations.iter().map(relation).collect(),
            files: listed,
            unfinished: None,
            notes: Vec::new(),
        };
        self.packages.insert(name.into(), package);
    }

    pub(crate) fn package_mut(&mut self, name: &str) -> &mut Package {
        self.packages.get_mut(&PackageName::from(name)).unwrap()
    }

    pub(crate) fn remove_package(&mut self, name: &str) {
        self.packages.remove(&PackageName::from(name));
    }

    pub(crate) fn remove(&mut self, at: &str) {
        self.nodes.remove(&path(at));
    }

    /// A unit of a shipped file of its name, or of its template's.
    pub(crate) fn unit(&mut self, name: &str, settings: &[(&str, &str)]) -> &mut UnitFacts {
        let name = unit_name(name);
        let file = name.template().unwrap_or_else(|| name.clone());
        let fragment = path(&format!("/usr/lib/systemd/system/{file}"));
        let setting = |&(key, value): &(&str, &str)| Setting {
            section: "Service".to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let paths = settings.iter().filter_map(|&(directive, value)| {
            let kind = match directive {
                "ExecStart" => PathKind::Exec,
                "EnvironmentFile" | "LoadCredential" => PathKind::File,
                "ReadWritePaths" | "WorkingDirectory" => PathKind::Directory,
                "InaccessiblePaths" => PathKind::MountPoint,
                "StateDirectory" => PathKind::Managed,
                "ConditionPathExists" => PathKind::Condition,
                _ => return None,
            };
            let optional = value.starts_with('-');
            let path = value.trim_start_matches('-').parse().ok()?;
            Some(NamedPath {
                path,
                directive: directive.to_owned(),
                optional,
                kind,
                any_instance: None,
            })
        });
        let facts = UnitFacts {
            name: name.clone(),
            masked: false,
            found: fragment.clone(),
            fragment,
            drop_ins: Vec::new(),
            settings: settings.iter().map(setting).collect(),
            paths: paths.collect(),
            wants: Vec::new(),
            requires: Vec::new(),
            alias_links: Vec::new(),
            ignored: Vec::new(),
        };
        self.units.insert(name.clone(), facts);
        self.units.get_mut(&name).unwrap()
    }

    pub(crate) fn alias(&mut self, alias: &str, of: &str) {
        let facts = self.units[&unit_name(of)].clone();
        self.units.insert(unit_name(alias), facts);
    }

    fn below<'w>(&'w self, at: &'w AbsPath) -> impl Iterator<Item = (&'w AbsPath, &'w Node)> {
        self.nodes.iter().filter(move |(p, _)| p.starts_with(at))
    }

    fn owners(&self, lists: impl Fn(&AbsPath) -> bool) -> Vec<PackageName> {
        let owns = |p: &&Package| p.files.iter().any(|f| lists(&f.path));
        self.packages
            .values()
            .filter(owns)
            .map(|p| p.name.clone())
            .collect()
    }

    fn kind(&self, at: &AbsPath) -> PathFacts {
        match self.nodes.get(at) {
            None => PathFacts::Missing,
            Some(Node::Directory { uid }) => PathFacts::Directory {
                mode: self.modes.get(at).copied().unwrap_or(0o755),
                uid: *uid,
                gid: 0,
            },
            Some(Node::File(text)) => PathFacts::File {
                size: text.len() as u64,
                mode: 0o644,
                uid: 0,
                gid: 0,
            },
            Some(Node::Link(target)) => PathFacts::Link {
                target: target.clone(),
            },
        }
    }

    fn tree(&self, at: &AbsPath) -> TreeFacts {
        let mut tree = TreeFacts::default();
        for (p, node) in self.below(at) {
            match node {
                Node::Directory { .. } => tree.directories += 1,
                Node::File(text) => {
                    tree.files += 1;
                    tree.bytes += text.len() as u64;
                }
                Node::Link(target) => {
                    tree.files += 1;
                    tree.links.push((p.clone(), target.clone()));
                }
            }
            if self.rules.watches(p) {
                tree.watched.push(p.clone());
            }
        }
        tree
    }

    fn list(&self, at: &AbsPath) -> Option<Vec<ListEntry>> {
        let Some(Node::Directory { .. }) = self.nodes.get(at) else {
            return None;
        };
        let entries = self
            .below(at)
            .filter(|(p, _)| p.parent().as_ref() == Some(at));
        let entry = |(p, node): (&AbsPath, &Node)| ListEntry {
            name: escape_bytes(p.file_name().unwrap().as_encoded_bytes()),
            kind: match node {
                Node::Directory { .. } => EntryKind::Directory,
                Node::File(_) => EntryKind::File,
                Node::Link(_) => EntryKind::Link,
            },
        };
        Some(entries.map(entry).collect())
    }

    fn mentions(&self, at: &AbsPath) -> Vec<Mention> {
        let mention = |(file, node): (&AbsPath, &Node)| match node {
            Node::File(text) => Some(Mention {
                file: file.clone(),
                paths: vss_plan::mentions::scan(text.as_bytes()),
            }),
            _ => None,
        };
        self.below(at)
            .filter_map(mention)
            .filter(|m| !m.paths.is_empty())
            .collect()
    }

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\napp:x:1500:1500::/srv/app:/bin/false\n".to_owned(),
            group: "root:x:0:\nshadow:x:42:\nweb:x:33:ann\nann:x:1000:\n".to_owned(),
        }
    }

    pub(crate) fn answer(&self, query: &Query) -> Answer {
        match query {
            Query::Host => Answer::Host(Box::new(self.host.clone())),
            Query::Identity => Answer::Identity(vss_model::Uuid::from_u128(1)),
            Query::IdRanges => Answer::IdRanges(self.ranges.clone()),
            Query::InUse => Answer::InUse(InUse {
                levels: self.levels.clone(),
                ..InUse::default()
            }),
            Query::Network(name) => Answer::Network((name != "absent").then(|| NetworkFacts {
                gateway: "192.168.150.1".parse().unwrap(),
                prefix: 24,
                in_use: Vec::new(),
            })),
            Query::Accounts => Answer::Accounts(Self::accounts()),
            Query::Unit(name) => Answer::Unit(self.units.get(name).cloned().map(Box::new)),
            Query::UnitNames => Answer::UnitNames(self.units.keys().cloned().collect()),
            Query::HostUnit(_) => Answer::HostUnit(self.host_unit.clone()),
            Query::Owners(at) => Answer::Packages(self.owners(|p| p == at)),
            Query::OwnersBelow(at) => Answer::Packages(self.owners(|p| p.starts_with(at))),
            Query::Package(name) => Answer::Package(self.packages.get(name).cloned().map(Box::new)),
            Query::OfSource(source) => {
                let names: BTreeSet<_> = self
                    .packages
                    .values()
                    .filter(|p| p.source == *source)
                    .map(|p| p.name.clone())
                    .collect();
                Answer::Packages(names.into_iter().collect())
            }
            Query::Dependents(name) => {
                let all = self
                    .packages
                    .values()
                    .flat_map(|p| p.relations.iter().map(move |r| (p, r)));
                Answer::Dependents(
                    all.filter(|(_, r)| r.to == *name)
                        .map(|(p, r)| (p.name.clone(), r.kind))
                        .collect(),
                )
            }
            Query::Path(at) => Answer::Path(self.kind(at)),
            Query::List(at) => Answer::List(self.list(at)),
            Query::Tree(at) => Answer::Tree(self.tree(at)),
            Query::Directories(at) => Answer::Directories(
                self.below(at)
                    .filter(|(p, n)| *p != at && matches!(n, Node::Directory { .. }))
                    .map(|(p, _)| p.clone())
                    .collect(),
            ),
            Query::Text(at) => Answer::Text(match self.nodes.get(at) {
                Some(Node::File(text)) => Some(text.clone()),
                _ => None,
            }),
            Query::Mentions(at) => Answer::Mentions(self.mentions(at)),
            Query::Writers(at) => Answer::Writers(
                self.writers
                    .iter()
                    .filter(|w| w.path.starts_with(at))
                    .cloned()
                    .collect(),
            ),
        }
    }

    /// Asks until nothing is asked any more.
    pub(crate) fn facts(&self, request: &CreateRequest) -> Result<Facts, PlanError> {
        let mut facts = Facts::new();
        for _ in 0..64 {
            match discover(request, &self.rules, &facts)? {
                Progress::Done => return Ok(facts),
                Progress::Need(queries) => {
                    assert!(!queries.is_empty(), "nothing is asked, and nothing is done");
                    for query in queries {
                        assert!(facts.get(&query).is_none(), "{query:?} is asked again");
                        let answer = self.answer(&query);
                        facts.insert(query, answer);
                    }
                }
            }
        }
        panic!("it never ends");
    }

    pub(crate) fn plan(&self, request: &CreateRequest) -> Result<SandboxPlan, PlanError> {
        let facts = self.facts(request)?;
        plan(request, &self.rules, &facts)
    }
}

/// `create -C --confinement reduced -u web.service box`.
pub(crate) fn request() -> CreateRequest {
    let mut request = CreateRequest::new("box".parse().unwrap(), vec![unit_name("web")]);
    request.copy_data = true;
    request.confinement = "reduced".parse().unwrap();
    request
}

/// What a path is in a plan, as `word scope`; empty where nothing decides.
pub(crate) fn fate(plan: &SandboxPlan, at: &str) -> String {
    use vss_model::{CopyScope, Disposition};
    match plan.root.entry(&path(at)).map(|e| &e.disposition) {
        None => String::new(),
        Some(Disposition::Copy {
            scope: CopyScope::Tree,
        }) => "copy tree".to_owned(),
        Some(Disposition::Copy {
            scope: CopyScope::Node,
        }) => "copy node".to_owned(),
        Some(other) => other.word().to_owned(),
    }
}

pub(crate) fn causes(plan: &SandboxPlan, at: &str) -> Vec<Cause> {
    plan.root
        .entry(&path(at))
        .map(|e| e.causes.clone())
        .unwrap_or_default()
}

/// A step of an explanation as a line.
pub(crate) fn step(because: &Because) -> String {
    format!("{}: {}", because.path, because.cause)
}
