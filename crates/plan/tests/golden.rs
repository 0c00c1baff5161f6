//! Recorded facts and the plans that follow from them. A case is a folder of `golden/`:
//! `request.json` and `facts.json` (recorded on a host, one fact a line) lead to `plan.txt`,
//! `config.json`, `domain.json` and `unit.service`. With `SNAPSHOTS=overwrite` the latter are written
//! anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail: only its own functions are known as tests to clippy"
)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use vss_model::{CopyScope, Disposition, MaskKind};
use vss_plan::{
    CreateRequest, Facts, PlanEntry, PlannedPackage, Progress, Rules, SandboxPlan, discover, plan,
};

fn cases() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<PathBuf> = fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn line(entry: &PlanEntry) -> String {
    let what = match &entry.disposition {
        Disposition::Copy {
            scope: CopyScope::Tree,
        } => "copy tree",
        Disposition::Copy {
            scope: CopyScope::Node,
        } => "copy",
        Disposition::Mask {
            how: MaskKind::NullLink,
        } => "mask with /dev/null",
        other => other.word(),
    };
    let causes: Vec<String> = entry.causes.iter().map(ToString::to_string).collect();
    format!("{what} {} <- {}", entry.path, causes.join(" | "))
}

fn shown(plan: &SandboxPlan) -> String {
    let mut out = String::new();
    for unit in &plan.units {
        writeln!(out, "unit {unit}").unwrap();
    }
    for PlannedPackage { name, version } in &plan.packages {
        writeln!(out, "package {name} {version}").unwrap();
    }
    for entry in &plan.root.entries {
        writeln!(out, "{}", line(entry)).unwrap();
    }
    for skipped in &plan.skipped {
        writeln!(out, "skipped {}: {}", skipped.path, skipped.reason).unwrap();
    }
    for warning in &plan.warnings {
        writeln!(out, "warning: {warning}").unwrap();
    }
    out
}

#[test]
fn recorded_facts_lead_to_the_recorded_plans() {
    let update = std::env::var_os("SNAPSHOTS").is_some_and(|how| how == "overwrite");
    let rules = Rules::builtin().unwrap();
    assert!(!cases().is_empty());
    for case in cases() {
        let request: CreateRequest = read(&case.join("request.json"));
        let facts: Facts = read(&case.join("facts.json"));
        match discover(&request, &rules, &facts).unwrap() {
            Progress::Done => {}
            Progress::Need(queries) => panic!("{}: record {queries:?} too", case.display()),
        }
        let plan = plan(&request, &rules, &facts).unwrap();
        for (file, text) in [
            ("plan.txt", shown(&plan)),
            ("config.json", json(&plan.config)),
            ("domain.json", json(&plan.domain)),
            ("unit.service", plan.unit.to_string()),
        ] {
            let file = case.join(file);
            if update {
                fs::write(&file, &text).unwrap();
            }
            let expected = fs::read_to_string(&file).unwrap_or_default();
            assert_same(&file, &expected, &text);
        }
    }
}

/// Fails with the first line that differs.
fn assert_same(file: &Path, expected: &str, found: &str) {
    let differs = expected
        .lines()
        .zip(found.lines())
        .position(|(a, b)| a != b);
    let n = differs.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
    assert!(
        expected == found,
        "{} line {}: expected\n  {}\nfound\n  {}\nSNAPSHOTS=overwrite writes it anew",
        file.display(),
        n + 1,
        expected.lines().nth(n).unwrap_or("(the end)"),
        found.lines().nth(n).unwrap_or("(the end)"),
    );
}

fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text
}
