//! What the plan has to know of the host: questions, answers, and the recorded lot of them.
//!
//! The plan never looks. [`discover`](crate::discover) names [`Query`]s, a reader answers them in
//! whatever order it likes, and the answers, recorded as [`Facts`], are all that
//! [`plan`](crate::plan) sees. A recorded `Facts` is a test case.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vss_model::{
    AbsPath, Level, MacAddress, Package, PackageName, RelationKind, SecurityContext, UnitName,
};

/// A question to the host. Paths are the host's; links in a path's last component are never
/// followed unless the variant says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Query {
    /// [`HostFacts`].
    Host,
    /// A fresh random UUID, asked once: the new sandbox's. [`Answer::Identity`].
    Identity,
    /// Labels, addresses and MACs that are taken. [`Answer::InUse`].
    InUse,
    /// Users and groups of the host that a container may not have, asked where one gets users of
    /// its own. [`Answer::IdRanges`].
    IdRanges,
    /// The libvirt network of this name; of the project's own one, where it is not defined yet,
    /// what its shipped definition says. [`Answer::Network`], `None` where there is no such.
    Network(String),
    /// `/etc/passwd` and `/etc/group` as text. [`Answer::Accounts`].
    Accounts,
    /// The unit of this name, loaded with its drop-ins: an instance from its template, an alias
    /// from what it stands for. [`Answer::Unit`], `None` where no file has that name.
    Unit(UnitName),
    /// The names of all unit files, asked where a requested unit is unknown.
    /// [`Answer::UnitNames`].
    UnitNames,
    /// What the host unit's name means on this host already. [`Answer::HostUnit`].
    HostUnit(UnitName),
    /// The packages that list exactly this path, in either spelling of merged `/usr`.
    /// [`Answer::Packages`].
    Owners(AbsPath),
    /// The packages that list this path or anything below it. [`Answer::Packages`].
    OwnersBelow(AbsPath),
    /// An installed package, its `files` thinned by [`matters`]. [`Answer::Package`].
    Package(PackageName),
    /// The installed packages of a source package. [`Answer::Packages`].
    OfSource(String),
    /// The installed packages that name this one in a relation. [`Answer::Dependents`].
    Dependents(PackageName),
    /// lstat and readlink of a path. Links in its parent directories are followed by the reader
    /// within the host's root. [`Answer::Path`].
    Path(AbsPath),
    /// The entries of a directory, sorted by name. [`Answer::List`], `None` where it is none.
    List(AbsPath),
    /// A walk below a directory that stays on its file system, or the one file.
    /// [`Answer::Tree`].
    Tree(AbsPath),
    /// All directories below a directory (not itself), at most [`MAX_DIRECTORIES`], parents first.
    /// [`Answer::Directories`].
    Directories(AbsPath),
    /// The text of a regular file, links followed within the root, lossily decoded; the first
    /// [`MAX_TEXT`] bytes. [`Answer::Text`], `None` where it can't be had.
    Text(AbsPath),
    /// [`mentions::scan`](crate::mentions::scan) over the regular file, or over each regular file
    /// below the directory (no links followed, one file system, files over [`MAX_TEXT`] bytes
    /// left out, at most [`MAX_MENTIONING`] files); files that mention nothing are left out.
    /// [`Answer::Mentions`].
    Mentions(AbsPath),
    /// The processes of the host, outside any of its containers, that hold a file at or below this
    /// path open for writing. [`Answer::Writers`].
    Writers(AbsPath),
}

/// The most bytes that are read of a text file.
pub const MAX_TEXT: u64 = 256 * 1024;
/// The most files that one [`Query::Mentions`] looks into.
pub const MAX_MENTIONING: usize = 4096;
/// The most directories that one [`Query::Directories`] answers with.
pub const MAX_DIRECTORIES: usize = 4096;
/// The most links that one [`Query::Tree`] answers with.
pub const MAX_LINKS: usize = 65536;

/// An answer to a [`Query`]; which variant belongs to which is said there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The host.
    Host(Box<HostFacts>),
    /// A fresh UUID.
    Identity(Uuid),
    /// What is taken.
    InUse(InUse),
    /// Users and groups that are taken.
    IdRanges(Vec<HeldRange>),
    /// A network.
    Network(Option<NetworkFacts>),
    /// Users and groups.
    Accounts(Accounts),
    /// A unit.
    Unit(Option<Box<UnitFacts>>),
    /// Names of units.
    UnitNames(Vec<UnitName>),
    /// A name of a host unit.
    HostUnit(HostUnitFacts),
    /// Names of packages, sorted.
    Packages(Vec<PackageName>),
    /// A package.
    Package(Option<Box<Package>>),
    /// Who names a package, and how.
    Dependents(Vec<(PackageName, RelationKind)>),
    /// A path.
    Path(PathFacts),
    /// The entries of a directory.
    List(Option<Vec<ListEntry>>),
    /// A walk.
    Tree(TreeFacts),
    /// Directories.
    Directories(Vec<AbsPath>),
    /// Text.
    Text(Option<String>),
    /// Paths named in files.
    Mentions(Vec<Mention>),
    /// Who writes.
    Writers(Vec<Writer>),
}

