//! What of a sandbox is on the host, whether or not all of it is.

use vss_config::Error as StoreError;
use vss_model::{AbsPath, SandboxConfig, SandboxName, Uuid};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::host_unit;
use crate::recover;
use crate::removal::Identity;

/// The config of a sandbox.
pub(crate) fn load(host: &Host, name: &SandboxName) -> Result<SandboxConfig> {
    match host.store().load(name) {
        Err(StoreError::NoSandbox { nearest, .. }) => {
            // `list` shows it
            recover::refuse_unfinished(host, name)?;
            Err(Error::NoSandbox {
                name: name.clone(),
                near: nearest,
            })
        }
        other => Ok(other?),
    }
}

/// Refuses a name that a sandbox has, or a trace of one.
pub(crate) fn refuse_taken(host: &Host, name: &SandboxName) -> Result<()> {
    let (store, places) = (host.store(), host.places());
    let taken = if store.exists(name) {
        Some(places.config(name))
    } else {
        [places.manifest(name), places.content(name)]
            .into_iter()
            .find(|path| path.symlink_metadata().is_ok())
    };
    let Some(path) = taken else {
        return Ok(());
    };
    let (name, path) = (name.clone(), host.shown(&path));
    Err(match find(host, &name)? {
        // `delete` would find nothing either
        None => Error::PathTaken { name, path },
        Some(found) if found.only_content => Error::OnlyContent {
            path: host.shown(&places.content(&name)),
            name,
        },
        Some(_) => Error::NameTaken {
            name,
            by: format!("{path} exists"),
        },
    })
}

/// What identifies a sandbox, from whatever of it is left.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its names and places; the nil UUID where none is to be found.
    pub(crate) identity: Identity,
    /// Its config, where it can be read.
    pub(crate) config: Option<SandboxConfig>,
    /// Whether nothing but the content tells of it, as `delete --keep-content` leaves it.
    pub(crate) only_content: bool,
}

/// Looks for a sandbox; `None` where there is no trace of it.
pub(crate) fn find(host: &Host, name: &SandboxName) -> Result<Option<Found>> {
    let is_broken = match host.store().load(name) {
        Ok(config) => {
            let named = host_unit::find(&host.unit_dir(), name, config.uuid)?;
            return Ok(Some(Found {
                identity: Identity {
                    stray_unit: named.filter(|unit| *unit != config.host_unit),
                    ..Identity::of(&config)
                },
                config: Some(config),
                only_content: false,
            }));
        }
        Err(StoreError::NoSandbox { .. }) => false,
        Err(_) => true,
    };
    let content = host.shown(&host.places().content(name));
    let stored = uuid_stored(host, name);
    let uuid = match stored {
        None => mark_of(host, &content)?,
        stored => stored,
    };
    if uuid.is_none() && !is_broken {
        return Ok(None);
    }
    let uuid = uuid.unwrap_or_default();
    let host_unit = host_unit::find(&host.unit_dir(), name, uuid)?;
    Ok(Some(Found {
        only_content: stored.is_none() && !is_broken && host_unit.is_none(),
        identity: Identity {
            name: name.clone(),
            uuid,
            content,
            host_unit,
            stray_unit: None,
            users: None,
        },
        config: None,
    }))
}

/// The UUID of a sandbox whose config is lost or can't be read, from what else is stored of it.
fn uuid_stored(host: &Host, name: &SandboxName) -> Option<Uuid> {
    let store = host.store();
    // a trace that can't be read tells nothing, and the next one may
    if let Ok(Some(uuid)) = store.uuid_of(name) {
        return Some(uuid);
    }
    if let Ok(Some(manifest)) = store.manifest_load(name) {
        return Some(manifest.uuid);
    }
    if let Ok(Some(state)) = store.state(name) {
        return Some(state.uuid);
    }
    let in_use = store.in_use().ok()?;
    let labels = in_use.labels.iter().map(|r| (&r.name, r.uuid));
    let addresses = in_use.addresses.iter().map(|r| (&r.name, r.uuid));
    let users = in_use.users.iter().map(|r| (&r.name, r.uuid));
    let mut reserved = labels.chain(addresses).chain(users);
    reserved.find(|(of, _)| *of == name).map(|(_, uuid)| uuid)
}

/// The UUID that a content directory is marked with.
fn mark_of(host: &Host, content: &AbsPath) -> Result<Option<Uuid>> {
    match vss_tree::Root::open(&host.path(content)) {
        Ok(tree) => Ok(tree.mark()?),
        Err(_) => Ok(None),
    }
}
