//! What was put into a container's content, and why: the memory of `explain`, `diff` and
//! `upgrade`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cause::Cause;
use crate::disposition::Disposition;
use crate::name::SandboxName;
use crate::package::PackageName;
use crate::path::AbsPath;

/// The manifest of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The sandbox.
    pub name: SandboxName,
    /// Its UUID.
    pub uuid: Uuid,
    /// The packages of the closure and their versions at that time.
    pub packages: Vec<(PackageName, String)>,
    /// The plan's entries, ordered by path: one per subtree.
    pub entries: Vec<ManifestEntry>,
    /// Every regular file and link that was put there, ordered by path.
    pub files: Vec<PlacedFile>,
}

/// An entry of the plan, as it was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The path inside the container.
    pub path: AbsPath,
    /// What became of it.
    #[serde(flatten)]
    pub disposition: Disposition,
    /// Why: the deciding cause first.
    pub causes: Vec<Cause>,
}

/// A file as it was put into the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedFile {
    /// The path inside the container.
    pub path: AbsPath,
    /// The type and permission bits (`st_mode`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// SHA-256 of the bytes in hexadecimal; of a link, of its target. `None` for data below
    /// `/var`, which is the service's own business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The package that lists it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageName>,
}
