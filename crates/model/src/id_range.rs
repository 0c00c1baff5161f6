//! The users of a container on the host: a range of numbers, which a user namespace shifts.
//!
//! User and group 0 inside is `base` on the host, 1 is `base + 1`, and so on; what the host's own
//! users have is nobody's inside. Which range is whose is agreed among all who hand ranges out, and
//! written down for systemd and those who follow it (<https://systemd.io/UIDS-GIDS>).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of user and group numbers of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Numbers", into = "Numbers")]
pub struct IdRange {
    base: u32,
    count: u32,
}

/// The numbers as they are stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    base: u32,
    count: u32,
}

/// Why two numbers, or a text, are no range for a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdRangeError {
    /// Not of the form.
    #[error("{text:?} is no range of users: give BASE:COUNT, as in {first}:{least}", first = IdRange::FIRST, least = IdRange::LEAST)]
    Form {
        /// What was given.
        text: String,
    },
    /// Among the numbers that the host gives to its own users and services.
    #[error("the base {base} is among the host's own users: the first that a container may have is {first}", first = IdRange::FIRST)]
    Host {
        /// The first number.
        base: u32,
    },
    /// Fewer than a system uses.
    #[error("{count} users are too few for a container: nobody is 65534, so it takes {least}", least = IdRange::LEAST)]
    Few {
        /// How many.
        count: u32,
    },
    /// Beyond what programs take for a user.
    #[error("{base}:{count} goes beyond {last}, the last user that a container may have", last = IdRange::LAST)]
    Beyond {
        /// The first number.
        base: u32,
        /// How many.
        count: u32,
    },
}

impl IdRange {
    /// The first number that may be a container's. Below are the host's users, homes that move,
    /// dynamic users, `nobody`, and 65535, which is -1 in 16 bits.
    pub const FIRST: u32 = 0x1_0000;
    /// The last one. Above are the owners of foreign disk images (0x7ffe0000), and numbers that
    /// are negative to programs that take a user for a signed one.
    pub const LAST: u32 = 0x7ffd_ffff;
    /// The fewest: systemd's dynamic users and `nobody` are close to 65536.
    pub const LEAST: u32 = 0x1_0000;

    /// The range of that many numbers.
    ///
    /// # Errors
    /// Where it is too small, or not all of it is between [`FIRST`](Self::FIRST) and
    /// [`LAST`](Self::LAST).
    pub fn new(base: u32, count: u32) -> Result<Self, IdRangeError> {
        if base < Self::FIRST {
            return Err(IdRangeError::Host { base });
        }
        if count < Self::LEAST {
            return Err(IdRangeError::Few { count });
        }
        match base.checked_add(count - 1) {
            Some(last) if last <= Self::LAST => Ok(Self { base, count }),
            _ => Err(IdRangeError::Beyond { base, count }),
        }
    }

    /// Who is root inside.
    #[must_use]
    pub fn base(self) -> u32 {
        self.base
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// The last one.
    #[must_use]
    pub fn last(self) -> u32 {
        self.base + (self.count - 1)
    }

    /// The number on the host of one inside; `None` of one that the container doesn't have.
    #[must_use]
    pub fn outside(self, inside: u32) -> Option<u32> {
        (inside < self.count).then(|| self.base + inside)
    }

    /// The number inside of one of the host.
    #[must_use]
    pub fn inside(self, outside: u32) -> Option<u32> {
        let inside = outside.checked_sub(self.base)?;
        (inside < self.count).then_some(inside)
    }

    /// Whether two ranges have a number in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.meets(other.base, other.last())
    }

    /// Whether one of the numbers from `first` to `last` is in the range.
    #[must_use]
    pub fn meets(self, first: u32, last: u32) -> bool {
        self.base <= last && first <= self.last()
    }
}

impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.base, self.count)
    }
}

impl FromStr for IdRange {
    type Err = IdRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || IdRangeError::Form {
            text: text.to_owned(),
        };
        // u32's own parser takes a plus sign
        let number = |text: &str| -> Result<u32, IdRangeError> {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let parsed = text.parse().ok().filter(|_| digits);
            parsed.ok_or_else(form)
        };
        let (base, count) = text.split_once(':').ok_or_else(form)?;
        Self::new(number(base)?, number(count)?)
    }
}

