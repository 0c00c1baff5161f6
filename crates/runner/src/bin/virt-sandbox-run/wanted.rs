//! Which units a unit inside wants, by the links that it has in the container: those of its package's
//! generator among them, which no file of the host tells of.

use std::collections::BTreeSet;
use std::path::Path;

use vss_model::UnitName;
use vss_tree::Root;

/// Where systemd.unit(5) looks for `UNIT.wants` and `UNIT.requires`.
const PLACES: [&str; 6] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator.early",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
    "/usr/lib/systemd/system",
];
/// Of a container that makes up more no more is asked after.
const MOST: usize = 64;

/// The units that a unit of the container with this first process wants; none where that can't be
/// seen.
pub(crate) fn names(init: u32, unit: &str) -> Vec<UnitName> {
    // the link itself can't be opened without being followed, and its directory can
    match Root::open(Path::new(&format!("/proc/{init}/root/."))) {
        Ok(root) => below(&root, unit),
        Err(_) => Vec::new(),
    }
}

fn below(root: &Root, unit: &str) -> Vec<UnitName> {
    let mut found = BTreeSet::new();
    for place in PLACES {
        for kind in ["wants", "requires"] {
            let directory = format!("{place}/{unit}.{kind}");
            let entries = root.list(Path::new(&directory)).unwrap_or_default();
            let name = |entry: &std::ffi::OsStr| entry.to_str()?.parse::<UnitName>().ok();
            found.extend(entries.iter().filter_map(|(entry, _)| name(entry)));
        }
    }
    found.into_iter().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_generator_linked_is_wanted() {
        let place = tempfile::tempdir().unwrap();
        let link = |path: &str| {
            let path = place.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/nowhere", path).unwrap();
        };
        link("run/systemd/generator/a.service.wants/a@main.service");
        link("etc/systemd/system/a.service.requires/b.socket");
        link("etc/systemd/system/other.service.wants/c.service");
        let root = Root::open(place.path()).unwrap();
        let found = below(&root, "a.service");
        let found: Vec<&str> = found.iter().map(UnitName::as_str).collect();
        assert_eq!(found, ["a@main.service", "b.socket"]);
        assert!(below(&root, "none.service").is_empty());
    }
}
