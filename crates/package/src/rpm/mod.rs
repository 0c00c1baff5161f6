//! rpm's database, read in process: SQLite for the table, a decoder of our own for the headers.
//!
//! All is read when the first question comes, in one statement: each header becomes a [`Record`],
//! its files go to the `Index` that dpkg's lists go to, and relations are resolved at the end. The
//! older formats of the database, bdb and ndb, are recognised and refused by name.
//!
//! Public keys (`gpg-pubkey`), which rpm keeps among the packages, are none. A package is shown by
//! its bare name; of several with one name, those of another architecture are `NAME:ARCH` and older
//! ones `NAME:VERSION`.

mod catalogue;
mod database;
mod dependency;
mod header;
mod record;
mod version;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use vss_model::{AbsPath, FileFlags, Package, PackageFile, PackageName, RelationKind, Sanitized};

use crate::error::{Error, Result};
use crate::index::{self, Index};
use crate::spelling::Spelling;
use crate::{Kind, Note, PackageDb};

use catalogue::Catalogue;

pub use dependency::{Capability, Dependency};
pub use header::HeaderError;
pub use record::{File, Record};

/// rpm's `%_dbpath` over time: SUSE, and Fedora since 36; all others before; image-based systems.
const DIRECTORIES: [&str; 3] = ["usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"];
const FILES: [(&str, Backend); 3] = [
    ("rpmdb.sqlite", Backend::Sqlite),
    ("Packages.db", Backend::Ndb),
    ("Packages", Backend::Bdb),
];
/// The name of what rpm keeps a public key under.
const PUBLIC_KEY: &str = "gpg-pubkey";

/// A format of the database (`%_db_backend`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Ndb,
    Bdb,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Ndb => "ndb",
            Self::Bdb => "bdb",
        }
    }
}

/// Every file that would be an rpm database.
pub(crate) fn candidates(root: &Path) -> impl Iterator<Item = (PathBuf, Backend)> + '_ {
    DIRECTORIES.iter().flat_map(move |directory| {
        FILES
            .iter()
            .map(move |&(file, backend)| (root.join(directory).join(file), backend))
    })
}

/// The rpm database of this root, where there is one. Debian's rpm program has an empty directory
/// at `/var/lib/rpm`, so only a file with something in it counts.
fn find(root: &Path) -> Option<(PathBuf, Backend)> {
    candidates(root).find(|(path, _)| path.metadata().is_ok_and(|m| m.is_file() && m.len() > 0))
}

/// Whether the root has an rpm database.
pub(crate) fn is_present(root: &Path) -> bool {
    find(root).is_some()
}

/// The packages that rpm has installed below a root directory.
#[derive(Debug)]
pub struct Rpm {
    path: PathBuf,
    spelling: Spelling,
    content: OnceLock<Content>,
}

/// What one reading of the database gave.
#[derive(Debug)]
struct Content {
    catalogue: Catalogue,
    index: Index,
    /// The flags of each file, by package, in the order of the index.
    flags: Vec<Vec<FileFlags>>,
    notes: Vec<Note>,
}

impl Rpm {
    /// Opens the database of the host whose root directory is `root`. It is read when the first
    /// question needs it.
    ///
    /// # Errors
    /// Where there is none, where it is of an older format, and where `/bin` or one of its kind is
    /// no link into `/usr`.
    pub fn open(root: &Path) -> Result<Self> {
        let Some((path, backend)) = find(root) else {
            return Err(Error::NoDatabase {
                looked_for: candidates(root).map(|(path, _)| path).collect(),
            });
        };
        if backend != Backend::Sqlite {
            return Err(Error::OldRpm {
                path,
                backend: backend.name(),
            });
        }
        Ok(Self {
            path,
            spelling: Spelling::read(root)?,
            content: OnceLock::new(),
        })
    }

    /// The links of this host that give a path two spellings.
    #[must_use]
    pub fn spelling(&self) -> &Spelling {
        &self.spelling
    }

    fn content(&self) -> Result<&Content> {
        if let Some(known) = self.content.get() {
            return Ok(known);
        }
        let read = self.read()?;
        Ok(self.content.get_or_init(|| read))
    }

    fn read(&self) -> Result<Content> {
        let mut reading = Reading {
            spelling: &self.spelling,
            records: Vec::new(),
            index: Index::default(),
            flags: Vec::new(),
            notes: Vec::new(),
        };
        database::read(&self.path, |number, blob| {
            let (record, files) = Record::read(blob).map_err(|source| Error::Header {
                path: self.path.clone(),
                number,
                source,
            })?;
            reading.take(record, &files).map_err(|reason| Error::Read {
                path: self.path.clone(),
                source: reason,
            })
        })?;
        if reading.records.is_empty() {
            return Err(Error::Empty {
                path: self.path.clone(),
            });
        }
        Ok(reading.finish())
    }

