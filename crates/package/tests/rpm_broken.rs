//! rpm databases that can't be read, or not as usual: each error names the file (A35).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod support;

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use support::{copy, database};
use vss_package::rpm::HeaderError;
use vss_package::{Error, PackageDb, Rpm};

fn names(root: &Path) -> Result<usize, Error> {
    Rpm::open(root)?.names().map(|names| names.len())
}

fn open(root: &Path) -> Connection {
    Connection::open(database(root)).unwrap()
}

/// Changes the database, and takes the change in, so that no `-wal` file is left.
fn change(root: &Path, sql: &str) {
    open(root).execute_batch(sql).unwrap();
}

/// Runs `test` with the database's directory read-only to it, root or not: the file system asks
/// for the thread's own file system user, and root's rights go with it.
fn without_writing(root: &Path, test: impl FnOnce() + Send) {
    use nix::unistd::{Gid, Uid, geteuid, setfsgid, setfsuid};
    let directory = database(root).parent().unwrap().to_owned();
    // The way to it is closed to all others in a temporary directory.
    let top = root.metadata().unwrap().permissions();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            if geteuid().is_root() {
                setfsgid(Gid::from_raw(65534));
                setfsuid(Uid::from_raw(65534));
            }
            fs::write(directory.join("probe"), "").unwrap_err();
            test();
        });
        run.join().unwrap();
    });
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(root, top).unwrap();
}

#[test]
fn a35_a_sound_database_answers_and_is_not_changed() {
    let root = copy();
    let before = fs::read(database(root.path())).unwrap();
    assert!(names(root.path()).unwrap() > 30);
    assert!(fs::read(database(root.path())).unwrap() == before);
}

#[test]
fn a35_an_absent_database_is_named() {
    let root = tempfile::tempdir().unwrap();
    let error = Rpm::open(root.path()).unwrap_err();
    assert!(matches!(error, Error::NoDatabase { .. }));
    assert!(
        error.to_string().contains("var/lib/rpm/rpmdb.sqlite"),
        "{error}"
    );
    // One without a byte is none either.
    let root = copy();
    fs::write(database(root.path()), "").unwrap();
    assert!(matches!(
        Rpm::open(root.path()),
        Err(Error::NoDatabase { .. })
    ));
}

#[test]
fn a35_a_database_without_packages_is_not_a_host_without_packages() {
    let root = copy();
    change(root.path(), "DELETE FROM Packages");
    let error = names(root.path()).unwrap_err();
    assert!(matches!(error, Error::Empty { .. }), "{error}");
    assert!(error.to_string().contains("rpmdb.sqlite"), "{error}");
}

#[test]
fn a35_what_is_no_database_is_named() {
    for text in ["no database", "SQLite format 3\0", &"x".repeat(10_000)] {
        let root = copy();
        fs::write(database(root.path()), text).unwrap();
        let error = names(root.path()).unwrap_err();
        assert!(
            matches!(error, Error::CorruptRpm { .. }),
            "{text:.20}: {error}"
        );
        assert!(error.to_string().contains("rpmdb.sqlite"), "{error}");
        assert!(error.source().is_some());
    }
}

#[test]
fn a35_a_database_with_other_tables_is_named() {
    for sql in [
        "DROP TABLE Packages",
        "ALTER TABLE Packages RENAME COLUMN blob TO other",
        "UPDATE Packages SET blob = 'text' WHERE hnum = 3",
    ] {
        let root = copy();
        change(root.path(), sql);
        let error = names(root.path()).unwrap_err();
        assert!(
            matches!(error, Error::CorruptRpm { .. }),
            "{sql}: {error:?}"
        );
    }
}

