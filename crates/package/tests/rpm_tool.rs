//! The reader's answers beside those of rpm itself, on the recorded database and on one that rpm
//! has just written to. Needs the rpm program; `make setup` installs it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so aloud")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use vss_model::{AbsPath, PackageName, RelationKind};
use vss_package::{PackageDb, Rpm};

/// What rpm prints, asked about the database of `root`.
#[expect(
    clippy::disallowed_methods,
    reason = "rpm is what the reader is compared with"
)]
fn rpm(root: &Path, arguments: &[&OsStr]) -> Option<Vec<u8>> {
    let directory = support::database(root).parent().unwrap().to_owned();
    let output = std::process::Command::new("rpm")
        .arg("--dbpath")
        .arg(directory)
        .args(arguments)
        .output();
    match output {
        Ok(output) if output.status.success() => Some(output.stdout),
        Ok(output) => panic!(
            "rpm {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "rpm is not to be had here ({error}), and CI is set"
            );
            eprintln!("****** NOT RUN: rpm is not to be had here ({error}): apt-get install rpm");
            None
        }
    }
}

fn ask(root: &Path, arguments: &[&str]) -> Option<Vec<Vec<u8>>> {
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    let out = rpm(root, &arguments)?;
    let lines = out.split(|&c| c == b'\n').filter(|line| !line.is_empty());
    Some(lines.map(<[u8]>::to_vec).collect())
}

fn fields(line: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(line);
    text.split('\t').map(str::to_owned).collect()
}

fn path(bytes: &[u8]) -> AbsPath {
    AbsPath::new(OsStr::from_bytes(bytes)).unwrap()
}

/// Our name of each package, by rpm's `NAME-EVR.ARCH`.
fn by_label(db: &Rpm, labels: &[String]) -> BTreeMap<String, PackageName> {
    let mut out = BTreeMap::new();
    for name in db.names().unwrap() {
        let package = db.package(&name).unwrap().unwrap();
        let (bare, qualifier) = name.as_str().split_once(':').unwrap_or((name.as_str(), ""));
        let version = package
            .version
            .split_once(':')
            .map_or(package.version.as_str(), |v| v.1);
        let beginning = format!("{bare}-{version}.");
        let foreign = |label: &&String| (qualifier == "i686") == label.ends_with(".i686");
        let mut fitting = labels
            .iter()
            .filter(|l| l.starts_with(&beginning))
            .filter(foreign);
        let label = fitting
            .next()
            .unwrap_or_else(|| panic!("rpm has no {beginning}"));
        assert!(out.insert(label.clone(), name).is_none(), "{label} twice");
    }
    out
}

#[test]
fn packages_and_their_files_are_those_that_rpm_has() {
    let root = support::copy();
    let format = "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{SOURCERPM}\n";
    let Some(lines) = ask(root.path(), &["-qa", "--qf", format]) else {
        return;
    };
    let db = Rpm::open(root.path()).unwrap();
    let packages: Vec<Vec<String>> = lines
        .iter()
        .map(|line| fields(line))
        .filter(|fields| !fields[0].starts_with("gpg-pubkey-"))
        .collect();
    assert_eq!(packages.len(), db.names().unwrap().len());
    assert!(packages.len() > 30);
    let labels: Vec<String> = packages.iter().map(|fields| fields[0].clone()).collect();
    let names = by_label(&db, &labels);
    for fields in &packages {
        let package = db.package(&names[&fields[0]]).unwrap().unwrap();
        assert_eq!(package.version, fields[1]);
        assert!(
            fields[2].starts_with(&format!("{}-", package.source)),
            "{fields:?}"
        );
        let listed = ask(
            root.path(),
            &[
                "-q",
                "--qf",
                "[%{FILEFLAGS} %{FILESTATES} %{FILENAMES}\n]",
                &fields[0],
            ],
        );
        let expected: BTreeSet<(AbsPath, bool, bool)> = listed
            .unwrap()
            .iter()
            .map(|line| {
                let mut parts = line.splitn(3, |&c| c == b' ');
                let mut number = || -> u32 {
                    std::str::from_utf8(parts.next().unwrap())
                        .unwrap()
                        .parse()
                        .unwrap()
                };
                let (flags, state) = (number(), number());
                assert_eq!(state, 0);
                let path = db.spelling().normalize(&path(parts.next().unwrap()));
                (path, flags & 1 != 0, flags & 64 != 0)
            })
            .collect();
        let found = package.files.into_iter();
        let found = found
            .map(|f| (f.path, f.flags.config, f.flags.ghost))
            .collect();
        assert_eq!(expected, found, "{}", fields[0]);
    }
}

