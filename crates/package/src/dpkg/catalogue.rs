//! The packages with their relations resolved to one another.

use std::collections::{BTreeMap, HashMap};

use vss_model::{PackageName, Relation, RelationKind};

use super::relation::{Alternatives, Target};
use super::status::{Record, Status};
use super::version::Operator;
use crate::Note;
use crate::dependents::dependents;

/// The packages, those that are wholly installed first.
#[derive(Debug)]
pub(crate) struct Catalogue {
    records: Vec<Record>,
    /// The states of those that are not: of the last records.
    states: Vec<String>,
    names: Vec<PackageName>,
    by_name: HashMap<String, Vec<usize>>,
    relations: Vec<Vec<Relation>>,
    native: String,
}

impl Catalogue {
    pub(crate) fn new(status: Status) -> Self {
        let mut records = status.records;
        let (unfinished, states): (Vec<Record>, Vec<String>) =
            status.unfinished.into_iter().unzip();
        records.extend(unfinished);
        let native = native_architecture(&records);
        let names = records.iter().map(|r| name_of(r, &native)).collect();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, record) in records.iter().enumerate() {
            by_name.entry(record.name.clone()).or_default().push(n);
        }
        let mut out = Self {
            records,
            states,
            names,
            by_name,
            relations: Vec::new(),
            native,
        };
        let providers = Providers::new(&out.records);
        out.relations = (0..out.records.len())
            .map(|n| out.resolve_all(n, &providers))
            .collect();
        out
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The name of package `n` as it is shown.
    pub(crate) fn name(&self, n: usize) -> &PackageName {
        &self.names[n]
    }

    pub(crate) fn relations(&self, n: usize) -> &[Relation] {
        &self.relations[n]
    }

    /// How many packages are wholly installed: the first ones.
    fn installed(&self) -> usize {
        self.records.len() - self.states.len()
    }

    /// The state of package `n`, where it is not wholly installed.
    pub(crate) fn unfinished(&self, n: usize) -> Option<&str> {
        let position = n.checked_sub(self.installed())?;
        self.states.get(position).map(String::as_str)
    }

    /// The packages that are not wholly installed, with reasons.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let unfinished = self.names[self.installed()..].iter().zip(&self.states);
        unfinished
            .map(|(name, state)| Note {
                package: Some(name.clone()),
                reason: format!("left out, as it is {state}"),
            })
            .collect()
    }

    /// The number of a package, by its name with or without an architecture.
    pub(crate) fn find(&self, name: &PackageName) -> Option<usize> {
        let (bare, architecture) = match name.as_str().split_once(':') {
            Some((bare, architecture)) => (bare, Some(architecture)),
            None => (name.as_str(), None),
        };
        let candidates = self.by_name.get(bare)?;
        let with = |wanted: &str| {
            candidates
                .iter()
                .copied()
                .find(|&n| self.architecture(n) == wanted)
        };
        match architecture {
            Some(architecture) => with(architecture),
            None => with(&self.native).or_else(|| candidates.first().copied()),
        }
    }

    pub(crate) fn of_source(&self, source: &str) -> Vec<PackageName> {
        let mut out: Vec<_> = (0..self.records.len())
            .filter(|&n| self.records[n].source == source)
            .map(|n| self.names[n].clone())
            .collect();
        out.sort();
        out
    }

    pub(crate) fn all_names(&self) -> Vec<PackageName> {
        let mut out = self.names[..self.installed()].to_vec();
        out.sort();
        out
    }

    /// The packages with a relation to this one, each with its strongest.
    pub(crate) fn dependents(&self, name: &PackageName) -> Vec<(PackageName, RelationKind)> {
        let Some(name) = self.find(name).map(|n| &self.names[n]) else {
            return Vec::new();
        };
        dependents(&self.names, &self.relations, name)
    }

    /// A package for all architectures counts as one of the host's own.
    fn architecture(&self, n: usize) -> &str {
        match self.records[n].architecture.as_str() {
            "all" | "" => &self.native,
            architecture => architecture,
        }
    }

    fn resolve_all(&self, n: usize, providers: &Providers) -> Vec<Relation> {
        let mut out: Vec<Relation> = Vec::new();
        for (kind, alternatives) in &self.records[n].relations {
            for to in self.resolve(n, alternatives, providers) {
                if to != n {
                    out.push(Relation {
                        kind: *kind,
                        to: self.names[to].clone(),
                    });
                }
            }
        }
        out.sort();
        out.dedup();
        out
    }

    /// The packages behind a relation: those of the first alternative that is installed, as apt
    /// prefers them, or else is half so. Where it is a virtual package, all that provide it: which
    /// of them is used, no database tells.
    fn resolve(
        &self,
        from: usize,
        alternatives: &Alternatives,
        providers: &Providers,
    ) -> Vec<usize> {
        let installed = self.resolve_among(self.installed(), from, alternatives, providers);
        if installed.is_empty() && !self.states.is_empty() {
            return self.resolve_among(self.records.len(), from, alternatives, providers);
        }
        installed
    }

    /// The same among the first `count` packages.
    fn resolve_among(
        &self,
        count: usize,
        from: usize,
        alternatives: &Alternatives,
        providers: &Providers,
    ) -> Vec<usize> {
        for target in alternatives {
            if let Some(real) = self.resolve_real(count, from, target) {
                return vec![real];
            }
            let virtual_ones: Vec<usize> = providers
                .of(target)
                .filter(|&n| n < count && self.suits(from, n, target))
                .collect();
            if !virtual_ones.is_empty() {
                return virtual_ones;
            }
        }
        Vec::new()
    }

    fn resolve_real(&self, count: usize, from: usize, target: &Target) -> Option<usize> {
        let mut found: Vec<usize> = self
            .by_name
            .get(&target.name)?
            .iter()
            .copied()
            .filter(|&n| n < count && self.suits(from, n, target))
            .filter(|&n| satisfies(&self.records[n].version, target.version.as_ref()))
            .collect();
        found.sort_by_key(|&n| self.architecture(n) != self.architecture(from));
        found.first().copied()
    }

    /// Whether package `n` is of an architecture that the relation accepts.
    fn suits(&self, from: usize, n: usize, target: &Target) -> bool {
        match target.qualifier.as_deref() {
            Some("any") => true,
            Some("native") => self.architecture(n) == self.native,
            Some(architecture) => self.architecture(n) == architecture,
            None => {
                self.architecture(n) == self.architecture(from)
                    || self.records[n].multi_arch == "foreign"
            }
        }
    }
}

