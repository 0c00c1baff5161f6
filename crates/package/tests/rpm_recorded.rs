//! The recorded database in `data/fedora-41`, which rpm itself wrote (`tests/rpm/record`): Apache in
//! Fedora's packages, what it needs of a system, and a package `odd` with what few packages have.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod support;

use std::fs;

use support::{fedora, package, path, relations, words};
use vss_model::{FileFlags, RelationKind};
use vss_package::{Error, Kind, PackageDb, Rpm, open_host};

fn db() -> Rpm {
    Rpm::open(&fedora()).unwrap()
}

#[test]
fn files_and_directories_have_their_owners() {
    let db = db();
    let owners = |p: &str| db.owners(&path(p)).unwrap();
    for (file, owner) in [
        ("/usr/lib/systemd/system/httpd.service", "httpd"),
        ("/etc/httpd/conf/httpd.conf", "httpd"),
        ("/usr/sbin/httpd", "httpd-core"),
        ("/etc/httpd/modules", "httpd-core"),
        ("/var/www/html", "httpd-filesystem"),
        ("/usr/lib64/httpd/modules/mod_ssl.so", "mod_ssl"),
        ("/etc/mime.types", "mailcap"),
    ] {
        assert_eq!(words(&owners(file)), [owner], "{file}");
    }
    assert!(owners("/etc/httpd/conf.d/mine.conf").is_empty());
    assert_eq!(
        words(&db.owners_below(&path("/etc/httpd")).unwrap()),
        [
            "httpd",
            "httpd-core",
            "httpd-filesystem",
            "mod_http2",
            "mod_lua",
            "mod_ssl"
        ]
    );
    assert!(db.owners_below(&path("/etc/http")).unwrap().is_empty());
}

#[test]
fn a35_both_spellings_of_a_merged_usr_find_the_owner() {
    let db = db();
    for spelling in ["/bin/bash", "/usr/bin/bash"] {
        assert_eq!(words(&db.owners(&path(spelling)).unwrap()), ["bash"]);
    }
    let files = package(&db, "bash").files;
    assert!(files.iter().any(|f| f.path == path("/usr/bin/bash")));
    assert!(files.iter().all(|f| !f.path.starts_with(&path("/bin"))));
}

#[test]
fn a33_what_is_listed_below_a_linked_directory_is_where_it_really_is() {
    let db = db();
    for spelling in ["/run/odd", "/var/run/odd"] {
        assert_eq!(words(&db.owners(&path(spelling)).unwrap()), ["odd"]);
    }
}

#[test]
fn configuration_and_ghosts_are_flagged() {
    let shown: Vec<(String, FileFlags)> = package(&db(), "odd")
        .files
        .iter()
        .map(|f| (f.path.to_string(), f.flags))
        .collect();
    let flags = |config, ghost| FileFlags { config, ghost };
    let plain = FileFlags::default();
    let expected = [
        ("/etc/odd", plain),
        ("/etc/odd/a file.conf", flags(true, false)),
        ("/etc/odd/absent", flags(false, true)),
        ("/etc/odd/ghost.conf", flags(true, true)),
        ("/etc/odd/kept.conf", flags(true, false)),
        ("/run/odd", plain),
        ("/usr/share/odd", plain),
        ("/usr/share/odd/link", plain),
        ("/usr/share/odd/na\\xefve", plain),
        ("/usr/share/odd/shared", plain),
    ];
    assert_eq!(shown, expected.map(|(p, f)| (p.to_owned(), f)));
}

#[test]
fn versions_and_sources_are_as_rpm_has_them() {
    let odd = package(&db(), "odd");
    assert_eq!(
        (odd.version.as_str(), odd.source.as_str()),
        ("2:1.0~rc1^git7-3", "odd")
    );
    assert!(package(&db(), "mod_ssl").version.starts_with("1:2.4."));
    assert_eq!(package(&db(), "libuuid").source, "util-linux");
    assert_eq!(
        words(&db().of_source("httpd").unwrap()),
        [
            "httpd",
            "httpd-core",
            "httpd-filesystem",
            "httpd-tools",
            "mod_lua",
            "mod_ssl"
        ]
    );
    assert!(db().of_source("none").unwrap().is_empty());
}

#[test]
fn relations_are_resolved_to_what_is_installed() {
    let httpd = package(&db(), "httpd");
    assert_eq!(relations(&httpd, RelationKind::Depends), ["httpd-core"]);
    assert_eq!(
        relations(&httpd, RelationKind::Recommends),
        ["mod_http2", "mod_lua"]
    );
    // (mod_ssl if openssl-libs)
    assert_eq!(relations(&httpd, RelationKind::Suggests), ["mod_ssl"]);
    let core = package(&db(), "httpd-core");
    // libraries by what they provide, /etc/mime.types by its file, (bash if glibc else dash)
    assert_eq!(
        relations(&core, RelationKind::Depends),
        [
            "apr",
            "apr-util",
            "bash",
            "glibc",
            "httpd-filesystem",
            "httpd-tools",
            "libbrotli",
            "mailcap",
            "pcre2",
            "zlib"
        ]
    );
    assert!(relations(&package(&db(), "mod_ssl"), RelationKind::Depends).contains(&"httpd-core"));
}

