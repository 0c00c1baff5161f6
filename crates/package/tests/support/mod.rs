//! The recorded rpm database, copies of it that a test may break, and short words for what both
//! databases answer.

#![allow(dead_code, reason = "each file of tests uses some of it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vss_model::{AbsPath, Package, PackageName, RelationKind};
use vss_package::PackageDb;

const DATABASE: &str = "usr/lib/sysimage/rpm/rpmdb.sqlite";

/// The recorded host.
pub(crate) fn fedora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fedora-41")
}

/// The database of a host.
pub(crate) fn database(root: &Path) -> PathBuf {
    root.join(DATABASE)
}

/// A copy of the recorded host.
pub(crate) fn copy() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.path().join(link)).unwrap();
    }
    let database = database(root.path());
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    fs::copy(self::database(&fedora()), &database).unwrap();
    root
}

/// The headers of the recorded host.
pub(crate) fn headers() -> Vec<Vec<u8>> {
    let root = copy();
    let connection = rusqlite::Connection::open(database(root.path())).unwrap();
    let mut statement = connection
        .prepare("SELECT blob FROM Packages ORDER BY hnum")
        .unwrap();
    let headers = statement.query_map([], |row| row.get(0)).unwrap();
    headers.map(Result::unwrap).collect()
}

pub(crate) fn path(text: &str) -> AbsPath {
    text.parse().unwrap()
}

pub(crate) fn words(names: &[PackageName]) -> Vec<&str> {
    names.iter().map(PackageName::as_str).collect()
}

pub(crate) fn package(db: &dyn PackageDb, name: &str) -> Package {
    db.package(&name.into()).unwrap().unwrap()
}

pub(crate) fn relations(package: &Package, kind: RelationKind) -> Vec<&str> {
    let of_kind = package.relations.iter().filter(|r| r.kind == kind);
    of_kind.map(|r| r.to.as_str()).collect()
}
