//! What becomes of a path inside a container.

use serde::{Deserialize, Serialize};

use crate::path::AbsPath;

/// What becomes of a path inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "disposition", rename_all = "lowercase")]
pub enum Disposition {
    /// A private copy of what the host has at that path.
    Copy {
        /// How much of it.
        scope: CopyScope,
    },
    /// What the host has at that path, seen read-only.
    Share,
    /// Not to be seen, although the host or a wider entry has it.
    Mask {
        /// How.
        how: MaskKind,
    },
    /// Made for this container.
    Generate {
        /// What.
        what: Generated,
    },
}

impl Disposition {
    /// The word for it: `copy`, `share`, `mask`, `generate`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Copy { .. } => "copy",
            Self::Share => "share",
            Self::Mask { .. } => "mask",
            Self::Generate { .. } => "generate",
        }
    }
}

/// How much of a path is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyScope {
    /// The path and all below it, less what other entries say of paths below.
    Tree,
    /// The path alone: a file or link; of a directory its owner, mode, times and attributes
    /// without what is in it.
    Node,
}

/// How a path is kept out of sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskKind {
    /// It is left out of the copy.
    Absent,
    /// A link to `/dev/null` stands at the path: how systemd masks units, tmpfiles.d, sysusers.d
    /// and generators.
    NullLink,
}

/// What is made for a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Generated {
    /// A file with this text.
    File {
        /// Its text.
        text: String,
        /// Permission bits, as in 0o644.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A directory.
    Directory {
        /// Permission bits, as in 0o755.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A symbolic link.
    Link {
        /// Its target, as it is written.
        target: String,
    },
    /// A fresh machine-id (machine-id(5)).
    MachineId,
    /// A fresh SSH host key of the same kind as the host's; its `.pub` is made with it.
    SshHostKey {
        /// The public half's path, which is made together with the key.
        public: AbsPath,
    },
}
