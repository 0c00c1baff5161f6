//! Levels: a sensitivity with categories, or a range of two.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::category::{Category, CategorySet};

/// The level of a context: a sensitivity and categories, `s0:c1,c2`, or a range of two levels.
///
/// ```
/// use vss_model::Level;
/// let level: Level = "s0:c2,c1".parse().unwrap();
/// assert_eq!(level.to_string(), "s0:c1,c2");
/// assert_eq!("s0:c0.c2".parse::<Level>().unwrap().categories().len(), 3);
/// assert!("s0:c1024".parse::<Level>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Level {
    sensitivity: u8,
    categories: CategorySet,
    /// The upper end of a range (`s0-s0:c0.c1023`).
    high: Option<(u8, CategorySet)>,
}

/// Why a text is not a level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// It does not begin with `sN`.
    #[error("the level {0:?} has to begin with a sensitivity, as in s0:c1,c2")]
    Sensitivity(String),
    /// A category is not `c0` to `c1023`.
    #[error("the level {level:?} has {part:?}, which is no category c0 to c1023")]
    Category {
        /// The text.
        level: String,
        /// The part that is wrong.
        part: String,
    },
    /// A range of categories runs downwards.
    #[error("the level {level:?} has the range {part:?}, which runs backwards")]
    Backwards {
        /// The text.
        level: String,
        /// The part that is wrong.
        part: String,
    },
}

impl Level {
    /// `s0` with these categories.
    #[must_use]
    pub fn s0(categories: CategorySet) -> Self {
        Self {
            sensitivity: 0,
            categories,
            high: None,
        }
    }

    /// The sensitivity of the (lower) level: 0 for `s0`.
    #[must_use]
    pub fn sensitivity(&self) -> u8 {
        self.sensitivity
    }

    /// The categories of the (lower) level.
    #[must_use]
    pub fn categories(&self) -> &CategorySet {
        &self.categories
    }

    /// The categories that a process at this level may use: of the upper level, in a range.
    #[must_use]
    pub fn clearance(&self) -> &CategorySet {
        self.high
            .as_ref()
            .map_or(&self.categories, |(_, categories)| categories)
    }

    /// Whether it is a range of two levels.
    #[must_use]
    pub fn is_range(&self) -> bool {
        self.high.is_some()
    }
}

fn parse_single(text: &str, whole: &str) -> Result<(u8, CategorySet), LevelError> {
    let (head, tail) = match text.split_once(':') {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    };
    let sensitivity = head
        .strip_prefix('s')
        .filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|d| d.parse().ok())
        .ok_or_else(|| LevelError::Sensitivity(whole.to_owned()))?;
    let category = |part: &str| {
        part.strip_prefix('c')
            .filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|d| d.parse().ok())
            .and_then(Category::new)
            .ok_or_else(|| LevelError::Category {
                level: whole.to_owned(),
                part: part.to_owned(),
            })
    };
    let mut set = BTreeSet::new();
    for part in tail.map(|t| t.split(',')).into_iter().flatten() {
        match part.split_once('.') {
            None => {
                set.insert(category(part)?);
            }
            Some((low, high)) => {
                let (low, high) = (category(low)?, category(high)?);
                if low > high {
                    return Err(LevelError::Backwards {
                        level: whole.to_owned(),
                        part: part.to_owned(),
                    });
                }
                set.extend((low.number()..=high.number()).filter_map(Category::new));
            }
        }
    }
    Ok((sensitivity, set.into_iter().collect()))
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (low, high) = match text.split_once('-') {
            Some((low, high)) => (low, Some(parse_single(high, text)?)),
            None => (text, None),
        };
        let (sensitivity, categories) = parse_single(low, text)?;
        let high = high.filter(|h| *h != (sensitivity, categories.clone()));
        Ok(Self {
            sensitivity,
            categories,
            high,
        })
    }
}

impl TryFrom<String> for Level {
    type Error = LevelError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Level> for String {
    fn from(level: Level) -> Self {
        level.to_string()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |f: &mut fmt::Formatter<'_>, sensitivity: u8, categories: &CategorySet| {
            write!(f, "s{sensitivity}")?;
            if categories.is_empty() {
                Ok(())
            } else {
                write!(f, ":{categories}")
            }
        };
        one(f, self.sensitivity, &self.categories)?;
        if let Some((sensitivity, categories)) = &self.high {
            f.write_str("-")?;
            one(f, *sensitivity, categories)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(text: &str) -> Level {
        text.parse().unwrap()
    }

    #[test]
    fn a24_a_subset_relates_to_its_superset() {
        let (one, two) = (level("s0:c117"), level("s0:c117,c720"));
        assert!(one.categories().relates_to(two.categories()));
        assert!(two.categories().relates_to(one.categories()));
        assert!(
            !level("s0:c1,c2")
                .categories()
                .relates_to(level("s0:c1,c3").categories())
        );
        assert!(level("s0").categories().relates_to(two.categories()));
        let c = Category::new(7).unwrap();
        assert_eq!(CategorySet::pair(c, c), None);
    }

    #[test]
    fn levels_are_normalised() {
        assert_eq!(level("s0:c720,c117,c117").to_string(), "s0:c117,c720");
        assert_eq!(level("s0-s0").to_string(), "s0");
        assert_eq!(level("s0:c1.c2,c4").to_string(), "s0:c1,c2,c4");
        assert_eq!(level("s0:c7,c1,c3,c2").to_string(), "s0:c1.c3,c7");
        assert_eq!(level("s0:c0.c1023").to_string(), "s0:c0.c1023");
        assert!(level("s0-s0:c0.c1023").is_range());
        assert_eq!(level("s0-s0:c0.c1023").clearance().len(), 1024);
    }

    #[test]
    fn malformed_levels_are_refused() {
        for bad in [
            "",
            "c1,c2",
            "s0:",
            "s0:c1024",
            "s0:c1,,c2",
            "s0:c2.c1",
            "s0:1",
            "s0:c-1",
            "sx",
            "s0:c1 ",
            "s0:c+1",
            "s999",
        ] {
            assert!(bad.parse::<Level>().is_err(), "{bad:?} passed");
        }
    }
}
