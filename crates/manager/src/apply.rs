//! Makes a plan real: changes in order, each in the journal before it is made, all of them undone
//! when one fails.

mod label;
mod layout;
mod manifest;
mod populate;

use vss_config::Journal;
use vss_model::{Sanitized, Uuid};
use vss_plan::{Facts, SandboxPlan};

use crate::control::Control;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host_unit;
use crate::journal::{self, Step, Verb};
use crate::outcome::{CreateOutcome, Part};
use crate::removal::{self, Identity};

/// How an apply ended that met no error.
#[derive(Debug)]
pub(crate) enum Applied {
    /// The sandbox is there.
    Done(Box<CreateOutcome>),
    /// Its label or address was taken by another create meanwhile; nothing is left behind.
    Taken,
}

/// What a create leaves behind that is of interest to its outcome.
#[derive(Debug, Clone, Copy, Default)]
struct Placed {
    bytes: u64,
    files: u64,
}

/// Makes the sandbox of a plan. The caller holds the lock of its name and knows that the name is
/// free.
pub(crate) fn apply(
    host: &Host,
    plan: &SandboxPlan,
    facts: &Facts,
    enable: bool,
    control: &Control<'_>,
) -> Result<Applied> {
    let identity = Identity::of(&plan.config);
    let mut apply = Apply {
        host,
        plan,
        facts,
        control,
        begun: Vec::new(),
        journal: journal::begin(host, Verb::Create, &identity)?,
        identity,
    };
    match apply.run(enable) {
        Ok(Some(placed)) => {
            apply.journal.finish()?;
            Ok(Applied::Done(Box::new(outcome(host, plan, placed, enable))))
        }
        Ok(None) => {
            apply.undo()?;
            apply.journal.finish()?;
            Ok(Applied::Taken)
        }
        Err(error) => match apply.undo().and_then(|()| Ok(apply.journal.finish()?)) {
            Ok(()) => Err(error),
            Err(undo) => Err(Error::NotUndone {
                error: Box::new(error),
                undo: Box::new(undo),
            }),
        },
    }
}

struct Apply<'a> {
    host: &'a Host,
    plan: &'a SandboxPlan,
    facts: &'a Facts,
    control: &'a Control<'a>,
    identity: Identity,
    journal: Journal,
    begun: Vec<Part>,
}

impl Apply<'_> {
    /// `None` where label or address was taken.
    fn run(&mut self, enable: bool) -> Result<Option<Placed>> {
        let host = self.host;
        let (config, uuid) = (&self.plan.config, self.identity.uuid);
        self.begin(Part::Reservation)?;
        if !self.reserve(uuid)? {
            return Ok(None);
        }
        self.begin(Part::Content)?;
        self.identity.make_content_parent(host)?;
        if let Some(users) = config.private_users {
            self.begin(Part::Access)?;
            self.identity.admit(host, users)?;
        }
        let content = self.identity.content_on(host)?;
        let root = content.stage(config.private_users)?;
        let files = populate::populate(host, self.plan, &root, self.control)?;
        self.control.check()?;
        label::label(host, &root, &config.file_label, self.control)?;
        root.sync()?;
        content.publish()?;

        self.begin(Part::Manifest)?;
        let placed = Placed {
            bytes: files.bytes,
            files: files.placed.len() as u64,
        };
        let manifest = manifest::manifest(self.plan, self.facts, files.placed);
        host.store().manifest_save(&manifest)?;

        self.begin(Part::Config)?;
        host.store().save(config)?;

        self.begin(Part::Unit)?;
        self.write_unit()?;

        if enable {
            self.begin(Part::Enablement)?;
            if let Some(services) = host.services()? {
                services.enable(&config.host_unit)?;
            }
        }
        self.control.check()?;
        Ok(Some(placed))
    }

    /// Notes in the journal that a part is begun, unless the verb was told to stop.
    fn begin(&mut self, part: Part) -> Result<()> {
        self.control.check()?;
        self.control.observer.begins(part);
        self.journal.record(&Step::Begin { part })?;
        self.begun.push(part);
        Ok(())
    }

    fn reserve(&self, uuid: Uuid) -> Result<bool> {
        let (store, config) = (self.host.store(), &self.plan.config);
        let categories = config.label.level().categories();
        if self.plan.request.allow_shared_label {
            store.reserve_shared_label(categories, &config.name, uuid)?;
        } else if !store.reserve_label(categories, &config.name, uuid)? {
            return Ok(false);
        }
        if let Some(users) = config.private_users
            && !store.reserve_users(users, &config.name, uuid)?
        {
            return Ok(false);
        }
        match &config.network {
            Some(network) => Ok(store.reserve_address(network, &config.name, uuid)?),
            None => Ok(true),
        }
    }

    fn write_unit(&self) -> Result<()> {
        let (unit, dir) = (&self.plan.config.host_unit, self.host.unit_dir());
        let Identity { name, uuid, .. } = &self.identity;
        host_unit::write(&dir, name, unit, *uuid, &self.plan.unit)?;
        match self.host.services()? {
            Some(services) => Ok(services.reload()?),
            None => Ok(()),
        }
    }

    /// Takes away every part that was begun, all of them even where one resists; the first error.
    fn undo(&self) -> Result<()> {
        let mut result = Ok(());
        for part in removal::ORDER
            .into_iter()
            .filter(|p| self.begun.contains(p))
        {
            result = result.and(removal::remove(self.host, &self.identity, part));
        }
        result.and_then(|()| removal::settle(self.host, &self.identity))
    }
}

fn outcome(host: &Host, plan: &SandboxPlan, placed: Placed, enabled: bool) -> CreateOutcome {
    let config = &plan.config;
    CreateOutcome {
        name: config.name.clone(),
        uuid: config.uuid,
        content: config.content.clone(),
        config: host.shown(&host.places().config(&config.name)),
        unit_file: host.shown(&host.unit_file(&config.host_unit)),
        host_unit: config.host_unit.clone(),
        label: config.label.clone(),
        confinement: config.confinement,
        bytes: placed.bytes,
        files: placed.files,
        enabled,
        started: false,
        warnings: plan
            .warnings
            .iter()
            .map(|warning| Sanitized::text(&warning.to_string()).to_string())
            .collect(),
    }
}
