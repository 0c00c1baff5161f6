//! What a config names although another sandbox has it: configs are edited, reservations are not.

use vss_model::{CategorySet, IdRange, SandboxConfig, SandboxName};

use crate::Result;
use crate::durable;
use crate::reservation::{
    AddressReservation, LabelFile, UsersReservation, address_name, categories_of, excludes,
    label_name, mac_name, read,
};
use crate::store::Store;

/// Something that is another sandbox's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// In the words of a config: its key, and what it has there.
    pub what: String,
    /// Whose it is.
    pub owner: SandboxName,
}

impl Store {
    /// What a config names of another sandbox's: a label of which one contains the other, an
    /// address, users. `None` where there is no such. A label that is reserved for the sandbox
    /// itself is its own, also where it was reserved as one that others may have.
    ///
    /// # Errors
    /// Where a reservation can't be read.
    pub fn claim(&self, config: &SandboxConfig) -> Result<Option<Claim>> {
        let found = match self.label_claimed(config)? {
            None => self.address_claimed(config)?,
            found => found,
        };
        match found {
            None => self.users_claimed(config),
            found => Ok(found),
        }
    }

    fn label_claimed(&self, config: &SandboxConfig) -> Result<Option<Claim>> {
        let (low, clearance) = (
            config.label.level().categories(),
            config.label.level().clearance(),
        );
        let directory = self.places().labels();
        for own in [label_name(clearance, config.uuid), config.uuid.to_string()] {
            if let Some(file) = read::<LabelFile>(&directory.join(own))?
                && file.uuid == config.uuid
                && file.level.categories() == clearance
            {
                return Ok(None);
            }
        }
        let excludes = |held: &CategorySet| excludes(held, low) || excludes(held, clearance);
        for name in durable::names(&directory)? {
            let named = name.to_str().and_then(categories_of);
            if named.is_none_or(|held| excludes(&held))
                && let Some(file) = read::<LabelFile>(&directory.join(name))?
                && excludes(file.level.categories())
                && self.is_another(config, file.uuid, &file.name)
            {
                return Ok(Some(Claim {
                    what: format!("label {}", config.label),
                    owner: file.name,
                }));
            }
        }
        Ok(None)
    }

    fn address_claimed(&self, config: &SandboxConfig) -> Result<Option<Claim>> {
        let Some(network) = &config.network else {
            return Ok(None);
        };
        for (name, what) in [
            (
                address_name(network),
                format!("address {}", network.address),
            ),
            (mac_name(network.mac), format!("mac {}", network.mac)),
        ] {
            let path = self.places().addresses().join(name);
            if let Some(file) = read::<AddressReservation>(&path)?
                && self.is_another(config, file.uuid, &file.name)
            {
                let owner = file.name;
                return Ok(Some(Claim { what, owner }));
            }
        }
        Ok(None)
    }

    fn users_claimed(&self, config: &SandboxConfig) -> Result<Option<Claim>> {
        let Some(users) = config.private_users else {
            return Ok(None);
        };
        let directory = self.places().users();
        let own = read::<UsersReservation>(&directory.join(users.to_string()))?;
        if own.is_some_and(|file| file.uuid == config.uuid) {
            return Ok(None);
        }
        for name in durable::names(&directory)? {
            let range = name.to_str().and_then(|name| name.parse::<IdRange>().ok());
            if range.is_none_or(|range| range.overlaps(users))
                && let Some(file) = read::<UsersReservation>(&directory.join(name))?
                && file.users.overlaps(users)
                && self.is_another(config, file.uuid, &file.name)
            {
                return Ok(Some(Claim {
                    what: format!("private-users {users}"),
                    owner: file.name,
                }));
            }
        }
        Ok(None)
    }

    /// Whether a reservation is of another sandbox, and not of one that a crash left nothing else
    /// of. One whose config can't be read has it still.
    fn is_another(&self, config: &SandboxConfig, uuid: uuid::Uuid, name: &SandboxName) -> bool {
        let has_config = || match self.uuid_of(name) {
            Ok(None) => self.exists(name),
            Ok(found) => found == Some(uuid),
            Err(_) => true,
        };
        let is_made = || self.places().journal(name).exists();
        uuid != config.uuid && (has_config() || is_made())
    }
}
