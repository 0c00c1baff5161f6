//! The journal of a change: what is about to be done is written down and synced before it is done.
//!
//! A journal is a file of JSON lines. The first says which change of which sandbox it is, and
//! appears together with the file and the steps that are known by then; each other line is a step
//! in the words of whoever makes the change. The last line may be torn by a crash: then its step
//! was not begun, and it is left out.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vss_model::{AbsPath, SandboxName};

use crate::durable::{self, Existing, Placed};
use crate::error::{Context, Error};
use crate::store::{PRIVATE, Store};
use crate::{Result, directories};

const VERSION: u64 = 1;

/// More than the steps of any change.
const LIMIT: u64 = 16 * 1024 * 1024;

/// The first record: which change of which sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// The verb of the command: `create`, `delete`.
    pub verb: String,
    /// The sandbox.
    pub name: SandboxName,
    /// Its UUID.
    pub uuid: Uuid,
    /// The directory of its content.
    pub content: AbsPath,
    /// When, in seconds since 1970.
    pub began: u64,
}

#[derive(Serialize, Deserialize)]
struct First {
    version: u64,
    #[serde(flatten)]
    beginning: Beginning,
}

#[derive(Deserialize)]
struct Header {
    version: u64,
}

/// A change that is under way, or was cut short.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    read: Read,
}

/// What a journal says.
#[derive(Debug)]
struct Read {
    beginning: Beginning,
    steps: Vec<serde_json::Value>,
    /// The bytes of all whole records.
    length: u64,
}

impl Store {
    /// Begins a change. Steps that are known by now may be recorded at once: then an undo takes all
    /// of them for done, and one wait for the disk does for all.
    ///
    /// # Errors
    /// [`Error::Unfinished`] where one was cut short: see [`Store::journal`].
    pub fn begin<T: Serialize>(&self, beginning: Beginning, steps: &[T]) -> Result<Journal> {
        let path = self.places().journal(&beginning.name);
        directories::make(&self.places().journals(), PRIVATE)?;
        let name = beginning.name.clone();
        let mut records = line(
            &path,
            &First {
                version: VERSION,
                beginning,
            },
        )?;
        for step in steps {
            records.extend(line(&path, step)?);
        }
        if durable::place(&path, &records, Existing::Refuse)? == Placed::Taken {
            return Err(Error::Unfinished { name, path });
        }
        self.journal(&name)?.ok_or_else(|| Error::Damaged {
            path,
            line: 1,
            why: "it was removed while the change began".to_owned(),
        })
    }

    /// The change of a sandbox that was cut short, to be finished or undone; `None` where there is
    /// none.
    ///
    /// # Errors
    /// Where the journal can't be read, is of a later version, or is damaged before its last
    /// record.
    pub fn journal(&self, name: &SandboxName) -> Result<Option<Journal>> {
        let path = self.places().journal(name);
        let Some(read) = read_journal(&path, name)? else {
            return Ok(None);
        };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match rustix::fs::open(&path, flags, Mode::empty()) {
            // finished since it was read
            Err(Errno::NOENT) => return Ok(None),
            opened => File::from(opened.context("open", &path)?),
        };
        Ok(Some(Journal { path, file, read }))
    }

    /// The sandboxes of which a change was cut short or is under way, sorted.
    ///
    /// # Errors
    /// Where the directory of journals can't be read.
    pub fn pending(&self) -> Result<Vec<SandboxName>> {
        let files = durable::names(&self.places().journals())?;
        Ok(files
            .iter()
            .filter_map(|file| file.to_str()?.parse().ok())
            .collect())
    }

    /// Whether a change of a sandbox was cut short or is under way.
    ///
    /// # Errors
    /// Where its journal can't be examined.
    pub fn is_pending(&self, name: &SandboxName) -> Result<bool> {
        Ok(fingerprint(&self.places().journal(name))?.is_some())
    }

    /// Whether a change of a sandbox was cut short: it has a journal, and nobody is at work on it.
    /// Changes nothing.
    ///
    /// # Errors
    /// Where its journal can't be examined, or the lock can't be opened.
    pub fn is_abandoned(&self, name: &SandboxName) -> Result<bool> {
        let path = self.places().journal(name);
        let Some(before) = fingerprint(&path)? else {
            return Ok(false);
        };
        if self.is_changing(name)? {
            return Ok(false);
        }
        // whoever was at work may have ended between the two looks, with the journal before the lock;
        // or another has begun, with another journal
        Ok(fingerprint(&path)? == Some(before))
    }

