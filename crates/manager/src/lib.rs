//! What the verbs of `virt-sandbox-service` do, without a word printed.
//!
//! This crate knows all others and nobody but the command knows it. A verb is one call here; it
//! takes a [`Control`] (may it go on, who wants to hear) and returns an outcome that the command
//! renders, or an [`Error`] whose [`kind`](Error::kind) is the exit status and whose
//! [`hint`](Error::hint) says what to run next.

pub mod control;
mod enablement;
pub mod error;
pub mod hostkey;
mod lifecycle;
pub mod outcome;
mod process;

pub use control::{Control, Notice, Observer, Quiet};
pub use error::{Error, Kind, Result};
