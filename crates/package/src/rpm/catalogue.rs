//! The installed packages with their relations resolved to one another.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use vss_model::{PackageName, Relation, RelationKind};

use super::dependency::{Capability, Dependency};
use super::record::Record;
use super::version::{self, EQUAL};
use crate::dependents::dependents;

/// The architecture of a package for all of them.
const NOARCH: &str = "noarch";

/// The installed packages.
#[derive(Debug)]
pub(super) struct Catalogue {
    records: Vec<Record>,
    names: Vec<PackageName>,
    by_name: HashMap<String, Vec<usize>>,
    relations: Vec<Vec<Relation>>,
    native: String,
}

impl Catalogue {
    /// Resolves the relations; `owners` answers for capabilities that are files.
    pub(super) fn new(records: Vec<Record>, owners: impl Fn(&str) -> Vec<usize>) -> Self {
        let native = native_architecture(&records);
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, record) in records.iter().enumerate() {
            by_name.entry(record.name.clone()).or_default().push(n);
        }
        // The host's own architecture first, and the newest of several versions.
        for of_name in by_name.values_mut() {
            of_name.sort_by(|&a, &b| rank(&records[a], &records[b], &native));
        }
        let mut out = Self {
            names: names(&records, &by_name, &native),
            relations: Vec::new(),
            native,
            by_name,
            records,
        };
        let resolver = Resolver::new(&out, &owners);
        out.relations = (0..out.records.len())
            .map(|n| resolver.relations(n))
            .collect();
        out
    }

    pub(super) fn record(&self, n: usize) -> &Record {
        &self.records[n]
    }

    /// The name of package `n` as it is shown.
    pub(super) fn name(&self, n: usize) -> &PackageName {
        &self.names[n]
    }

    pub(super) fn relations(&self, n: usize) -> &[Relation] {
        &self.relations[n]
    }

    /// The number of a package, by its name as it is shown, or with its architecture.
    pub(super) fn find(&self, name: &PackageName) -> Option<usize> {
        let (bare, qualifier) = match name.as_str().split_once(':') {
            Some((bare, qualifier)) => (bare, Some(qualifier)),
            None => (name.as_str(), None),
        };
        let candidates = self.by_name.get(bare)?;
        let exact = candidates.iter().copied().find(|&n| self.names[n] == *name);
        exact.or_else(|| {
            let mut candidates = candidates.iter().copied();
            candidates.find(|&n| qualifier.is_some_and(|q| self.architecture(n) == q))
        })
    }

    pub(super) fn of_source(&self, source: &str) -> Vec<PackageName> {
        let of_source = (0..self.records.len()).filter(|&n| self.records[n].source == source);
        self.sorted(of_source)
    }

    pub(super) fn all_names(&self) -> Vec<PackageName> {
        self.sorted(0..self.records.len())
    }

    pub(super) fn sorted(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<PackageName> {
        let mut out: Vec<_> = numbers.into_iter().map(|n| self.names[n].clone()).collect();
        out.sort();
        out
    }

    /// The packages with a relation to this one, each with its strongest.
    pub(super) fn dependents(&self, name: &PackageName) -> Vec<(PackageName, RelationKind)> {
        let Some(name) = self.find(name).map(|n| &self.names[n]) else {
            return Vec::new();
        };
        dependents(&self.names, &self.relations, name)
    }

    fn architecture(&self, n: usize) -> &str {
        own_architecture(&self.records[n], &self.native)
    }
}

/// A package for all architectures counts as one of the host's own.
fn own_architecture<'a>(record: &'a Record, native: &'a str) -> &'a str {
    match record.architecture.as_str() {
        NOARCH | "" => native,
        architecture => architecture,
    }
}

/// Who comes first of packages with one name.
fn rank(a: &Record, b: &Record, native: &str) -> Ordering {
    let foreign = |record| own_architecture(record, native) != native;
    foreign(a)
        .cmp(&foreign(b))
        .then_with(|| version::compare(&b.version, &a.version))
        .then_with(|| a.architecture.cmp(&b.architecture))
}

