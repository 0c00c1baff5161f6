//! Names of systemd units (systemd.unit(5)).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a systemd unit, with its type suffix: `httpd.service`, `postgresql@15-main.service`,
/// or a template, `getty@.service`.
///
/// ```
/// use vss_model::UnitName;
/// let unit: UnitName = "postgresql@15-main".parse().unwrap();
/// assert_eq!(unit.as_str(), "postgresql@15-main.service");
/// assert_eq!(unit.prefix(), "postgresql");
/// assert_eq!(unit.instance(), Some("15-main"));
/// assert_eq!(unit.template().unwrap().as_str(), "postgresql@.service");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// Why a text is not a unit name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitNameError {
    /// Nothing stands before the suffix or the `@`.
    #[error("the unit name {0:?} is empty before its suffix")]
    Empty(String),
    /// Longer than systemd's limit.
    #[error("the unit name has {0} characters, systemd allows 255")]
    TooLong(usize),
    /// A character that systemd.unit(5) does not allow.
    #[error("the unit name {name:?} has {character:?}, which systemd does not allow in unit names")]
    Character {
        /// The text.
        name: String,
        /// The first character outside the set.
        character: char,
    },
}

/// The type suffixes of systemd.unit(5), without the dot.
const SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

impl UnitName {
    /// The most bytes of a unit name (`UNIT_NAME_MAX` of systemd).
    pub const MAX_LEN: usize = 255;

    /// The whole name, with its suffix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn stem(&self) -> &str {
        self.0
            .rsplit_once('.')
            .map_or(self.0.as_str(), |(stem, _)| stem)
    }

    /// The type, without the dot: `service`.
    #[must_use]
    pub fn suffix(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(_, suffix)| suffix)
    }

    /// What stands before the `@` of an instance or template, else all before the suffix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.stem()
            .split_once('@')
            .map_or(self.stem(), |(prefix, _)| prefix)
    }

    /// What stands between `@` and the suffix, escaped as it is; `None` of a plain unit and of a
    /// template.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.stem()
            .split_once('@')
            .map(|(_, instance)| instance)
            .filter(|i| !i.is_empty())
    }

    /// Whether this is `foo@.service`, which can only be run as an instance.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.stem().ends_with('@') && self.instance().is_none()
    }

    /// The template that an instance is made from; `None` for a plain unit.
    #[must_use]
    pub fn template(&self) -> Option<Self> {
        self.instance()
            .map(|_| Self(format!("{}@.{}", self.prefix(), self.suffix())))
    }

    /// The instance of a template, or the unit itself where it is no template.
    ///
    /// # Errors
    /// Where the instance has characters that a unit name can't have.
    pub fn instantiate(&self, instance: &str) -> Result<Self, UnitNameError> {
        if self.is_template() {
            format!("{}@{instance}.{}", self.prefix(), self.suffix()).parse()
        } else {
            Ok(self.clone())
        }
    }
}

impl FromStr for UnitName {
    type Err = UnitNameError;

    /// Reads a unit name; one without a known type suffix is taken as a service, as systemctl(1)
    /// does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let has_suffix = text
            .rsplit_once('.')
            .is_some_and(|(_, s)| SUFFIXES.contains(&s));
        let full = if has_suffix {
            text.to_owned()
        } else {
            format!("{text}.service")
        };
        if full.len() > Self::MAX_LEN {
            return Err(UnitNameError::TooLong(full.len()));
        }
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
        if let Some(character) = full.chars().find(|c| !allowed(*c)) {
            return Err(UnitNameError::Character {
                name: text.to_owned(),
                character,
            });
        }
        let unit = Self(full);
        if unit.prefix().is_empty() || unit.0.starts_with('.') {
            return Err(UnitNameError::Empty(text.to_owned()));
        }
        Ok(unit)
    }
}

impl TryFrom<String> for UnitName {
    type Error = UnitNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<UnitName> for String {
    fn from(unit: UnitName) -> Self {
        unit.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_as_systemd_does() {
        let plain: UnitName = "httpd".parse().unwrap();
        assert_eq!(
            (plain.as_str(), plain.prefix(), plain.instance()),
            ("httpd.service", "httpd", None)
        );
        let template: UnitName = "getty@.service".parse().unwrap();
        assert!(template.is_template());
        assert_eq!(
            template.instantiate("tty1").unwrap().as_str(),
            "getty@tty1.service"
        );
        let odd: UnitName = "a@b@c.socket".parse().unwrap();
        assert_eq!(
            (odd.prefix(), odd.instance(), odd.suffix()),
            ("a", Some("b@c"), "socket")
        );
        assert_eq!(
            "foo.conf".parse::<UnitName>().unwrap().as_str(),
            "foo.conf.service"
        );
    }

    #[test]
    fn a17_no_unit_name_carries_a_line_break_or_a_specifier() {
        for bad in [
            "", "@x", ".service", "a\nb", "a%i", "a b", "a/b", "../x", "a\u{7f}",
        ] {
            assert!(bad.parse::<UnitName>().is_err(), "{bad:?} passed");
        }
    }
}
