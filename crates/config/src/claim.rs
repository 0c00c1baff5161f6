//! What a config names although another sandbox has it: configs are edited, reservations are not.
//!
//! What is reserved for a sandbox is its own. Only what isn't was edited, and is looked for in the
//! reservations of others and then in their configs, of which one may have been edited likewise: to
//! read those takes long with many, and a claim is on the way of every start.

use uuid::Uuid;
use vss_model::{CategorySet, IdRange, Level, NetworkConfig, SandboxConfig, SandboxName};

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

/// What a config names that is not reserved for its sandbox.
struct Edited<'a> {
    config: &'a SandboxConfig,
    label: bool,
    address: Option<&'a NetworkConfig>,
    mac: Option<&'a NetworkConfig>,
    users: Option<IdRange>,
}

impl Edited<'_> {
    fn is_none(&self) -> bool {
        !self.label && self.address.is_none() && self.mac.is_none() && self.users.is_none()
    }

    /// Whether a set of categories that is held keeps it from its label.
    fn is_excluded(&self, held: &CategorySet) -> bool {
        let level = self.config.label.level();
        self.label && (excludes(held, level.categories()) || excludes(held, level.clearance()))
    }

    /// What of it another config names too.
    fn named_by(&self, other: &SandboxConfig) -> Option<String> {
        let is_excluded = |level: &Level| {
            self.is_excluded(level.categories()) || self.is_excluded(level.clearance())
        };
        let network = other.network.as_ref();
        let has_address = |mine: &&NetworkConfig| {
            network.is_some_and(|n| (&n.network, n.address) == (&mine.network, mine.address))
        };
        let has_mac = |mine: &&NetworkConfig| network.is_some_and(|n| n.mac == mine.mac);
        let overlaps = |mine: &IdRange| {
            other
                .private_users
                .is_some_and(|users| users.overlaps(*mine))
        };
        let label = is_excluded(other.label.level()).then(|| self.label_text());
        label
            .or_else(|| self.address.filter(has_address).map(address_text))
            .or_else(|| self.mac.filter(has_mac).map(mac_text))
            .or_else(|| self.users.filter(overlaps).map(users_text))
    }

    fn label_text(&self) -> String {
        format!("label {}", self.config.label)
    }
}

fn address_text(network: &NetworkConfig) -> String {
    format!("address {}", network.address)
}

fn mac_text(network: &NetworkConfig) -> String {
    format!("mac {}", network.mac)
}

fn users_text(users: IdRange) -> String {
    format!("private-users {users}")
}

impl Store {
    /// What a config names of another sandbox's: a label of which one contains the other, an
    /// address, users. `None` where there is no such. What is reserved for the sandbox itself is
    /// its own, also a label that was reserved as one that others may have. What isn't is
    /// another's where that one has reserved it, or where its config names it too.
    ///
    /// # Errors
    /// Where a reservation can't be read, or the directory of configs.
    pub fn claim(&self, config: &SandboxConfig) -> Result<Option<Claim>> {
        let edited = self.edited(config)?;
        if edited.is_none() {
            return Ok(None);
        }
        let mut found = self.label_reserved(&edited)?;
        if found.is_none() {
            found = self.address_reserved(&edited)?;
        }
        if found.is_none() {
            found = self.range_reserved(&edited)?;
        }
        if found.is_none() {
            found = self.named_elsewhere(&edited)?;
        }
        Ok(found)
    }

