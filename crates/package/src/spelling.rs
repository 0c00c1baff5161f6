//! One spelling for paths that a merged `/usr` makes reachable by two.
//!
//! dpkg records `/bin/bash` where the file is `/usr/bin/bash`, and knows it by no other name. The
//! links that merge them are read from the host once; every path of a database and every question
//! goes through the same table.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use vss_model::{AbsPath, Sanitized};

use crate::error::{Error, Result};

/// The directories that a merged host has as links into `/usr` (hier(7), file-hierarchy(7)).
const MERGED: [&str; 7] = ["bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"];
/// Directories that a host may have moved by a link, whose content lists still name the old way.
const MOVED: [&str; 4] = ["usr/sbin", "usr/lib64", "var/run", "var/lock"];

/// The links of this host, as rewritings of prefixes.
#[derive(Debug, Clone, Default)]
pub struct Spelling {
    rewritings: Vec<Rewriting>,
}

#[derive(Debug, Clone)]
struct Rewriting {
    from: Vec<u8>,
    to: Vec<u8>,
    /// Whether the directory itself is spelled anew too: `/bin` is, but `/var/run` is a link that
    /// stands in the tree by its own right.
    itself: bool,
}

impl Spelling {
    /// Reads the links below `root`.
    ///
    /// # Errors
    /// Where `/bin` or one of its kind exists and is no link into `/usr`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut rewritings = Vec::new();
        for name in MERGED {
            if let Some(to) = merged_into(root, name)? {
                rewritings.push(rewriting(name, &to, true));
            }
        }
        for name in MOVED {
            if let Some(to) = link_target(root, name).ok().flatten() {
                rewritings.push(rewriting(name, &to, name.starts_with("usr/")));
            }
        }
        Ok(Self { rewritings })
    }

    /// The path as this host really has it; `None` where it is that already.
    pub(crate) fn rewrite(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut current: Option<Vec<u8>> = None;
        for rule in &self.rewritings {
            let text = current.as_deref().unwrap_or(path);
            let Some(rest) = text.strip_prefix(rule.from.as_slice()) else {
                continue;
            };
            if rest.first() == Some(&b'/') || (rest.is_empty() && rule.itself) {
                current = Some([rule.to.as_slice(), rest].concat());
            }
        }
        current
    }

    /// The path as this host really has it.
    #[must_use]
    pub fn normalize(&self, path: &AbsPath) -> AbsPath {
        self.rewrite(path.as_path().as_os_str().as_bytes())
            .and_then(|bytes| AbsPath::new(std::ffi::OsStr::from_bytes(&bytes)).ok())
            .unwrap_or_else(|| path.clone())
    }
}

fn rewriting(name: &str, to: &AbsPath, itself: bool) -> Rewriting {
    Rewriting {
        from: format!("/{name}").into_bytes(),
        to: to.as_path().as_os_str().as_bytes().to_vec(),
        itself,
    }
}

/// Where `/name` leads on a merged host; `None` where the host has no such directory at all.
fn merged_into(root: &Path, name: &str) -> Result<Option<AbsPath>> {
    let path = root.join(name);
    let not_merged = |found: String| Error::NotMerged {
        path: PathBuf::from(format!("/{name}")),
        found,
    };
    match link_target(root, name) {
        Ok(Some(to)) if to.as_path().starts_with("/usr") => Ok(Some(to)),
        Ok(Some(to)) => Err(not_merged(format!("links to {to}"))),
        Ok(None) => Err(not_merged("is not a link".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// Where the link `/name` leads; `None` where it is no link.
fn link_target(root: &Path, name: &str) -> io::Result<Option<AbsPath>> {
    let path = root.join(name);
    if !path.symlink_metadata()?.is_symlink() {
        return Ok(None);
    }
    let target = path.read_link()?;
    let here = AbsPath::new(Path::new("/").join(name)).map_err(io::Error::other)?;
    here.resolve_link(&target).map(Some).map_err(|_| {
        io::Error::other(format!(
            "link to {}",
            Sanitized::bytes(target.as_os_str().as_bytes())
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn path(text: &str) -> AbsPath {
        text.parse().unwrap()
    }

    #[test]
    fn a33_both_spellings_of_a_merged_usr_become_one() {
        let root = tempfile::tempdir().unwrap();
        symlink("usr/bin", root.path().join("bin")).unwrap();
        symlink("/usr/lib", root.path().join("lib")).unwrap();
        std::fs::create_dir_all(root.path().join("var")).unwrap();
        symlink("/run", root.path().join("var/run")).unwrap();
        let spelling = Spelling::read(root.path()).unwrap();
        for (from, to) in [
            ("/bin/sh", "/usr/bin/sh"),
            ("/bin", "/usr/bin"),
            ("/binary", "/binary"),
            ("/lib/x/y", "/usr/lib/x/y"),
            ("/lib64/ld.so", "/lib64/ld.so"),
            ("/usr/bin/sh", "/usr/bin/sh"),
            ("/var/run", "/var/run"),
            ("/var/run/sshd", "/run/sshd"),
        ] {
            assert_eq!(spelling.normalize(&path(from)), path(to), "{from}");
        }
    }

    #[test]
    fn a33_sbin_merged_into_bin_is_followed_through_both_links() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        symlink("usr/sbin", root.path().join("sbin")).unwrap();
        symlink("bin", root.path().join("usr/sbin")).unwrap();
        let spelling = Spelling::read(root.path()).unwrap();
        assert_eq!(
            spelling.normalize(&path("/sbin/init")),
            path("/usr/bin/init")
        );
    }

    #[test]
    fn a_host_with_a_bin_of_its_own_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("bin")).unwrap();
        let error = Spelling::read(root.path()).unwrap_err();
        assert!(
            error.to_string().starts_with("/bin is not a link"),
            "{error}"
        );
        std::fs::remove_dir(root.path().join("bin")).unwrap();
        symlink("opt/bin", root.path().join("bin")).unwrap();
        let error = Spelling::read(root.path()).unwrap_err();
        assert!(
            error.to_string().starts_with("/bin links to /opt/bin"),
            "{error}"
        );
    }
}
