//! The recorded database in `data/debian-12`: excerpts of a real one, with a foreign architecture,
//! half-installed packages, and a package `odd` whose list has what none should.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::path::{Path, PathBuf};

use support::{package, path, relations, words};
use vss_model::{AbsPath, RelationKind};
use vss_package::{Dpkg, Kind, PackageDb, open_host};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/debian-12")
}

fn db() -> Dpkg {
    Dpkg::open(&fixture()).unwrap()
}

#[test]
fn files_and_directories_have_their_owners() {
    let db = db();
    let owners = |p: &str| db.owners(&path(p)).unwrap();
    assert_eq!(words(&owners("/etc/apache2/apache2.conf")), ["apache2"]);
    assert_eq!(
        words(&owners("/etc/apache2/mods-enabled/alias.conf")),
        [""; 0]
    );
    assert_eq!(
        words(&db.owners_below(&path("/etc/apache2")).unwrap()),
        ["apache2", "libapache2-mod-php8.2", "unconfigured"]
    );
    // The directory itself is the apache2 package's alone to list; what is below is not.
    assert_eq!(
        words(&db.owners_below(&path("/etc/apache")).unwrap()),
        [""; 0]
    );
    assert!(db.owners(&AbsPath::root()).unwrap().len() > 10);
}

#[test]
fn a35_both_spellings_of_a_merged_usr_find_the_owner() {
    let db = db();
    for spelling in ["/bin/dash", "/usr/bin/dash"] {
        assert_eq!(words(&db.owners(&path(spelling)).unwrap()), ["dash"]);
    }
    let files = package(&db, "dash").files;
    assert!(files.iter().any(|f| f.path == path("/usr/bin/dash")));
    assert!(files.iter().all(|f| !f.path.starts_with(&path("/bin"))));
}

#[test]
fn a33_what_is_listed_below_a_linked_directory_is_where_it_really_is() {
    let db = db();
    assert_eq!(words(&db.owners(&path("/run/odd")).unwrap()), ["odd"]);
    assert_eq!(words(&db.owners(&path("/var/run/odd")).unwrap()), ["odd"]);
}

#[test]
fn diversions_move_the_paths_of_all_others() {
    let db = db();
    let owners = |p: &str| db.owners(&path(p)).unwrap();
    assert_eq!(words(&owners("/usr/bin/pg_config")), ["postgresql-common"]);
    assert_eq!(
        words(&owners("/usr/bin/pg_config.libpq-dev")),
        ["libpq-dev"]
    );
    // Diverted by the administrator, so from every package.
    assert_eq!(words(&owners("/usr/bin/diff")), [""; 0]);
    assert_eq!(words(&owners("/usr/bin/diff.local")), ["diffutils"]);
    // Diverted under its old spelling, and dash keeps it.
    assert_eq!(words(&owners("/usr/bin/sh")), ["dash"]);
}

#[test]
fn conffiles_are_flagged_whatever_their_marks() {
    let files = package(&db(), "apache2").files;
    let config = |p: &str| {
        files
            .iter()
            .find(|f| f.path == path(p))
            .unwrap()
            .flags
            .config
    };
    assert!(config("/etc/apache2/apache2.conf"));
    assert!(!config("/etc/apache2"));
    // Diverted, and the configuration that it is wherever it is.
    let debconf = package(&db(), "debconf").files;
    let diverted = path("/etc/debconf.conf.distrib");
    assert!(debconf.iter().any(|f| f.path == diverted && f.flags.config));
    let odd = package(&db(), "odd").files;
    let flagged: Vec<_> = odd.iter().filter(|f| f.flags.config).collect();
    assert_eq!(flagged.len(), 2, "{flagged:?}");
}

#[test]
fn a32_unusable_lines_are_left_out_with_a_reason_and_odd_ones_kept() {
    let db = db();
    let shown: Vec<String> = package(&db, "odd")
        .files
        .iter()
        .map(|f| f.path.to_string())
        .collect();
    assert_eq!(
        shown,
        [
            "/",
            "/etc",
            "/etc/odd",
            "/etc/odd/a file.conf",
            "/etc/odd/old.conf",
            "/run/odd",
            "/usr/lib/odd/module",
            "/usr/share/odd",
            "/usr/share/odd/na\\xefve",
            "/usr/share/odd/twice",
        ]
    );
    let notes: Vec<String> = db
        .notes()
        .unwrap()
        .iter()
        .filter(|n| n.package == Some("odd".into()))
        .map(ToString::to_string)
        .collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert_eq!(package(&db, "odd").notes.len(), 3);
    for part in ["\"..\"", "not an absolute path", "an empty line"] {
        assert!(notes.iter().any(|n| n.contains(part)), "{part}: {notes:?}");
    }
}

