//! The words of the project as types. No input, no output, no host access.
//!
//! Every crate speaks in these types, so that siblings need not know each other:
//!
//! 1. What an administrator types becomes [`SandboxName`], [`UnitName`], [`Level`], [`AbsPath`]:
//!    parsed once, at the edge, and valid ever after.
//! 2. What a path inside the container becomes is a [`Disposition`], and why is a [`Cause`].
//! 3. What is stored is a [`SandboxConfig`]; what libvirt is given is a [`DomainSpec`]; what
//!    systemd is given is a [`UnitFile`]; what was put where is a [`Manifest`].
//!
//! A value of one of these types is valid by construction: its fields are private where a wrong
//! value could be built, and deserializing goes through the same check as parsing.

pub mod acl;
pub mod cause;
pub mod confinement;
pub mod disposition;
pub mod domain;
pub mod exit;
pub mod handshake;
pub mod id_range;
pub mod installed;
pub mod label;
pub mod manifest;
pub mod name;
pub mod network;
pub mod package;
pub mod path;
pub mod sandbox;
pub mod sanitize;
pub mod state;
pub mod unit_file;
pub mod unit_name;

pub use acl::Acl;
pub use cause::Cause;
pub use confinement::{Confinement, ConfinementChoice};
pub use disposition::{CopyScope, Disposition, Generated, MaskKind};
pub use domain::{DomainSpec, Filesystem, Interface};
pub use id_range::{IdRange, PrivateUsers};
pub use label::{Category, CategorySet, Level, SecurityContext};
pub use manifest::{Manifest, ManifestEntry};
pub use name::SandboxName;
pub use network::{MacAddress, NetworkChoice, NetworkConfig};
pub use package::{FileFlags, Package, PackageFile, PackageName, Relation, RelationKind};
pub use path::AbsPath;
pub use sandbox::SandboxConfig;
pub use sanitize::Sanitized;
pub use state::{InnerState, SandboxState};
pub use unit_file::UnitFile;
pub use unit_name::UnitName;
pub use uuid::Uuid;
