//! The status file: one paragraph for each package that dpkg knows (deb822(5)).

use std::path::Path;

use vss_model::RelationKind;

use super::lines::{self, Lines};
use super::relation::{self, Alternatives, Target};
use crate::error::{Error, Result};

/// A package, as the status file has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) architecture: String,
    pub(crate) multi_arch: String,
    pub(crate) version: String,
    pub(crate) source: String,
    pub(crate) essential: bool,
    pub(crate) relations: Vec<(RelationKind, Alternatives)>,
    pub(crate) provides: Vec<Target>,
    /// Configuration files, as raw paths.
    pub(crate) conffiles: Vec<Vec<u8>>,
}

/// What a status file says.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) records: Vec<Record>,
    /// Packages that are neither installed nor gone, each with its state.
    pub(crate) unfinished: Vec<(Record, String)>,
}

/// The fields that matter; all others, descriptions above all, are passed over as they are read.
const WANTED: [&str; 15] = [
    "package",
    "status",
    "priority",
    "essential",
    "architecture",
    "multi-arch",
    "source",
    "version",
    "provides",
    "depends",
    "pre-depends",
    "recommends",
    "suggests",
    "enhances",
    "conffiles",
];

/// A paragraph, as its wanted fields.
#[derive(Default)]
struct Paragraph {
    fields: Vec<(&'static str, Vec<u8>)>,
    empty: bool,
}

impl Paragraph {
    fn bytes(&self, name: &str) -> &[u8] {
        self.fields
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(&[], |(_, value)| value)
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.bytes(name)).into_owned()
    }
}

/// Reads a status file.
///
/// # Errors
/// Where it is absent, has no package, or is not what dpkg writes.
pub(crate) fn read(path: &Path) -> Result<Status> {
    let missing = || Error::Read {
        path: path.to_owned(),
        source: std::io::Error::from(std::io::ErrorKind::NotFound),
    };
    let file = lines::open(path)?.ok_or_else(missing)?;
    let mut lines = Lines::new(path, file);
    let mut status = Status::default();
    while let Some(paragraph) = read_paragraph(&mut lines)? {
        if !paragraph.empty {
            take_paragraph(&paragraph, &lines, &mut status)?;
        }
    }
    if status.records.is_empty() && status.unfinished.is_empty() {
        return Err(lines.corrupt("no package is installed according to it"));
    }
    Ok(status)
}

