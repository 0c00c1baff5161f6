//! Writing unit files so that systemd reads what was meant.

use vss_model::UnitFile;

use crate::error::{Error, Result};
use crate::text;

/// The text of a unit file, proven by reading it back.
///
/// # Errors
/// Where a key or value would be read as another: a control character, a backslash at the end,
/// which would swallow the next line, white space around it.
pub fn write(unit: &UnitFile) -> Result<String> {
    for section in &unit.sections {
        if section.name.contains(is_control) || section.name.trim() != section.name {
            return Err(unwritable(&section.name, "", "the section's name"));
        }
        for (key, value) in &section.entries {
            check(key, value).map_err(|reason| unwritable(&section.name, key, reason))?;
        }
    }
    let text = unit.to_string();
    let parsed = text::parse(text.as_bytes());
    let meant = unit.sections.iter().flat_map(|s| {
        s.entries
            .iter()
            .map(|(k, v)| (s.name.as_str(), k.as_str(), v.as_str()))
    });
    let read = parsed.assignments().map(|a| (a.section, a.key, a.value));
    if meant.eq(read) {
        Ok(text)
    } else {
        Err(unwritable(
            "the unit file",
            "",
            "it would be read as another",
        ))
    }
}

fn unwritable(section: &str, key: &str, reason: &'static str) -> Error {
    Error::Unwritable {
        directive: format!("[{section}] {key}="),
        reason,
    }
}

fn is_control(c: char) -> bool {
    c.is_control()
}

fn check(key: &str, value: &str) -> Result<(), &'static str> {
    if key.is_empty() || key.contains(|c: char| c == '=' || c.is_whitespace() || c.is_control()) {
        Err("its key is none")
    } else if key.starts_with(['[', '#', ';']) {
        Err("its key would be read as a header or comment")
    } else if value.contains(is_control) {
        Err("its value has a control character")
    } else if text::trim(value) != value {
        Err("white space around its value would be lost")
    } else if value.ends_with('\\') {
        Err("its value ends with a backslash, which would join the next line")
    } else {
        Ok(())
    }
}

/// One argument of an `Exec` line: quoted where need be, with `%` and `$` doubled, so that the
/// program gets exactly this text (systemd.service(5), COMMAND LINES).
///
/// # Errors
/// Where it has a control character.
pub fn exec_argument(argument: &str) -> Result<String> {
    if argument.contains(is_control) {
        return Err(Error::Unwritable {
            directive: format!("the argument {argument:?}"),
            reason: "it has a control character",
        });
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@".contains(c);
    let escaped = argument.replace('%', "%%").replace('$', "$$");
    if !argument.is_empty() && argument.chars().all(plain) {
        return Ok(escaped);
    }
    let inside = escaped.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("\"{inside}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;
    use proptest::prelude::*;

    #[test]
    fn a17_what_would_be_read_as_another_is_refused() {
        for (key, value) in [
            ("K", "a\n[Service]"),
            ("K", "a\\"),
            ("K", " a"),
            ("K", "a\u{7f}"),
            ("K=x", "a"),
            ("#K", "a"),
            ("[K", "a"),
            ("", "a"),
        ] {
            let unit = UnitFile::new(&[]).section("Unit", &[(key, value)]);
            assert!(write(&unit).is_err(), "{key:?}={value:?}");
        }
        assert!(write(&UnitFile::new(&[]).section("U\n[X", &[])).is_err());
        let unit = UnitFile::new(&["hello"]).section("Unit", &[("K", "a \\\\ b"), ("K", "")]);
        assert_eq!(write(&unit).unwrap(), "# hello\n\n[Unit]\nK=a \\\\ b\nK=\n");
    }

    proptest! {
        #[test]
        fn a17_what_is_written_is_read_back(
            entries in proptest::collection::vec(("[ -~\u{e4}\n]{0,12}", "[ -~\u{e4}\n\t\\\\]{0,24}"), 0..6),
            header in "[ -~\n]{0,20}",
        ) {
            let pairs: Vec<(&str, &str)> = entries.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let unit = UnitFile::new(&[&header]).section("Service", &pairs);
            if let Ok(text) = write(&unit) {
                let parsed = text::parse(text.as_bytes());
                let read: Vec<(&str, &str)> = parsed.assignments().map(|a| (a.key, a.value)).collect();
                prop_assert_eq!(read, pairs);
            }
        }

        #[test]
        fn a17_an_argument_is_read_back_as_one_word(argument in "[ -~\u{e4}]{0,24}") {
            let written = exec_argument(&argument).unwrap();
            let read = words::split(&format!("/bin/x {written} end"));
            prop_assert_eq!(read.len(), 3, "{}", written);
            prop_assert_eq!(read[1].replace("%%", "%").replace("$$", "$"), argument);
        }
    }
}
