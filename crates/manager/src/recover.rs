//! What earlier commands left when they were cut short: an unfinished create is undone, an
//! unfinished delete is finished.
//!
//! A create is undone and not finished because whoever asked for it saw it fail, and may ask again
//! with other options; a delete is finished because half a sandbox is of no use to anybody.

use std::time::Duration;

use vss_config::Lock;
use vss_model::SandboxName;

use crate::control::{Control, Notice};
use crate::delete;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::journal::{self, Unfinished, Verb};
use crate::lifecycle::{self, Stop};
use crate::outcome::Part;
use crate::removal;

/// How often to look whether another command's work on a sandbox is over.
const LOOK: Duration = Duration::from_millis(50);

/// Cleans up after all changes that were cut short and that nobody works on. What can't be cleaned
/// up is told as a notice: it must not stop a command on another sandbox.
///
/// # Errors
/// Where the directory of journals can't be read.
pub fn recover(host: &Host, control: &Control<'_>) -> Result<()> {
    for name in host.store().pending()? {
        // whoever has the lock is at work on it
        let Some(lock) = host.store().try_lock(&name)? else {
            continue;
        };
        match recover_locked(host, &name, false, control) {
            Ok(_) => host.store().tidy(lock)?,
            Err(error) => control.notice(&Notice::RecoveryFailed {
                name,
                error: error.with_causes(),
            }),
        }
    }
    Ok(())
}

/// Waits for the right to change a sandbox.
pub(crate) fn lock(host: &Host, name: &SandboxName, control: &Control<'_>) -> Result<Lock> {
    let mut told = false;
    loop {
        let lock = host.store().try_lock(name)?;
        control.check()?;
        if let Some(lock) = lock {
            return Ok(lock);
        }
        if !told {
            control.notice(&Notice::Waiting(name.clone()));
            told = true;
        }
        std::thread::sleep(LOOK);
    }
}

/// Refuses a sandbox that a change is at work on, or has left half made or half removed.
pub(crate) fn refuse_unfinished(host: &Host, name: &SandboxName) -> Result<()> {
    let Some(journal) = host.store().journal(name)? else {
        return Ok(());
    };
    let unfinished = journal::read(journal)?;
    let is_abandoned = host.store().is_abandoned(name)?;
    // or it has just come to its end
    let is_there = is_abandoned || host.store().is_pending(name)?;
    if unfinished.has_begun() && is_there {
        return Err(Error::Unfinished {
            name: name.clone(),
            verb: unfinished.verb.as_str(),
            under_way: !is_abandoned,
        });
    }
    Ok(())
}

/// Cleans up after a change that was cut short, under the lock of its sandbox; whether there was
/// one. What runs all the same is stopped first by `force`, and else left alone.
pub(crate) fn recover_locked(
    host: &Host,
    name: &SandboxName,
    force: bool,
    control: &Control<'_>,
) -> Result<bool> {
    let Some(journal) = host.store().journal(name)? else {
        return Ok(false);
    };
    let unfinished = journal::read(journal)?;
    if !unfinished.has_begun() {
        // nothing is taken yet, and the journal may not tell yet what goes and what stays
        unfinished.journal.finish()?;
        return Ok(false);
    }
    let notice = match unfinished.verb {
        Verb::Create => Notice::UndoneCreate(name.clone()),
        Verb::Delete => Notice::FinishedDelete(name.clone()),
    };
    if lifecycle::is_running(host, &unfinished.identity)? {
        if !force {
            return Err(Error::Running(name.clone()));
        }
        lifecycle::halt(host, &unfinished.identity, None, Stop::Graceful, control)?;
    }
    let run_lock = host
        .store()
        .run_lock(name)?
        .ok_or_else(|| Error::Running(name.clone()))?;
    finish(host, unfinished)?;
    run_lock.discard()?;
    control.notice(&notice);
    Ok(true)
}

/// Takes the parts away that an unfinished create began, or all that an unfinished delete had yet
/// to take.
fn finish(host: &Host, unfinished: Unfinished) -> Result<()> {
    for part in removal::ORDER {
        let wanted = match unfinished.verb {
            Verb::Create => unfinished.begun.contains(&part),
            Verb::Delete => !(part == Part::Content && unfinished.keep_content),
        };
        if wanted {
            removal::remove(host, &unfinished.identity, part)?;
        }
    }
    removal::settle(host, &unfinished.identity)?;
    let released = match unfinished.verb {
        Verb::Create => Ok(()),
        Verb::Delete => delete::release_network(host, None),
    };
    unfinished.journal.finish()?;
    released
}
