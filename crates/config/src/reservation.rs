//! Labels, addresses and users that are spoken for, from before a sandbox has a config until it is gone.
//!
//! A reservation is a file; that it exists is the reservation, so it survives a crash. Comparing
//! with all others and making it happen under one short lock.
//!
//! Only [`Store::release`] gives reservations back, for whoever undoes a create or finishes a delete:
//! the journal of either is there before the first reservation and until after the last, so a crash
//! leaves none that nobody finds. Where a config was removed by hand they stay until the sandbox is
//! deleted, because its content has that label and those users still.
//!
//! A reservation lasts from [`Store::sync_reservations`], which comes before the config: until then
//! it is of a change that a loss of power would undo. Such a loss may leave an empty file, which
//! reserves nothing.

use std::collections::HashSet;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vss_model::{
    Category, CategorySet, IdRange, Level, MacAddress, NetworkConfig, SandboxConfig, SandboxName,
};

use crate::durable::{self, Existing, Placed, Staged};
use crate::error::{Context, Error};
use crate::store::{PRIVATE, Store};
use crate::{Result, directories};

const LIMIT: u64 = 16 * 1024;

/// The most bytes of categories in a file's name; with more the UUID is the name.
const LONGEST_NAME: usize = 200;

/// A label that is spoken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelReservation {
    /// Its categories.
    pub categories: CategorySet,
    /// By which sandbox.
    pub name: SandboxName,
    /// Its UUID.
    pub uuid: Uuid,
}

/// An address that is spoken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressReservation {
    /// The libvirt network.
    pub network: String,
    /// The address on it.
    pub address: Ipv4Addr,
    /// The hardware address.
    pub mac: MacAddress,
    /// By which sandbox.
    pub name: SandboxName,
    /// Its UUID.
    pub uuid: Uuid,
}

/// Users of the host that are spoken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersReservation {
    /// The range.
    pub users: IdRange,
    /// By which sandbox.
    pub name: SandboxName,
    /// Its UUID.
    pub uuid: Uuid,
}

/// All that is spoken for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InUse {
    /// Labels.
    pub labels: Vec<LabelReservation>,
    /// Addresses.
    pub addresses: Vec<AddressReservation>,
    /// Users.
    pub users: Vec<UsersReservation>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct LabelFile {
    pub(crate) level: Level,
    pub(crate) name: SandboxName,
    pub(crate) uuid: Uuid,
}

/// What every reservation says.
#[derive(Deserialize)]
struct Owner {
    uuid: Uuid,
}

impl Store {
    /// Reserves a label. `false` where another sandbox has a label of which one contains the
    /// other, unless that has no category or all of them; the same reservation once more is `true`.
    ///
    /// # Errors
    /// Where the reservations can't be read or written.
    pub fn reserve_label(
        &self,
        categories: &CategorySet,
        name: &SandboxName,
        uuid: Uuid,
    ) -> Result<bool> {
        let _lock = self.lock_reservations()?;
        let directory = self.places().labels();
        for file in durable::names(&directory)? {
            let path = directory.join(&file);
            // 500 names are read faster than 500 files
            let related = match file.to_str().and_then(categories_of) {
                Some(other) => excludes(&other, categories),
                None => true,
            };
            if !related {
                continue;
            }
            if let Some(other) = read::<LabelFile>(&path)?
                && other.uuid != uuid
                && excludes(other.level.categories(), categories)
            {
                return Ok(false);
            }
        }
        self.place_label(&label_name(categories, uuid), categories, name, uuid)
    }

    /// Reserves a label that another sandbox may have too (`--allow-shared-label`), a range by its
    /// clearance: no other gets it, or one that is related to it, by
    /// [`reserve_label`](Self::reserve_label).
    ///
    /// # Errors
    /// Where the reservation can't be written.
    pub fn reserve_shared_label(
        &self,
        categories: &CategorySet,
        name: &SandboxName,
        uuid: Uuid,
    ) -> Result<()> {
        let _lock = self.lock_reservations()?;
        self.place_label(&uuid.to_string(), categories, name, uuid)
            .map(|_| ())
    }

    fn place_label(
        &self,
        file: &str,
        categories: &CategorySet,
        name: &SandboxName,
        uuid: Uuid,
    ) -> Result<bool> {
        let level = Level::s0(categories.clone());
        let path = self.places().labels().join(file);
        self.place_reservation(
            &path,
            uuid,
            &LabelFile {
                level,
                name: name.clone(),
                uuid,
            },
        )
    }