#[test]
fn owners_are_those_that_rpm_names() {
    let root = support::copy();
    let Some(lines) = ask(root.path(), &["-qa", "--qf", "[%{FILENAMES}\n]"]) else {
        return;
    };
    let db = Rpm::open(root.path()).unwrap();
    let paths: BTreeSet<Vec<u8>> = lines.into_iter().collect();
    assert!(paths.len() > 300, "{}", paths.len());
    for listed in paths.iter().step_by(5) {
        let arguments = ["-qf", "--qf", "%{NAME}\n"].map(OsStr::new);
        let out = rpm(
            root.path(),
            &[&arguments[..], &[OsStr::from_bytes(listed)]].concat(),
        );
        let expected: BTreeSet<String> = out
            .unwrap()
            .split(|&c| c == b'\n')
            .filter(|line| !line.is_empty() && *line != b"gpg-pubkey")
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        let path = path(listed);
        let owners = db.owners(&path).unwrap();
        let bare = |name: &PackageName| name.as_str().split(':').next().unwrap().to_owned();
        let found: BTreeSet<String> = owners.iter().map(bare).collect();
        // rpm knows a path by the spelling that its package has alone, and follows the links of
        // the machine that it runs on; both spellings have the same owners here.
        assert!(expected.is_subset(&found), "{path}: {expected:?} {found:?}");
        if db.spelling().normalize(&path) == path {
            assert_eq!(expected, found, "{path}");
        }
    }
}

#[test]
fn what_is_required_is_resolved_as_rpm_resolves_it() {
    let root = support::copy();
    let db = Rpm::open(root.path()).unwrap();
    let mut compared = 0;
    for name in [
        "httpd",
        "httpd-core",
        "httpd-tools",
        "mod_ssl",
        "mod_lua",
        "mod_http2",
    ] {
        let Some(required) = ask(root.path(), &["-q", "--requires", name]) else {
            return;
        };
        let package = db.package(&name.into()).unwrap().unwrap();
        let depends = package
            .relations
            .iter()
            .filter(|r| r.kind == RelationKind::Depends);
        let depends: BTreeSet<String> = depends.map(|r| r.to.to_string()).collect();
        let mut expected = BTreeSet::new();
        for capability in required.iter().map(|line| String::from_utf8_lossy(line)) {
            // rich ones are no question that rpm answers
            if capability.starts_with(['(']) || capability.starts_with("rpmlib(") {
                continue;
            }
            let wanted = capability.split(' ').next().unwrap();
            let who = ask(
                root.path(),
                &["-q", "--qf", "%{NAME}\n", "--whatprovides", wanted],
            );
            expected.extend(
                who.unwrap()
                    .iter()
                    .map(|l| String::from_utf8_lossy(l).into_owned()),
            );
            compared += 1;
        }
        expected.remove(name);
        // (bash if glibc else dash) of httpd-core
        let rich = BTreeSet::from(["bash".to_owned()]);
        assert!(
            expected.is_subset(&depends),
            "{name}: {expected:?} {depends:?}"
        );
        assert!(
            depends
                .difference(&expected)
                .all(|more| rich.contains(more)),
            "{name}: {expected:?} {depends:?}"
        );
    }
    assert!(compared > 40, "{compared}");
}

#[test]
fn what_rpm_erases_is_gone_at_the_next_reading() {
    let root = support::copy();
    let answers = ["-e", "--justdb", "--nodeps", "mod_lua"];
    if ask(root.path(), &answers).is_none() {
        return;
    }
    let db = Rpm::open(root.path()).unwrap();
    assert_eq!(db.package(&"mod_lua".into()).unwrap(), None);
    assert!(db.package(&"mod_ssl".into()).unwrap().is_some());
}
