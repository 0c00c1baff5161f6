//! What the journal of a change holds, and how it is read back.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use vss_config::{Beginning, Journal};
use vss_model::UnitName;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::outcome::Part;
use crate::removal::Identity;

/// A change that is journalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Undone when it was cut short.
    Create,
    /// Finished when it was cut short.
    Delete,
}

impl Verb {
    /// Its name on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
        }
    }
}

/// A record of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(crate) enum Step {
    /// A host unit that belongs to the sandbox: that of its config first.
    HostUnit {
        /// Its name.
        unit: UnitName,
    },
    /// The content is not to be removed.
    KeepContent,
    /// A part is about to be made (create) or removed (delete), now or later.
    Begin {
        /// Which.
        part: Part,
    },
}

/// A change that was cut short.
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// Which.
    pub(crate) verb: Verb,
    /// Of which sandbox.
    pub(crate) identity: Identity,
    /// The parts that were begun.
    pub(crate) begun: Vec<Part>,
    /// Whether the content stays.
    pub(crate) keep_content: bool,
    /// The journal itself.
    pub(crate) journal: Journal,
}

impl Unfinished {
    /// Whether it has made or taken anything yet. A create begins with its journal.
    pub(crate) fn has_begun(&self) -> bool {
        self.verb == Verb::Create || !self.begun.is_empty()
    }
}

/// Begins a change of which it is known by now that it will make or take these parts.
pub(crate) fn begin(
    host: &Host,
    verb: Verb,
    identity: &Identity,
    parts: &[Part],
) -> Result<Journal> {
    let began = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let beginning = Beginning {
        verb: verb.as_str().to_owned(),
        name: identity.name.clone(),
        uuid: identity.uuid,
        content: identity.content.clone(),
        began,
    };
    let units = identity.units().cloned();
    let steps: Vec<Step> = units
        .map(|unit| Step::HostUnit { unit })
        .chain(parts.iter().map(|&part| Step::Begin { part }))
        .collect();
    Ok(host.store().begin(beginning, &steps)?)
}

/// What a journal says of a change that was cut short.
pub(crate) fn read(journal: Journal) -> Result<Unfinished> {
    let beginning = journal.beginning().clone();
    let verb = [Verb::Create, Verb::Delete]
        .into_iter()
        .find(|verb| verb.as_str() == beginning.verb)
        .ok_or_else(|| Error::UnknownChange {
            name: beginning.name.clone(),
            verb: beginning.verb.clone(),
        })?;
    let (mut begun, mut keep_content, mut units) = (Vec::new(), false, Vec::new());
    for step in journal.steps::<Step>()? {
        match step {
            Step::HostUnit { unit } => units.push(unit),
            Step::KeepContent => keep_content = true,
            Step::Begin { part } => begun.push(part),
        }
    }
    let mut units = units.into_iter();
    Ok(Unfinished {
        verb,
        identity: Identity {
            name: beginning.name,
            uuid: beginning.uuid,
            content: beginning.content,
            host_unit: units.next(),
            stray_unit: units.next(),
            users: None,
        },
        begun,
        keep_content,
        journal,
    })
}
