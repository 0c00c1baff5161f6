//! Where an rpm database would be, so that a host with one gets a clear answer.
//!
//! The places are those of rpm's `%_dbpath` over time: `/usr/lib/sysimage/rpm` (SUSE, Fedora since
//! 36), `/var/lib/rpm` before, `/usr/share/rpm` on image-based systems. Debian's rpm program has an
//! empty `/var/lib/rpm`, so only a database file counts.

use std::path::{Path, PathBuf};

const DIRECTORIES: [&str; 3] = ["usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"];
const FILES: [(&str, &str); 3] = [
    ("rpmdb.sqlite", "sqlite"),
    ("Packages.db", "ndb"),
    ("Packages", "bdb"),
];

/// Every file that would be an rpm database, with its format.
pub(crate) fn candidates(root: &Path) -> impl Iterator<Item = (PathBuf, &'static str)> + '_ {
    DIRECTORIES.iter().flat_map(move |directory| {
        FILES
            .iter()
            .map(move |&(file, backend)| (root.join(directory).join(file), backend))
    })
}

/// The rpm database of this root, where there is one.
pub(crate) fn find(root: &Path) -> Option<(PathBuf, &'static str)> {
    candidates(root).find(|(path, _)| path.metadata().is_ok_and(|m| m.is_file() && m.len() > 0))
}