impl TryFrom<Numbers> for IdRange {
    type Error = IdRangeError;

    fn try_from(numbers: Numbers) -> Result<Self, Self::Error> {
        Self::new(numbers.base, numbers.count)
    }
}

impl From<IdRange> for Numbers {
    fn from(range: IdRange) -> Self {
        Self {
            base: range.base,
            count: range.count,
        }
    }
}

/// What is asked for with `--private-users`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrivateUsers {
    /// A range that nobody else has.
    Pick,
    /// Exactly this one.
    #[serde(untagged)]
    Exactly(IdRange),
}

impl FromStr for PrivateUsers {
    type Err = IdRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "pick" {
            Ok(Self::Pick)
        } else {
            text.parse().map(Self::Exactly)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> IdRange {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in [
            "",
            ":",
            "100000",
            "100000:",
            ":65536",
            "+100000:65536",
            "100000:+65536",
            " 100000:65536",
            "100000:65536 ",
            "-1:65536",
            "100000:-1",
            "0x10000:65536",
            "4294967295:65536",
            "4294967296:65536",
            "100000:4294967296",
            "100000:65536:1",
            "pick",
        ] {
            assert!(bad.parse::<IdRange>().is_err(), "{bad:?} passed");
        }
        assert_eq!(
            "0:65536".parse::<IdRange>(),
            Err(IdRangeError::Host { base: 0 })
        );
        assert_eq!(
            "65535:65536".parse::<IdRange>(),
            Err(IdRangeError::Host { base: 65535 })
        );
        assert_eq!(
            "100000:65535".parse::<IdRange>(),
            Err(IdRangeError::Few { count: 65535 })
        );
        assert_eq!(
            "100000:0".parse::<IdRange>(),
            Err(IdRangeError::Few { count: 0 })
        );
        for beyond in ["2147287041:65536", "2147483648:65536", "65536:4294967295"] {
            let error = beyond.parse::<IdRange>().unwrap_err();
            assert!(
                matches!(error, IdRangeError::Beyond { .. }),
                "{beyond}: {error}"
            );
        }
        assert_eq!(range("2147287040:65536").last(), IdRange::LAST);
        assert_eq!(range("65536:65536").base(), IdRange::FIRST);
    }

    #[test]
    fn numbers_inside_and_outside() {
        let range = range("100000:65536");
        assert_eq!(range.outside(33), Some(100_033));
        assert_eq!(range.outside(65536), None);
        assert_eq!(range.inside(100_000), Some(0));
        assert_eq!(range.inside(99_999), None);
        assert_eq!(range.inside(165_536), None);
        assert_eq!(range.last(), 165_535);
    }

    #[test]
    fn a_stored_range_is_checked_too() {
        let json = serde_json::to_string(&range("100000:65536")).unwrap();
        assert_eq!(json, r#"{"base":100000,"count":65536}"#);
        assert_eq!(
            serde_json::from_str::<IdRange>(&json).unwrap(),
            range("100000:65536")
        );
        assert!(serde_json::from_str::<IdRange>(r#"{"base":0,"count":65536}"#).is_err());
        let pick = serde_json::to_string(&PrivateUsers::Pick).unwrap();
        assert_eq!(
            serde_json::from_str::<PrivateUsers>(&pick).unwrap(),
            PrivateUsers::Pick
        );
    }

    proptest! {
        #[test]
        fn a_range_is_read_as_it_is_written(base: u32, count: u32) {
            if let Ok(range) = IdRange::new(base, count) {
                prop_assert_eq!(range.to_string().parse::<IdRange>().unwrap(), range);
                prop_assert!(range.last() >= range.base() && range.last() < u32::MAX);
            }
        }

        #[test]
        fn ranges_overlap_where_they_share_a_number(
            a in 65536u32..1_000_000, b in 65536u32..1_000_000, n in 65536u32..200_000,
        ) {
            let (a, b) = (IdRange::new(a, n).unwrap(), IdRange::new(b, 65536).unwrap());
            let shared = (b.base()..=b.last()).any(|id| a.inside(id).is_some());
            prop_assert_eq!(a.overlaps(b), shared);
            prop_assert_eq!(b.overlaps(a), shared);
        }
    }
}
