//! What `delete` would remove, or removed.

use std::io::{self, Write};

use vss_manager::outcome::{DeleteOutcome, Part};
use vss_model::Sanitized;

/// Writes what goes and what stays, or what would.
pub(crate) fn text(out: &mut impl Write, done: bool, deleted: &DeleteOutcome) -> io::Result<()> {
    let (verb, kept_verb) = match done {
        true => ("Removed", "Kept"),
        false => ("Would remove", "Would keep"),
    };
    for removal in &deleted.removes {
        let what = Sanitized::text(&removal.what);
        writeln!(out, "{verb} {} {what}", part(removal.part))?;
    }
    for kept in &deleted.keeps {
        writeln!(
            out,
            "{kept_verb} {}: {}",
            kept.path,
            Sanitized::text(&kept.why)
        )?;
    }
    Ok(())
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Domain => "running container",
        Part::Enablement => "link that enables it",
        Part::Unit => "unit file",
        Part::Content => "sandbox container dir",
        Part::Access => "way to the content of",
        Part::Manifest => "manifest",
        Part::Reservation => "reservation of",
        Part::Runtime => "runtime state",
        Part::Config => "sandbox config",
        Part::Journal => "journal",
    }
}

#[cfg(test)]
mod tests {
    use vss_manager::outcome::{Kept, Removal};

    use super::*;

    #[test]
    fn what_goes_and_what_stays() {
        let deleted = DeleteOutcome {
            name: "web1".parse().unwrap(),
            uuid: None,
            running: false,
            removes: vec![Removal {
                part: Part::Config,
                what: "/etc/libvirt-sandbox/services/web1.sandbox".into(),
            }],
            keeps: vec![Kept {
                part: Part::Content,
                path: "/srv/web1".parse().unwrap(),
                why: "--keep-content".into(),
            }],
        };
        let shown = |done| {
            let mut out = Vec::new();
            text(&mut out, done, &deleted).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            shown(true),
            "Removed sandbox config /etc/libvirt-sandbox/services/web1.sandbox\n\
             Kept /srv/web1: --keep-content\n"
        );
        assert_eq!(
            shown(false),
            "Would remove sandbox config /etc/libvirt-sandbox/services/web1.sandbox\n\
             Would keep /srv/web1: --keep-content\n"
        );
    }
}
