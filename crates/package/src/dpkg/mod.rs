//! dpkg's database, read as files (dpkg(1), FILES).
//!
//! Two readings, each done once and when first asked for: `Catalogue`, the status file with its
//! relations resolved, and `Index`, the file lists of its packages. Nothing is locked:
//! dpkg replaces its status file whole, and while it is at work its journal says so. After the lists
//! both are looked at again, so that a change between the two readings does not pass unseen.

mod catalogue;
mod diversions;
mod lines;
mod list;
mod relation;
mod status;
mod version;

use std::collections::HashSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use vss_model::{AbsPath, FileFlags, Package, PackageFile, PackageName, RelationKind};

use crate::error::{Error, Result};
use crate::index::Index;
use crate::spelling::Spelling;
use crate::{Kind, Note, PackageDb};

use catalogue::Catalogue;
use diversions::Diversions;
use list::Places;
use status::Record;

/// The status file, below the root directory.
pub(crate) const STATUS: &str = "var/lib/dpkg/status";

/// Whether the root has a dpkg database with anything in it. The dpkg program alone, which other
/// distributions package too, makes an empty one.
pub(crate) fn is_present(root: &Path) -> bool {
    root.join(STATUS).metadata().is_ok_and(|m| m.len() > 0)
}

/// Tells a database that was lost from one that never was: a host made with dpkg has lists of files
/// even where its status file is gone or was emptied.
///
/// # Errors
/// Where it was lost.
pub(crate) fn refuse_lost(root: &Path) -> Result<()> {
    let path = root.join(STATUS);
    let is_there = path.symlink_metadata().is_ok();
    if !is_there && !root.join("var/lib/dpkg/info").is_dir() {
        return Ok(());
    }
    let what = if is_there { "empty" } else { "missing" };
    Err(Error::LostDpkg { path, what })
}

/// Whether the database has the package dpkg, as that of every host that was made with it.
///
/// # Errors
/// Where the status file can't be read.
pub(crate) fn lists_itself(root: &Path) -> Result<bool> {
    let status = status::read(&root.join(STATUS))?;
    Ok(status.records.iter().any(|record| record.name == "dpkg"))
}

/// The packages that dpkg has installed below a root directory.
#[derive(Debug)]
pub struct Dpkg {
    admin: PathBuf,
    spelling: Spelling,
    catalogue: OnceLock<(Stamp, Catalogue)>,
    index: OnceLock<Lists>,
}

