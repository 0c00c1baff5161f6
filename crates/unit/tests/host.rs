//! The units of the machine that runs the tests.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![allow(clippy::print_stderr, reason = "a skipped test says so aloud")]

use std::path::Path;

use vss_unit::{Service, ServiceType, dependencies, load, names, paths_named, text};

const UNITS: &str = "/usr/lib/systemd/system";

#[test]
fn every_unit_of_this_machine_loads() {
    let root = Path::new("/");
    let names = names(root).unwrap();
    if names.is_empty() {
        eprintln!("SKIPPED: this machine has no units");
        return;
    }
    let mut paths = 0;
    for name in &names {
        let unit = load(root, name).unwrap();
        let unit = unit.unwrap_or_else(|| panic!("{name} is listed and not found"));
        assert!(unit.masked || !unit.files.is_empty(), "{name}");
        assert!(unit.ignored.is_empty(), "{name}: {:?}", unit.ignored);
        let context = unit.context().with_host("host", "0");
        paths += paths_named(&unit.settings, &context).len();
        let _ = dependencies(&unit);
    }
    eprintln!("{} units name {paths} paths", names.len());
}

#[test]
fn every_unit_file_of_this_machine_is_put_together_again() {
    let Ok(entries) = Path::new(UNITS).read_dir() else {
        eprintln!("SKIPPED: this machine has no {UNITS}");
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if let Ok(bytes) = std::fs::read(&path) {
            assert_eq!(text::parse(&bytes).to_bytes(), bytes, "{}", path.display());
        }
    }
}

#[test]
fn a_packaged_database_server_is_understood() {
    let name = "postgresql@15-main".parse().unwrap();
    let Some(unit) = load(Path::new("/"), &name).unwrap() else {
        eprintln!("SKIPPED: postgresql@.service is not installed");
        return;
    };
    let context = unit.context();
    assert_eq!(
        Service::new(&unit.settings, &context).service_type(),
        ServiceType::Forking
    );
    let paths: Vec<String> = paths_named(&unit.settings, &context)
        .iter()
        .map(|p| p.path.to_string())
        .collect();
    assert!(
        paths.contains(&"/usr/bin/pg_ctlcluster".to_owned()),
        "{paths:?}"
    );
    assert!(
        paths.contains(&"/var/lib/postgresql/15/main".to_owned()),
        "{paths:?}"
    );
}
