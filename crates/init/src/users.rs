//! The user namespace of this process, as the kernel tells it.

use vss_model::IdRange;

use crate::failure::{Failure, Stage};

/// Refuses any other than the planned one. By now `/proc` is known to be the kernel's.
pub(crate) fn check(wanted: IdRange) -> Result<(), Failure> {
    for file in ["/proc/1/uid_map", "/proc/1/gid_map"] {
        let map = std::fs::read_to_string(file).map_err(Failure::io(Stage::Users, file))?;
        compare(file, wanted, &map)?;
    }
    Ok(())
}

/// The one line of a map of user_namespaces(7): first inside, first outside, how many.
fn compare(file: &str, wanted: IdRange, map: &str) -> Result<(), Failure> {
    let planned = [0, wanted.base(), wanted.count()].map(|number| number.to_string());
    if map.lines().count() == 1 && map.split_whitespace().eq(planned.iter()) {
        return Ok(());
    }
    let found: Vec<&str> = map.split_whitespace().collect();
    Err(Failure::new(
        Stage::Users,
        format!(
            "{file}: planned is {}, found {}",
            planned.join(" "),
            found.join(" ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_planned_users_are_accepted() {
        let users = "100000:65536".parse().unwrap();
        let own = "         0     100000      65536\n";
        assert!(compare("m", users, own).is_ok());
        for map in [
            "         0          0 4294967295\n",
            "",
            "0 100000 65536\n65536 0 1\n",
            "0 100000 131072\n",
            "0 0 65536\n",
        ] {
            let failure = compare("m", users, map).unwrap_err();
            assert_eq!(failure.stage, Stage::Users, "{map}");
        }
    }
}
