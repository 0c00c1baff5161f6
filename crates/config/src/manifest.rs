//! The manifest: JSON without blanks, because it has a line's worth for every file.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vss_model::{Manifest, SandboxName};

use crate::durable::{self, Existing, Staged};
use crate::error::Error;
use crate::store::{PRIVATE, Store};
use crate::{Result, directories};

const VERSION: u64 = 1;

/// More than a manifest of a million files has.
const LIMIT: u64 = 512 * 1024 * 1024;

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

#[derive(Deserialize)]
struct Header {
    version: u64,
}

impl Store {
    /// The manifest of a sandbox; `None` where there is none.
    ///
    /// # Errors
    /// Where the file can't be read, is damaged, is of another version or of another sandbox.
    pub fn manifest_load(&self, name: &SandboxName) -> Result<Option<Manifest>> {
        let path = self.places().manifest(name);
        let Some(bytes) = durable::read(&path, LIMIT)? else {
            return Ok(None);
        };
        let damaged = |error: &serde_json::Error| Error::Damaged {
            path: path.clone(),
            line: error.line(),
            why: error.to_string(),
        };
        let header: Header = serde_json::from_slice(&bytes).map_err(|e| damaged(&e))?;
        if header.version != VERSION {
            return Err(Error::Version {
                path,
                version: header.version,
                known: VERSION,
            });
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| damaged(&e))?;
        if manifest.name != *name {
            return Err(Error::NotOurs {
                path,
                found: Some(manifest.uuid),
            });
        }
        Ok(Some(manifest))
    }

    /// Stores a manifest, in place of an earlier one.
    ///
    /// # Errors
    /// Where it can't be written, or one of another UUID stands there.
    pub fn manifest_save(&self, manifest: &Manifest) -> Result<()> {
        let staged = self.manifest_stage(manifest)?;
        staged.sync()?;
        self.manifest_put(staged)?;
        durable::sync_directory_of(&self.places().memory(&manifest.name))?;
        durable::sync_directory(&self.places().memory(&manifest.name))
    }

    /// Writes a manifest that gets its name by [`manifest_put`](Self::manifest_put), once it is
    /// synced.
    ///
    /// # Errors
    /// As [`manifest_save`](Self::manifest_save).
    pub fn manifest_stage(&self, manifest: &Manifest) -> Result<Staged> {
        let path = self.places().manifest(&manifest.name);
        self.check_manifest(&manifest.name, manifest.uuid)?;
        directories::make_unsynced(&self.places().memory(&manifest.name), PRIVATE)?;
        let bytes = serde_json::to_vec(&Written {
            version: VERSION,
            manifest,
        })
        .map_err(|error| Error::Io {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        Staged::write(&path, &bytes)
    }

    /// Gives a manifest its name. It lasts with [`sync_names`](Self::sync_names).
    ///
    /// # Errors
    /// Where it can't be renamed.
    pub fn manifest_put(&self, mut staged: Staged) -> Result<()> {
        staged.put(Existing::Replace).map(|_| ())
    }

    /// Removes the manifest of a sandbox and its directory; whether there was one. A manifest that
    /// doesn't read goes too: it lies in a directory of this program's own.
    ///
    /// # Errors
    /// [`Error::NotOurs`] where it is of another UUID; it stays as it is.
    pub fn manifest_remove(&self, name: &SandboxName, uuid: Uuid) -> Result<bool> {
        self.check_manifest(name, uuid)?;
        let removed = durable::remove(&self.places().manifest(name))?;
        durable::remove_empty(&self.places().memory(name))?;
        Ok(removed)
    }

    fn check_manifest(&self, name: &SandboxName, uuid: Uuid) -> Result<()> {
        match self.manifest_load(name) {
            Ok(Some(there)) if there.uuid != uuid => Err(Error::NotOurs {
                path: self.places().manifest(name),
                found: Some(there.uuid),
            }),
            Ok(_) | Err(Error::Damaged { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
