//! SELinux security contexts and their multi-category levels.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::confinement::{INIT_TYPE, NOTIFY_TYPE, PROCESS_TYPE};
use serde::{Deserialize, Serialize};

/// A category of the policy, `c0` to `c1023` (the `NCATS` of the reference policy's mcs build).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(u16);

impl Category {
    /// How many categories there are.
    pub const COUNT: u16 = 1024;

    /// The category of that number; `None` from 1024 on.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// A set of categories, as in the level of a security context.
///
/// One label's process may read another label's files where its set contains the other's
/// (mcs constraints of the reference policy): that is why equal sets, subsets and supersets all
/// count as [overlapping](CategorySet::relates_to).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CategorySet(BTreeSet<Category>);

impl CategorySet {
    /// The set of two categories; `None` where they are the same.
    #[must_use]
    pub fn pair(a: Category, b: Category) -> Option<Self> {
        (a != b).then(|| Self(BTreeSet::from([a, b])))
    }

    /// The categories in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Category> + '_ {
        self.0.iter().copied()
    }

    /// How many categories there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none (`s0` alone).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a category is in the set.
    #[must_use]
    pub fn contains(&self, category: Category) -> bool {
        self.0.contains(&category)
    }

    /// Whether one of the two sets equals or contains the other, so that a process of one could
    /// reach what the other labels.
    #[must_use]
    pub fn relates_to(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0) || other.0.is_subset(&self.0)
    }
}

impl FromIterator<Category> for CategorySet {
    fn from_iter<I: IntoIterator<Item = Category>>(categories: I) -> Self {
        Self(categories.into_iter().collect())
    }
}

impl fmt::Display for CategorySet {
    /// `c1,c2`, ascending, three and more in a row as `c1.c3`: the kernel's own form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if(|next| next.0 == last.0 + 1) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            comma = ",";
            if last != first {
                let joint = if last.0 - first.0 > 1 { "." } else { comma };
                write!(f, "{joint}{last}")?;
            }
        }
        Ok(())
    }
}

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
                set.extend((low.0..=high.0).map(Category));
            }
        }
    }
    Ok((sensitivity, CategorySet(set)))
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

/// A security context, `user:role:type:level`.
///
/// ```
/// use vss_model::SecurityContext;
/// let context: SecurityContext = "system_u:system_r:container_t:s0:c1,c2".parse().unwrap();
/// assert_eq!(context.type_name(), "container_t");
/// assert_eq!(context.level().to_string(), "s0:c1,c2");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecurityContext {
    user: String,
    role: String,
    type_name: String,
    level: Level,
}

/// Why a text is not a security context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// There are not four parts.
    #[error("the security context {0:?} is not of the form user:role:type:level")]
    Form(String),
    /// A part has a character outside `[A-Za-z0-9_.-]`.
    #[error("the security context {0:?} has a character that SELinux identifiers don't have")]
    Identifier(String),
    /// The level is wrong.
    #[error(transparent)]
    Level(#[from] LevelError),
}

impl SecurityContext {
    /// Puts a context together.
    ///
    /// # Errors
    /// Where user, role or type is no SELinux identifier.
    pub fn new(
        user: &str,
        role: &str,
        type_name: &str,
        level: Level,
    ) -> Result<Self, ContextError> {
        let identifier = |s: &str| {
            !s.is_empty()
                && s.chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        };
        if !(identifier(user) && identifier(role) && identifier(type_name)) {
            return Err(ContextError::Identifier(format!(
                "{user}:{role}:{type_name}:{level}"
            )));
        }
        Ok(Self {
            user: user.to_owned(),
            role: role.to_owned(),
            type_name: type_name.to_owned(),
            level,
        })
    }

    /// The type (of a process: its domain).
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> &Level {
        &self.level
    }

    /// The context that a container's first process starts with. The init has a domain of its own in
    /// the project's policy, and systemd gets the container's when the init executes it; in any other
    /// policy both have the container's.
    ///
    /// ```
    /// use vss_model::SecurityContext;
    /// let first = |label: &str| label.parse::<SecurityContext>().unwrap().of_init().to_string();
    /// assert_eq!(
    ///     first("system_u:system_r:virt_sandbox_container_t:s0:c1,c2"),
    ///     "system_u:system_r:virt_sandbox_init_t:s0:c1,c2"
    /// );
    /// let other = "system_u:system_r:container_t:s0:c1,c2";
    /// assert_eq!(first(other), other);
    /// ```
    #[must_use]
    pub fn of_init(&self) -> Self {
        if self.type_name == PROCESS_TYPE {
            self.with_type(INIT_TYPE)
        } else {
            self.clone()
        }
    }

    /// The context of the host's directory that a container with this label sees; `None` where
    /// the label is not of the project's policy, which then has no type for it.
    #[must_use]
    pub fn of_notify(&self) -> Option<Self> {
        let object = Self {
            role: "object_r".to_owned(),
            ..self.with_type(NOTIFY_TYPE)
        };
        (self.type_name == PROCESS_TYPE).then_some(object)
    }

    fn with_type(&self, type_name: &str) -> Self {
        Self {
            type_name: type_name.to_owned(),
            ..self.clone()
        }
    }

    /// The same user, role and type at another level.
    #[must_use]
    pub fn with_level(&self, level: Level) -> Self {
        Self {
            level,
            ..self.clone()
        }
    }
}

impl FromStr for SecurityContext {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // values written by libselinux carry a trailing NUL, setfattr(1)'s do not
        let text = text.trim_end_matches('\0');
        let mut parts = text.splitn(4, ':');
        let (Some(user), Some(role), Some(type_name), Some(level)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ContextError::Form(text.to_owned()));
        };
        Self::new(user, role, type_name, level.parse()?)
    }
}

impl TryFrom<String> for SecurityContext {
    type Error = ContextError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SecurityContext> for String {
    fn from(context: SecurityContext) -> Self {
        context.to_string()
    }
}

impl fmt::Display for SecurityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}:{}",
            self.user, self.role, self.type_name, self.level
        )
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

    #[test]
    fn contexts_come_back() {
        let text = "system_u:system_r:container_t:s0:c1,c2";
        assert_eq!(text.parse::<SecurityContext>().unwrap().to_string(), text);
        assert!(format!("{text}\0").parse::<SecurityContext>().is_ok());
        for bad in ["", "a:b:c", "a:b:c:x", "a b:r:t:s0", "a:r:t\n:s0"] {
            assert!(bad.parse::<SecurityContext>().is_err(), "{bad:?} passed");
        }
    }
}
