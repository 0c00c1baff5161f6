//! User, role and type of containers, as the policy gives them to libvirt's LXC driver.

use std::collections::BTreeMap;

use vss_model::confinement::{CONTENT_TYPE, PROCESS_TYPE};
use vss_model::label::ContextError;
use vss_model::{Level, SecurityContext};

/// User, role and type of containers' processes and files; the level of both is `s0` here, and
/// each container's own at [`process_at`](Self::process_at) and [`file_at`](Self::file_at).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerTypes {
    /// Of processes.
    pub process: SecurityContext,
    /// Of files.
    pub file: SecurityContext,
}

/// Why the text of `lxc_contexts` gives no types.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[source] std::io::Error),
    /// A line is not of the form `name = "context"`.
    #[error("line {0} is not of the form name = \"context\"")]
    Line(usize),
    /// An entry is missing.
    #[error("it has no entry {0:?}")]
    Missing(&'static str),
    /// An entry is no security context.
    #[error("its entry {name:?} is not a security context")]
    Context {
        /// The entry.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: ContextError,
    },
}

impl ContainerTypes {
    /// Reads the text of `lxc_contexts` (`selinux_lxc_contexts_path(3)`): entries `process` and
    /// `file`, others are left alone.
    ///
    /// # Errors
    /// Where it is malformed or one of the two is missing.
    pub fn parse(text: &str) -> Result<Self, TypesError> {
        let mut entries = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = line.split_once('=').and_then(|(name, value)| {
                let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
                Some((name.trim(), value))
            });
            let (name, value) = entry.ok_or(TypesError::Line(number + 1))?;
            entries.insert(name, value);
        }
        let context = |name| {
            let text = entries.get(name).ok_or(TypesError::Missing(name))?;
            text.parse::<SecurityContext>()
                .map(|context| context.with_level(bare()))
                .map_err(|source| TypesError::Context { name, source })
        };
        Ok(Self {
            process: context("process")?,
            file: context("file")?,
        })
    }

    /// What the project's own policy module defines for containers.
    ///
    /// # Errors
    /// None in fact; the contexts go through the same check as all.
    pub fn of_module() -> Result<Self, TypesError> {
        Self::parse(&format!(
            "process = \"system_u:system_r:{PROCESS_TYPE}:s0\"\n\
             file = \"system_u:object_r:{CONTENT_TYPE}:s0\"\n"
        ))
    }

    /// What is used where no policy is installed: the names that container-selinux and recent
    /// reference policies share.
    ///
    /// # Errors
    /// None in fact; the contexts go through the same check as all.
    pub fn without_policy() -> Result<Self, TypesError> {
        Self::parse(
            "process = \"system_u:system_r:container_t:s0\"\n\
             file = \"system_u:object_r:container_file_t:s0\"\n",
        )
    }

    /// The context of a container's processes.
    #[must_use]
    pub fn process_at(&self, level: &Level) -> SecurityContext {
        self.process.with_level(level.clone())
    }

    /// The context of a container's files.
    #[must_use]
    pub fn file_at(&self, level: &Level) -> SecurityContext {
        self.file.with_level(level.clone())
    }
}

/// The level without categories.
fn bare() -> Level {
    Level::s0(vss_model::CategorySet::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_own_files_are_read() {
        // refpolicy of Debian 12; selinux-policy-targeted of Fedora
        let debian = "process = \"system_u:system_r:container_t:s0\"\n\
                      content = \"system_u:object_r:virt_var_lib_t:s0\"\n\
                      file = \"system_u:object_r:container_file_t:s0\"\n";
        let fedora = "process = \"system_u:system_r:container_t:s0\"\n\
                      content = \"system_u:object_r:virt_var_lib_t:s0\"\n\
                      file = \"system_u:object_r:container_file_t:s0\"\n\
                      ro_file=\"system_u:object_r:container_ro_file_t:s0\"\n\
                      sandbox_kvm_process = \"system_u:system_r:svirt_qemu_net_t:s0\"\n";
        let old = "# RHEL 7\n\nprocess = \"system_u:system_r:svirt_lxc_net_t:s0:c1\"\n\
                   file = \"system_u:object_r:svirt_sandbox_file_t:s0\"\n";
        let defaults = ContainerTypes::without_policy().unwrap();
        assert_eq!(ContainerTypes::parse(debian).unwrap(), defaults);
        assert_eq!(ContainerTypes::parse(fedora).unwrap(), defaults);
        let old = ContainerTypes::parse(old).unwrap();
        assert_eq!(
            old.process_at(&"s0:c3,c4".parse().unwrap()).to_string(),
            "system_u:system_r:svirt_lxc_net_t:s0:c3,c4"
        );
        assert_eq!(
            old.file_at(&"s0:c3,c4".parse().unwrap()).to_string(),
            "system_u:object_r:svirt_sandbox_file_t:s0:c3,c4"
        );
        assert_eq!(old.process.level().to_string(), "s0");
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why() {
        let file = "file = \"a:b:c:s0\"\n";
        for (text, why) in [
            (String::new(), "it has no entry \"process\""),
            (file.to_owned(), "it has no entry \"process\""),
            (
                "process = \"a:b:c:s0\"\n".to_owned(),
                "it has no entry \"file\"",
            ),
            (
                format!("{file}process system_u"),
                "line 2 is not of the form name = \"context\"",
            ),
            (
                format!("{file}process = \"a:b\""),
                "its entry \"process\" is not a security context",
            ),
        ] {
            assert_eq!(ContainerTypes::parse(&text).unwrap_err().to_string(), why);
        }
    }
}