#[test]
fn a35_pages_that_are_damaged_are_an_error_or_no_matter_and_never_worse() {
    let sound = fs::read(database(&support::fedora())).unwrap();
    let mut refused = 0;
    for page in 0..sound.len() / 4096 {
        let root = copy();
        let mut damaged = sound.clone();
        damaged[page * 4096..][..64].fill(0xff);
        fs::write(database(root.path()), &damaged).unwrap();
        match names(root.path()) {
            // a page of an index, or free
            Ok(_) => {}
            Err(Error::CorruptRpm { .. } | Error::Header { .. } | Error::Sqlite { .. }) => {
                refused += 1;
            }
            Err(other) => panic!("page {page}: {other:?}"),
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn a35_a_database_that_was_cut_short_is_named() {
    let root = copy();
    let sound = fs::read(database(root.path())).unwrap();
    fs::write(database(root.path()), &sound[..sound.len() / 2]).unwrap();
    let error = names(root.path()).unwrap_err();
    assert!(matches!(error, Error::CorruptRpm { .. }), "{error:?}");
}

#[test]
fn a35_a_damaged_header_is_named_by_its_number() {
    let root = copy();
    change(
        root.path(),
        "UPDATE Packages SET blob = substr(blob, 1, length(blob) - 1) WHERE hnum = 7",
    );
    let error = names(root.path()).unwrap_err();
    assert!(
        error.to_string().contains("rpmdb.sqlite, header 7;"),
        "{error}"
    );
    match error {
        Error::Header {
            number,
            source: HeaderError::Length { declared, found },
            ..
        } => {
            assert_eq!((number, declared), (7, found + 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a35_a_locked_database_is_said_so_and_asking_again_works() {
    let root = copy();
    let other = open(root.path());
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM Packages")
        .unwrap();
    let db = Rpm::open(root.path()).unwrap();
    let error = db.names().unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("try again"), "{error}");
    drop(other);
    assert!(db.names().unwrap().len() > 30);
}

#[test]
fn a35_changes_in_the_log_are_seen_while_the_writer_is_there() {
    let root = copy();
    let writer = open(root.path());
    writer
        .execute_batch("PRAGMA wal_autocheckpoint = 0; DELETE FROM Packages WHERE hnum > 10")
        .unwrap();
    assert!(
        root.path()
            .join("usr/lib/sysimage/rpm/rpmdb.sqlite-wal")
            .exists()
    );
    assert_eq!(names(root.path()).unwrap(), 10);
    // and what is not committed is not seen
    writer.execute_batch("BEGIN; DELETE FROM Packages").unwrap();
    assert_eq!(names(root.path()).unwrap(), 10);
    // nor does a place that can't be written to hide them
    without_writing(root.path(), || {
        assert_eq!(names(root.path()).unwrap(), 10);
    });
}

#[test]
fn a35_a_read_only_place_answers() {
    let root = copy();
    without_writing(root.path(), || {
        assert!(names(root.path()).unwrap() > 30);
    });
    assert_eq!(
        fs::read_dir(database(root.path()).parent().unwrap())
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn a35_changes_to_come_in_a_read_only_place_are_not_passed_over() {
    let root = copy();
    // A log with changes, left behind by a machine that went down: the other file is lost.
    let directory = database(root.path()).parent().unwrap().to_owned();
    let log = directory.join("rpmdb.sqlite-wal");
    let writer = open(root.path());
    writer
        .execute_batch("PRAGMA wal_autocheckpoint = 0; DELETE FROM Packages WHERE hnum > 10")
        .unwrap();
    let changes = fs::read(&log).unwrap();
    drop(writer);
    let root = copy();
    let directory = database(root.path()).parent().unwrap().to_owned();
    fs::write(directory.join("rpmdb.sqlite-wal"), changes).unwrap();
    without_writing(root.path(), || match names(root.path()) {
        Err(error @ Error::ChangesToCome { .. }) => {
            assert!(error.to_string().contains("rpmdb.sqlite-wal"), "{error}");
        }
        other => panic!("{other:?}"),
    });
    // where it can be written, they are taken in
    assert_eq!(names(root.path()).unwrap(), 10);
}

#[test]
fn a_path_with_signs_of_a_uri_is_a_path() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("a?mode=memory&b#c%20é");
    let directory = root.join("var/lib/rpm");
    fs::create_dir_all(&directory).unwrap();
    fs::copy(database(&support::fedora()), directory.join("rpmdb.sqlite")).unwrap();
    assert!(names(&root).unwrap() > 30);
}

#[test]
fn a32_a_database_that_is_a_fifo_is_not_waited_for() {
    let root = copy();
    fs::remove_file(database(root.path())).unwrap();
    nix::unistd::mkfifo(&database(root.path()), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(
        Rpm::open(root.path()),
        Err(Error::NoDatabase { .. })
    ));
}

#[test]
fn a32_paths_that_climb_are_left_out_with_a_reason() {
    let root = copy();
    let header = support::headers()
        .into_iter()
        .find(|h| contains(h, b"/etc/odd/\0"))
        .unwrap();
    let climbing = replaced(&header, b"/etc/odd/\0", b"/etc/../x\0");
    let connection = open(root.path());
    connection
        .execute("INSERT INTO Packages (blob) VALUES (?1)", [climbing])
        .unwrap();
    drop(connection);
    let notes = Rpm::open(root.path()).unwrap().notes().unwrap();
    assert_eq!(notes.len(), 4, "{notes:?}");
    assert!(
        notes[0].to_string().contains("it has \"..\""),
        "{}",
        notes[0]
    );
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}