#[test]
fn half_installed_packages_say_what_they_are_and_keep_their_files() {
    let db = db();
    let states = [
        ("half", "half-installed and marked reinstreq"),
        ("unconfigured", "unpacked"),
    ];
    for (name, state) in states {
        assert_eq!(package(&db, name).unfinished.as_deref(), Some(state));
        assert!(!db.names().unwrap().contains(&name.into()), "{name}");
    }
    assert_eq!(db.package(&"gone".into()).unwrap(), None);
    let listed = path("/etc/apache2/unconfigured.conf");
    assert_eq!(words(&db.owners(&listed).unwrap()), ["unconfigured"]);
    assert_eq!(package(&db, "apache2").unfinished, None);
    // what needs an installed package is found from its end, as of any other
    let dependents = db.dependents(&"apache2-bin".into()).unwrap();
    assert!(dependents.contains(&("unconfigured".into(), RelationKind::Depends)));
    assert_eq!(
        relations(&package(&db, "unconfigured"), RelationKind::Depends),
        ["apache2-bin", "half"]
    );
    let notes: Vec<String> = db
        .notes()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(notes.contains(
        &"package half: left out, as it is half-installed and marked reinstreq".to_owned()
    ));
    assert!(notes.contains(&"package unconfigured: left out, as it is unpacked".to_owned()));
    assert!(!notes.iter().any(|n| n.contains("gone")));
}

#[test]
fn relations_are_resolved_to_what_is_installed() {
    assert_eq!(
        relations(&package(&db(), "apache2"), RelationKind::Depends),
        ["apache2-bin", "apache2-data"]
    );
    // A virtual package, and an alternative of which only the second is here.
    assert_eq!(
        relations(
            &package(&db(), "libapache2-mod-php8.2"),
            RelationKind::Depends
        ),
        ["apache2-bin", "libc6"]
    );
    let wants = package(&db(), "wants");
    // `odd (>= 2)` is not here, so dash; `httpd-extra (>= 1.5)` is provided by odd in 1.5, and
    // by `unconfigured`, which is half installed, so it counts only where nothing else does;
    // `plain-virtual (>= 1)` is provided without a version, so by nobody.
    assert_eq!(
        relations(&wants, RelationKind::Depends),
        ["dash", "debconf", "odd"]
    );
    assert_eq!(relations(&wants, RelationKind::Recommends), ["openssl"]);
    assert_eq!(relations(&wants, RelationKind::Suggests), ["apache2"]);
    assert!(wants.essential, "priority required");
    assert!(!package(&db(), "apache2").essential);
}

#[test]
fn dependents_are_the_other_direction() {
    let dependents = db().dependents(&"openssl".into()).unwrap();
    assert_eq!(
        dependents,
        [
            ("ssl-cert".into(), RelationKind::Depends),
            ("wants".into(), RelationKind::Recommends)
        ]
    );
    assert!(db().dependents(&"not-there".into()).unwrap().is_empty());
}

#[test]
fn foreign_packages_carry_their_architecture() {
    let db = db();
    assert_eq!(
        words(&db.owners(&path("/lib/ld-linux.so.2")).unwrap()),
        ["libc6:i386"]
    );
    assert_eq!(package(&db, "libc6:i386").name, "libc6:i386".into());
    assert_eq!(package(&db, "libc6:amd64").name, "libc6".into());
    assert_eq!(package(&db, "libc6").name, "libc6".into());
    assert_eq!(
        words(&db.of_source("glibc").unwrap()),
        ["libc6", "libc6:i386"]
    );
}

#[test]
fn sources_lose_their_version() {
    assert_eq!(package(&db(), "odd").source, "odd-source");
    assert_eq!(package(&db(), "odd").version, "1.0+b1");
    let of_apache = db().of_source("apache2").unwrap();
    assert_eq!(
        words(&of_apache),
        ["apache2", "apache2-bin", "apache2-data", "unconfigured"]
    );
    assert!(db().of_source("none").unwrap().is_empty());
}

#[test]
fn a_host_is_opened_by_what_it_has() {
    assert_eq!(open_host(&fixture()).unwrap().kind(), Kind::Dpkg);
    let root = tempfile::tempdir().unwrap();
    let error = open_host(root.path()).unwrap_err().to_string();
    assert!(error.contains("var/lib/dpkg/status"), "{error}");
    assert!(
        error.contains("usr/lib/sysimage/rpm/rpmdb.sqlite"),
        "{error}"
    );
}