    /// Reserves the address and the hardware address of a network config, both or none. `false`
    /// where another sandbox has one of them; the same reservation once more is `true`.
    ///
    /// # Errors
    /// Where the reservations can't be read or written.
    pub fn reserve_address(
        &self,
        network: &NetworkConfig,
        name: &SandboxName,
        uuid: Uuid,
    ) -> Result<bool> {
        let _lock = self.lock_reservations()?;
        let reservation = AddressReservation {
            network: network.network.clone(),
            address: network.address,
            mac: network.mac,
            name: name.clone(),
            uuid,
        };
        let directory = self.places().addresses();
        let mac = directory.join(mac_name(network.mac));
        if !self.place_reservation(&mac, uuid, &reservation)? {
            return Ok(false);
        }
        let address = directory.join(address_name(network));
        let placed = self.place_reservation(&address, uuid, &reservation);
        if !matches!(placed, Ok(true)) {
            durable::remove(&mac)?;
        }
        placed
    }

    /// Reserves users of the host for those inside a sandbox. `false` where another sandbox has
    /// some of them; the same reservation once more is `true`.
    ///
    /// # Errors
    /// Where the reservations can't be read or written.
    pub fn reserve_users(&self, users: IdRange, name: &SandboxName, uuid: Uuid) -> Result<bool> {
        let _lock = self.lock_reservations()?;
        let others = self.users_reserved()?;
        let taken = |other: &UsersReservation| other.uuid != uuid && other.users.overlaps(users);
        if others.iter().any(taken) {
            return Ok(false);
        }
        let reservation = UsersReservation {
            users,
            name: name.clone(),
            uuid,
        };
        let path = self.places().users().join(users.to_string());
        self.place_reservation(&path, uuid, &reservation)
    }

    /// All users that are reserved.
    pub(crate) fn users_reserved(&self) -> Result<Vec<UsersReservation>> {
        let mut all = Vec::new();
        for path in self.reservation_files(&self.places().users())? {
            all.extend(read::<UsersReservation>(&path)?);
        }
        Ok(all)
    }

    fn place_reservation(&self, path: &Path, uuid: Uuid, what: &impl Serialize) -> Result<bool> {
        if let Some(directory) = path.parent() {
            directories::make(directory, PRIVATE)?;
        }
        let bytes = serde_json::to_vec(what)
            .map_err(std::io::Error::from)
            .context("write", path)?;
        let mut staged = Staged::write(path, &bytes)?;
        if staged.put(Existing::Refuse)? == Placed::Done {
            return Ok(true);
        }
        match read::<Owner>(path)? {
            Some(owner) => Ok(owner.uuid == uuid),
            None => Ok(staged.put(Existing::Replace)? == Placed::Done),
        }
    }

    /// Has all reservations last, where they aren't on the file system that was synced as a whole.
    ///
    /// # Errors
    /// Where the disk can't take them.
    pub fn sync_reservations(&self, device: u64) -> Result<()> {
        let directory = self.places().labels();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open =
            rustix::fs::open(&directory, flags, Mode::empty()).context("open", &directory)?;
        let stat = rustix::fs::fstat(&open).context("examine", &directory)?;
        if stat.st_dev == device {
            return Ok(());
        }
        rustix::fs::syncfs(&open).context("sync", &directory)
    }

    /// Gives back all that a UUID reserved; whether there was any. What attempts of anybody that were
    /// cut short left goes too.
    ///
    /// # Errors
    /// Where a reservation can't be read or removed.
    pub fn release(&self, uuid: Uuid) -> Result<bool> {
        let _lock = self.lock_reservations()?;
        let mut any = false;
        for (path, owner) in self.reservations()? {
            if owner.uuid == uuid {
                any |= durable::remove(&path)?;
            }
        }
        self.remove_torn()?;
        Ok(any)
    }

    /// All reservations.
    ///
    /// # Errors
    /// Where one can't be read.
    pub fn in_use(&self) -> Result<InUse> {
        let users = self.users_reserved()?;
        Ok(InUse {
            users,
            ..self.in_use_beside(&[])?
        })
    }

