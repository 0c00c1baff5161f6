//! `delete`: all that carries the sandbox's UUID goes, and nothing else.

use vss_model::{NetworkChoice, SandboxConfig, SandboxName, Sanitized};

use crate::content::Ownership;
use crate::control::Control;
use crate::error::{Error, IoContext, Result};
use crate::host::Host;
use crate::journal::{self, Step, Verb};
use crate::lifecycle::{self, Stop};
use crate::outcome::{DeleteOutcome, Kept, Part, Removal};
use crate::recover;
use crate::removal::{self, Identity};
use crate::traces::{self, Found};

/// Why what is at one of the sandbox's places stays there.
const UNMARKED: &str = "it does not carry the sandbox's UUID";

/// What `delete` is allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    /// `--force`: a running one is stopped first; a config without a UUID goes too, and content that
    /// [`DeleteOptions::keep_content`] had left.
    pub force: bool,
    /// `--keep-content`: the directory with its own files stays.
    pub keep_content: bool,
}

/// What `delete` would remove. Nothing is changed.
///
/// # Errors
/// Where there is no trace of the sandbox; and, without [`DeleteOptions::force`], where it runs or
/// nothing but kept content is left of it.
pub fn plan(host: &Host, name: &SandboxName, options: &DeleteOptions) -> Result<DeleteOutcome> {
    survey(host, &find(host, name)?, options)
}

/// Removes a sandbox, whatever of it is left.
///
/// # Errors
/// As [`plan`], and where a part can't be removed; the next command goes on then.
pub fn delete(
    host: &Host,
    name: &SandboxName,
    options: &DeleteOptions,
    control: &Control<'_>,
) -> Result<DeleteOutcome> {
    let what = || format!("anything of {name} was removed; it may be stopped, now or soon");
    // once it removes, it goes on to the end
    stop_and_remove(host, name, options, control).map_err(|error| error.interrupted(name, what))
}

fn stop_and_remove(
    host: &Host,
    name: &SandboxName,
    options: &DeleteOptions,
    control: &Control<'_>,
) -> Result<DeleteOutcome> {
    // a delete that was cut short is finished first: asking for it once more is no error
    let lock = recover::lock(host, name, control)?;
    let finished = recover::recover_locked(host, name, options.force, control)?;
    let found = match find(host, name) {
        Err(Error::NoSandbox { .. }) if finished => {
            host.store().tidy(lock)?;
            return Ok(nothing_left(name));
        }
        // a delete killed in its very last steps leaves empty directories and no sandbox
        Err(error @ Error::NoSandbox { .. }) => {
            host.store().tidy(lock)?;
            return Err(error);
        }
        other => other?,
    };
    let outcome = match survey(host, &found, options) {
        Err(error @ Error::OnlyContent { .. }) => {
            host.store().tidy(lock)?;
            return Err(error);
        }
        other => other?,
    };
    if outcome.running {
        let config = found.config.as_ref();
        lifecycle::halt(host, &found.identity, config, Stop::Graceful, control)?;
    }
    let run_lock = host
        .store()
        .run_lock(name)?
        .ok_or_else(|| Error::Running(name.clone()))?;
    control.check()?;
    remove(host, &found, options)?;
    run_lock.discard()?;
    host.store().tidy(lock)?;
    Ok(outcome)
}

/// Takes the project's own network away with the last sandbox on it.
pub(crate) fn release_network(host: &Host, config: Option<&SandboxConfig>) -> Result<()> {
    let is_own = |config: &SandboxConfig| {
        let network = config.network.as_ref();
        network.is_some_and(|network| network.network == NetworkChoice::OWN)
    };
    if !config.is_none_or(is_own) {
        return Ok(());
    }
    let release = || match host.networks() {
        Ok(networks) => Ok(networks.release(&host.network_file()).map(drop)?),
        // without libvirt there is no network either
        Err(_) => Ok(()),
    };
    // reservations and not configs: a sandbox that is just being made has one
    let released = host.store().unless_reserved(NetworkChoice::OWN, release)?;
    released.unwrap_or(Ok(()))
}

