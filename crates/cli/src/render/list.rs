//! `list` as a table.

use std::io::{self, Write};

use vss_manager::outcome::ListEntry;

use super::table::{self, Cell};
use super::{moment, state_style};

/// Writes one row for each sandbox.
pub(crate) fn text(out: &mut impl Write, entries: &[ListEntry], legend: bool) -> io::Result<()> {
    let rows: Vec<_> = entries.iter().map(row).collect();
    table::write(
        out,
        ["NAME", "UNIT", "STATE", "CONFINED", "ADDRESS", "SINCE"],
        &rows,
        legend,
    )
}

fn row(entry: &ListEntry) -> [Cell; 6] {
    let units: Vec<&str> = entry.units.iter().map(|u| u.as_str()).collect();
    [
        entry.name.as_str().into(),
        Cell::or_dash(Some(units.join(",")).filter(|u| !u.is_empty())),
        Cell::styled(entry.state.as_str(), state_style(entry.state)),
        Cell::or_dash(entry.confined.clone()),
        Cell::or_dash(entry.address.map(|a| a.to_string())),
        Cell::or_dash(entry.since.map(moment::text)),
    ]
}

#[cfg(test)]
pub(crate) mod tests {
    use vss_model::{Confinement, SandboxState};

    use super::*;

    pub(crate) fn entry(name: &str, state: SandboxState) -> ListEntry {
        ListEntry {
            name: name.parse().unwrap(),
            units: vec!["apache2.service".parse().unwrap()],
            state,
            confinement: Some(Confinement::Reduced),
            confined: Some("reduced".to_owned()),
            as_planned: Some(true),
            private_users: None,
            address: Some([192, 168, 219, 2].into()),
            since: state.has_domain().then_some(1_795_000_000),
            problem: None,
        }
    }

    #[test]
    fn a_row_for_each_sandbox() {
        let entries = [
            entry("web1", SandboxState::Running),
            ListEntry {
                units: Vec::new(),
                confinement: None,
                confined: None,
                address: None,
                problem: Some("it has no version".into()),
                ..entry("x", SandboxState::Broken)
            },
        ];
        let mut out = anstream::StripStream::new(Vec::new());
        text(&mut out, &entries, true).unwrap();
        assert_eq!(
            String::from_utf8(out.into_inner()).unwrap(),
            "NAME  UNIT             STATE    CONFINED  ADDRESS        SINCE\n\
             web1  apache2.service  running  reduced   192.168.219.2  2026-11-18 11:06:40Z\n\
             x     -                broken   -         -              -\n"
        );
    }

    #[test]
    fn no_sandbox_is_an_empty_array_and_a_lone_heading() {
        let mut out = Vec::new();
        super::super::json(&mut out, &Vec::<ListEntry>::new()).unwrap();
        assert_eq!(out, b"[]\n");
        let mut out = Vec::new();
        text(&mut out, &[], true).unwrap();
        assert_eq!(out, b"NAME  UNIT  STATE  CONFINED  ADDRESS  SINCE\n");
    }
}
