//! `docs/breakouts.md` has a row for each attempt. What stands in it, the machine's cases check.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The case tries these itself: root inside only leaves something for a user of the host.
const OF_THE_CASE: [&str; 2] = ["set-uid-running", "set-uid-stopped"];
/// The levels, and `selinux` with nobody who enforces it.
const LEVELS: usize = 6;

/// The cells of the rows that are about an attempt.
fn rows() -> Vec<Vec<String>> {
    rows_that_begin_with("| `")
}

fn rows_that_begin_with(start: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/breakouts.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with(start));
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

#[expect(clippy::disallowed_methods, reason = "the program under test")]
fn attempts() -> BTreeSet<String> {
    let listed = std::process::Command::new(env!("CARGO_BIN_EXE_breakout"))
        .arg("list")
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn each_attempt_has_a_row_and_each_row_an_attempt() {
    let named = rows().into_iter().map(|row| row[1].replace('`', ""));
    let mut wanted = attempts();
    assert!(wanted.len() > 50, "{wanted:?}");
    wanted.extend(OF_THE_CASE.map(str::to_owned));
    assert_eq!(named.collect::<BTreeSet<_>>(), wanted);
}

/// A refusal that nothing is set against proves nothing.
#[test]
fn each_row_gets_out_somewhere() {
    for row in rows() {
        // Before the first cell and after the last one stands nothing.
        assert_eq!(row.len(), 1 + 2 + LEVELS + 1 + 1, "{row:?}");
        let levels = &row[3..3 + LEVELS];
        assert!(
            levels.iter().all(|cell| cell == "held" || cell == "out"),
            "{row:?}"
        );
        let otherwise = &row[3 + LEVELS];
        assert_eq!(levels[0] == "held", !otherwise.is_empty(), "{row:?}");
    }
}

/// A08 is one of the attempts.
#[test]
fn each_item_of_a_hostile_content_has_a_row_and_an_outcome_at_each_level() {
    let rows = rows_that_begin_with("| A");
    let items: Vec<_> = rows.iter().map(|row| row[1].clone()).collect();
    let wanted = (1..=13).filter(|&item| item != 8);
    let wanted: Vec<_> = wanted.map(|item| format!("A{item:02}")).collect();
    assert_eq!(items, wanted);
    for row in rows {
        assert_eq!(row.len(), 1 + 2 + (LEVELS - 1) + 2 + 1, "{row:?}");
        let outcomes = &row[3..3 + LEVELS - 1];
        assert!(
            outcomes
                .iter()
                .all(|cell| cell == "held" || cell == "refused"),
            "{row:?}"
        );
        assert!(
            row[row.len() - 3..]
                .iter()
                .take(2)
                .all(|cell| !cell.is_empty())
        );
    }
}

/// Some of it harms a machine that nothing protects.
#[test]
#[expect(clippy::disallowed_methods, reason = "the program under test")]
fn nothing_is_tried_where_no_case_has_prepared_it() {
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_breakout"))
        .args(["try", "host-shadow"])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.contains("this is no machine for it"), "{said}");
}