    fn bytes<'a>(&self, path: &'a AbsPath) -> std::borrow::Cow<'a, [u8]> {
        let bytes = path.as_path().as_os_str().as_bytes();
        let rewritten = self.spelling.rewrite(bytes);
        rewritten.map_or(bytes.into(), std::convert::Into::into)
    }
}

/// The database as far as it is read.
struct Reading<'a> {
    spelling: &'a Spelling,
    records: Vec<Record>,
    index: Index,
    flags: Vec<Vec<FileFlags>>,
    /// Reasons, with the number of the package.
    notes: Vec<(usize, String)>,
}

impl Reading<'_> {
    fn take(&mut self, mut record: Record, files: &[File<'_>]) -> std::io::Result<()> {
        if record.name == PUBLIC_KEY {
            return Ok(());
        }
        let package = self.records.len();
        let mut flags = Vec::with_capacity(files.len());
        let mut path = Vec::new();
        for file in files {
            path.clear();
            // An offer of more is refused below, and would take room until then.
            for part in [file.directory, file.name] {
                path.extend_from_slice(&part[..part.len().min(index::MAX_PATH + 1)]);
            }
            if let Err(reason) = index::check(&path) {
                let shown = Sanitized::bytes(&path[..path.len().min(200)]).to_string();
                let note = format!("left out of its files: {shown:?}, {reason}");
                self.notes.push((package, note));
                continue;
            }
            if !index::is_plain(&path) {
                path = index::clean(&path);
            }
            if let Some(spelled) = self.spelling.rewrite(&path) {
                path = spelled;
            }
            self.index.add(&path)?;
            flags.push(FileFlags {
                config: file.config,
                ghost: file.ghost,
            });
        }
        self.index.end_package();
        self.flags.push(flags);
        let left_out = std::mem::take(&mut record.left_out);
        self.notes
            .extend(left_out.into_iter().map(|reason| (package, reason)));
        self.records.push(record);
        Ok(())
    }

    fn finish(mut self) -> Content {
        self.index.finish();
        let index = self.index;
        let catalogue = Catalogue::new(self.records, |file| {
            let spelled = self.spelling.rewrite(file.as_bytes());
            index.owners(spelled.as_deref().unwrap_or(file.as_bytes()))
        });
        let mut notes: Vec<Note> = self
            .notes
            .into_iter()
            .map(|(n, reason)| Note {
                package: Some(catalogue.name(n).clone()),
                reason,
            })
            .collect();
        notes.sort();
        Content {
            catalogue,
            index,
            flags: self.flags,
            notes,
        }
    }
}

impl PackageDb for Rpm {
    fn kind(&self) -> Kind {
        Kind::Rpm
    }

    fn owners(&self, path: &AbsPath) -> Result<Vec<PackageName>> {
        let content = self.content()?;
        let numbers = content.index.owners(&self.bytes(path));
        Ok(content.catalogue.sorted(numbers))
    }

    fn owners_below(&self, path: &AbsPath) -> Result<Vec<PackageName>> {
        let content = self.content()?;
        let numbers = content.index.owners_below(&self.bytes(path));
        Ok(content.catalogue.sorted(numbers))
    }

    fn package(&self, name: &PackageName) -> Result<Option<Package>> {
        let Content {
            catalogue,
            index,
            flags,
            notes,
        } = self.content()?;
        let Some(number) = catalogue.find(name) else {
            return Ok(None);
        };
        let record = catalogue.record(number);
        let mut files: Vec<PackageFile> = index
            .paths(number)
            .zip(&flags[number])
            .filter_map(|(bytes, &flags)| {
                let path = AbsPath::new(std::ffi::OsStr::from_bytes(bytes)).ok()?;
                Some(PackageFile { path, flags })
            })
            .collect();
        files.sort();
        files.dedup();
        let name = catalogue.name(number);
        let notes = notes
            .iter()
            .filter(|note| note.package.as_ref() == Some(name));
        Ok(Some(Package {
            name: name.clone(),
            version: record.version.clone(),
            source: record.source.clone(),
            // rpm marks none; those that every host has are in the plan's base set
            essential: false,
            relations: catalogue.relations(number).to_vec(),
            files,
            // rpm has no such states: a package is in its database or not
            unfinished: None,
            notes: notes.map(|note| note.reason.clone()).collect(),
        }))
    }

    fn of_source(&self, source: &str) -> Result<Vec<PackageName>> {
        Ok(self.content()?.catalogue.of_source(source))
    }

    fn dependents(&self, name: &PackageName) -> Result<Vec<(PackageName, RelationKind)>> {
        Ok(self.content()?.catalogue.dependents(name))
    }

    fn names(&self) -> Result<Vec<PackageName>> {
        Ok(self.content()?.catalogue.all_names())
    }

    fn notes(&self) -> Result<Vec<Note>> {
        Ok(self.content()?.notes.clone())
    }
}