/// The next paragraph; `None` at the end of the file.
fn read_paragraph(lines: &mut Lines<'_>) -> Result<Option<Paragraph>> {
    let mut paragraph = Paragraph {
        fields: Vec::new(),
        empty: true,
    };
    // The index of the field that a continuation line belongs to; `None` while it is an unwanted one.
    let mut current: Option<usize> = None;
    loop {
        let Some(line) = lines.next()? else {
            return Ok((!paragraph.empty).then_some(paragraph));
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(Some(paragraph));
        }
        if matches!(line[0], b' ' | b'\t') {
            if paragraph.empty {
                return Err(lines.corrupt("a continuation line begins a paragraph"));
            }
            if let Some(field) = current {
                let value = &mut paragraph.fields[field].1;
                value.push(b'\n');
                value.extend_from_slice(line);
            }
            continue;
        }
        paragraph.empty = false;
        let Some(colon) = line.iter().position(|&c| c == b':') else {
            return Err(lines.corrupt("neither a field nor a continuation of one"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let known = WANTED
            .iter()
            .find(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name));
        current = known.map(|_| paragraph.fields.len());
        if let Some(known) = known {
            if paragraph.fields.iter().any(|(n, _)| n == known) {
                let reason = format!("the field {known} stands twice in a paragraph");
                return Err(lines.corrupt(reason));
            }
            paragraph.fields.push((known, value.to_vec()));
        }
    }
}

/// Files a paragraph under installed, unfinished, or gone.
fn take_paragraph(paragraph: &Paragraph, lines: &Lines<'_>, status: &mut Status) -> Result<()> {
    let name = paragraph.text("package");
    // The name becomes a part of file names below info/, so nothing but dpkg's own set may pass.
    if !is_package_name(&name) {
        return Err(lines.corrupt(format!(
            "the paragraph that ends here is of no package: its name is {name:?}"
        )));
    }
    let architecture = paragraph.text("architecture");
    if !architecture.is_empty() && !is_package_name(&architecture) {
        return Err(lines.corrupt(format!("{architecture:?} is no architecture")));
    }
    let state = paragraph.text("status");
    let words: Vec<&str> = state.split_whitespace().collect();
    match words.as_slice() {
        [
            _,
            "ok",
            "installed" | "triggers-awaited" | "triggers-pending",
        ] => {
            status.records.push(record(paragraph, name, architecture));
        }
        // What is gone, or left its configuration behind only, is nothing to tell.
        [_, _, "not-installed" | "config-files"] => {}
        [_, "ok", state] => status
            .unfinished
            .push((record(paragraph, name, architecture), (*state).to_owned())),
        [_, flag, state] => status.unfinished.push((
            record(paragraph, name, architecture),
            format!("{state} and marked {flag}"),
        )),
        _ => {
            return Err(lines.corrupt(format!(
                "the status {state:?} of {name} has not three words"
            )));
        }
    }
    Ok(())
}

/// Whether this is what deb-control(5) allows for names of packages and architectures.
fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
}

fn record(paragraph: &Paragraph, name: String, architecture: String) -> Record {
    let mut relations = Vec::new();
    for (field, kind) in [
        ("pre-depends", RelationKind::Depends),
        ("depends", RelationKind::Depends),
        ("recommends", RelationKind::Recommends),
        ("suggests", RelationKind::Suggests),
        ("enhances", RelationKind::Suggests),
    ] {
        let parsed = relation::parse(&paragraph.text(field));
        relations.extend(parsed.into_iter().map(|alternatives| (kind, alternatives)));
    }
    let source = paragraph.text("source");
    // "name (version)" where the source has another version than the package.
    let source = source.split_whitespace().next().unwrap_or(&name).to_owned();
    Record {
        source,
        architecture,
        multi_arch: paragraph.text("multi-arch"),
        version: paragraph.text("version"),
        essential: paragraph.bytes("essential") == b"yes"
            || paragraph.bytes("priority") == b"required",
        relations,
        provides: relation::parse(&paragraph.text("provides"))
            .into_iter()
            .flatten()
            .collect(),
        conffiles: conffiles(paragraph.bytes("conffiles")),
        name,
    }
}

/// The paths of a `Conffiles` field: ` /etc/x HASH [obsolete] [remove-on-upgrade]` on each line.
///
/// An obsolete one is still the package's configuration on this host; one that is to be removed on
/// upgrade is not shipped at all.
fn conffiles(field: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for line in field.split(|&c| c == b'\n') {
        let mut rest = line.trim_ascii();
        let mut removed = false;
        for flag in [
            b" remove-on-upgrade".as_slice(),
            b" obsolete",
            b" remove-on-upgrade",
        ] {
            if let Some(shorter) = rest.strip_suffix(flag) {
                removed |= flag != b" obsolete";
                rest = shorter;
            }
        }
        // The path may have spaces; the hash is the last word.
        let Some(end) = rest.iter().rposition(|&c| c == b' ') else {
            continue;
        };
        if !removed && rest.first() == Some(&b'/') {
            out.push(rest[..end].trim_ascii_end().to_vec());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<Status> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    #[test]
    fn conffiles_are_read_with_their_marks() {
        let field = b"\n /etc/a 0123\n /etc/b c 0123 obsolete\n /etc/gone 0123 remove-on-upgrade\n /etc/gone2 0 obsolete remove-on-upgrade\n /etc/n\xff newconffile\n bad";
        assert_eq!(
            conffiles(field),
            [
                b"/etc/a".to_vec(),
                b"/etc/b c".to_vec(),
                b"/etc/n\xff".to_vec()
            ]
        );
    }

    #[test]
    fn a35_a_corrupt_status_file_is_named_with_its_line() {
        for (text, line, part) in [
            (
                &b"Package: a\nStatus: install ok installed\ngarbage\n"[..],
                3,
                "neither a field",
            ),
            (b" x\n", 1, "continuation"),
            (
                b"Package: a\nStatus: install ok installed\nVersion: 1",
                3,
                "no end",
            ),
            (b"Package: a\nStatus: install\n", 2, "three words"),
            (b"Package: a\nPackage: b\n", 2, "twice"),
            (b"Version: 1\n", 1, "of no package"),
            (b"", 1, "no package"),
            (b"\0\0\0\0", 1, "no end"),
        ] {
            match read_text(text) {
                Err(Error::Corrupt {
                    line: at, reason, ..
                }) => {
                    assert_eq!(at, line, "{reason}");
                    assert!(reason.contains(part), "{reason}");
                }
                other => panic!("{other:?} for {:?}", String::from_utf8_lossy(text)),
            }
        }
    }

    #[test]
    fn a20_a_name_that_is_a_path_or_an_option_is_no_package() {
        for name in ["../../etc/passwd", "-rf", "a/b", "a b", "", "a:b"] {
            let text = format!("Package: {name}\nStatus: install ok installed\n");
            assert!(read_text(text.as_bytes()).is_err(), "{name:?} passed");
        }
        assert!(read_text(b"Package: g++-12.x_y\nStatus: install ok installed\n").is_ok());
    }

    #[test]
    fn a35_a_line_without_end_does_not_fill_the_memory() {
        let mut text = b"Package: a\nDescription: ".to_vec();
        text.resize(3 << 20, b'x');
        assert!(matches!(
            read_text(&text),
            Err(Error::Corrupt { line: 2, .. })
        ));
    }
}