/// The host as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Whether `/bin`, `/sbin` and `/lib` are links into `/usr`.
    pub merged_usr: bool,
    /// The links that stand in `/`, by name, with their targets as written.
    pub root_links: BTreeMap<String, String>,
    /// `/etc/machine-id` without its line break; empty where there is none.
    pub machine_id: String,
    /// The major version of the systemd that is installed; 0 where it can't be told.
    pub systemd: u32,
    /// Whether SELinux is off, permissive or enforcing: `disabled`, `permissive`, `enforcing`.
    pub selinux: SelinuxMode,
    /// The context of container processes, at any level.
    pub process_context: SecurityContext,
    /// The context of container files, at any level.
    pub file_context: SecurityContext,
    /// Whether the host's cgroups are v2 only.
    pub cgroup_v2: bool,
    /// Whether the loaded policy has the project's own module.
    #[serde(default)]
    pub policy_module: bool,
    /// Whether the kernel makes user namespaces.
    #[serde(default)]
    pub user_namespaces: bool,
}

/// SELinux on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelinuxMode {
    /// Off.
    Disabled,
    /// On, refusing nothing.
    Permissive,
    /// On, refusing nothing to the domain of containers.
    Exempt,
    /// On.
    Enforcing,
}

/// What other containers hold, from stored configs, reservations, libvirt and live processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InUse {
    /// Levels that container labels have.
    pub levels: Vec<HeldLevel>,
    /// Addresses reserved by sandboxes.
    pub addresses: Vec<Ipv4Addr>,
    /// MACs of sandboxes.
    pub macs: Vec<MacAddress>,
}

/// A level that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLevel {
    /// The level.
    pub level: Level,
    /// Who holds it, for a message: `sandbox web1`, `process 812 (qemu)`.
    pub by: String,
}

/// Users or groups that are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRange {
    /// The first number.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Who holds it, for a message: `sandbox web1`, `/etc/subuid (podman)`.
    pub by: String,
}

/// A libvirt network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// The host on the network's bridge: route and resolver.
    pub gateway: Ipv4Addr,
    /// Bits of the network part.
    pub prefix: u8,
    /// Addresses that leases, static hosts and domains of libvirt hold, besides our own.
    pub in_use: Vec<Ipv4Addr>,
}

/// The host's users and groups.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Accounts {
    /// The text of `/etc/passwd`.
    pub passwd: String,
    /// The text of `/etc/group`.
    pub group: String,
}

/// A unit as systemd would load it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFacts {
    /// Its real name: an alias resolved.
    pub name: UnitName,
    /// Whether its file is a link to `/dev/null` or empty.
    #[serde(default)]
    pub masked: bool,
    /// Where its file was found in the search path.
    pub found: AbsPath,
    /// The file itself, links resolved: what a package lists. Of an instance, its template's.
    pub fragment: AbsPath,
    /// Its drop-ins, in order, as found in the search path.
    #[serde(default)]
    pub drop_ins: Vec<AbsPath>,
    /// Its assignments after all drop-ins, in order, lists reset where an empty value does so,
    /// specifiers expanded.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// The paths that the assignments name.
    #[serde(default)]
    pub paths: Vec<NamedPath>,
    /// Units linked in its `.wants` directories below `/usr` and `/etc`.
    #[serde(default)]
    pub wants: Vec<UnitName>,
    /// Units linked in its `.requires` directories.
    #[serde(default)]
    pub requires: Vec<UnitName>,
    /// Links in `/etc/systemd/system` that give it other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alias_links: Vec<AbsPath>,
}

/// An assignment of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// `Service`.
    pub section: String,
    /// `ExecStart`.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A path that a unit names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPath {
    /// The path.
    pub path: AbsPath,
    /// The directive, without its `=`.
    pub directive: String,
    /// Whether the unit does without it (`-` in front).
    #[serde(default)]
    pub optional: bool,
    /// What it is to the unit.
    pub kind: PathKind,
    /// What it may be for any instance of the unit's template, as a pattern (`*` stands for a
    /// component or a part of one); `None` where it is the same for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_instance: Option<String>,
}

/// What a path is to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// Executed, or an argument of what is executed.
    Exec,
    /// A file that is read: `EnvironmentFile=`, `LoadCredential=`.
    File,
    /// A directory to be there: `WorkingDirectory=`, `RootDirectory=`, `ReadWritePaths=`,
    /// `BindPaths=`, `RequiresMountsFor=`.
    Directory,
    /// Made by systemd: `StateDirectory=`, `CacheDirectory=`, `LogsDirectory=`,
    /// `ConfigurationDirectory=`.
    Managed,
    /// Below `/run`: `RuntimeDirectory=`, `PIDFile=`.
    Runtime,
    /// `ListenStream=` and the like.
    Socket,
    /// `Condition…=` and `Assert…=`; a `!` in front makes it [`PathKind::Unwanted`].
    Condition,
    /// A condition that the path is not there.
    Unwanted,
}

