//! Taking a part of a sandbox away: what undoes a create that failed is what a delete is made of.
//!
//! Every removal is idempotent and takes away only what carries the sandbox's UUID. The order is
//! one for all: a host unit is disabled before its file goes, because with a link left and the file
//! gone systemd would resolve `foo@web1` to the package's own template and run the service on the
//! host; the config goes last, because it is what the next command finds the sandbox by.

use std::path::PathBuf;

use vss_model::{AbsPath, IdRange, InnerState, SandboxConfig, SandboxName, UnitName, Uuid};
use vss_tree::Root;
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
    /// A host unit that carries its UUID under another name than the config says: what an edit of
    /// the config leaves.
    pub(crate) stray_unit: Option<UnitName>,
    /// Its users of its own, where its config tells; else its reservation does.
    pub(crate) users: Option<IdRange>,
}

/// Whether two paths are of one place: a config has the real path where the default is below a link.
fn is_one_place(host: &Host, one: &AbsPath, other: &AbsPath) -> bool {
    let real = |path: &AbsPath| host.path(&parent_of(path)).canonicalize();
    let is_one_parent = || real(one).is_ok_and(|one| real(other).is_ok_and(|other| one == other));
    one == other || one.file_name() == other.file_name() && is_one_parent()
}

impl Identity {
    /// That of a sandbox whose config can be read.
    pub(crate) fn of(config: &SandboxConfig) -> Self {
        Self {
            name: config.name.clone(),
            uuid: config.uuid,
            content: config.content.clone(),
            host_unit: Some(config.host_unit.clone()),
            stray_unit: None,
            users: config.private_users,
        }
    }

    pub(crate) fn content_on(&self, host: &Host) -> Result<Content> {
        self.content_at(host, &self.content)
    }

    fn content_at(&self, host: &Host, path: &AbsPath) -> Result<Content> {
        let parent = host.path(&parent_of(path));
        Content::open(&self.name, self.uuid, path, &parent)
    }

    /// Where content of its own may be: where the config says, and where it is by default, which an
    /// edit of the config leaves.
    fn content_paths(&self, host: &Host) -> Vec<AbsPath> {
        let default = host.shown(&host.places().content(&self.name));
        let mut paths = vec![self.content.clone()];
        if !is_one_place(host, &default, &self.content) {
            paths.push(default);
        }
        paths
    }

    /// Its content, wherever it may be.
    pub(crate) fn contents(&self, host: &Host) -> Result<Vec<Content>> {
        let paths = self.content_paths(host);
        paths.iter().map(|p| self.content_at(host, p)).collect()
    }

    /// The directories that its content may be in.
    fn content_parents(&self, host: &Host) -> Vec<PathBuf> {
        let paths = self.content_paths(host);
        let mut parents: Vec<PathBuf> = paths.iter().map(|p| host.path(&parent_of(p))).collect();
        parents.dedup();
        parents
    }

    /// Makes the directory that the content is in, out of reach for all but root, and the content
    /// in it, marked and empty.
    pub(crate) fn stage_content(
        &self,
        host: &Host,
        users: Option<IdRange>,
    ) -> Result<(Content, Root)> {
        let parent = host.path(&parent_of(&self.content));
        // together: the end of another's delete gives back a directory without any mark in it
        host.store().make_content_parent(&parent, || {
            let content = self.content_on(host)?;
            let root = content.stage(users)?;
            Ok((content, root))
        })
    }

    /// Lets root of the container's own users through to the content.
    pub(crate) fn admit(&self, host: &Host, users: IdRange) -> Result<()> {
        let parent = host.path(&parent_of(&self.content));
        Ok(host.store().admit(&parent, users)?)
    }

    /// The users that were let through, of those of the config and those reserved, and where.
    pub(crate) fn admitted(&self, host: &Host) -> Result<Vec<(PathBuf, IdRange)>> {
        let reserved = host.store().in_use()?.users.into_iter();
        let ours = reserved.filter(|reserved| reserved.uuid == self.uuid);
        let mut all: Vec<IdRange> = self
            .users
            .into_iter()
            .chain(ours.map(|r| r.users))
            .collect();
        all.sort_unstable();
        all.dedup();
        let mut admitted = Vec::new();
        for parent in self.content_parents(host) {
            for &users in &all {
                if host.store().is_admitted(&parent, users)? {
                    admitted.push((parent.clone(), users));
                }
            }
        }
        Ok(admitted)
    }