#[test]
fn odd_relations_are_resolved_as_rpm_would() {
    let odd = package(&db(), "odd");
    assert_eq!(
        relations(&odd, RelationKind::Depends),
        // bash thrice; odd-gift = 1.5 by both, as one gives it in any version; expat if glibc;
        // zlib for want of not-installed; odd-self by itself
        ["bash", "expat", "odd-giver", "odd-taker", "zlib"]
    );
    // the first alternative that is there
    assert_eq!(relations(&odd, RelationKind::Recommends), ["libuuid"]);
    assert_eq!(
        relations(&odd, RelationKind::Suggests),
        ["apr-util", "lua-libs"]
    );
}

#[test]
fn dependents_are_the_other_direction() {
    let dependents = db().dependents(&"httpd-core".into()).unwrap();
    assert_eq!(
        dependents,
        [
            ("httpd".into(), RelationKind::Depends),
            ("mod_http2".into(), RelationKind::Depends),
            ("mod_lua".into(), RelationKind::Depends),
            ("mod_ssl".into(), RelationKind::Depends)
        ]
    );
    // Supplements: (httpd-core and libnghttp2)
    let nghttp2 = package(&db(), "mod_http2");
    assert!(relations(&nghttp2, RelationKind::Suggests).contains(&"libnghttp2"));
    assert!(db().dependents(&"not-there".into()).unwrap().is_empty());
}

#[test]
fn packages_of_one_name_are_told_apart_and_keys_are_none() {
    let names = db().names().unwrap();
    let alike: Vec<&str> = words(&names)
        .into_iter()
        .filter(|n| {
            ["kernel", "glibc-twin", "gpg"]
                .iter()
                .any(|b| n.starts_with(b))
        })
        .collect();
    assert_eq!(
        alike,
        [
            "glibc-twin",
            "glibc-twin:i686",
            "kernel-core",
            "kernel-core:6.9.4-1"
        ]
    );
    assert_eq!(package(&db(), "kernel-core").version, "6.10.1-1");
    assert_eq!(package(&db(), "kernel-core:6.9.4-1").version, "6.9.4-1");
    assert_eq!(
        package(&db(), "glibc-twin:x86_64").name,
        "glibc-twin".into()
    );
    assert_eq!(
        words(&db().owners(&path("/usr/lib/glibc-twin/2.i686")).unwrap()),
        ["glibc-twin:i686"]
    );
    assert_eq!(db().package(&"gpg-pubkey".into()).unwrap(), None);
}

#[test]
fn nothing_of_a_real_database_is_left_out() {
    assert_eq!(db().notes().unwrap(), []);
}

#[test]
fn a_host_with_one_database_is_opened_by_it() {
    assert_eq!(open_host(&fedora()).unwrap().kind(), Kind::Rpm);
    let root = support::copy();
    let dpkg = root.path().join("var/lib/dpkg");
    fs::create_dir_all(&dpkg).unwrap();
    // The dpkg program is packaged elsewhere too, and its database is empty there.
    fs::write(dpkg.join("status"), "").unwrap();
    assert_eq!(open_host(root.path()).unwrap().kind(), Kind::Rpm);
}

#[test]
fn a_host_with_both_databases_is_opened_by_the_one_it_is_made_of() {
    let paragraph = |name| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n")
    };
    let root = support::copy();
    let dpkg = root.path().join("var/lib/dpkg");
    fs::create_dir_all(dpkg.join("info")).unwrap();
    // A package for Debian that someone put on a Fedora.
    fs::write(dpkg.join("status"), paragraph("stray")).unwrap();
    assert_eq!(open_host(root.path()).unwrap().kind(), Kind::Rpm);
    fs::write(
        dpkg.join("status"),
        format!("{}\n{}", paragraph("stray"), paragraph("dpkg")),
    )
    .unwrap();
    assert_eq!(open_host(root.path()).unwrap().kind(), Kind::Dpkg);
    // Whatever is wrong with the rpm database of a Debian is no matter.
    fs::write(support::database(root.path()), "no database").unwrap();
    assert_eq!(open_host(root.path()).unwrap().kind(), Kind::Dpkg);
}

#[test]
fn a47_an_old_format_is_named_with_what_to_do() {
    for (file, backend) in [("Packages", "bdb"), ("Packages.db", "ndb")] {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("var/lib/rpm");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(file), "pages").unwrap();
        let error = open_host(root.path()).unwrap_err();
        assert!(matches!(error, Error::OldRpm { .. }));
        let text = error.to_string();
        assert!(text.contains(&format!("var/lib/rpm/{file}")), "{text}");
        assert!(text.contains(&format!("format {backend}")), "{text}");
        assert!(text.contains("rpmdb --rebuilddb"), "{text}");
    }
}

#[test]
fn every_place_of_the_database_is_looked_at() {
    for directory in ["usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"] {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join(directory);
        fs::create_dir_all(&directory).unwrap();
        fs::copy(support::database(&fedora()), directory.join("rpmdb.sqlite")).unwrap();
        let names = open_host(root.path()).unwrap().names().unwrap();
        assert!(names.contains(&"httpd".into()));
    }
}
