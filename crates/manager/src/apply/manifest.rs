//! The manifest of what was just put there.

use std::collections::HashMap;

use vss_model::manifest::PlacedFile;
use vss_model::{AbsPath, Manifest, ManifestEntry, PackageName};
use vss_plan::{Answer, Facts, SandboxPlan};

pub(super) fn manifest(plan: &SandboxPlan, facts: &Facts, files: Vec<PlacedFile>) -> Manifest {
    let packages = packages_of_files(facts);
    let files = files
        .into_iter()
        .map(|file| PlacedFile {
            package: packages.get(&file.path).map(|&name| name.clone()),
            ..file
        })
        .collect();
    Manifest {
        name: plan.config.name.clone(),
        uuid: plan.config.uuid,
        packages: plan
            .packages
            .iter()
            .map(|p| (p.name.clone(), p.version.clone()))
            .collect(),
        entries: plan
            .root
            .entries
            .iter()
            .map(|entry| ManifestEntry {
                path: entry.path.clone(),
                disposition: entry.disposition.clone(),
                causes: entry.causes.clone(),
            })
            .collect(),
        files,
    }
}

/// The package of each path, as far as the plan asked about packages.
fn packages_of_files(facts: &Facts) -> HashMap<&AbsPath, &PackageName> {
    facts
        .iter()
        .filter_map(|(_, answer)| match answer {
            Answer::Package(Some(package)) => Some(package),
            _ => None,
        })
        .flat_map(|package| package.files.iter().map(move |f| (&f.path, &package.name)))
        .collect()
}
