//! The database of the machine that runs the tests, compared with its own list files.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![allow(clippy::print_stderr, reason = "a skipped test says so aloud")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use vss_model::{AbsPath, PackageName};
use vss_package::{Dpkg, PackageDb};

/// `None`, said aloud, where this machine is no Debian.
fn host() -> Option<Dpkg> {
    if !Path::new("/var/lib/dpkg/status").exists() {
        eprintln!("SKIPPED: this machine has no dpkg database");
        return None;
    }
    Some(Dpkg::open(Path::new("/")).unwrap())
}

fn list_file(name: &PackageName) -> Option<PathBuf> {
    let info = Path::new("/var/lib/dpkg/info");
    let bare = info.join(format!("{name}.list"));
    if bare.exists() {
        return Some(bare);
    }
    let beginning = format!("{name}:");
    fs::read_dir(info)
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| {
            let file = entry.file_name().into_string().unwrap();
            file.starts_with(&beginning) && file.ends_with(".list")
        })
        .map(|entry| entry.path())
}

/// The paths that a diversion concerns, which lists and answers spell differently.
fn diverted() -> BTreeSet<AbsPath> {
    let text = fs::read_to_string("/var/lib/dpkg/diversions").unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn every_list_of_this_machine_is_answered_whole() {
    let Some(db) = host() else { return };
    let diverted = diverted();
    let mut owners: BTreeMap<AbsPath, BTreeSet<PackageName>> = BTreeMap::new();
    for name in db.names().unwrap() {
        let package = db.package(&name).unwrap().unwrap();
        let Some(list) = list_file(&name) else {
            continue;
        };
        let expected: BTreeSet<AbsPath> = fs::read(&list)
            .unwrap()
            .split(|&c| c == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| AbsPath::new(std::str::from_utf8(line).unwrap()).unwrap())
            .filter(|path| !diverted.contains(path))
            .map(|path| db.spelling().normalize(&path))
            .collect();
        let listed: BTreeSet<AbsPath> = package.files.into_iter().map(|f| f.path).collect();
        let missing: Vec<_> = expected.difference(&listed).collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
        for path in listed {
            owners.entry(path).or_default().insert(name.clone());
        }
    }
    for (path, expected) in owners.iter().step_by(7) {
        let answered: BTreeSet<PackageName> = db.owners(path).unwrap().into_iter().collect();
        assert_eq!(&answered, expected, "{path}");
    }
}

#[test]
fn relations_of_this_machine_lead_to_installed_packages() {
    let Some(db) = host() else { return };
    let names: BTreeSet<PackageName> = db.names().unwrap().into_iter().collect();
    let mut relations = 0;
    for name in &names {
        for relation in db.package(name).unwrap().unwrap().relations {
            assert!(names.contains(&relation.to), "{name} -> {}", relation.to);
            relations += 1;
        }
    }
    assert!(relations > names.len(), "{relations} of {}", names.len());
}

#[test]
#[ignore = "a measurement: cargo test --release -p vss-package -- --ignored --nocapture"]
fn measure_the_whole_index() {
    let Some(db) = host() else { return };
    let start = std::time::Instant::now();
    let packages = db.names().unwrap().len();
    let catalogue = start.elapsed();
    let start = std::time::Instant::now();
    let paths = db.path_count().unwrap();
    let index = start.elapsed();
    let start = std::time::Instant::now();
    let owners = db.owners_below(&"/etc/apache2".parse().unwrap()).unwrap();
    eprintln!(
        "{packages} packages in {catalogue:?}, {paths} paths in {index:?}, {} owners in {:?}",
        owners.len(),
        start.elapsed()
    );
}