/// What a host unit's name means already.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostUnitFacts {
    /// A file or link of exactly this name in the search path.
    #[serde(default)]
    pub file: Option<AbsPath>,
    /// The template that the name would be an instance of.
    #[serde(default)]
    pub template: Option<AbsPath>,
    /// Links in `.wants` and `.requires` directories of `/etc/systemd/system` with this name.
    #[serde(default)]
    pub enabled: Vec<AbsPath>,
    /// Whether systemd has it active.
    #[serde(default)]
    pub active: bool,
    /// Drop-ins on disk that would apply to a unit of this name.
    #[serde(default)]
    pub drop_ins: Vec<AbsPath>,
}

/// A path on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum PathFacts {
    /// Nothing there (ENOENT, ENOTDIR).
    Missing,
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A directory.
    Directory {
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A symbolic link.
    Link {
        /// Its target as written; bytes that are not UTF-8 as
        /// [`escape_bytes`](vss_model::path::escape_bytes) does.
        target: String,
    },
    /// A socket, FIFO or device.
    Special,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEntry {
    /// Its name, escaped like a path.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else.
    Special,
}

/// What a walk below a path saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TreeFacts {
    /// Bytes of the regular files.
    pub bytes: u64,
    /// Regular files and links.
    pub files: u64,
    /// Directories, the first one included.
    pub directories: u64,
    /// Sockets, FIFOs and devices.
    #[serde(default)]
    pub specials: u64,
    /// The symbolic links and their targets as written, at most [`MAX_LINKS`].
    #[serde(default)]
    pub links: Vec<(AbsPath, String)>,
    /// Every path, the first one included, for which
    /// [`Rules::watches`](crate::Rules::watches) says so.
    #[serde(default)]
    pub watched: Vec<AbsPath>,
}

/// The paths that a file names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// The file.
    pub file: AbsPath,
    /// What [`mentions::scan`](crate::mentions::scan) found in it.
    pub paths: Vec<AbsPath>,
}

/// A process that writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Its process id.
    pub pid: u32,
    /// Its command name (`comm`).
    pub command: String,
    /// The unit that it belongs to, where its cgroup tells.
    #[serde(default)]
    pub unit: Option<String>,
    /// One of the files.
    pub path: AbsPath,
}

/// All that is known of the host: each question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Fact>", into = "Vec<Fact>")]
pub struct Facts(BTreeMap<Query, Answer>);

/// A recorded question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fact {
    query: Query,
    answer: Answer,
}

impl Facts {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The answer to a question, where it is known.
    #[must_use]
    pub fn get(&self, query: &Query) -> Option<&Answer> {
        self.0.get(query)
    }

    /// Records an answer; a later one replaces an earlier one.
    pub fn insert(&mut self, query: Query, answer: Answer) {
        self.0.insert(query, answer);
    }

    /// Forgets an answer, so that it is asked for again: [`Query::InUse`] after a label or an
    /// address turned out to be taken meanwhile.
    pub fn forget(&mut self, query: &Query) {
        self.0.remove(query);
    }

    /// How many questions are answered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Questions and answers, in a stable order.
    pub fn iter(&self) -> impl Iterator<Item = (&Query, &Answer)> {
        self.0.iter()
    }
}

impl From<Vec<Fact>> for Facts {
    fn from(facts: Vec<Fact>) -> Self {
        Self(facts.into_iter().map(|f| (f.query, f.answer)).collect())
    }
}

impl From<Facts> for Vec<Fact> {
    fn from(facts: Facts) -> Self {
        facts
            .0
            .into_iter()
            .map(|(query, answer)| Fact { query, answer })
            .collect()
    }
}

/// Directories of packages that the plan asks about; the rest of `/usr` is shared as it is.
const MATTERING: [&str; 14] = [
    "/etc",
    "/var",
    "/srv",
    "/opt",
    "/home",
    "/usr/lib/tmpfiles.d",
    "/usr/lib/sysusers.d",
    "/usr/lib/systemd/system",
    "/usr/lib/systemd/system-generators",
    "/usr/lib/systemd/system-environment-generators",
    "/usr/lib/pam.d",
    "/usr/share/dbus-1/system.d",
    "/usr/share/dbus-1/system-services",
    "/usr/share/pam-configs",
];

/// Whether a package's file has a say in a plan: what [`Query::Package`] keeps of a file list.
#[must_use]
pub fn matters(path: &AbsPath) -> bool {
    MATTERING
        .iter()
        .any(|base| path.as_path().starts_with(base))
}
