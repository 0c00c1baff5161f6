//! Databases that can't be trusted: each error names the file (A35).

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use vss_package::{Dpkg, Error, PackageDb};

const STATUS: &str = "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n";

/// A database of one package whose list is `list`.
fn root_with(list: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let admin = root.path().join("var/lib/dpkg");
    fs::create_dir_all(admin.join("info")).unwrap();
    fs::create_dir_all(admin.join("updates")).unwrap();
    fs::write(admin.join("status"), STATUS).unwrap();
    fs::write(admin.join("info/a.list"), list).unwrap();
    root
}

fn names(root: &Path) -> Result<usize, Error> {
    Dpkg::open(root)?.names().map(|names| names.len())
}

fn owners(root: &Path) -> Result<usize, Error> {
    let path = "/a".parse().unwrap();
    Dpkg::open(root)?.owners(&path).map(|owners| owners.len())
}

#[test]
fn a35_a_sound_database_answers() {
    let root = root_with("/.\n/a\n");
    assert_eq!(names(root.path()).unwrap(), 1);
    assert_eq!(owners(root.path()).unwrap(), 1);
}

#[test]
fn a35_an_absent_database_is_named() {
    let root = tempfile::tempdir().unwrap();
    let error = Dpkg::open(root.path()).unwrap_err();
    assert!(matches!(error, Error::NoDatabase { .. }));
    assert!(
        error.to_string().ends_with("var/lib/dpkg/status"),
        "{error}"
    );
}

#[test]
fn a35_an_empty_status_file_is_not_a_host_without_packages() {
    let root = root_with("");
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    let error = names(root.path()).unwrap_err().to_string();
    assert!(error.contains("var/lib/dpkg/status, line 1"), "{error}");
    let hint = names(root.path()).unwrap_err().hint().unwrap();
    assert!(hint.contains("dpkg --audit"), "{hint}");
}

#[test]
fn a35_a_database_that_was_lost_is_told_from_one_that_never_was() {
    let root = root_with("");
    let status = root.path().join("var/lib/dpkg/status");
    for what in ["empty", "missing"] {
        match what {
            "empty" => fs::write(&status, "").unwrap(),
            _ => fs::remove_file(&status).unwrap(),
        }
        let error = vss_package::open_host(root.path()).unwrap_err();
        let end = format!("var/lib/dpkg/status is {what}");
        assert!(error.to_string().ends_with(&end), "{error}");
        assert!(error.hint().unwrap().contains("/var/backups/dpkg.status"));
    }
    let bare = tempfile::tempdir().unwrap();
    let error = vss_package::open_host(bare.path()).unwrap_err();
    assert!(matches!(error, Error::NoDatabase { .. }), "{error}");
    assert!(error.hint().unwrap().contains("rpm --rebuilddb"));
}

#[test]
fn a35_a_list_that_was_cut_short_is_named() {
    let root = root_with("/.\n/a\n/b/cut");
    let error = owners(root.path()).unwrap_err();
    assert!(error.hint().unwrap().contains("--reinstall a`"), "{error}");
    match error {
        Error::Corrupt { path, line, .. } => {
            assert!(path.ends_with("info/a.list"));
            assert_eq!(line, 3);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a35_a_list_that_is_no_file_is_named_and_not_waited_for() {
    let root = root_with("");
    let list = root.path().join("var/lib/dpkg/info/a.list");
    fs::remove_file(&list).unwrap();
    fs::create_dir(&list).unwrap();
    let error = owners(root.path()).unwrap_err();
    assert!(error.to_string().contains("a.list"), "{error}");
}

#[test]
fn a35_a_package_whose_list_is_lost_is_no_package_without_files() {
    let root = root_with("");
    let second = format!("{STATUS}\n{}", STATUS.replace("Package: a", "Package: ab"));
    fs::write(root.path().join("var/lib/dpkg/status"), second).unwrap();
    fs::write(root.path().join("var/lib/dpkg/info/ab.list"), "/usr/ab\n").unwrap();
    fs::remove_file(root.path().join("var/lib/dpkg/info/a.list")).unwrap();
    let db = Dpkg::open(root.path()).unwrap();
    let unit = "/usr/lib/systemd/system/a.service".parse().unwrap();
    for error in [
        db.package(&"a".into()).unwrap_err(),
        db.owners(&unit).unwrap_err(),
    ] {
        assert!(error.to_string().ends_with("a.list is missing"), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("apt-get install --reinstall a`"), "{hint}");
    }
    // what others own is known, and what is the administrator's is nobody's
    assert_eq!(
        db.owners(&"/usr/ab".parse().unwrap()).unwrap(),
        ["ab".into()]
    );
    for own in ["/etc/own", "/usr/local/bin/own"] {
        assert!(db.owners(&own.parse().unwrap()).unwrap().is_empty());
    }
    assert!(db.package(&"ab".into()).unwrap().is_some());
    assert_eq!(
        db.notes().unwrap()[0].to_string(),
        "package a: taken as without files: it has no list of them"
    );
}

#[test]
fn a35_dpkg_at_work_is_said_so_and_asking_again_works() {
    let root = root_with("/a\n");
    let journal = root.path().join("var/lib/dpkg/updates/0001");
    fs::write(&journal, "Package: a\n").unwrap();
    let db = Dpkg::open(root.path()).unwrap();
    let error = db.names().unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert!(error.to_string().contains("updates/0001"), "{error}");
    fs::remove_file(&journal).unwrap();
    assert_eq!(db.names().unwrap().len(), 1);
}

#[test]
fn a35_diversions_that_break_off_are_named() {
    let root = root_with("/a\n");
    let file = root.path().join("var/lib/dpkg/diversions");
    fs::write(&file, "/a\n/b\n").unwrap();
    let error = owners(root.path()).unwrap_err().to_string();
    assert!(error.contains("var/lib/dpkg/diversions, line 2"), "{error}");
}

#[test]
fn a32_half_a_million_paths_of_one_package_are_taken() {
    let list: String = (0..500_000)
        .map(|n| format!("/usr/share/a/{n}\n"))
        .collect();
    let root = root_with(&list);
    let db = Dpkg::open(root.path()).unwrap();
    let path = "/usr/share/a/499999".parse().unwrap();
    assert_eq!(db.owners(&path).unwrap(), ["a".into()]);
    assert_eq!(db.path_count().unwrap(), 500_000);
}

#[test]
fn a35_a_change_between_the_status_file_and_the_lists_is_seen() {
    let asked = |change: &dyn Fn(&Path)| {
        let root = root_with("/.\n/a\n");
        let db = Dpkg::open(root.path()).unwrap();
        assert_eq!(db.names().unwrap().len(), 1);
        change(&root.path().join("var/lib/dpkg"));
        db.owners(&"/a".parse().unwrap())
    };
    assert_eq!(asked(&|_| ()).unwrap().len(), 1);
    let journal = |admin: &Path| fs::write(admin.join("updates/0001"), STATUS).unwrap();
    let error = asked(&journal).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    let replace = |admin: &Path| {
        fs::write(admin.join("status-new"), STATUS).unwrap();
        fs::rename(admin.join("status-new"), admin.join("status")).unwrap();
    };
    let error = asked(&replace).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert!(error.to_string().contains("var/lib/dpkg/status"), "{error}");
}