/// The bare name for the first of its name; the others, of another architecture or an older
/// version (kernels), have a colon and what tells them apart behind it.
fn names(
    records: &[Record],
    by_name: &HashMap<String, Vec<usize>>,
    native: &str,
) -> Vec<PackageName> {
    let mut names: Vec<PackageName> = vec![PackageName(String::new()); records.len()];
    for (name, numbers) in by_name {
        let mut taken = BTreeSet::new();
        for (position, &n) in numbers.iter().enumerate() {
            let record = &records[n];
            let own = own_architecture(record, native) == native;
            let candidates = [
                (own && position == 0).then(|| name.clone()),
                (!own).then(|| format!("{name}:{}", record.architecture)),
                Some(format!("{name}:{}", record.version)),
                Some(format!("{name}:{}.{}", record.version, record.architecture)),
            ];
            let numbered = (2..).map(|count| format!("{name}:{}.{count}", record.version));
            let mut candidates = candidates.into_iter().flatten().chain(numbered);
            if let Some(free) = candidates.find(|candidate| !taken.contains(candidate)) {
                taken.insert(free.clone());
                names[n] = PackageName(free);
            }
        }
    }
    names
}

/// The architecture of the host: that of rpm itself or of the C library; in a database without
/// them, that of most packages.
fn native_architecture(records: &[Record]) -> String {
    let mut counts: BTreeMap<&str, (bool, usize)> = BTreeMap::new();
    for record in records {
        if !matches!(record.architecture.as_str(), NOARCH | "") {
            let (has_rpm, count) = counts.entry(&record.architecture).or_default();
            *has_rpm |= record.name == "rpm";
            *count += 1;
        }
    }
    counts
        .into_iter()
        .max_by_key(|&(_, rating)| rating)
        .map(|(architecture, _)| architecture.to_owned())
        .unwrap_or_default()
}

/// Finds the packages behind relations.
struct Resolver<'a> {
    catalogue: &'a Catalogue,
    /// Who provides a capability: the package, and the position in its list.
    providers: HashMap<&'a str, Vec<(usize, usize)>>,
    owners: &'a dyn Fn(&str) -> Vec<usize>,
}

impl<'a> Resolver<'a> {
    fn new(catalogue: &'a Catalogue, owners: &'a dyn Fn(&str) -> Vec<usize>) -> Self {
        let mut providers: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for (n, record) in catalogue.records.iter().enumerate() {
            for (position, given) in record.provides.iter().enumerate() {
                providers
                    .entry(&given.name)
                    .or_default()
                    .push((n, position));
            }
        }
        Self {
            catalogue,
            providers,
            owners,
        }
    }

    /// The relations of package `n`, without those to itself.
    fn relations(&self, n: usize) -> Vec<Relation> {
        let mut out = BTreeSet::new();
        for (kind, dependency) in &self.catalogue.records[n].relations {
            for to in self.resolve(n, dependency).unwrap_or_default() {
                if to != n {
                    out.insert(Relation {
                        kind: *kind,
                        to: self.catalogue.names[to].clone(),
                    });
                }
            }
        }
        out.into_iter().collect()
    }

    /// The installed packages that a dependency leads to; `None` where it is not met.
    fn resolve(&self, from: usize, dependency: &Dependency) -> Option<BTreeSet<usize>> {
        match dependency {
            Dependency::One(one) => some(self.choose(from, one)),
            // What is there of it counts, as it does of single relations.
            Dependency::And(all) => {
                let met: Vec<_> = all.iter().filter_map(|d| self.resolve(from, d)).collect();
                (!met.is_empty() || all.is_empty()).then(|| met.into_iter().flatten().collect())
            }
            // The first that is met; one of which only a part is there is the last resort.
            Dependency::Or(any) => {
                let mut met = any.iter().filter(|d| self.is_met(d));
                met.find_map(|d| self.resolve(from, d))
                    .or_else(|| any.iter().find_map(|d| self.resolve(from, d)))
            }
            Dependency::With(_) | Dependency::Without(_) => some(self.all(dependency)),
            Dependency::If {
                then,
                when,
                otherwise,
            } => {
                if self.is_met(when) {
                    self.resolve(from, then)
                } else {
                    let otherwise = otherwise.as_deref();
                    otherwise.map_or(Some(BTreeSet::new()), |d| self.resolve(from, d))
                }
            }
        }
    }

    /// Whether a condition is met, by whichever package.
    fn is_met(&self, condition: &Dependency) -> bool {
        match condition {
            Dependency::And(all) => all.iter().all(|d| self.is_met(d)),
            Dependency::Or(any) => any.iter().any(|d| self.is_met(d)),
            Dependency::If {
                then,
                when,
                otherwise,
            } => {
                if self.is_met(when) {
                    self.is_met(then)
                } else {
                    otherwise.as_deref().is_none_or(|d| self.is_met(d))
                }
            }
            Dependency::One(_) | Dependency::With(_) | Dependency::Without(_) => {
                !self.all(condition).is_empty()
            }
        }
    }

