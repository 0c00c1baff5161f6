//! Unit files as systemd reads them, and systemd itself over D-Bus.
//!
//! The plan reads the host's units from disk, since what it makes will be read by another systemd
//! than the host's, and the host may run none:
//!
//! 1. [`load`] finds a unit by systemd's own rules: search path, templates, aliases, masks,
//!    drop-ins. [`names`] lists what there is, for suggestions.
//! 2. [`text`] takes each file apart without loss; [`Settings`] applies them in order, with the
//!    resets that an empty value makes. [`expand`] replaces specifiers.
//! 3. [`paths_named`] and [`dependencies`] say what the unit names; [`Service`] has the rest as
//!    types.
//! 4. [`write`] is the way back, for the units that we make: proven by reading them again.
//!
//! Nothing here fails on a file's content: what systemd ignores is ignored, and said.

mod error;
mod files;
pub mod paths;
mod search;
pub mod service;
mod settings;
mod specifier;
pub mod text;
pub mod timespan;
pub mod words;
mod write;

pub use error::{Error, Result};
pub use paths::{NamedPath, PathKind, paths_named};
pub use search::{LoadedUnit, load, names};
pub use service::{Dependency, Service, ServiceType, Strength, dependencies};
pub use settings::{Setting, Settings, parse_boolean};
pub use specifier::{SpecifierContext, escape, expand, unescape};
pub use timespan::TimeSpan;
pub use write::{exec_argument, write};
