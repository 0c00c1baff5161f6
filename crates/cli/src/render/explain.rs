//! `explain` as a sentence and its chain of causes.

use std::io::{self, Write};

use vss_manager::{Because, Explanation, Fate};
use vss_model::Sanitized;

/// Writes what the path is, where that is decided, and why, the deciding cause first. A cause that
/// names another file is followed by the causes of that one.
pub(crate) fn text(out: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    let path = &explanation.path;
    writeln!(
        out,
        "{path} is {}: {}",
        explanation.fate,
        meaning(explanation.fate)
    )?;
    match &explanation.entry {
        Some(entry) if entry.path != *path && explanation.fate != Fate::Absent => {
            writeln!(out, "decided with {}", entry.path)?;
        }
        _ => {}
    }
    let mut of = None;
    for Because { path, cause } in &explanation.chain {
        if of != Some(path) {
            writeln!(out, "  {path}")?;
            of = Some(path);
        }
        writeln!(out, "    because: {}", Sanitized::text(&cause.to_string()))?;
    }
    Ok(())
}

fn meaning(fate: Fate) -> &'static str {
    match fate {
        Fate::Private => "the container's own copy",
        Fate::Shared => "the host's, read-only",
        Fate::Masked => "kept out, although the host has it",
        Fate::Generated => "made for the container",
        Fate::Absent => "not in the container",
    }
}

#[cfg(test)]
mod tests {
    use vss_model::{AbsPath, Cause};

    use super::*;

    #[test]
    fn a_cause_is_followed_by_the_causes_of_what_it_names() {
        let path = |text: &str| text.parse::<AbsPath>().unwrap();
        let explanation = Explanation {
            path: path("/etc/ssl/a.pem"),
            fate: Fate::Private,
            entry: None,
            chain: vec![
                Because {
                    path: path("/etc/ssl/a.pem"),
                    cause: Cause::NamedIn {
                        file: path("/etc/apache2/x.conf"),
                    },
                },
                Because {
                    path: path("/etc/apache2"),
                    cause: Cause::WholeDirectory {
                        directory: path("/etc/apache2"),
                        owners: vec!["apache2".into()],
                    },
                },
            ],
        };
        let mut out = Vec::new();
        text(&mut out, &explanation).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "/etc/ssl/a.pem is private: the container's own copy\n  \
             /etc/ssl/a.pem\n    because: named in /etc/apache2/x.conf\n  \
             /etc/apache2\n    because: /etc/apache2 belongs wholly to apache2\n"
        );
    }
}