    /// All packages that provide this.
    fn all(&self, dependency: &Dependency) -> BTreeSet<usize> {
        match dependency {
            Dependency::One(one) => self.providers(one),
            Dependency::With(all) => {
                let mut sets = all.iter().map(|d| self.all(d));
                let first = sets.next().unwrap_or_default();
                sets.fold(first, |met, next| &met & &next)
            }
            Dependency::Without(both) => &self.all(&both[0]) - &self.all(&both[1]),
            Dependency::And(any) | Dependency::Or(any) => {
                any.iter().flat_map(|d| self.all(d)).collect()
            }
            Dependency::If { then, .. } => self.all(then),
        }
    }

    fn providers(&self, wanted: &Capability) -> BTreeSet<usize> {
        let of_name = self.providers.get(wanted.name.as_str());
        let met = of_name.into_iter().flatten().filter(|&&(n, position)| {
            let given = &self.catalogue.records[n].provides[position];
            wanted.meets(given.flags, &given.version)
        });
        let mut out: BTreeSet<usize> = met.map(|&(n, _)| n).collect();
        if wanted.name.starts_with('/') {
            out.extend((self.owners)(&wanted.name));
        }
        out
    }

    /// The packages that a relation of `from` means: itself, where it provides what it asks for;
    /// the package of that name; else all that provide it, as no database tells which of them is
    /// used. Those of its own architecture are preferred.
    fn choose(&self, from: usize, wanted: &Capability) -> BTreeSet<usize> {
        let all = self.providers(wanted);
        if all.contains(&from) {
            return BTreeSet::from([from]);
        }
        let same = |n: &usize| self.catalogue.architecture(*n) == self.catalogue.architecture(from);
        let of_name = self.catalogue.by_name.get(&wanted.name);
        let meets = |n: &usize| wanted.meets(EQUAL, &self.catalogue.records[*n].version);
        let mut real = of_name.into_iter().flatten().copied().filter(meets);
        if let Some(first) = real.clone().find(same).or_else(|| real.next()) {
            return BTreeSet::from([first]);
        }
        let of_same: BTreeSet<usize> = all.iter().copied().filter(same).collect();
        if of_same.is_empty() { all } else { of_same }
    }
}

fn some(set: BTreeSet<usize>) -> Option<BTreeSet<usize>> {
    (!set.is_empty()).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::super::dependency::parse_rich;
    use super::*;

    fn record(name: &str) -> Record {
        let provided = Capability {
            name: name.to_owned(),
            flags: EQUAL,
            version: "1-1".to_owned(),
        };
        Record {
            name: name.to_owned(),
            version: "1-1".to_owned(),
            architecture: NOARCH.to_owned(),
            source: name.to_owned(),
            provides: vec![provided],
            relations: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// What this dependency leads to where these packages are installed.
    fn resolved(dependency: &str, installed: &[&str]) -> Vec<String> {
        let mut records: Vec<Record> = installed.iter().map(|name| record(name)).collect();
        let mut asking = record("asking");
        asking.relations = vec![(RelationKind::Depends, parse_rich(dependency).unwrap())];
        records.push(asking);
        let catalogue = Catalogue::new(records, |_| Vec::new());
        let relations = catalogue.relations(installed.len());
        relations.iter().map(|r| r.to.0.clone()).collect()
    }

    #[test]
    fn of_alternatives_the_first_that_is_met_counts() {
        for (dependency, installed, expected) in [
            ("(a or b)", &["a", "b"][..], &["a"][..]),
            ("(a or b)", &["b"], &["b"]),
            ("((a and b) or c)", &["a", "b", "c"], &["a", "b"]),
            ("((a and b) or c)", &["a", "c"], &["c"]),
            ("(((a and b) or d) or c)", &["a", "c"], &["c"]),
            // none is: what is there of one
            ("((a and b) or c)", &["a"], &["a"]),
            ("(a if b)", &["a"], &[]),
            ("((a if b) or c)", &["b", "c"], &["c"]),
        ] {
            assert_eq!(resolved(dependency, installed), expected, "{dependency}");
        }
    }
}