    /// Removes the journal of a sandbox that can't be read: for an administrator who said so.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn drop_journal(&self, name: &SandboxName) -> Result<bool> {
        durable::remove(&self.places().journal(name))
    }
}

impl Journal {
    /// Which change of which sandbox it is.
    #[must_use]
    pub fn beginning(&self) -> &Beginning {
        &self.read.beginning
    }

    /// The steps that were recorded, in order: of those that were recorded one by one, each but the
    /// last was done, the last may have been; of those that the change began with, any may have been.
    ///
    /// # Errors
    /// Where a record isn't a step of this type.
    pub fn steps<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let step =
            |(n, value): (usize, &serde_json::Value)| from_value(&self.path, n + 2, value.clone());
        self.read.steps.iter().enumerate().map(step).collect()
    }

    /// Records a step that is about to be done. When this returns, the record survives a loss of
    /// power.
    ///
    /// # Errors
    /// Where it can't be written; then the journal is as it was before.
    pub fn record<T: Serialize>(&mut self, step: &T) -> Result<()> {
        let value = serde_json::to_value(step)
            .map_err(std::io::Error::from)
            .context("write", &self.path)?;
        let bytes = line(&self.path, &value)?;
        // a torn record of a change that was cut short
        self.cut()?;
        let written = self
            .file
            .write_all_at(&bytes, self.read.length)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // cutting off needs no space; where it fails too, what is there is a torn last record
            let _ = self.cut();
            return Err(error).context("write", &self.path);
        }
        self.read.length += bytes.len() as u64;
        self.read.steps.push(value);
        Ok(())
    }

    /// Ends the change: the journal goes.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn finish(self) -> Result<()> {
        durable::remove(&self.path).map(|_| ())
    }

    /// Cuts off what is behind the last whole record.
    fn cut(&self) -> Result<()> {
        let there = self.file.metadata().context("examine", &self.path)?.len();
        if there != self.read.length {
            self.file
                .set_len(self.read.length)
                .and_then(|()| self.file.sync_all())
                .context("cut", &self.path)?;
        }
        Ok(())
    }
}

/// What tells a journal, as far as it is written, from any other at its place; `None` where there is
/// none.
fn fingerprint(path: &Path) -> Result<Option<impl PartialEq>> {
    match rustix::fs::lstat(path) {
        Ok(file) => Ok(Some((
            (file.st_dev, file.st_ino, file.st_size),
            (file.st_ctime, file.st_ctime_nsec),
        ))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).context("examine", path),
    }
}

fn read_journal(path: &Path, name: &SandboxName) -> Result<Option<Read>> {
    let Some(bytes) = durable::read(path, LIMIT)? else {
        return Ok(None);
    };
    let (length, mut steps) = records(path, &bytes)?;
    if steps.is_empty() {
        let why = "the first record is not whole".to_owned();
        return Err(Error::Damaged {
            path: path.to_owned(),
            line: 1,
            why,
        });
    }
    let first = steps.remove(0);
    let header: Header = from_value(path, 1, first.clone())?;
    if header.version != VERSION {
        return Err(Error::Version {
            path: path.to_owned(),
            version: header.version,
            known: VERSION,
        });
    }
    let First { beginning, .. } = from_value(path, 1, first)?;
    if beginning.name != *name {
        return Err(Error::NotOurs {
            path: path.to_owned(),
            found: Some(beginning.uuid),
        });
    }
    Ok(Some(Read {
        beginning,
        steps,
        length,
    }))
}

fn line(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)
        .map_err(std::io::Error::from)
        .context("write", path)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The whole records, and how many bytes they take.
fn records(path: &Path, bytes: &[u8]) -> Result<(u64, Vec<serde_json::Value>)> {
    let mut records = Vec::new();
    let mut length = 0;
    for (n, record) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let is_last = length + record.len() == bytes.len();
        let whole = record.ends_with(b"\n");
        match serde_json::from_slice(record) {
            Ok(value) if whole => records.push(value),
            // a crash leaves the last record short, or its blocks unwritten
            _ if is_last => break,
            Ok(_) => break,
            Err(error) => {
                let why = error.to_string();
                return Err(Error::Damaged {
                    path: path.to_owned(),
                    line: n + 1,
                    why,
                });
            }
        }
        length += record.len();
    }
    Ok((length as u64, records))
}

fn from_value<T: DeserializeOwned>(
    path: &Path,
    line: usize,
    value: serde_json::Value,
) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::Damaged {
        path: path.to_owned(),
        line,
        why: error.to_string(),
    })
}
