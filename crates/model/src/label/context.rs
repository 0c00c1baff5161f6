//! Security contexts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::level::{Level, LevelError};
use crate::confinement::{INIT_TYPE, NOTIFY_TYPE, PROCESS_TYPE};

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
