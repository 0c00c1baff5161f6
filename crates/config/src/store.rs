//! The store: configs by name, and the way to all else.

use std::path::{Path, PathBuf};

use uuid::Uuid;
use vss_model::{SandboxConfig, SandboxName};

use crate::durable::{self, Existing, Placed, Staged};
use crate::error::{Context, Error};
use crate::format::{self, LIMIT};
use crate::places::Places;
use crate::{Result, directories};

/// The modes of the directories: configs are listed by whoever may, the rest is root's.
const LISTED: u32 = 0o755;
pub(crate) const PRIVATE: u32 = 0o700;

/// What a [`Store::save`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The file is new.
    Created,
    /// The file was there, of the same sandbox, and is replaced.
    Replaced,
}

/// All that is stored. It holds no state and no descriptors: what it says is what is on disk now.
#[derive(Debug, Clone)]
pub struct Store {
    places: Places,
}

impl Store {
    /// The store at these places. Directories are made when something is stored.
    #[must_use]
    pub fn open(places: Places) -> Self {
        Self { places }
    }

    /// Where it stores.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The names of all sandboxes that have a config, sorted. A file whose name is no sandbox's is
    /// somebody else's and is passed over.
    ///
    /// # Errors
    /// Where the directory can't be read. That there is none is no error.
    pub fn names(&self) -> Result<Vec<SandboxName>> {
        let files = durable::names(&self.places.services())?;
        let name =
            |file: &std::ffi::OsString| file.to_str()?.strip_suffix(".sandbox")?.parse().ok();
        Ok(files.iter().filter_map(name).collect())
    }

    /// Whether there is a file at the config's place, readable or not.
    #[must_use]
    pub fn exists(&self, name: &SandboxName) -> bool {
        rustix::fs::lstat(self.places.config(name)).is_ok()
    }

    /// The config of a sandbox.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] where there is none; else what is wrong with the file, with line and
    /// key.
    pub fn load(&self, name: &SandboxName) -> Result<SandboxConfig> {
        let path = self.places.config(name);
        let Some(bytes) = durable::read(&path, LIMIT)? else {
            let nearest = self.nearest(name);
            return Err(Error::NoSandbox {
                name: name.clone(),
                path,
                nearest,
            });
        };
        format::parse(&path, &text(&path, bytes)?, name)
    }

    /// Stores a config: anew, or in place of one of the same UUID.
    ///
    /// # Errors
    /// [`Error::NotOurs`] where a file without this UUID stands there; it stays as it is.
    pub fn save(&self, config: &SandboxConfig) -> Result<Saved> {
        let staged = self.stage(config)?;
        staged.sync()?;
        let saved = self.put(config, staged)?;
        durable::sync_directory(&self.places.services())?;
        Ok(saved)
    }

