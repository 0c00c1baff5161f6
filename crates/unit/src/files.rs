//! Files below a root directory, with links resolved inside it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use vss_model::AbsPath;

use crate::error::{Error, Result};

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// The largest unit file that is read.
const MAX_FILE: u64 = 16 << 20;

/// A root directory whose files are read.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    fn real(&self, path: &AbsPath) -> PathBuf {
        self.root.join(path.relative())
    }

    fn fail(path: &AbsPath, source: io::Error) -> Error {
        Error::Read {
            path: path.clone(),
            source,
        }
    }

    /// Where a path really is: every link on the way followed, absolute targets taken from the
    /// root directory. What does not exist stays as it is spelled.
    pub(crate) fn resolve(&self, path: &AbsPath) -> Result<AbsPath> {
        let mut hops = 0;
        let mut todo: Vec<OsString> = components(path.relative());
        let mut done = AbsPath::root();
        while let Some(next) = todo.pop() {
            let here = join(&done, &next)?;
            match self.link(&here)? {
                None => done = here,
                Some(target) => {
                    hops += 1;
                    if hops > MAX_LINKS {
                        return Err(Error::TooManyLinks { path: path.clone() });
                    }
                    // `..` is taken by text: what stands before it in `done` is no link any more.
                    let target = here
                        .resolve_link(&target)
                        .map_err(|e| Self::fail(&here, io::Error::other(e)))?;
                    todo.extend(components(target.relative()));
                    done = AbsPath::root();
                }
            }
        }
        Ok(done)
    }

    /// The target of a link; `None` where there is no link.
    pub(crate) fn link(&self, path: &AbsPath) -> Result<Option<PathBuf>> {
        let real = self.real(path);
        match real.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                real.read_link().map(Some).map_err(|e| Self::fail(path, e))
            }
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Self::fail(path, error)),
        }
    }

    /// Whether anything is there, a link that leads nowhere included.
    pub(crate) fn exists(&self, path: &AbsPath) -> Result<bool> {
        match self.real(path).symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(Self::fail(path, error)),
        }
    }

    /// Whether there is something where a path leads, links followed.
    pub(crate) fn leads_somewhere(&self, path: &AbsPath) -> Result<bool> {
        match self.link(path)? {
            None => Ok(true),
            Some(_) => {
                let end = self.resolve(path)?;
                Ok(end.as_path() == Path::new("/dev/null") || self.exists(&end)?)
            }
        }
    }

    /// Whether a path leads to `/dev/null` or an empty file, by which a unit is masked; one that
    /// leads nowhere masks none.
    pub(crate) fn is_null_or_empty(&self, path: &AbsPath) -> Result<bool> {
        let end = self.resolve(path)?;
        if end.as_path() == Path::new("/dev/null") {
            return Ok(true);
        }
        match self.real(&end).symlink_metadata() {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == 0),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(Self::fail(path, error)),
        }
    }

    /// Whether a path leads to a regular file that can be executed.
    pub(crate) fn is_program(&self, path: &AbsPath) -> Result<bool> {
        use std::os::unix::fs::PermissionsExt;
        match self.real(&self.resolve(path)?).symlink_metadata() {
            Ok(metadata) => Ok(metadata.is_file() && metadata.permissions().mode() & 0o111 != 0),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(Self::fail(path, error)),
        }
    }

    /// The content of a regular file; `None` where there is none, or what is there is none.
    pub(crate) fn read(&self, path: &AbsPath) -> Result<Option<Vec<u8>>> {
        let real = self.real(&self.resolve(path)?);
        let metadata = match real.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Ok(None),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(Self::fail(path, error)),
        };
        let mut out = Vec::new();
        File::open(&real)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut out))
            .map_err(|e| Self::fail(path, e))?;
        if out.len() as u64 > MAX_FILE {
            return Err(Error::TooLarge {
                path: path.clone(),
                size: metadata.len(),
            });
        }
        Ok(Some(out))
    }

    /// The names in a directory, sorted; none where there is no directory. A name that is not
    /// UTF-8 is no unit's and is passed over.
    pub(crate) fn list(&self, path: &AbsPath) -> Result<Vec<String>> {
        let real = self.real(&self.resolve(path)?);
        let entries = match real.read_dir() {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(Self::fail(path, error)),
        };
        let mut out = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| Self::fail(path, e))?.file_name();
            out.extend(name.into_string());
        }
        out.sort();
        Ok(out)
    }
}

/// A path below a directory.
pub(crate) fn join(directory: &AbsPath, name: impl AsRef<Path>) -> Result<AbsPath> {
    directory
        .join(name)
        .map_err(|e| Files::fail(directory, io::Error::other(e)))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The components of a relative path, the last first.
fn components(relative: &Path) -> Vec<OsString> {
    let mut out: Vec<OsString> = relative
        .components()
        .filter(|c| matches!(c, std::path::Component::Normal(_)))
        .map(|c| c.as_os_str().to_owned())
        .collect();
    out.reverse();
    out
}
