//! Where things are stored.

use std::path::{Path, PathBuf};

use vss_model::SandboxName;

/// Where things are stored: on the host, or below a directory that stands for it in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `/etc/libvirt-sandbox`.
    pub etc: PathBuf,
    /// `/var/lib/libvirt-sandbox`: survives a boot.
    pub state: PathBuf,
    /// `/run/libvirt-sandbox`: does not.
    pub run: PathBuf,
    /// `/var/lib/libvirt/filesystems`: where content is unless `--path` says otherwise.
    pub content_parent: PathBuf,
}

impl Places {
    /// Those of this host.
    #[must_use]
    pub fn host() -> Self {
        Self::under(Path::new("/"))
    }

    /// The same below another root.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        Self {
            etc: root.join("etc/libvirt-sandbox"),
            state: root.join("var/lib/libvirt-sandbox"),
            run: root.join("run/libvirt-sandbox"),
            content_parent: root.join("var/lib/libvirt/filesystems"),
        }
    }

    /// The directory of all configs.
    #[must_use]
    pub fn services(&self) -> PathBuf {
        self.etc.join("services")
    }

    /// The config of a sandbox.
    #[must_use]
    pub fn config(&self, name: &SandboxName) -> PathBuf {
        self.services().join(format!("{name}.sandbox"))
    }

    /// The directory of what is remembered of a sandbox.
    #[must_use]
    pub fn memory(&self, name: &SandboxName) -> PathBuf {
        self.state.join(name.as_str())
    }

    /// The manifest of a sandbox.
    #[must_use]
    pub fn manifest(&self, name: &SandboxName) -> PathBuf {
        self.memory(name).join("manifest")
    }

    /// The content of a sandbox that was created without `--path`.
    #[must_use]
    pub fn content(&self, name: &SandboxName) -> PathBuf {
        self.content_parent.join(name.as_str())
    }

    /// What the runner of a sandbox keeps while it runs.
    #[must_use]
    pub fn runtime(&self, name: &SandboxName) -> PathBuf {
        self.run.join(name.as_str())
    }

    /// The journal of a sandbox.
    #[must_use]
    pub fn journal(&self, name: &SandboxName) -> PathBuf {
        self.journals().join(name.as_str())
    }

    pub(crate) fn journals(&self) -> PathBuf {
        self.state.join(".journal")
    }

    pub(crate) fn labels(&self) -> PathBuf {
        self.state.join(".labels")
    }

    pub(crate) fn addresses(&self) -> PathBuf {
        self.state.join(".addresses")
    }

    pub(crate) fn users(&self) -> PathBuf {
        self.state.join(".users")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.run.join(".locks")
    }
}