/// What tells a status file from the one that takes its place.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Result<Self> {
        let metadata = path.metadata().map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file: (metadata.dev(), metadata.ino()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// What the file lists say.
#[derive(Debug)]
struct Lists {
    index: Index,
    /// What the lists were read with.
    diversions: Diversions,
    /// The packages that have none: the paths of these are not known.
    missing: Vec<usize>,
    notes: Vec<Note>,
}

impl Dpkg {
    /// Opens the database of the host whose root directory is `root`. Its files are read when the
    /// first question needs them.
    ///
    /// # Errors
    /// Where there is no status file, and where `/bin` or one of its kind is no link into `/usr`.
    pub fn open(root: &Path) -> Result<Self> {
        let status = root.join(STATUS);
        status.metadata().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NoDatabase {
                looked_for: vec![status.clone()],
            },
            _ => Error::Read {
                path: status.clone(),
                source,
            },
        })?;
        Ok(Self {
            admin: root.join("var/lib/dpkg"),
            spelling: Spelling::read(root)?,
            catalogue: OnceLock::new(),
            index: OnceLock::new(),
        })
    }

    /// The links of this host that give a path two spellings.
    #[must_use]
    pub fn spelling(&self) -> &Spelling {
        &self.spelling
    }

    /// How many paths all packages list together.
    ///
    /// # Errors
    /// Where the database can't be read.
    pub fn path_count(&self) -> Result<usize> {
        Ok(self.lists()?.index.len())
    }

    fn catalogue(&self) -> Result<&Catalogue> {
        Ok(&self.stamped()?.1)
    }

    fn stamped(&self) -> Result<&(Stamp, Catalogue)> {
        if let Some(known) = self.catalogue.get() {
            return Ok(known);
        }
        self.refuse_unfinished()?;
        let path = self.admin.join("status");
        // before it is read: one that is replaced meanwhile is taken for changed
        let stamp = Stamp::of(&path)?;
        let read = (stamp, Catalogue::new(status::read(&path)?));
        Ok(self.catalogue.get_or_init(|| read))
    }

    /// Refuses what is of two states: that dpkg has changed packages since the status file was read.
    fn refuse_changed(&self) -> Result<()> {
        self.refuse_unfinished()?;
        let path = self.admin.join("status");
        if Stamp::of(&path)? == self.stamped()?.0 {
            Ok(())
        } else {
            Err(Error::Busy { path })
        }
    }

    /// While dpkg works, each change stands in a numbered file in `updates/` until the status file
    /// is written anew; what is left there after a crash is not in the status file either.
    fn refuse_unfinished(&self) -> Result<()> {
        let path = self.admin.join("updates");
        let fail = |source| Error::Read {
            path: path.clone(),
            source,
        };
        let entries = match path.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fail(error)),
        };
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            if !name.is_empty() && name.as_bytes().iter().all(u8::is_ascii_digit) {
                return Err(Error::Busy {
                    path: path.join(name),
                });
            }
        }
        Ok(())
    }

    fn lists(&self) -> Result<&Lists> {
        if let Some(known) = self.index.get() {
            return Ok(known);
        }
        let read = self.read_lists()?;
        Ok(self.index.get_or_init(|| read))
    }

    fn read_lists(&self) -> Result<Lists> {
        let catalogue = self.catalogue()?;
        let diversions = Diversions::read(&self.admin.join("diversions"))?;
        let places = Places {
            spelling: &self.spelling,
            diversions: &diversions,
        };
        let mut index = Index::default();
        let (mut missing, mut notes) = (Vec::new(), Vec::new());
        for (n, record) in catalogue.records().iter().enumerate() {
            let mut reasons = Vec::new();
            let mut found = false;
            for path in self.info_files(record, "list") {
                if list::add_list(&mut index, &path, &record.name, &places, &mut reasons)? {
                    found = true;
                    break;
                }
            }
            if !found {
                // no path comes: the package has none
                index.end_package();
                // one that is half installed may not have got so far
                if catalogue.unfinished(n).is_none() {
                    missing.push(n);
                    reasons.push("taken as without files: it has no list of them".to_owned());
                }
            }
            notes.extend(reasons.into_iter().map(|reason| Note {
                package: Some(catalogue.name(n).clone()),
                reason,
            }));
        }
        self.refuse_changed()?;
        index.finish();
        Ok(Lists {
            index,
            diversions,
            missing,
            notes,
        })
    }

    /// That the list of package `n` is missing, and those of `missing` too.
    fn no_list(&self, n: usize, missing: &[usize]) -> Result<Error> {
        let catalogue = self.catalogue()?;
        let [path, _] = self.info_files(&catalogue.records()[n], "list");
        Ok(Error::NoList {
            package: catalogue.name(n).clone(),
            path,
            others: missing.len() - 1,
        })
    }

    /// Refuses to say that nobody owns a path which a package with a lost list may own. In `/usr` a
    /// file is some package's; elsewhere it is often the administrator's.
    fn refuse_unsure(&self, path: &AbsPath) -> Result<()> {
        let missing = self.lists()?.missing.as_slice();
        let path = path.as_path();
        if !path.starts_with("/usr") || path.starts_with("/usr/local") {
            return Ok(());
        }
        let records = self.catalogue()?.records();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let likely = missing
            .iter()
            .find(|&&n| file.starts_with(&records[n].name));
        match likely.or(missing.first()) {
            Some(&n) => Err(self.no_list(n, missing)?),
            None => Ok(()),
        }
    }

    /// Where a file about a package may be: dpkg puts the architecture into the name for packages
    /// that may be installed for several.
    fn info_files(&self, record: &Record, kind: &str) -> [PathBuf; 2] {
        let info = self.admin.join("info");
        let bare = info.join(format!("{}.{kind}", record.name));
        let qualified = info.join(format!("{}:{}.{kind}", record.name, record.architecture));
        if record.multi_arch == "same" {
            [qualified, bare]
        } else {
            [bare, qualified]
        }
    }

    /// The paths of a package's configuration, spelled as in the index. The status file has those
    /// of a configured package; `info/*.conffiles` is what the package itself says.
    fn conffiles(&self, record: &Record, diversions: &Diversions) -> Result<HashSet<Vec<u8>>> {
        let places = Places {
            spelling: &self.spelling,
            diversions,
        };
        let mut out: HashSet<Vec<u8>> = HashSet::new();
        let mut add = |path: &[u8]| {
            let real = places.real(path, &record.name);
            out.insert(real.unwrap_or_else(|| path.to_vec()));
        };
        record.conffiles.iter().for_each(|path| add(path));
        let mut text = Vec::new();
        for path in self.info_files(record, "conffiles") {
            if lines::append(&path, &mut text)? {
                break;
            }
        }
        // A line "remove-on-upgrade /etc/x" names a file that the package no longer has.
        text.split(|&c| c == b'\n')
            .map(<[u8]>::trim_ascii_end)
            .filter(|line| line.first() == Some(&b'/'))
            .for_each(add);
        Ok(out)
    }

    fn owner_names(&self, numbers: &[usize]) -> Result<Vec<PackageName>> {
        let catalogue = self.catalogue()?;
        let mut out: Vec<_> = numbers.iter().map(|&n| catalogue.name(n).clone()).collect();
        out.sort();
        Ok(out)
    }
}