    /// Writes a config that gets its name by [`put`](Self::put), once it is synced.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn stage(&self, config: &SandboxConfig) -> Result<Staged> {
        directories::make(&self.places.services(), LISTED)?;
        let bytes = format::render(config).into_bytes();
        Staged::write(&self.places.config(&config.name), &bytes)
    }

    /// Gives a config its name. It lasts with [`sync_names`](Self::sync_names).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn put(&self, config: &SandboxConfig, mut staged: Staged) -> Result<Saved> {
        if staged.put(Existing::Refuse)? == Placed::Done {
            return Ok(Saved::Created);
        }
        let found = self.uuid_of(&config.name)?;
        if found != Some(config.uuid) {
            let path = self.places.config(&config.name);
            return Err(Error::NotOurs { path, found });
        }
        staged.put(Existing::Replace).map(|_| Saved::Replaced)
    }

    /// The directories in which a sandbox has names once its manifest and config are put, for
    /// [`sync_names`](Self::sync_names).
    #[must_use]
    pub fn named(&self, name: &SandboxName) -> [PathBuf; 3] {
        let places = &self.places;
        [places.state.clone(), places.memory(name), places.services()]
    }

    /// Has the names last that files were given in a directory.
    ///
    /// # Errors
    /// Where the disk can't take them.
    pub fn sync_names(&self, directory: &Path) -> Result<()> {
        durable::sync_directory(directory)
    }

    /// Stores a config over whatever stands at its place. Only for an administrator who said so.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn save_over(&self, config: &SandboxConfig) -> Result<()> {
        directories::make(&self.places.services(), LISTED)?;
        let bytes = format::render(config).into_bytes();
        durable::place(&self.places.config(&config.name), &bytes, Existing::Replace).map(|_| ())
    }

    /// The UUID that the config file of a name carries, whatever else is wrong with the text:
    /// `None` where there is no file, or no UUID in it.
    ///
    /// # Errors
    /// Where the file can't be read or isn't to be trusted.
    pub fn uuid_of(&self, name: &SandboxName) -> Result<Option<Uuid>> {
        let bytes = durable::read(&self.places.config(name), LIMIT)?;
        Ok(bytes.and_then(|bytes| format::uuid_of(&String::from_utf8_lossy(&bytes))))
    }

    /// Removes the config of a sandbox; whether there was one.
    ///
    /// # Errors
    /// [`Error::NotOurs`] where the file doesn't carry this UUID; it stays as it is.
    pub fn remove(&self, name: &SandboxName, uuid: Uuid) -> Result<bool> {
        let path = self.places.config(name);
        durable::remove_temporary(&path)?;
        let found = self.uuid_of(name)?;
        if self.exists(name) && found != Some(uuid) {
            return Err(Error::NotOurs { path, found });
        }
        durable::remove(&path)
    }

    /// Makes the directory that holds content and does `fill`, which puts content there:
    /// `/var/lib/libvirt/filesystems` is made private where it isn't, any other has to be 0700
    /// already or is made so when it is missing. Nobody tidies it away in between.
    ///
    /// # Errors
    /// [`Error::OpenParent`] where others than root can enter it; and those of `fill`.
    pub fn make_content_parent<T, E: From<Error>>(
        &self,
        directory: &Path,
        fill: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // who is admitted is not to be kept out by a mode that is narrowed meanwhile
        let _lock = self.lock_reservations()?;
        let held = self.users_reserved()?;
        let known = |user: u32| held.iter().any(|reserved| reserved.users.base() == user);
        directories::make_private(directory, directory == self.places.content_parent, &known)?;
        fill()
    }

    /// Undoes [`make_content_parent`](Self::make_content_parent) where no sandbox has its content
    /// there any more, by its config or by what `holds_any` finds. Nobody fills it in between.
    ///
    /// # Errors
    /// Where the directory can't be examined or changed; and those of `holds_any`.
    pub fn tidy_content_parent<E: From<Error>>(
        &self,
        directory: &Path,
        holds_any: impl FnOnce() -> Result<bool, E>,
    ) -> Result<(), E> {
        let _lock = self.lock_reservations()?;
        if holds_any()? {
            return Ok(());
        }
        for name in self.names()? {
            // a config that can't be read may be of a container that is there
            match self.load(&name) {
                Ok(config) if config.content.as_path().parent() != Some(directory) => {}
                _ => return Ok(()),
            }
        }
        Ok(directories::restore(directory)?)
    }

    /// The names that are most like one that isn't there.
    fn nearest(&self, name: &SandboxName) -> Vec<SandboxName> {
        // only a hint: without a list there is none
        let mut names = self.names().unwrap_or_default();
        names.retain(|other| format::distance(name.as_str(), other.as_str()) <= 2);
        names.sort_by_key(|other| format::distance(name.as_str(), other.as_str()));
        names.truncate(3);
        names
    }
}

/// The bytes of a file of ours as text.
pub(crate) fn text(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        .context("read as UTF-8", path)
}
