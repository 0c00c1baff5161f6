//! Looking up facts, and remembering which are missing.
//!
//! `discover` and `plan` are the same computation over an [`Ask`]: where a fact is missing the
//! computation goes on without it, and what was missing is what is asked next.

use std::cell::RefCell;
use std::collections::BTreeSet;

use uuid::Uuid;
use vss_model::{AbsPath, Package, PackageName, RelationKind, UnitName};

use crate::facts::{
    Accounts, Answer, Facts, HeldRange, HostFacts, HostUnitFacts, InUse, ListEntry, Mention,
    NetworkFacts, PathFacts, Query, TreeFacts, UnitFacts, Writer,
};
use crate::root_plan::MAX_SYMLINKS;

/// The facts that there are, and the questions that were asked in vain.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    facts: &'a Facts,
    missing: RefCell<BTreeSet<Query>>,
}

/// One lookup per question: `None` is always "not known yet".
macro_rules! lookup {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty, $query:expr, $pattern:pat => $value:expr) => {
        $(#[$doc])*
        pub(crate) fn $name(&self, $($arg: $type),*) -> Option<$out> {
            let query = $query;
            match self.facts.get(&query) {
                Some($pattern) => Some($value),
                _ => {
                    self.missing.borrow_mut().insert(query);
                    None
                }
            }
        }
    };
}

