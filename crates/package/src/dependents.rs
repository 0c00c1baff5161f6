//! Who names a package: the relations of all packages, asked from the other end.

use std::collections::BTreeMap;

use vss_model::{PackageName, Relation, RelationKind};

/// The packages with a relation to this one, each with its strongest; `names` and `relations` are in
/// the same order.
pub(crate) fn dependents(
    names: &[PackageName],
    relations: &[Vec<Relation>],
    of: &PackageName,
) -> Vec<(PackageName, RelationKind)> {
    let mut out = BTreeMap::new();
    for (name, relations) in names.iter().zip(relations) {
        let strongest = relations.iter().filter(|r| r.to == *of).map(|r| r.kind);
        if let Some(kind) = strongest.min() {
            out.insert(name.clone(), kind);
        }
    }
    out.into_iter().collect()
}
