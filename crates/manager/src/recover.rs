//! What earlier commands left when they were cut short: an unfinished create is undone, an
//! unfinished delete is finished.
//!
//! A create is undone and not finished because whoever asked for it saw it fail, and may ask again
//! with other options; a delete is finished because half a sandbox is of no use to anybody.

use vss_config::Lock;
use vss_model::SandboxName;

use crate::control::{Control, Notice};
use crate::delete;
use crate::error::Result;
use crate::host::Host;
use crate::journal::{self, Unfinished, Verb};
use crate::outcome::Part;
use crate::removal;

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
        match recover_locked(host, &name, control) {
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
    let notice = |_| control.notice(&Notice::Waiting(name.clone()));
    let lock = host.store().lock(name, notice)?;
    control.check()?;
    Ok(lock)
}

/// Cleans up after a change that was cut short, under the lock of its sandbox; whether there was
/// one.
pub(crate) fn recover_locked(
    host: &Host,
    name: &SandboxName,
    control: &Control<'_>,
) -> Result<bool> {
    let Some(journal) = host.store().journal(name)? else {
        return Ok(false);
    };
    let unfinished = journal::read(journal)?;
    if unfinished.verb == Verb::Delete && unfinished.begun.is_empty() {
        // nothing is taken yet, and the journal may not tell yet what goes and what stays
        unfinished.journal.finish()?;
        return Ok(false);
    }
    let notice = match unfinished.verb {
        Verb::Create => Notice::UndoneCreate(name.clone()),
        Verb::Delete => Notice::FinishedDelete(name.clone()),
    };
    finish(host, unfinished)?;
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
