//! `explain` as a sentence and its causes.

use std::io::{self, Write};

use vss_manager::outcome::PathReason;
use vss_model::Sanitized;

/// Writes what becomes of the path, where that is decided, and why, the deciding cause first.
pub(crate) fn text(out: &mut impl Write, reason: &PathReason) -> io::Result<()> {
    let meaning = match reason.word.as_str() {
        "copy" => "private: a copy of the host's",
        "share" => "shared: the host's, read-only",
        "mask" => "masked: not to be seen",
        "generate" => "generated: made for this container",
        _ => "absent",
    };
    writeln!(out, "{}: {meaning}", reason.path)?;
    match &reason.decided_at {
        Some(at) if *at != reason.path => writeln!(out, "  decided at {at}, which it lies in")?,
        _ => {}
    }
    for (n, cause) in reason.causes.iter().enumerate() {
        let lead = if n == 0 { "because" } else { "    and" };
        writeln!(out, "  {lead}: {}", Sanitized::text(&cause.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use vss_model::Cause;

    use super::*;

    #[test]
    fn the_deciding_cause_comes_first() {
        let reason = PathReason {
            path: "/etc/apache2/mods-enabled/a.load".parse().unwrap(),
            word: "copy".into(),
            decided_at: Some("/etc/apache2".parse().unwrap()),
            causes: vec![
                Cause::WholeDirectory {
                    directory: "/etc/apache2".parse().unwrap(),
                    owners: vec!["apache2".into()],
                },
                Cause::RequiredUnit {
                    by: "a.service".parse().unwrap(),
                    directive: "Requires=".into(),
                },
            ],
        };
        let mut out = Vec::new();
        text(&mut out, &reason).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "/etc/apache2/mods-enabled/a.load: private: a copy of the host's\n  \
             decided at /etc/apache2, which it lies in\n  \
             because: /etc/apache2 belongs wholly to apache2\n      \
             and: Requires= of a.service\n"
        );
    }
}
