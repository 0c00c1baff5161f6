//! What the case tells the attempts: numbers that root inside would have to guess.

use std::collections::BTreeMap;
use std::fs;

use crate::outcome::{Failure, untried};

/// Lines of `KEY=VALUE`, in a file of the container's own; the host has one too, for the pairs. It
/// is made on the machine of `tests/vm` alone, and without it nothing is tried.
const PLACE: &str = "/var/lib/breakout/facts";

#[derive(Debug, Clone)]
pub(crate) struct Facts(BTreeMap<String, String>);

impl Facts {
    pub(crate) fn read() -> Result<Self, Failure> {
        match fs::read_to_string(PLACE) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) => untried(format!("{PLACE}: {error}: this is no machine for it")),
        }
    }

    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    pub(crate) fn text(&self, key: &str) -> Result<&str, Failure> {
        match self.0.get(key) {
            Some(value) => Ok(value),
            None => untried(format!("{PLACE} has no {key}")),
        }
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, Failure> {
        match self.text(key)?.parse() {
            Ok(number) => Ok(number),
            Err(_) => untried(format!("{PLACE}: {key} is no number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_is_untried() {
        let facts = Facts::parse("pid=12\ndisk=a\n");
        assert_eq!(facts.number::<i32>("pid").unwrap(), 12);
        assert!(matches!(
            facts.number::<i32>("disk"),
            Err(Failure::Untried(_))
        ));
        assert!(matches!(facts.text("other"), Err(Failure::Untried(_))));
    }
}
