//! The host unit's file: never put over another, removed only where it carries the UUID.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use vss_model::{AbsPath, SandboxName, UnitFile, UnitName, Uuid};

use crate::content::Ownership;
use crate::error::{Error, IoContext, Result};

/// The most bytes that a unit file of ours can have.
const MAX_SIZE: u64 = 256 * 1024;

/// Whose the file of that name is.
pub(crate) fn ownership(unit_dir: &Path, unit: &UnitName, uuid: Uuid) -> Result<Ownership> {
    let path = unit_dir.join(unit.as_str());
    let metadata = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ownership::Absent),
        Err(error) => return Err(error).at("look at", &path),
    };
    if !metadata.is_file() || metadata.len() > MAX_SIZE {
        return Ok(Ownership::Foreign);
    }
    let bytes = fs::read(&path).at("read", &path)?;
    // the nil UUID stands for one that is lost: nothing carries it
    let marked = !uuid.is_nil() && String::from_utf8_lossy(&bytes).contains(&uuid.to_string());
    Ok(if marked {
        Ownership::Ours
    } else {
        Ownership::Foreign
    })
}

/// A host unit's file that has its bytes and not yet its name. Without ever getting it, the next
/// [`remove`] takes it away.
#[derive(Debug)]
pub(crate) struct StagedUnit {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl StagedUnit {
    /// Writes it under its temporary name.
    pub(crate) fn write(
        unit_dir: &Path,
        unit: &UnitName,
        uuid: Uuid,
        text: &UnitFile,
    ) -> Result<Self> {
        let (temporary, path) = (
            temporary(unit_dir, unit, uuid),
            unit_dir.join(unit.as_str()),
        );
        Ok(Self {
            file: write_new(&temporary, text.to_string().as_bytes()).at("write", &path)?,
            path,
            temporary,
        })
    }

    /// Has its bytes last, where it isn't on the file system that was synced as a whole.
    pub(crate) fn sync_unless_on(&self, device: u64) -> Result<()> {
        match self.file.metadata().at("look at", &self.temporary)?.dev() {
            there if there == device => Ok(()),
            _ => self.file.sync_all().at("sync", &self.temporary),
        }
    }

    /// Gives it its name, unless something stands there already.
    pub(crate) fn put(self, name: &SandboxName) -> Result<()> {
        match put(&self.temporary, &self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Foreign {
                name: name.clone(),
                path: AbsPath::new(&self.path).unwrap_or_else(|_| AbsPath::root()),
            }),
            other => other.at("put in place", &self.path),
        }
    }
}

/// Has the names of host units last.
pub(crate) fn sync_names(unit_dir: &Path) -> Result<()> {
    sync_dir(unit_dir).at("sync", unit_dir)
}

/// Removes the file where it is ours, and what a write that was cut short has left.
pub(crate) fn remove(unit_dir: &Path, unit: &UnitName, uuid: Uuid) -> Result<()> {
    let path = unit_dir.join(unit.as_str());
    let mut paths = vec![temporary(unit_dir, unit, uuid)];
    if ownership(unit_dir, unit, uuid)? == Ownership::Ours {
        paths.push(path);
    }
    for path in paths {
        if unlink(&path).at("remove", &path)? {
            sync_dir(unit_dir).at("sync", unit_dir)?;
        }
    }
    Ok(())
}

/// Removes a file; whether it was there. A file system that is mounted read-only refuses before it
/// looks, and what never came to be has to count as undone there too.
fn unlink(path: &Path) -> io::Result<bool> {
    let is_absent = || {
        let looked = fs::symlink_metadata(path);
        looked.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem && is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a unit has a name that the host unit of a sandbox could have.
pub(crate) fn is_named_for(unit: &UnitName, name: &SandboxName) -> bool {
    unit.as_str().ends_with(&format!("@{name}.service"))
        || unit.as_str() == format!("{name}_sandbox.service")
}

/// The host unit of a sandbox, whatever its config says: a file of one of the names that it could
/// have, which carries the UUID.
pub(crate) fn find(unit_dir: &Path, name: &SandboxName, uuid: Uuid) -> Result<Option<UnitName>> {
    let entries = match fs::read_dir(unit_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).at("list", unit_dir),
    };
    for entry in entries {
        let file = entry.at("list", unit_dir)?.file_name();
        let Some(unit) = file
            .to_str()
            .and_then(|file| file.parse::<UnitName>().ok())
            .filter(|unit| is_named_for(unit, name))
        else {
            continue;
        };
        if ownership(unit_dir, &unit, uuid)? == Ownership::Ours {
            return Ok(Some(unit));
        }
    }
    Ok(None)
}

/// A name that systemd takes for no unit.
fn temporary(unit_dir: &Path, unit: &UnitName, uuid: Uuid) -> PathBuf {
    unit_dir.join(format!(".{unit}.{uuid}.new"))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    unlink(path)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

fn put(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(
        CWD,
        from,
        CWD,
        to,
        RenameFlags::NOREPLACE,
    )?)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> UnitName {
        "apache2@web1.service".parse().unwrap()
    }

    fn text(uuid: Uuid) -> UnitFile {
        UnitFile::new(&[&format!("virt-sandbox {uuid}")]).section("Unit", &[("Description", "x")])
    }

    fn write(dir: &Path, uuid: Uuid) -> Result<()> {
        StagedUnit::write(dir, &unit(), uuid, &text(uuid))?.put(&"web1".parse().unwrap())
    }

    #[test]
    fn a22_a_unit_of_the_administrator_is_neither_replaced_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let uuid = Uuid::from_u128(1);
        let path = dir.path().join(unit().as_str());
        fs::write(&path, "[Unit]\n").unwrap();
        let refused = write(dir.path(), uuid);
        assert!(matches!(refused, Err(Error::Foreign { .. })));
        remove(dir.path(), &unit(), uuid).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[Unit]\n");
        // the same goes through once the administrator's file is away
        fs::remove_file(&path).unwrap();
        write(dir.path(), uuid).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn a21_a_unit_is_whole_or_absent_and_no_write_leaves_anything_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (name, uuid) = ("web1".parse().unwrap(), Uuid::from_u128(1));
        // what a crash in the middle leaves
        fs::write(temporary(dir.path(), &unit(), uuid), "[Un").unwrap();
        write(dir.path(), uuid).unwrap();
        assert_eq!(find(dir.path(), &name, uuid).unwrap(), Some(unit()));
        assert_eq!(find(dir.path(), &name, Uuid::from_u128(2)).unwrap(), None);
        remove(dir.path(), &unit(), uuid).unwrap();
        remove(dir.path(), &unit(), uuid).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
