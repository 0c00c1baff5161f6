//! The directories beside a unit: `NAME.d`, `NAME.wants`, `NAME.upholds`, `NAME.requires`.

use vss_model::UnitName;

/// The names under which a unit has directories of drop-ins and links: `a-b@i`, `a-b@`, `a-@i`, `a-@`.
pub(super) fn side_names(name: &UnitName) -> Vec<String> {
    let suffix = name.suffix();
    let mut out = Vec::new();
    let mut prefix = name.prefix().to_owned();
    loop {
        match name.instance() {
            Some(instance) => {
                out.push(format!("{prefix}@{instance}.{suffix}"));
                out.push(format!("{prefix}@.{suffix}"));
            }
            None if name.is_template() => out.push(format!("{prefix}@.{suffix}")),
            None => out.push(format!("{prefix}.{suffix}")),
        }
        let shorter = prefix.trim_end_matches('-').rfind('-');
        match shorter {
            Some(dash) => prefix.truncate(dash + 1),
            None => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn side_names_go_from_whole_to_prefix() {
        let names = |unit: &str| side_names(&unit.parse().unwrap());
        assert_eq!(
            names("a-b-c.service"),
            ["a-b-c.service", "a-b-.service", "a-.service"]
        );
        assert_eq!(
            names("a-b@i-j.service"),
            [
                "a-b@i-j.service",
                "a-b@.service",
                "a-@i-j.service",
                "a-@.service"
            ]
        );
        assert_eq!(names("a@.socket"), ["a@.socket"]);
        assert_eq!(names("a.service"), ["a.service"]);
    }
}
