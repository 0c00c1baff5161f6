//! Unit files as systemd reads them, and systemd itself over D-Bus.
//!
//! The plan reads the host's units from disk, since what it makes will be read by another systemd
//! than the host's, and the host may run none:
//!
//! 1. [`load`] finds a unit by systemd's own rules: search path, templates, aliases, masks,
//!    drop-ins; of an init script, the unit that systemd makes of it. [`names`] lists what there is,
//!    for suggestions.
//! 2. [`text`] takes each file apart without loss; [`Settings`] applies them in order, with the
//!    resets that an empty value makes. [`expand`] replaces specifiers.
//! 3. [`paths_named`] says which paths the unit names.
//! 4. [`write()`] is the way back, for the units that we make: proven by reading them again.
//! 5. [`ServiceManager`] is what the project asks of a running systemd: the host's, or that of a
//!    container over its private socket, [`Systemd`].
//!
//! What systemd ignores of a file's content is ignored, and said; what it doesn't load is an error.

mod error;
mod files;
mod manager;
pub mod paths;
pub mod pattern;
mod private_bus;
mod properties;
mod search;
mod settings;
mod specifier;
mod systemd;
mod sysv;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
mod words;
mod write;

pub use error::{Error, Result};
pub use manager::{JobResult, ManagerError, ManagerResult, ServiceManager, UnitStatus, is_booted};
pub use paths::{NamedPath, PathKind, paths_named};
pub use search::{IgnoredLine, LoadedUnit, drop_ins, find_file, load, names};
pub use settings::{Setting, Settings};
pub use specifier::{SpecifierContext, escape, expand, for_any_instance, unescape};
pub use systemd::{Limits, Systemd};
pub use write::{exec_argument, write};
