//! `explain`: why a path is private, shared, masked or absent.

use vss_model::{AbsPath, SandboxName};
use vss_plan::CreateRequest;
use vss_plan::root_plan::{Explanation, PlanEntry, RootPlan};

use crate::create;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::traces;

/// Of a sandbox that exists: by its manifest, so as it was decided when it was created.
///
/// # Errors
/// Where there is no such sandbox, or its manifest is lost or damaged.
pub fn stored(host: &Host, name: &SandboxName, path: &AbsPath) -> Result<Explanation> {
    let config = traces::load(host, name)?;
    let manifest = host
        .store()
        .manifest_load(name)?
        .filter(|manifest| manifest.uuid == config.uuid)
        .ok_or_else(|| Error::NoManifest(name.clone()))?;
    let entries = manifest
        .entries
        .into_iter()
        .map(|entry| PlanEntry {
            path: entry.path,
            disposition: entry.disposition,
            causes: entry.causes,
            bytes: None,
            files: None,
        })
        .collect();
    Ok(RootPlan { entries }.explain(path))
}

/// Of a sandbox that would be created.
///
/// # Errors
/// As [`create::plan`].
pub fn requested(host: &Host, request: &CreateRequest, path: &AbsPath) -> Result<Explanation> {
    Ok(create::plan(host, request)?.root.explain(path))
}
