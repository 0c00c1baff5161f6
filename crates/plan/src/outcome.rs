//! What planning comes to: a plan with its warnings, more questions, or an error.

mod error;
mod warning;

use crate::facts::Query;
use crate::request::CreateRequest;
use crate::root_plan::RootPlan;
use serde::{Deserialize, Serialize};
use vss_model::{AbsPath, DomainSpec, PackageName, SandboxConfig, UnitFile, UnitName};

pub use error::PlanError;
pub use warning::Warning;

/// How far [`discover`](crate::discover) has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// These have to be answered next; none of them is answered yet.
    Need(Vec<Query>),
    /// All is known that [`plan`](crate::plan) asks for.
    Done,
}

/// Everything that is made for a sandbox, decided before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxPlan {
    /// What was asked for, templates instantiated.
    pub request: CreateRequest,
    /// What every path is.
    pub root: RootPlan,
    /// What is stored as `NAME.sandbox`.
    pub config: SandboxConfig,
    /// The host unit, to be written as `config.host_unit`.
    pub unit: UnitFile,
    /// What libvirt will be given at each start.
    pub domain: DomainSpec,
    /// The units that run inside, those required included.
    pub units: Vec<UnitName>,
    /// The package closure.
    pub packages: Vec<PlannedPackage>,
    /// Paths that a source names and that are left out, with the reason.
    pub skipped: Vec<Skipped>,
    /// What the administrator should know.
    pub warnings: Vec<Warning>,
}

/// A package whose files are planned with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedPackage {
    /// Its name.
    pub name: PackageName,
    /// The version that is installed.
    pub version: String,
}

/// A path that is named but not taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// The path.
    pub path: AbsPath,
    /// Why.
    pub reason: String,
}

/// What makes a package wholly installed. Only dpkg has such states, and what is unpacked can be
/// configured.
fn finish(package: &PackageName, state: &str) -> String {
    if state.starts_with("half-installed") || state.contains("reinstreq") {
        format!("`apt-get install --reinstall {package}`")
    } else {
        "`dpkg --configure -a`".to_owned()
    }
}
