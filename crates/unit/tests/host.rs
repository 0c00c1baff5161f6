//! The units of the machine that runs the tests.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![allow(clippy::print_stderr, reason = "a skipped test says so aloud")]

use std::path::Path;

use vss_unit::{load, names, paths_named, text};

const UNITS: &str = "/usr/lib/systemd/system";

/// Nobody reads what a test says that passes: where all that it needs was installed it may not be
/// left out.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}

#[test]
fn every_unit_of_this_machine_loads() {
    let root = Path::new("/");
    let names = names(root).unwrap();
    if names.is_empty() {
        skip("this machine has no units");
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
    }
    eprintln!("{} units name {paths} paths", names.len());
}

#[test]
fn every_unit_file_of_this_machine_is_put_together_again() {
    let Ok(entries) = Path::new(UNITS).read_dir() else {
        skip(&format!("this machine has no {UNITS}"));
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
        skip("postgresql@.service is not installed");
        return;
    };
    let context = unit.context();
    assert_eq!(unit.settings.last("Service", "Type"), Some("forking"));
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

/// What a real systemd makes of this machine's init scripts is what is told of them, but for the
/// ordering by their links in `/etc/rc?.d`, which no container has.
#[test]
#[expect(clippy::disallowed_methods, reason = "the generator is a program")]
fn a_unit_of_an_init_script_is_what_the_generator_makes() {
    let generator = "/usr/lib/systemd/system-generators/systemd-sysv-generator";
    if !Path::new(generator).exists() {
        skip(&format!("this machine has no {generator}"));
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let ran = std::process::Command::new(generator)
        .args([out.path(), out.path(), out.path()])
        .env("SYSTEMD_LOG_LEVEL", "err")
        .status()
        .unwrap();
    assert!(ran.success());
    let mut scripts = 0;
    for entry in out.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        let is_unit = entry.file_type().unwrap().is_file();
        if !is_unit {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let unit = load(Path::new("/"), &name.parse().unwrap()).unwrap();
        let unit = unit.unwrap_or_else(|| panic!("{name} was not found"));
        let settings = |text: &text::UnitText| -> Vec<String> {
            text.assignments()
                .filter(|a| !matches!(a.key, "Before" | "Documentation"))
                .map(|a| format!("{} {}={}", a.section, a.key, a.value))
                .collect()
        };
        let mut expected = settings(&text::parse(&std::fs::read(entry.path()).unwrap()));
        let mut found = settings(&text::parse(unit.files[0].1.as_bytes()));
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
        scripts += 1;
    }
    eprintln!("{scripts} init scripts");
}
