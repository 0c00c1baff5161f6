//! What the plan has to know of the host: questions, answers, and the recorded lot of them.
//!
//! The plan never looks. [`discover`](crate::discover) names [`Query`]s, a reader answers them in
//! whatever order it likes, and the answers, recorded as [`Facts`], are all that
//! [`plan`](crate::plan) sees. A recorded `Facts` is a test case.

mod host;
mod path;
mod unit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vss_model::{AbsPath, Package, PackageName, RelationKind, UnitName};

pub use host::{Accounts, HeldLevel, HeldRange, HostFacts, InUse, NetworkFacts, SelinuxMode};
pub use path::{EntryKind, ListEntry, Mention, PathFacts, TreeFacts, Writer};
pub use unit::{HostUnitFacts, IgnoredLine, NamedPath, PathKind, Setting, UnitFacts};

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
    /// A package that is installed, or half, its `files` thinned by [`matters`].
    /// [`Answer::Package`].
    Package(PackageName),
    /// The packages of a source package. [`Answer::Packages`].
    OfSource(String),
    /// The packages that name this one in a relation. [`Answer::Dependents`].
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
