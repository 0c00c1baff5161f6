//! Names of sandboxes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a sandbox: `[a-z0-9][a-z0-9._-]{0,62}`.
///
/// It becomes a directory, a part of unit names and the name of a libvirt domain, so one rule that
/// suits them all is checked here, once. As a host name it may differ, see [`Self::host_name`].
///
/// ```
/// use vss_model::SandboxName;
/// assert!("web1".parse::<SandboxName>().is_ok());
/// for bad in ["", ".", "..", "../x", "-x", "Web", "a b", "a/b", "a\n", "ä", "%i"] {
///     assert!(bad.parse::<SandboxName>().is_err(), "{bad:?}");
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SandboxName(String);

/// Why a text is not a sandbox name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a sandbox name can't be empty")]
    Empty,
    /// The text has more than 63 characters.
    #[error("the sandbox name has {0} characters, 63 are allowed")]
    TooLong(usize),
    /// The first character is not a lower-case letter or a digit.
    #[error("the sandbox name {0:?} has to begin with a lower-case letter or a digit")]
    First(String),
    /// A character is outside the set.
    #[error("the sandbox name {name:?} has {character:?}: allowed are a-z, 0-9, '.', '_' and '-'")]
    Character {
        /// The text.
        name: String,
        /// The first character outside the set.
        character: char,
    },
}

impl SandboxName {
    /// The most characters a name may have; host names allow no more (hostname(7)).
    pub const MAX_LEN: usize = 63;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host name of the container: the name itself, or where that is not valid as one
    /// (hostname(7)) the nearest that is, as systemd would drop characters of it.
    ///
    /// ```
    /// use vss_model::SandboxName;
    /// let name: SandboxName = "a_b.".parse().unwrap();
    /// assert_eq!(name.host_name(), "a-b");
    /// ```
    #[must_use]
    pub fn host_name(&self) -> String {
        let hyphened = self.0.replace('_', "-");
        let labels = hyphened.split('.').map(|label| label.trim_matches('-'));
        let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
        labels.join(".")
    }
}

impl FromStr for SandboxName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(first) = text.chars().next() else {
            return Err(NameError::Empty);
        };
        let length = text.chars().count();
        if length > Self::MAX_LEN {
            return Err(NameError::TooLong(length));
        }
        if !first.is_ascii_lowercase() && !first.is_ascii_digit() {
            return Err(NameError::First(text.to_owned()));
        }
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        match text.chars().find(|c| !allowed(*c)) {
            Some(character) => Err(NameError::Character {
                name: text.to_owned(),
                character,
            }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for SandboxName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SandboxName> for String {
    fn from(name: SandboxName) -> Self {
        name.0
    }
}

impl fmt::Display for SandboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a16_only_names_of_the_one_rule_pass() {
        for good in ["a", "0", "web1", "a.b_c-d", &"x".repeat(63)] {
            assert_eq!(good.parse::<SandboxName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(64);
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "-x",
            "_x",
            ".x",
            "A",
            "a b",
            "a/b",
            "a\0b",
            "a\nb",
            "%i",
            "a%i",
            "a@b",
            "ａ",
            "a\u{202e}b",
            "caf\u{e9}",
            &long,
        ] {
            assert!(bad.parse::<SandboxName>().is_err(), "{bad:?} passed");
        }
    }

    #[test]
    fn the_host_name_is_one_that_systemd_leaves_as_it_is() {
        for (name, host) in [
            ("web1", "web1"),
            ("a-b.c", "a-b.c"),
            ("a_b", "a-b"),
            ("a__b", "a--b"),
            ("a..b", "a.b"),
            ("web.", "web"),
            ("web-", "web"),
            ("a.-b_.c", "a.b.c"),
            ("a._.-", "a"),
        ] {
            let name: SandboxName = name.parse().unwrap();
            assert_eq!(name.host_name(), host);
        }
    }

    #[test]
    fn a16_a_stored_name_is_checked_like_a_typed_one() {
        assert!(serde_json::from_str::<SandboxName>("\"../x\"").is_err());
        assert!(serde_json::from_str::<SandboxName>("\"web1\"").is_ok());
    }
}
