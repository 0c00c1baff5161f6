//! `docs/threats.md` and the tests of the repository say the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What has to be survived today.
const REQUIRED: [&str; 38] = [
    "A01", "A02", "A03", "A04", "A06", "A07", "A08", "A09", "A10", "A12", "A14", "A15", "A16",
    "A17", "A18", "A20", "A21", "A22", "A24", "A26", "A27", "A28", "A32", "A33", "A34", "A35",
    "A39", "A40", "A41", "A42", "A43", "A47", "A48", "A49", "A50", "A51", "A52", "A56",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The names of functions that begin with a number of the list.
fn numbered(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            numbered(&path, found);
        } else {
            // of Rust, and the functions of the machine's cases
            let is_rust = path.extension().is_some_and(|e| e == "rs");
            let begin = if is_rust { "fn " } else { "" };
            let text = fs::read_to_string(&path).unwrap_or_default();
            let names = text.lines().filter_map(|line| {
                let name = line.trim().strip_prefix(begin)?.split_once('(')?.0;
                let number = name.strip_prefix('a')?.split('_').next()?;
                let is_number = number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit());
                is_number.then(|| name.to_owned())
            });
            found.extend(names);
        }
    }
}

#[test]
fn each_row_has_tests_and_each_test_has_a_row() {
    let mut tests = BTreeSet::new();
    numbered(&root().join("crates"), &mut tests);
    numbered(&root().join("tests"), &mut tests);
    let tested: BTreeSet<String> = tests.iter().map(|name| name[..3].to_uppercase()).collect();
    let table = fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let rows: BTreeSet<String> = table
        .lines()
        .filter(|line| line.starts_with("| A"))
        .map(|line| line[2..5].to_owned())
        .collect();
    assert_eq!(tested, rows);
    let lacking: Vec<_> = REQUIRED.iter().filter(|n| !rows.contains(**n)).collect();
    assert!(lacking.is_empty(), "without a row: {lacking:?}");
}
