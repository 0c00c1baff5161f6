//! Values as text or JSON.
//!
//! A renderer takes a value of the manager and something to write to. Text that came out of a
//! container or a file goes through [`vss_model::Sanitized`] here, whatever was done to it before.

pub(crate) mod created;
pub(crate) mod deleted;
pub(crate) mod explain;
pub(crate) mod list;
pub(crate) mod moment;
pub(crate) mod plan;
pub(crate) mod status;
pub(crate) mod table;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use vss_model::SandboxState;

/// Writes a value as indented JSON and a line break.
///
/// `serde_json` escapes what JSON has to, C0 controls among it; the other characters that a
/// terminal could obey are escaped here.
pub(crate) fn json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    let mut buffer = [0u16; 2];
    for c in text.chars() {
        if c != '\n' && vss_model::sanitize::is_unsafe(c) {
            for unit in c.encode_utf16(&mut buffer) {
                write!(out, "\\u{unit:04x}")?;
            }
        } else {
            write!(out, "{c}")?;
        }
    }
    writeln!(out)
}

/// The colour of a state's word; the word alone says it too.
fn state_style(state: SandboxState) -> Style {
    match state {
        SandboxState::Running => AnsiColor::Green.on_default(),
        SandboxState::Starting | SandboxState::Stopping => AnsiColor::Yellow.on_default(),
        SandboxState::Failed
        | SandboxState::Degraded
        | SandboxState::Incomplete
        | SandboxState::Broken => AnsiColor::Red.on_default(),
        SandboxState::Stopped => Style::new(),
    }
}

/// Bytes as people read them: `512 B`, `4.2 KiB`, `1.0 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths of the unit, so that no floating point is needed.
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (4300, "4.1 KiB"),
            (1 << 20, "1.0 MiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn a40_json_has_no_character_that_a_terminal_obeys() {
        let mut out = Vec::new();
        json(&mut out, &["\u{1b}[2J\u{9b}31m\u{202e}\u{7f}ü\n"]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "[\n  \"\\u001b[2J\\u009b31m\\u202e\\u007fü\\n\"\n]\n");
        let back: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(back, ["\u{1b}[2J\u{9b}31m\u{202e}\u{7f}ü\n"]);
    }
}
