//! The host unit's file: never put over another, removed only where it carries the UUID.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
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

/// Puts the file there, whole and lasting, unless something stands there already.
pub(crate) fn write(
    unit_dir: &Path,
    name: &SandboxName,
    unit: &UnitName,
    uuid: Uuid,
    text: &UnitFile,
) -> Result<()> {
    if ownership(unit_dir, unit, uuid)? == Ownership::Ours {
        return Ok(());
    }
    let path = unit_dir.join(unit.as_str());
    let temporary = temporary(unit_dir, unit, uuid);
    let written = write_synced(&temporary, text.to_string().as_bytes())
        .at("write", &temporary)
        .and_then(|()| match put(&temporary, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Foreign {
                name: name.clone(),
                path: AbsPath::new(&path).unwrap_or_else(|_| AbsPath::root()),
            }),
            other => other.at("put in place", &path),
        });
    if written.is_err() {
        // the error above is the one to tell; the next removal takes the file away
        let _ = fs::remove_file(&temporary);
    }
    written?;
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
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => {
                other.at("remove", &path)?;
                sync_dir(unit_dir).at("sync", unit_dir)?;
            }
        }
    }
    Ok(())
}

/// Host units of a sandbox whose config is lost: files of the names that one could have, which
/// carry the UUID.
pub(crate) fn find(unit_dir: &Path, name: &SandboxName, uuid: Uuid) -> Result<Option<UnitName>> {
    let entries = match fs::read_dir(unit_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).at("list", unit_dir),
    };
    let (instance, several) = (
        format!("@{name}.service"),
        format!("{name}_sandbox.service"),
    );
    for entry in entries {
        let file = entry.at("list", unit_dir)?.file_name();
        let Some(unit) = file
            .to_str()
            .filter(|file| file.ends_with(&instance) || *file == several)
            .and_then(|file| file.parse::<UnitName>().ok())
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

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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

    #[test]
    fn a22_a_unit_of_the_administrator_is_neither_replaced_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (name, uuid) = ("web1".parse().unwrap(), Uuid::from_u128(1));
        let path = dir.path().join(unit().as_str());
        fs::write(&path, "[Unit]\n").unwrap();
        let refused = write(dir.path(), &name, &unit(), uuid, &text(uuid));
        assert!(matches!(refused, Err(Error::Foreign { .. })));
        remove(dir.path(), &unit(), uuid).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[Unit]\n");
        // the same goes through once the administrator's file is away
        fs::remove_file(&path).unwrap();
        write(dir.path(), &name, &unit(), uuid, &text(uuid)).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn a21_a_unit_is_whole_or_absent_and_writing_twice_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (name, uuid) = ("web1".parse().unwrap(), Uuid::from_u128(1));
        // what a crash in the middle leaves
        fs::write(temporary(dir.path(), &unit(), uuid), "[Un").unwrap();
        write(dir.path(), &name, &unit(), uuid, &text(uuid)).unwrap();
        write(dir.path(), &name, &unit(), uuid, &text(uuid)).unwrap();
        assert_eq!(find(dir.path(), &name, uuid).unwrap(), Some(unit()));
        assert_eq!(find(dir.path(), &name, Uuid::from_u128(2)).unwrap(), None);
        remove(dir.path(), &unit(), uuid).unwrap();
        remove(dir.path(), &unit(), uuid).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
