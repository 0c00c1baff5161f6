//! What is stored of each sandbox, and who may change it when.
//!
//! | what | where, below [`Places`] |
//! |---|---|
//! | the config, the one source of truth | `/etc/libvirt-sandbox/services/NAME.sandbox` |
//! | the manifest | `/var/lib/libvirt-sandbox/NAME/manifest` |
//! | the journal of a change that is under way | `/var/lib/libvirt-sandbox/.journal/NAME` |
//! | reservations of labels, addresses and users | `/var/lib/libvirt-sandbox/.labels/`, `.addresses/`, `.users/` |
//! | locks | `/run/libvirt-sandbox/.locks/` |
//! | what the runner knows of a running one | `/run/libvirt-sandbox/NAME/` |
//!
//! What belongs to no single sandbox stands in directories that begin with a dot, because a
//! sandbox may be called `journal` or `labels`, and none can be called `.journal`.
//!
//! A change of a sandbox goes like this:
//!
//! 1. [`Store::lock`] the name, so that nobody else changes it.
//! 2. [`Store::journal`] tells whether an earlier change was cut short, to be finished or undone.
//! 3. [`Store::begin`] a journal: its first record holds verb, name, content and UUID.
//! 4. [`Store::reserve_label`], [`Store::reserve_address`], [`Store::reserve_users`]: after the journal, because
//!    only who undoes or finishes a change finds what it reserved ([`Store::release`]).
//! 5. Each step is recorded before it is done, at the beginning or by [`Journal::record`].
//! 6. [`Store::save`] the config, [`Journal::finish`].
//!
//! **Order of locks**, to be taken in this order only, so that no two processes wait for each
//! other: the locks of names ([`Lock`]), in alphabetical order where one process needs several;
//! then the run lock of a name ([`RunLock`]); then the short global lock that reservations take by
//! themselves. A [`Lock`] also holds the store's directories, shared, so that none is tidied away
//! under a change that is under way.
//!
//! Every file is written to a temporary name, synced, renamed, and its directory synced. Each wait
//! for the disk takes 3 to 5 ms, so several files of one change may go through these steps together
//! ([`Staged`]): all of it lasts before the journal goes, and until then the journal has it undone.
//! Files are 0600. What is read is checked first: a regular file, no link, owned by root (or by whoever runs
//! this), writable by nobody else, and no larger than its kind can be.

mod access;
mod all;
mod claim;
mod directories;
mod durable;
mod error;
mod format;
mod inherit;
mod journal;
mod lock;
mod manifest;
mod places;
mod reservation;
mod runtime;
mod store;

pub use claim::Claim;
pub use durable::Staged;
pub use error::{ConfigProblem, Error, Untrusted};
pub use format::{parse, render};
pub use journal::{Beginning, Journal};
pub use lock::{Holder, Lock, RunLock};
pub use places::Places;
pub use reservation::{AddressReservation, InUse, LabelReservation, UsersReservation};
pub use runtime::{Confined, Failure, Phase, RuntimeState};
pub use store::{Saved, Store};

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