    fn dismiss(&self, host: &Host) -> Result<()> {
        for (parent, users) in self.admitted(host)? {
            host.store().dismiss(&parent, users)?;
        }
        Ok(())
    }

    /// Its host units: one, unless an edit of the config has left another.
    pub(crate) fn units(&self) -> impl Iterator<Item = &UnitName> {
        self.host_unit.iter().chain(&self.stray_unit)
    }

    /// Whose the host unit's file is.
    pub(crate) fn unit_ownership(&self, host: &Host) -> Result<Ownership> {
        match &self.host_unit {
            Some(unit) => self.ownership_of(host, unit),
            None => Ok(Ownership::Absent),
        }
    }

    /// Whose the file of a host unit is.
    pub(crate) fn ownership_of(&self, host: &Host, unit: &UnitName) -> Result<Ownership> {
        host_unit::ownership(&host.unit_dir(), unit, self.uuid)
    }

    /// Whether a unit may be stopped for it: a config may have been edited to name a unit of the host's
    /// own.
    pub(crate) fn is_own(&self, host: &Host, unit: &UnitName) -> Result<bool> {
        Ok(host_unit::is_named_for(unit, &self.name)
            || self.ownership_of(host, unit)? == Ownership::Ours)
    }

    /// The links that enable a host unit of its own. With the file gone only the name tells whose
    /// they are, and a config may have been edited to name the unit of a package.
    pub(crate) fn links(&self, host: &Host, unit: &UnitName) -> Result<Vec<PathBuf>> {
        let dir = host.unit_dir();
        match self.ownership_of(host, unit)? {
            Ownership::Ours => {}
            Ownership::Absent if host_unit::is_named_for(unit, &self.name) => {}
            Ownership::Absent | Ownership::Foreign => return Ok(Vec::new()),
        }
        enablement::links(&dir, unit).at("list", &dir)
    }
}

fn parent_of(path: &AbsPath) -> AbsPath {
    path.parent().unwrap_or_else(AbsPath::root)
}

/// Takes a part away, as far as it is there and ours.
pub(crate) fn remove(host: &Host, identity: &Identity, part: Part) -> Result<()> {
    let (name, uuid) = (&identity.name, identity.uuid);
    match part {
        Part::Enablement => identity
            .units()
            .try_for_each(|u| disable(host, identity, u)),
        Part::Unit => identity
            .units()
            .try_for_each(|unit| remove_unit(host, identity, unit)),
        Part::Content => identity
            .contents(host)?
            .iter()
            .try_for_each(|content| content.remove()),
        Part::Access => identity.dismiss(host),
        Part::Manifest => ours(host.store().manifest_remove(name, uuid)),
        Part::Reservation => Ok(host.store().release(uuid).map(drop)?),
        Part::Runtime => Ok(host.store().clear_runtime(name)?),
        Part::Config => ours(host.store().remove(name, uuid)),
        // the one is stopped, the other finished, by whoever removes the parts
        Part::Domain | Part::Journal => Ok(()),
    }
}

/// What is of another sandbox stays where it is, and what can't be told to be of this one.
fn ours(removed: vss_config::Result<bool>) -> Result<()> {
    use vss_config::Error::{NotOurs, Untrusted, Version};
    match removed {
        Ok(_) | Err(NotOurs { .. } | Untrusted { .. } | Version { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// After the last part: gives each directory that the content was in back as it was, unless
/// there is content of any sandbox in it, kept by `--keep-content` perhaps, which its mode
/// protects.
pub(crate) fn settle(host: &Host, identity: &Identity) -> Result<()> {
    for parent in identity.content_parents(host) {
        let holds_any = || content::holds_any(&parent);
        host.store().tidy_content_parent(&parent, holds_any)?;
    }
    Ok(())
}

fn disable(host: &Host, identity: &Identity, unit: &UnitName) -> Result<()> {
    if identity.links(host, unit)?.is_empty() {
        return Ok(());
    }
    if let Some(services) = host.services()?
        && identity.ownership_of(host, unit)? == Ownership::Ours
    {
        services.disable(unit)?;
    }
    // systemd leaves links alone that it would not make itself
    let dir = host.unit_dir();
    enablement::remove_links(&dir, unit).at("remove the links in", &dir)
}

fn remove_unit(host: &Host, identity: &Identity, unit: &UnitName) -> Result<()> {
    let was_there = identity.ownership_of(host, unit)? == Ownership::Ours;
    host_unit::remove(&host.unit_dir(), unit, identity.uuid)?;
    if !was_there && !host_unit::is_named_for(unit, &identity.name) {
        return Ok(());
    }
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
