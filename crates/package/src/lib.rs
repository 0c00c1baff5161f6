//! What the host has installed: which package owns a path, what a package lists, and what it
//! needs.
//!
//! The plan asks in the words of [`PackageDb`]; each packaging system answers behind it:
//!
//! 1. [`open_host`] finds the database below a root directory and opens it as [`Dpkg`] or [`Rpm`].
//! 2. Paths are spelled as they are on this host: [`Spelling`] reads the links that merge `/bin`,
//!    `/sbin` and `/lib*` into `/usr` once, and both spellings of a path find its owner.
//! 3. Relations come resolved: alternatives, virtual packages and versions are decided here, so a
//!    caller sees packages only that are there. One that is half installed stands for itself where
//!    no other is named, and says what it is.
//!
//! The databases are read as files; no program is run, so no name in them can become an option of
//! one. What a database lists and can't be used is left out with a [`Note`]; a database that can't
//! be trusted as a whole is an [`Error`] that names the file.

mod dependents;
pub mod dpkg;
mod error;
mod index;
pub mod rpm;
mod spelling;

use std::fmt;
use std::path::{Path, PathBuf};

use vss_model::{AbsPath, Package, PackageName, RelationKind, Sanitized};

pub use dpkg::Dpkg;
pub use error::{Error, Result};
pub use rpm::Rpm;
pub use spelling::Spelling;

/// A packaging system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Debian and its kin.
    Dpkg,
    /// Fedora, SUSE and their kin.
    Rpm,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
        })
    }
}

/// Something that a database lists and that was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The package that it concerns; `None` where it concerns no single one.
    pub package: Option<PackageName>,
    /// What was left out, and why; safe for a terminal.
    pub reason: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(package) = &self.package {
            write!(f, "package {package}: ")?;
        }
        Sanitized::text(&self.reason).fmt(f)
    }
}

/// The installed packages of one root directory, and those that are half installed: their files and
/// relations are known too, so that nobody takes a path for unowned that is theirs.
///
/// Answers are sorted and have no repeats. All of them come from one reading of the database, so
/// two questions never see two states of it.
pub trait PackageDb: fmt::Debug + Send + Sync {
    /// The packaging system.
    fn kind(&self) -> Kind;

    /// The packages that list this very path; many for a directory, none for a file that a
    /// maintainer script or the administrator made. Either spelling of a merged `/usr` is found.
    ///
    /// # Errors
    /// Where the database can't be read.
    fn owners(&self, path: &AbsPath) -> Result<Vec<PackageName>>;

    /// The packages that list this path or anything below it.
    ///
    /// # Errors
    /// Where the database can't be read.
    fn owners_below(&self, path: &AbsPath) -> Result<Vec<PackageName>>;

    /// A package; `None` where it is not installed. Of one that is only half, `unfinished` is set.
    ///
    /// # Errors
    /// Where the database can't be read.
    fn package(&self, name: &PackageName) -> Result<Option<Package>>;

    /// The packages that were built from this source package.
    ///
    /// # Errors
    /// Where the database can't be read.
    fn of_source(&self, source: &str) -> Result<Vec<PackageName>>;

    /// The packages that name this one, and how; the strongest relation of each.
    ///
    /// # Errors
    /// Where the database can't be read.
    fn dependents(&self, name: &PackageName) -> Result<Vec<(PackageName, RelationKind)>>;

    /// All packages that are wholly installed.
    ///
    /// # Errors
    /// Where the database can't be read.
    fn names(&self) -> Result<Vec<PackageName>>;

    /// What the database lists and was left out of answers, with reasons.
    ///
    /// # Errors
    /// Where the database can't be read.
    fn notes(&self) -> Result<Vec<Note>>;
}

/// Opens the package database of the host whose root directory is `root`.
///
/// A host may have both: dpkg and rpm are packaged for each other's distributions, and either can
/// install a package on the other's host. The one that the host is made of counts: dpkg's where it
/// lists the package dpkg, or where it is the only one; else rpm's.
///
/// # Errors
/// Where there is none, where it is one that can't be read, and where the host keeps `/bin` apart
/// from `/usr/bin`.
pub fn open_host(root: &Path) -> Result<Box<dyn PackageDb>> {
    if dpkg::is_present(root) && (!rpm::is_present(root) || dpkg::lists_itself(root)?) {
        return Ok(Box::new(Dpkg::open(root)?));
    }
    if rpm::is_present(root) {
        return Ok(Box::new(Rpm::open(root)?));
    }
    dpkg::refuse_lost(root)?;
    let looked_for: Vec<PathBuf> = std::iter::once(root.join(dpkg::STATUS))
        .chain(rpm::candidates(root).map(|(path, _)| path))
        .collect();
    Err(Error::NoDatabase { looked_for })
}