impl<'a> Ask<'a> {
    pub(crate) fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            missing: RefCell::default(),
        }
    }

    /// What was asked in vain, in a stable order.
    pub(crate) fn into_missing(self) -> Vec<Query> {
        self.missing.into_inner().into_iter().collect()
    }

    pub(crate) fn lacks_any(&self) -> bool {
        !self.missing.borrow().is_empty()
    }

    lookup!(host() -> &'a HostFacts, Query::Host, Answer::Host(host) => host);
    lookup!(identity() -> Uuid, Query::Identity, Answer::Identity(id) => *id);
    lookup!(in_use() -> &'a InUse, Query::InUse, Answer::InUse(in_use) => in_use);
    lookup!(id_ranges() -> &'a [HeldRange], Query::IdRanges, Answer::IdRanges(held) => held);
    lookup!(network(name: &str) -> Option<&'a NetworkFacts>,
        Query::Network(name.to_owned()), Answer::Network(network) => network.as_ref());
    lookup!(accounts() -> &'a Accounts, Query::Accounts, Answer::Accounts(accounts) => accounts);
    lookup!(unit(name: &UnitName) -> Option<&'a UnitFacts>,
        Query::Unit(name.clone()), Answer::Unit(unit) => unit.as_deref());
    lookup!(unit_names() -> &'a [UnitName], Query::UnitNames, Answer::UnitNames(names) => names);
    lookup!(host_unit(name: &UnitName) -> &'a HostUnitFacts,
        Query::HostUnit(name.clone()), Answer::HostUnit(unit) => unit);
    lookup!(owners(path: &AbsPath) -> &'a [PackageName],
        Query::Owners(path.clone()), Answer::Packages(names) => names);
    lookup!(owners_below(path: &AbsPath) -> &'a [PackageName],
        Query::OwnersBelow(path.clone()), Answer::Packages(names) => names);
    lookup!(package(name: &PackageName) -> Option<&'a Package>,
        Query::Package(name.clone()), Answer::Package(package) => package.as_deref());
    lookup!(of_source(source: &str) -> &'a [PackageName],
        Query::OfSource(source.to_owned()), Answer::Packages(names) => names);
    lookup!(dependents(name: &PackageName) -> &'a [(PackageName, RelationKind)],
        Query::Dependents(name.clone()), Answer::Dependents(names) => names);
    lookup!(path(path: &AbsPath) -> &'a PathFacts,
        Query::Path(path.clone()), Answer::Path(facts) => facts);
    lookup!(list(path: &AbsPath) -> Option<&'a [ListEntry]>,
        Query::List(path.clone()), Answer::List(entries) => entries.as_deref());
    lookup!(tree(path: &AbsPath) -> &'a TreeFacts,
        Query::Tree(path.clone()), Answer::Tree(tree) => tree);
    lookup!(directories(path: &AbsPath) -> &'a [AbsPath],
        Query::Directories(path.clone()), Answer::Directories(paths) => paths);
    lookup!(text(path: &AbsPath) -> Option<&'a str>,
        Query::Text(path.clone()), Answer::Text(text) => text.as_deref());
    lookup!(mentions(path: &AbsPath) -> &'a [Mention],
        Query::Mentions(path.clone()), Answer::Mentions(mentions) => mentions);
    lookup!(writers(path: &AbsPath) -> &'a [Writer],
        Query::Writers(path.clone()), Answer::Writers(writers) => writers);

    /// The path with every link in the directories above it followed, the last component as it is
    /// (A33: `/var/run/x` is `/run/x`). Links in `/` itself count too: `/bin/x` is `/usr/bin/x`.
    pub(crate) fn resolve(&self, path: &AbsPath) -> Option<AbsPath> {
        let mut path = path.clone();
        for _ in 0..MAX_SYMLINKS {
            match self.first_link_above(&path)? {
                None => return Some(path),
                Some(resolved) => path = resolved,
            }
        }
        Some(path)
    }

    /// The path with every link in it followed, the last component and those in `/` included:
    /// where what is mounted from there comes from.
    pub(crate) fn real(&self, path: &AbsPath) -> Option<AbsPath> {
        let mut path = path.clone();
        for _ in 0..MAX_SYMLINKS {
            let next = match self.root_link_of(&path)? {
                Some(next) => Some(next),
                None => {
                    path = self.resolve(&path)?;
                    self.link_target(&path)?
                }
            };
            match next {
                None => return Some(path),
                Some(next) => path = next,
            }
        }
        Some(path)
    }

    /// The path below what a link in `/` leads to, `/home` of some hosts among them; inner `None`
    /// where there is no such link.
    fn root_link_of(&self, path: &AbsPath) -> Option<Option<AbsPath>> {
        let host = self.host()?;
        Some(path.ancestors().find(|p| p.depth() == 1).and_then(|top| {
            let name = top.file_name()?.to_string_lossy().into_owned();
            let target = top.resolve_link(host.root_links.get(&name)?).ok()?;
            target.join(path.strip_prefix(&top)?).ok()
        }))
    }

    /// The path with the topmost link above it replaced by what it leads to; inner `None` where
    /// there is no link.
    fn first_link_above(&self, path: &AbsPath) -> Option<Option<AbsPath>> {
        let mut above: Vec<AbsPath> = path.ancestors().skip(1).collect();
        above.reverse();
        for directory in above.iter().skip(1) {
            let target = match self.link_target(directory)? {
                Some(target) => target,
                None if self.is_known_missing(directory) => return Some(None),
                None => continue,
            };
            let rest = path.strip_prefix(directory)?;
            return Some(target.join(rest).ok());
        }
        Some(None)
    }

    fn is_known_missing(&self, path: &AbsPath) -> bool {
        matches!(
            self.facts.get(&Query::Path(path.clone())),
            Some(Answer::Path(PathFacts::Missing))
        )
    }

    /// Where a path leads, where it is a link; inner `None` where it is none. The standard
    /// directories are known without asking.
    pub(crate) fn link_target(&self, path: &AbsPath) -> Option<Option<AbsPath>> {
        let text = path.as_path().to_string_lossy();
        if let "/etc" | "/var" | "/usr" | "/run" | "/srv" | "/opt" | "/home" | "/root" | "/proc"
        | "/sys" | "/dev" | "/tmp" = &*text
        {
            return Some(None);
        }
        if path.depth() == 1 {
            let name = path.file_name()?.to_string_lossy().into_owned();
            let target = self.host()?.root_links.get(&name);
            return Some(target.and_then(|t| path.resolve_link(t).ok()));
        }
        Some(match self.path(path)? {
            PathFacts::Link { target } => resolve_escaped(path, target),
            _ => None,
        })
    }
}

/// Where a link leads whose target is escaped as in [`PathFacts::Link`].
pub(crate) fn resolve_escaped(link: &AbsPath, target: &str) -> Option<AbsPath> {
    use std::os::unix::ffi::OsStringExt;
    let bytes = vss_model::path::unescape_bytes(target)?;
    link.resolve_link(std::ffi::OsString::from_vec(bytes)).ok()
}