fn nothing_left(name: &SandboxName) -> DeleteOutcome {
    DeleteOutcome {
        name: name.clone(),
        uuid: None,
        running: false,
        removes: Vec::new(),
        keeps: Vec::new(),
    }
}

fn find(host: &Host, name: &SandboxName) -> Result<Found> {
    match traces::find(host, name)? {
        Some(found) => Ok(found),
        // says which names are near
        None => Err(traces::load(host, name).err().unwrap_or(Error::NoSandbox {
            name: name.clone(),
            near: Vec::new(),
        })),
    }
}

fn remove(host: &Host, found: &Found, options: &DeleteOptions) -> Result<()> {
    let identity = &found.identity;
    let mut journal = journal::begin(host, Verb::Delete, identity, &[])?;
    if options.keep_content {
        journal.record(&Step::KeepContent)?;
    }
    for part in parts(options) {
        journal.record(&Step::Begin { part })?;
        removal::remove(host, identity, part)?;
    }
    if options.force && is_unmarked_file(host, identity) {
        let path = host.places().config(&identity.name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.at("remove", &path)?,
        }
    }
    removal::settle(host, identity)?;
    // before the journal goes, so that a crash leaves no network; one that can't be released
    // keeps no delete from its end
    let released = release_network(host, found.config.as_ref());
    journal.finish()?;
    released
}

fn parts(options: &DeleteOptions) -> impl Iterator<Item = Part> {
    let keep_content = options.keep_content;
    removal::ORDER
        .into_iter()
        .filter(move |part| !(keep_content && *part == Part::Content))
}

/// Whether what [`is_unmarked`] is a file or a link, which goes where that is asked for.
fn is_unmarked_file(host: &Host, identity: &Identity) -> bool {
    let config = host.places().config(&identity.name);
    is_unmarked(host, identity) && config.symlink_metadata().is_ok_and(|found| !found.is_dir())
}

/// Whether something stands at the config's place that doesn't carry the sandbox's UUID.
fn is_unmarked(host: &Host, identity: &Identity) -> bool {
    let store = host.store();
    // one that can't be read for whatever reason tells no UUID either
    store.exists(&identity.name)
        && store.uuid_of(&identity.name).ok().flatten() != Some(identity.uuid)
}

/// What is there of a sandbox, what of it would go and what would stay.
fn survey(host: &Host, found: &Found, options: &DeleteOptions) -> Result<DeleteOutcome> {
    let identity = &found.identity;
    // what was kept on purpose goes on purpose only
    if found.only_content && !options.force && !options.keep_content {
        return Err(Error::OnlyContent {
            name: identity.name.clone(),
            path: identity.content.clone(),
        });
    }
    let mut survey = Survey {
        host,
        identity,
        removes: Vec::new(),
        keeps: Vec::new(),
    };
    let running = lifecycle::is_running(host, identity)?;
    if running && !options.force {
        return Err(Error::Running(identity.name.clone()));
    }
    if running {
        survey.goes(Part::Domain, identity.name.as_str());
    }
    survey.units()?;
    survey.content(options)?;
    survey.manifest();
    survey.stored(options)?;
    Ok(DeleteOutcome {
        name: identity.name.clone(),
        uuid: Some(identity.uuid).filter(|uuid| !uuid.is_nil()),
        running,
        removes: survey.removes,
        keeps: survey.keeps,
    })
}

struct Survey<'a> {
    host: &'a Host,
    identity: &'a Identity,
    removes: Vec<Removal>,
    keeps: Vec<Kept>,
}