    /// The reservations of labels and addresses that these configs don't tell of. To be asked for
    /// after the configs were read: a reservation is there before its config.
    ///
    /// # Errors
    /// Where one can't be read.
    pub fn in_use_beside(&self, configs: &[SandboxConfig]) -> Result<InUse> {
        let known: HashSet<OsString> = configs.iter().flat_map(names_of).collect();
        let is_new = |path: &PathBuf| path.file_name().is_none_or(|name| !known.contains(name));
        let mut all = InUse::default();
        let labels = self.reservation_files(&self.places().labels())?;
        for path in labels.into_iter().filter(is_new) {
            if let Some(file) = read::<LabelFile>(&path)? {
                all.labels.push(LabelReservation {
                    categories: file.level.clearance().clone(),
                    name: file.name,
                    uuid: file.uuid,
                });
            }
        }
        // each is there twice, under its address and under its hardware address
        let by_address = |path: &PathBuf| {
            let name = path.file_name();
            name.is_some_and(|name| name.as_encoded_bytes().contains(&b'@'))
        };
        let addresses = self.reservation_files(&self.places().addresses())?;
        for path in addresses.into_iter().filter(by_address).filter(is_new) {
            all.addresses.extend(read::<AddressReservation>(&path)?);
        }
        Ok(all)
    }

    /// Does `release` where no sandbox has an address on `network`. Nobody reserves or releases
    /// meanwhile: nobody comes onto a network that goes, and no two take it away at once. `None`
    /// where it is in use.
    ///
    /// # Errors
    /// Where a reservation can't be read.
    pub fn unless_reserved<T>(
        &self,
        network: &str,
        release: impl FnOnce() -> T,
    ) -> Result<Option<T>> {
        let _lock = self.lock_reservations()?;
        let addresses = self.in_use_beside(&[])?.addresses;
        let in_use = addresses.iter().any(|address| address.network == network);
        Ok((!in_use).then(release))
    }

    fn reservations(&self) -> Result<Vec<(PathBuf, Owner)>> {
        let mut all = Vec::new();
        for directory in self.reservation_directories() {
            for path in self.reservation_files(&directory)? {
                if let Some(owner) = read(&path)? {
                    all.push((path, owner));
                }
            }
        }
        Ok(all)
    }

    fn reservation_directories(&self) -> [PathBuf; 3] {
        let places = self.places();
        [places.labels(), places.addresses(), places.users()]
    }

    fn reservation_files(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        let names = durable::names(directory)?;
        Ok(names.into_iter().map(|name| directory.join(name)).collect())
    }

    /// Removes what attempts that were cut short left: temporary names, and empty files. Under the
    /// lock nobody else writes one.
    fn remove_torn(&self) -> Result<()> {
        for directory in self.reservation_directories() {
            let Ok(entries) = std::fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let bytes = name.as_encoded_bytes();
                let is_empty = || entry.metadata().is_ok_and(|m| m.is_file() && m.len() == 0);
                if bytes.starts_with(b".") && bytes.ends_with(b".new") || is_empty() {
                    durable::remove(&entry.path())?;
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = durable::read(path, LIMIT)?.filter(|bytes| !bytes.is_empty()) else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::Damaged {
            path: path.to_owned(),
            line: error.line(),
            why: error.to_string(),
        })
}

/// Whether a label that is held keeps another sandbox from one that it wants. None of the categories
/// is within everyone's reach and all of them reach everyone: no choice could avoid those, and the
/// planner doesn't try to either (`avoidable` of its allocator).
pub(crate) fn excludes(held: &CategorySet, wanted: &CategorySet) -> bool {
    !held.is_empty() && held.len() < usize::from(Category::COUNT) && held.relates_to(wanted)
}

pub(crate) fn label_name(categories: &CategorySet, uuid: Uuid) -> String {
    let name = categories.to_string();
    if name.is_empty() || name.len() > LONGEST_NAME {
        uuid.to_string()
    } else {
        name
    }
}

/// The categories that a file's name tells; `None` of a name that is a UUID.
pub(crate) fn categories_of(name: &str) -> Option<CategorySet> {
    let level: Level = format!("s0:{name}").parse().ok()?;
    Some(level.categories().clone())
}

pub(crate) fn address_name(network: &NetworkConfig) -> String {
    format!("{}@{}", network.network, network.address)
}

/// The names of the reservations that a config tells of.
fn names_of(config: &SandboxConfig) -> Vec<OsString> {
    let label = label_name(config.label.level().clearance(), config.uuid);
    let address = config.network.as_ref().map(address_name);
    // a shared label is reserved under the UUID
    [label, config.uuid.to_string()]
        .into_iter()
        .chain(address)
        .map(OsString::from)
        .collect()
}

pub(crate) fn mac_name(mac: MacAddress) -> String {
    mac.to_string()
}