impl PackageDb for Dpkg {
    fn kind(&self) -> Kind {
        Kind::Dpkg
    }

    fn owners(&self, path: &AbsPath) -> Result<Vec<PackageName>> {
        let path = self.spelling.normalize(path);
        let bytes = path.as_path().as_os_str().as_bytes();
        let owners = self.lists()?.index.owners(bytes);
        if owners.is_empty() {
            self.refuse_unsure(&path)?;
        }
        self.owner_names(&owners)
    }

    fn owners_below(&self, path: &AbsPath) -> Result<Vec<PackageName>> {
        let path = self.spelling.normalize(path);
        let bytes = path.as_path().as_os_str().as_bytes();
        self.owner_names(&self.lists()?.index.owners_below(bytes))
    }

    fn package(&self, name: &PackageName) -> Result<Option<Package>> {
        let catalogue = self.catalogue()?;
        let Some(number) = catalogue.find(name) else {
            return Ok(None);
        };
        let record = &catalogue.records()[number];
        let lists = self.lists()?;
        if lists.missing.contains(&number) {
            return Err(self.no_list(number, &lists.missing)?);
        }
        let conffiles = self.conffiles(record, &lists.diversions)?;
        let mut files: Vec<PackageFile> = lists
            .index
            .paths(number)
            .filter_map(|bytes| {
                Some(PackageFile {
                    path: AbsPath::new(std::ffi::OsStr::from_bytes(bytes)).ok()?,
                    flags: FileFlags {
                        config: conffiles.contains(bytes),
                        ghost: false,
                    },
                })
            })
            .collect();
        files.sort();
        files.dedup();
        let name = catalogue.name(number);
        let notes = lists
            .notes
            .iter()
            .filter(|note| note.package.as_ref() == Some(name));
        Ok(Some(Package {
            name: name.clone(),
            version: record.version.clone(),
            source: record.source.clone(),
            essential: record.essential,
            relations: catalogue.relations(number).to_vec(),
            files,
            unfinished: catalogue.unfinished(number).map(str::to_owned),
            notes: notes.map(|note| note.reason.clone()).collect(),
        }))
    }

    fn of_source(&self, source: &str) -> Result<Vec<PackageName>> {
        Ok(self.catalogue()?.of_source(source))
    }

    fn dependents(&self, name: &PackageName) -> Result<Vec<(PackageName, RelationKind)>> {
        Ok(self.catalogue()?.dependents(name))
    }

    fn names(&self) -> Result<Vec<PackageName>> {
        Ok(self.catalogue()?.all_names())
    }

    fn notes(&self) -> Result<Vec<Note>> {
        let mut out = self.catalogue()?.notes();
        out.extend(self.lists()?.notes.iter().cloned());
        out.sort();
        Ok(out)
    }
}
