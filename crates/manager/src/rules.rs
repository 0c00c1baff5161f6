//! The rules in force: those built in, those of packages, those of the administrator.

use std::collections::BTreeMap;

use vss_model::installed;
use vss_plan::Rules;

use crate::error::Result;
use crate::host::Host;

/// Where rules are, later ones replacing earlier ones of the same file name, as systemd's own
/// configuration directories do.
const DIRECTORIES: [&str; 2] = [installed::RULES, installed::OWN_RULES];
/// The most bytes of a rule file.
const MAX_SIZE: u64 = 256 * 1024;

pub(crate) fn load(host: &Host) -> Result<Rules> {
    let tree = host.tree()?;
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES {
        match tree.metadata(directory.as_ref())? {
            Some(found) if found.is_directory() => {}
            _ => continue,
        }
        for (name, _) in tree.list(directory.as_ref())? {
            let Some(name) = name.to_str().filter(|name| name.ends_with(".toml")) else {
                continue;
            };
            let path = std::path::Path::new(directory).join(name);
            let bytes = tree.read(&path, MAX_SIZE)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            files.insert(name.to_owned(), (path.display().to_string(), text));
        }
    }
    let files: Vec<(String, String)> = files.into_values().collect();
    Ok(Rules::with(&files)?)
}