impl Survey<'_> {
    fn goes(&mut self, part: Part, what: &str) {
        self.removes.push(Removal {
            part,
            what: Sanitized::text(what).to_string(),
        });
    }

    fn stays(&mut self, part: Part, path: &std::path::Path, why: &str) {
        self.keeps.push(Kept {
            part,
            path: self.host.shown(path),
            why: why.to_owned(),
        });
    }

    fn goes_if_there(&mut self, part: Part, path: &std::path::Path) {
        if path.symlink_metadata().is_ok() {
            let shown = self.host.shown(path).to_string();
            self.goes(part, &shown);
        }
    }

    fn units(&mut self) -> Result<()> {
        for unit in self.identity.units() {
            let file = self.host.unit_file(unit);
            if self.identity.ownership_of(self.host, unit)? == Ownership::Foreign {
                self.stays(Part::Unit, &file, UNMARKED);
                continue;
            }
            for link in self.identity.links(self.host, unit)? {
                let shown = self.host.shown(&link).to_string();
                self.goes(Part::Enablement, &shown);
            }
            self.goes_if_there(Part::Unit, &file);
            let drop_ins = self.host.unit_dir().join(format!("{unit}.d"));
            if drop_ins.symlink_metadata().is_ok() {
                self.stays(
                    Part::Unit,
                    &drop_ins,
                    "drop-ins that this program did not make",
                );
            }
        }
        Ok(())
    }

    fn content(&mut self, options: &DeleteOptions) -> Result<()> {
        for content in self.identity.contents(self.host)? {
            for path in content.present()? {
                if options.keep_content {
                    let path = self.host.path(&path);
                    self.stays(Part::Content, &path, "--keep-content");
                } else {
                    self.goes(Part::Content, &path.to_string());
                }
            }
        }
        let content = self.identity.content_on(self.host)?;
        if content.ownership()? == Ownership::Foreign {
            let path = self.host.path(&self.identity.content);
            self.stays(Part::Content, &path, UNMARKED);
        }
        Ok(())
    }

    fn manifest(&mut self) {
        use vss_config::Error::{NotOurs, Untrusted, Version};
        let (host, name) = (self.host, &self.identity.name);
        let is_ours = match host.store().manifest_load(name) {
            Ok(Some(manifest)) => manifest.uuid == self.identity.uuid,
            Err(NotOurs { .. } | Untrusted { .. } | Version { .. }) => false,
            // one that doesn't read lies in a directory of this program's own
            Ok(None) | Err(_) => true,
        };
        if is_ours {
            self.goes_if_there(Part::Manifest, &host.places().memory(name));
        } else {
            self.stays(Part::Manifest, &host.places().manifest(name), UNMARKED);
        }
    }

    fn stored(&mut self, options: &DeleteOptions) -> Result<()> {
        let (host, name) = (self.host, &self.identity.name);
        for (_, users) in self.identity.admitted(host)? {
            self.goes(Part::Access, &format!("user {}", users.base()));
        }
        let in_use = host.store().in_use()?;
        for label in in_use.labels {
            if label.uuid == self.identity.uuid {
                self.goes(
                    Part::Reservation,
                    &format!("the label s0:{}", label.categories),
                );
            }
        }
        for users in in_use.users {
            if users.uuid == self.identity.uuid {
                let users = users.users;
                let (first, last) = (users.base(), users.last());
                self.goes(Part::Reservation, &format!("the users {first}-{last}"));
            }
        }
        for address in in_use.addresses {
            if address.uuid == self.identity.uuid {
                self.goes(
                    Part::Reservation,
                    &format!("the address {}", address.address),
                );
            }
        }
        self.goes_if_there(Part::Runtime, &host.places().runtime(name));
        let config = host.places().config(name);
        if is_unmarked(host, self.identity) {
            match is_unmarked_file(host, self.identity) {
                true if options.force => self.goes_if_there(Part::Config, &config),
                true => self.stays(
                    Part::Config,
                    &config,
                    &format!("{UNMARKED}; --force removes it"),
                ),
                false => self.stays(Part::Config, &config, "it is a directory; move it away"),
            }
        } else {
            self.goes_if_there(Part::Config, &config);
        }
        Ok(())
    }
}