    fn edited<'a>(&self, config: &'a SandboxConfig) -> Result<Edited<'a>> {
        let (mut address, mut mac) = (None, None);
        if let Some(network) = &config.network {
            let own = |name: String| self.has_address(config.uuid, &name);
            address = (!own(address_name(network))?).then_some(network);
            mac = (!own(mac_name(network.mac))?).then_some(network);
        }
        let users = match config.private_users {
            Some(users) if !self.has_users(config.uuid, users)? => Some(users),
            _ => None,
        };
        Ok(Edited {
            config,
            label: !self.has_label(config)?,
            address,
            mac,
            users,
        })
    }

    fn has_label(&self, config: &SandboxConfig) -> Result<bool> {
        let clearance = config.label.level().clearance();
        let directory = self.places().labels();
        for own in [label_name(clearance, config.uuid), config.uuid.to_string()] {
            if let Some(file) = read::<LabelFile>(&directory.join(own))?
                && file.uuid == config.uuid
                && file.level.categories() == clearance
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_address(&self, uuid: Uuid, name: &str) -> Result<bool> {
        let file = read::<AddressReservation>(&self.places().addresses().join(name))?;
        Ok(file.is_some_and(|file| file.uuid == uuid))
    }

    fn has_users(&self, uuid: Uuid, users: IdRange) -> Result<bool> {
        let path = self.places().users().join(users.to_string());
        let file = read::<UsersReservation>(&path)?;
        Ok(file.is_some_and(|file| file.uuid == uuid))
    }

    fn label_reserved(&self, edited: &Edited<'_>) -> Result<Option<Claim>> {
        let directory = self.places().labels();
        for name in durable::names(&directory)? {
            let named = name.to_str().and_then(categories_of);
            if named.is_none_or(|held| edited.is_excluded(&held))
                && let Some(file) = read::<LabelFile>(&directory.join(name))?
                && edited.is_excluded(file.level.categories())
                && self.is_another(edited.config, file.uuid, &file.name)
            {
                return Ok(Some(Claim {
                    what: edited.label_text(),
                    owner: file.name,
                }));
            }
        }
        Ok(None)
    }

    fn address_reserved(&self, edited: &Edited<'_>) -> Result<Option<Claim>> {
        let address = edited.address.map(|n| (address_name(n), address_text(n)));
        let mac = edited.mac.map(|n| (mac_name(n.mac), mac_text(n)));
        for (name, what) in address.into_iter().chain(mac) {
            let path = self.places().addresses().join(name);
            if let Some(file) = read::<AddressReservation>(&path)?
                && self.is_another(edited.config, file.uuid, &file.name)
            {
                let owner = file.name;
                return Ok(Some(Claim { what, owner }));
            }
        }
        Ok(None)
    }

    fn range_reserved(&self, edited: &Edited<'_>) -> Result<Option<Claim>> {
        let Some(users) = edited.users else {
            return Ok(None);
        };
        let directory = self.places().users();
        for name in durable::names(&directory)? {
            let range = name.to_str().and_then(|name| name.parse::<IdRange>().ok());
            if range.is_none_or(|range| range.overlaps(users))
                && let Some(file) = read::<UsersReservation>(&directory.join(name))?
                && file.users.overlaps(users)
                && self.is_another(edited.config, file.uuid, &file.name)
            {
                return Ok(Some(Claim {
                    what: users_text(users),
                    owner: file.name,
                }));
            }
        }
        Ok(None)
    }

    fn named_elsewhere(&self, edited: &Edited<'_>) -> Result<Option<Claim>> {
        let mut names = self.names()?;
        names.retain(|name| *name != edited.config.name);
        // one that can't be read doesn't start either
        let mut others = self.load_all(&names).into_iter().flatten();
        Ok(others.find_map(|other| {
            let what = edited.named_by(&other)?;
            Some(Claim {
                what,
                owner: other.name,
            })
        }))
    }

    /// Whether a reservation is of another sandbox, and not of one that a crash left nothing else
    /// of. One whose config can't be read has it still.
    fn is_another(&self, config: &SandboxConfig, uuid: Uuid, name: &SandboxName) -> bool {
        let has_config = || match self.uuid_of(name) {
            Ok(None) => self.exists(name),
            Ok(found) => found == Some(uuid),
            Err(_) => true,
        };
        let is_made = || self.places().journal(name).exists();
        uuid != config.uuid && (has_config() || is_made())
    }
}
