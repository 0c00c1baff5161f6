//! The links that enable a host unit at boot (systemd.unit(5), `[Install]`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vss_model::UnitName;

/// The links in `.wants` and `.requires` directories of a unit directory that have this name.
pub(crate) fn links(unit_dir: &Path, unit: &UnitName) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(unit_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let pulls = path
            .extension()
            .is_some_and(|e| e == "wants" || e == "requires");
        let link = path.join(unit.as_str());
        if pulls && link.is_symlink() {
            found.push(link);
        }
    }
    found.sort();
    Ok(found)
}

/// Removes those links, and the directories that held nothing else. A link with the file gone
/// would start the package's own template on the host, uncontained.
pub(crate) fn remove_links(unit_dir: &Path, unit: &UnitName) -> io::Result<()> {
    for link in links(unit_dir, unit)? {
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(dir) = link.parent() {
            // fails where other links are in it, which is as it should be
            let _ = fs::remove_dir(dir);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_the_units_own_links_go() {
        let dir = tempfile::tempdir().unwrap();
        let wants = dir.path().join("multi-user.target.wants");
        let requires = dir.path().join("x.target.requires");
        fs::create_dir(&wants).unwrap();
        fs::create_dir(&requires).unwrap();
        let unit: UnitName = "apache2@web1.service".parse().unwrap();
        symlink("/nowhere", wants.join(unit.as_str())).unwrap();
        symlink("/nowhere", requires.join(unit.as_str())).unwrap();
        symlink("/nowhere", wants.join("apache2@web10.service")).unwrap();
        assert_eq!(links(dir.path(), &unit).unwrap().len(), 2);
        remove_links(dir.path(), &unit).unwrap();
        remove_links(dir.path(), &unit).unwrap();
        assert!(links(dir.path(), &unit).unwrap().is_empty());
        assert!(wants.join("apache2@web10.service").is_symlink());
        assert!(!requires.exists());
    }

    #[test]
    fn a_host_without_the_directory_has_no_links() {
        let unit: UnitName = "a.service".parse().unwrap();
        assert!(links(Path::new("/nonexistent"), &unit).unwrap().is_empty());
    }
}
