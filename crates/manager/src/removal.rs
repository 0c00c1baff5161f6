//! Taking a part of a sandbox away: what undoes a create that failed is what a delete is made of.
//!
//! Every removal is idempotent and takes away only what carries the sandbox's UUID. The order is
//! one for all: a host unit is disabled before its file goes, because with a link left and the file
//! gone systemd would resolve `foo@web1` to the package's own template and run the service on the
//! host; the config goes last, because it is what the next command finds the sandbox by.

use vss_model::{AbsPath, IdRange, InnerState, SandboxConfig, SandboxName, UnitName, Uuid};
use vss_unit::ServiceManager;

use crate::content::{self, Content, Ownership};
use crate::enablement;
use crate::error::{IoContext, Result};
use crate::host::Host;
use crate::host_unit;
use crate::outcome::Part;

/// The order in which parts go; a running domain is stopped before.
pub(crate) const ORDER: [Part; 8] = [
    Part::Enablement,
    Part::Unit,
    Part::Content,
    Part::Manifest,
    Part::Access,
    Part::Reservation,
    Part::Runtime,
    Part::Config,
];

/// What has to be known of a sandbox to remove it; a journal holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its name.
    pub(crate) name: SandboxName,
    /// Its UUID.
    pub(crate) uuid: Uuid,
    /// Where its content is, or would be.
    pub(crate) content: AbsPath,
    /// Its host unit; `None` where nothing tells.
    pub(crate) host_unit: Option<UnitName>,
    /// Its users of its own, where its config tells; else its reservation does.
    pub(crate) users: Option<IdRange>,
}

impl Identity {
    /// That of a sandbox whose config can be read.
    pub(crate) fn of(config: &SandboxConfig) -> Self {
        Self {
            name: config.name.clone(),
            uuid: config.uuid,
            content: config.content.clone(),
            host_unit: Some(config.host_unit.clone()),
            users: config.private_users,
        }
    }

    pub(crate) fn content_on(&self, host: &Host) -> Result<Content> {
        let parent = host.path(&self.content_parent());
        Content::open(&self.name, self.uuid, &self.content, &parent)
    }

    fn content_parent(&self) -> AbsPath {
        self.content.parent().unwrap_or_else(AbsPath::root)
    }

    /// Makes the directory that the content is in, out of reach for all but root.
    pub(crate) fn make_content_parent(&self, host: &Host) -> Result<()> {
        let parent = host.path(&self.content_parent());
        Ok(host.store().make_content_parent(&parent)?)
    }

    /// Lets root of the container's own users through to the content.
    pub(crate) fn admit(&self, host: &Host, users: IdRange) -> Result<()> {
        let parent = host.path(&self.content_parent());
        Ok(host.store().admit(&parent, users)?)
    }

    /// The users that may have been let through: those of the config and those reserved.
    pub(crate) fn admitted(&self, host: &Host) -> Result<Vec<IdRange>> {
        let reserved = host.store().in_use()?.users.into_iter();
        let ours = reserved.filter(|reserved| reserved.uuid == self.uuid);
        let mut all: Vec<IdRange> = self
            .users
            .into_iter()
            .chain(ours.map(|r| r.users))
            .collect();
        all.sort_unstable();
        all.dedup();
        let parent = host.path(&self.content_parent());
        let mut admitted = Vec::new();
        for users in all {
            if host.store().is_admitted(&parent, users)? {
                admitted.push(users);
            }
        }
        Ok(admitted)
    }

    fn dismiss(&self, host: &Host) -> Result<()> {
        let parent = host.path(&self.content_parent());
        for users in self.admitted(host)? {
            host.store().dismiss(&parent, users)?;
        }
        Ok(())
    }

    /// Whose the host unit's file is.
    pub(crate) fn unit_ownership(&self, host: &Host) -> Result<Ownership> {
        match &self.host_unit {
            Some(unit) => host_unit::ownership(&host.unit_dir(), unit, self.uuid),
            None => Ok(Ownership::Absent),
        }
    }
}

/// Takes a part away, as far as it is there and ours.
pub(crate) fn remove(host: &Host, identity: &Identity, part: Part) -> Result<()> {
    let (name, uuid) = (&identity.name, identity.uuid);
    match part {
        Part::Enablement => disable(host, identity),
        Part::Unit => remove_unit(host, identity),
        Part::Content => identity.content_on(host)?.remove(),
        Part::Access => identity.dismiss(host),
        Part::Manifest => ours(host.store().manifest_remove(name, uuid)),
        Part::Reservation => Ok(host.store().release(uuid).map(drop)?),
        Part::Runtime => Ok(host.store().clear_runtime(name)?),
        Part::Config => ours(host.store().remove(name, uuid)),
        // the one is stopped, the other finished, by whoever removes the parts
        Part::Domain | Part::Journal => Ok(()),
    }
}

/// What is of another sandbox stays where it is.
fn ours(removed: vss_config::Result<bool>) -> Result<()> {
    match removed {
        Ok(_) | Err(vss_config::Error::NotOurs { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// After the last part: gives the directory that the content was in back as it was, unless
/// there is content of any sandbox in it, kept by `--keep-content` perhaps, which its mode
/// protects.
pub(crate) fn settle(host: &Host, identity: &Identity) -> Result<()> {
    let parent = host.path(&identity.content_parent());
    if content::holds_any(&parent)? {
        return Ok(());
    }
    Ok(host.store().tidy_content_parent(&parent)?)
}

fn disable(host: &Host, identity: &Identity) -> Result<()> {
    let Some(unit) = &identity.host_unit else {
        return Ok(());
    };
    if identity.unit_ownership(host)? == Ownership::Foreign {
        return Ok(());
    }
    let dir = host.unit_dir();
    if enablement::links(&dir, unit).at("list", &dir)?.is_empty() {
        return Ok(());
    }
    if let Some(services) = host.services()?
        && identity.unit_ownership(host)? == Ownership::Ours
    {
        services.disable(unit)?;
    }
    // systemd leaves links alone that it would not make itself
    enablement::remove_links(&dir, unit).at("remove the links in", &dir)
}

fn remove_unit(host: &Host, identity: &Identity) -> Result<()> {
    let Some(unit) = &identity.host_unit else {
        return Ok(());
    };
    let was_there = identity.unit_ownership(host)? == Ownership::Ours;
    host_unit::remove(&host.unit_dir(), unit, identity.uuid)?;
    match host.services()? {
        // also where a crash came between the removal and the reload
        Some(services) if was_there || !services.status(unit)?.fragment.is_empty() => {
            services.reload()?;
            forget_failure(services, unit)
        }
        _ => Ok(()),
    }
}

/// systemd keeps a unit that failed, and lists it, also when its file is gone.
fn forget_failure(services: &dyn ServiceManager, unit: &UnitName) -> Result<()> {
    if services.status(unit)?.active != InnerState::Failed {
        return Ok(());
    }
    match services.reset_failed(unit) {
        Err(error) if !error.is_no_such_unit() => Err(error.into()),
        _ => Ok(()),
    }
}
