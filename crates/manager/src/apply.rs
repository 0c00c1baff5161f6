//! Makes a plan real: changes in order, each in the journal before it is made, all of them undone
//! when one fails.

mod label;
mod layout;
mod manifest;
mod populate;

use vss_config::{Journal, Staged};
use vss_model::manifest::PlacedFile;
use vss_model::{Sanitized, Uuid};
use vss_plan::{Facts, SandboxPlan};
use vss_tree::Root;

use crate::content::Content;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::host::{Host, has_processors};
use crate::host_unit::{self, StagedUnit};
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

/// What every create makes. The journal has it from the beginning: each record of its own would be a
/// wait for the disk, and an undo takes away what is there.
const KNOWN: [Part; 5] = [
    Part::Reservation,
    Part::Content,
    Part::Manifest,
    Part::Config,
    Part::Unit,
];

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
        journal: journal::begin(host, Verb::Create, &identity, &KNOWN)?,
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

/// Files that have their bytes and not yet their names.
struct StagedFiles {
    manifest: Staged,
    config: Staged,
    unit: StagedUnit,
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
        let (content, root) = self.identity.stage_content(host, config.private_users)?;
        if let Some(users) = config.private_users {
            self.begin(Part::Access)?;
            self.identity.admit(host, users)?;
        }
        label::label_top(host, &root, &config.file_label)?;
        let files = populate::populate(host, self.plan, &root, self.control)?;
        self.control.check()?;
        label::label(host, &root, &config.file_label, self.control)?;
        let placed = Placed {
            bytes: files.bytes,
            files: files.placed.len() as u64,
        };
        let staged = self.stage(files.placed)?;
        self.control.check()?;
        self.put(&root, &content, staged)?;
        if let Some(services) = host.services()? {
            services.reload()?;
        }

        if enable {
            self.begin(Part::Enablement)?;
            if let Some(services) = host.services()? {
                services.enable(&config.host_unit)?;
            }
        }
        self.control.check()?;
        Ok(Some(placed))
    }

    /// A part is begun, and in the journal, unless the verb was told to stop.
    fn begin(&mut self, part: Part) -> Result<()> {
        self.control.check()?;
        self.control.observer.begins(part);
        if !KNOWN.contains(&part) {
            self.journal.record(&Step::Begin { part })?;
        }
        self.begun.push(part);
        Ok(())
    }

    /// Writes all files that tell of the sandbox, none of which has its name yet.
    fn stage(&mut self, placed: Vec<PlacedFile>) -> Result<StagedFiles> {
        let (host, config) = (self.host, &self.plan.config);
        self.begin(Part::Manifest)?;
        let manifest = manifest::manifest(self.plan, self.facts, placed);
        let manifest = host.store().manifest_stage(&manifest)?;
        self.begin(Part::Config)?;
        let stored = host.store().stage(config)?;
        self.begin(Part::Unit)?;
        let (dir, uuid) = (host.unit_dir(), self.identity.uuid);
        Ok(StagedFiles {
            manifest,
            config: stored,
            unit: StagedUnit::write(&dir, &config.host_unit, uuid, &self.plan.unit)?,
        })
    }

    /// Has the tree, the files and the reservations last, gives them their names, and has the names
    /// last: two waits for the disk, where all of it is on one file system.
    fn put(&self, root: &Root, content: &Content, staged: StagedFiles) -> Result<()> {
        let (store, config) = (self.host.store(), &self.plan.config);
        let synced = root.device()?;
        at_once(&[
            &|| Ok(root.sync()?),
            &|| Ok(staged.manifest.sync_unless_on(synced)?),
            &|| Ok(staged.config.sync_unless_on(synced)?),
            &|| staged.unit.sync_unless_on(synced),
            &|| Ok(store.sync_reservations(synced)?),
        ])?;

        content.publish()?;
        store.manifest_put(staged.manifest)?;
        store.put(config, staged.config)?;
        staged.unit.put(&config.name)?;

        let [state, memory, services] = store.named(&config.name);
        let unit_dir = self.host.unit_dir();
        at_once(&[
            &|| content.sync_name(),
            &|| Ok(store.sync_names(&state)?),
            &|| Ok(store.sync_names(&memory)?),
            &|| Ok(store.sync_names(&services)?),
            &|| host_unit::sync_names(&unit_dir),
        ])
    }

    fn reserve(&self, uuid: Uuid) -> Result<bool> {
        let (store, config) = (self.host.store(), &self.plan.config);
        let categories = config.label.level().clearance();
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

/// Does all of these, each of which waits for the disk: together they wait hardly longer than one.
/// The error of the first that has one.
fn at_once(waits: &[&(dyn Fn() -> Result<()> + Sync)]) -> Result<()> {
    if !has_processors() {
        return waits.iter().try_for_each(|wait| wait());
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = waits.iter().map(|wait| scope.spawn(wait)).collect();
        let mut result = Ok(());
        for (thread, wait) in threads.into_iter().zip(waits) {
            // one that panicked does so here too, and is told by it
            result = result.and(thread.join().unwrap_or_else(|_| wait()));
        }
        result
    })
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
