//! A unit file as ordered sections of assignments (systemd.syntax(7)).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A unit file to be written: sections and assignments in order, comments with them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitFile {
    /// Comment lines at the top, without their `# `.
    pub header: Vec<String>,
    /// The sections, in order.
    pub sections: Vec<Section>,
}

/// A section of a unit file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its name, without brackets.
    pub name: String,
    /// Its assignments, in order, repeats included.
    pub entries: Vec<(String, String)>,
}

impl UnitFile {
    /// A unit file with these comment lines and no section.
    #[must_use]
    pub fn new(header: &[&str]) -> Self {
        Self {
            header: header.iter().map(|&s| s.to_owned()).collect(),
            sections: Vec::new(),
        }
    }

    /// Adds a section.
    #[must_use]
    pub fn section(mut self, name: &str, entries: &[(&str, &str)]) -> Self {
        self.sections.push(Section {
            name: name.to_owned(),
            entries: entries
                .iter()
                .map(|&(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        });
        self
    }

    /// All values of a key in a section, in order.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.sections
            .iter()
            .filter(move |s| s.name == section)
            .flat_map(|s| &s.entries)
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }
}

impl fmt::Display for UnitFile {
    /// The text of the file. A line break or other control character in a value can't end the
    /// line: it becomes a space, as nothing that we write needs one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line = |s: &str| s.replace(|c: char| c.is_control(), " ");
        for line in &self.header {
            writeln!(f, "# {}", one_line(line))?;
        }
        for section in &self.sections {
            writeln!(f, "\n[{}]", one_line(&section.name))?;
            for (key, value) in &section.entries {
                writeln!(f, "{}={}", one_line(key), one_line(value))?;
            }
        }
        Ok(())
    }
}

/// Text for a place where systemd expands specifiers: each `%` doubled (systemd.unit(5)).
#[must_use]
pub fn escape_specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a17_a_value_can_not_begin_a_line_of_its_own() {
        let unit = UnitFile::new(&["made for\nExecStart=/bad"]).section(
            "Unit",
            &[("Description", "x\n[Service]\nExecStart=/bin/bad")],
        );
        let text = unit.to_string();
        assert_eq!(
            text,
            "# made for ExecStart=/bad\n\n[Unit]\nDescription=x [Service] ExecStart=/bin/bad\n"
        );
        assert_eq!(escape_specifiers("a%ib"), "a%%ib");
    }
}