fn satisfies(have: &str, wanted: Option<&(Operator, String)>) -> bool {
    wanted.is_none_or(|(operator, version)| operator.holds(have, version))
}

/// Who provides which virtual package, and in which version.
struct Providers {
    by_name: HashMap<String, Vec<(usize, Option<String>)>>,
}

impl Providers {
    fn new(records: &[Record]) -> Self {
        let mut by_name: HashMap<String, Vec<(usize, Option<String>)>> = HashMap::new();
        for (n, record) in records.iter().enumerate() {
            for target in &record.provides {
                let version = target.version.as_ref().map(|(_, version)| version.clone());
                by_name
                    .entry(target.name.clone())
                    .or_default()
                    .push((n, version));
            }
        }
        Self { by_name }
    }

    /// A relation with a version is satisfied by a provision with one only (deb-control(5)).
    fn of(&self, target: &Target) -> impl Iterator<Item = usize> {
        let wanted = target.version.clone();
        self.by_name
            .get(&target.name)
            .into_iter()
            .flatten()
            .filter(move |(_, given)| match (&wanted, given) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(_), Some(given)) => satisfies(given, wanted.as_ref()),
            })
            .map(|(n, _)| *n)
    }
}

/// The architecture of the host: that of dpkg itself, which can't be a foreign one; in a database
/// without dpkg, that of most packages.
fn native_architecture(records: &[Record]) -> String {
    if let Some(dpkg) = records.iter().find(|r| r.name == "dpkg") {
        return dpkg.architecture.clone();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records.iter().filter(|r| r.architecture != "all") {
        *counts.entry(&record.architecture).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|&(_, count)| count)
        .map(|(architecture, _)| architecture.to_owned())
        .unwrap_or_default()
}

/// The bare name for what is of the host's architecture, `name:arch` for what is foreign.
fn name_of(record: &Record, native: &str) -> PackageName {
    let own = matches!(record.architecture.as_str(), "all" | "") || record.architecture == native;
    if own {
        PackageName(record.name.clone())
    } else {
        PackageName(format!("{}:{}", record.name, record.architecture))
    }
}
