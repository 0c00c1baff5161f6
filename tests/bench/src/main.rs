//! The table of times and sizes that `make bench` prints.
//!
//! Runs in a private world (`tests/lab/world`), where the release build is installed. Each figure is
//! the median of several rounds; what is compared alternates within one run, so that a busy machine
//! slows both. A command that fails ends the run with its words and status 1. An aim that is missed
//! is told in the table, and does not: figures depend on the machine.
//!
//! - [`table`] is what is printed.
//! - [`program`] runs commands and times them.
//! - [`answer`] finds the moment of the first HTTP 200.
//! - [`create`], [`start`] and [`many`] measure; [`nspawn`] is what `start` is measured against.

mod answer;
mod create;
mod many;
mod nspawn;
mod program;
mod start;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::table::Table;

/// How many sandboxes there are when there are many.
const MANY: usize = 500;
/// How many of them run.
const RUNNING: usize = 20;

type Part = fn(&mut Table, usize) -> Result<()>;

const PARTS: [(&str, Part); 3] = [
    ("create", create::beside_cp),
    ("start", start::measure),
    ("many", many::measure),
];

/// Where there is room for what the run keeps meanwhile.
fn state_dir() -> PathBuf {
    std::env::var_os("VSS_WORLD").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn main() -> ExitCode {
    let mut table = Table::default();
    match bench(&mut table) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            table::complain(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn bench(table: &mut Table) -> Result<()> {
    ensure!(
        std::env::var_os("VSS_WORLD").is_some(),
        "this runs in a private world only, by `make bench`"
    );
    let mut args = std::env::args().skip(1);
    let rounds = match args.next() {
        Some(text) => text.parse().context("ROUNDS is no number")?,
        None => 7,
    };
    ensure!(rounds > 0, "at least one round");
    let wanted: Vec<String> = args.collect();
    table.head(rounds);
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part(table, rounds)?;
        }
    }
    Ok(())
}
