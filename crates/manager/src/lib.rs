//! What the verbs of `virt-sandbox-service` do, without a word printed.
//!
//! This crate knows all others, and only the command knows it. A verb is one call here; it takes
//! the [`Host`] and a [`Control`] (may it go on, who wants to hear), and returns an
//! [outcome] that the command renders, or an [`Error`] whose [`kind`](Error::kind) is
//! the exit status and whose [`hint`](Error::hint) says what to run next.
//!
//! How a sandbox comes to be:
//!
//! 1. [`create::create`] first cleans up what commands that were cut short have left
//!    ([`recover`]), and takes the lock of the name.
//! 2. The reader answers what the plan asks of the host, round by round, until it asks no more.
//!    The plan itself is a pure value: `vss_plan`.
//! 3. Apply makes it real, part by part: the reservation of label and address, the content under
//!    a name of its own until it is whole, the manifest, the config, the host unit. Each part is
//!    in the journal before it is begun; when one fails, all are taken away again. A label or
//!    address that was taken meanwhile leads back to 2.
//!
//! [`delete`] takes the same parts away by the same functions, and each of them only what carries
//! the sandbox's UUID. [`lifecycle`] starts and stops, [`inventory`] tells, [`inside`] enters,
//! [`explain`] gives reasons.

mod apply;
mod content;
pub mod control;
pub mod create;
pub mod delete;
mod enablement;
pub mod error;
pub mod explain;
pub mod host;
mod host_unit;
pub mod hostkey;
pub mod inside;
pub mod inventory;
mod journal;
pub mod lifecycle;
pub mod outcome;
mod process;
mod reader;
pub mod recover;
mod removal;
mod rules;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod traces;

pub use control::{Control, Notice, Observer, Quiet};
pub use error::{Error, Kind, Result};
pub use host::Host;
pub use vss_plan::root_plan::{Because, Explanation, Fate, PlanEntry, RootPlan};
pub use vss_plan::{CreateRequest, MEMORY_UNLIMITED_KIB, PlannedPackage, SandboxPlan, Skipped};
