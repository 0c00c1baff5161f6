//! What every path of a container is, and why: a value that can be printed, compared and asked.

use serde::{Deserialize, Serialize};
use vss_model::{AbsPath, Cause, CopyScope, Disposition, MaskKind};

/// Every path of a container that has a decision of its own, ordered by path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootPlan {
    /// The entries: no two of one path.
    pub entries: Vec<PlanEntry>,
}

/// The decision on a path. It holds for all below it as well where it is a copy of a tree, a share
/// or a mask, unless a longer path has an entry of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEntry {
    /// The path inside the container, and on the host.
    pub path: AbsPath,
    /// What becomes of it.
    #[serde(flatten)]
    pub disposition: Disposition,
    /// Why: the deciding cause first, then those that say the same or lost.
    pub causes: Vec<Cause>,
    /// Bytes to be copied or written, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Files and links to be copied, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// Why a path is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The path that was asked about.
    pub path: AbsPath,
    /// What it is in the container.
    pub fate: Fate,
    /// The entry that decides, unless none does.
    pub entry: Option<PlanEntry>,
    /// The causes, the deciding one first, each followed by the causes of the path that it names:
    /// a file is named in another, which is part of a directory, which a package owns.
    pub chain: Vec<(AbsPath, Cause)>,
}

/// What a path is in the container, in one word for an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// The container's own copy.
    Private,
    /// The host's, read-only.
    Shared,
    /// Hidden, although the host has it.
    Masked,
    /// Made for the container.
    Generated,
    /// Not there.
    Absent,
}

impl Fate {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Masked => "masked",
            Self::Generated => "generated",
            Self::Absent => "absent",
        }
    }
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl RootPlan {
    /// The entry of exactly this path.
    #[must_use]
    pub fn entry(&self, path: &AbsPath) -> Option<&PlanEntry> {
        self.entries
            .binary_search_by(|e| e.path.cmp(path))
            .ok()
            .map(|n| &self.entries[n])
    }

    /// The entry that decides on a path: its own, else that of the nearest directory above it.
    #[must_use]
    pub fn deciding(&self, path: &AbsPath) -> Option<&PlanEntry> {
        path.ancestors().find_map(|p| self.entry(&p))
    }

    /// Why a path is what it is, also one that no entry names.
    #[must_use]
    pub fn explain(&self, path: &AbsPath) -> Explanation {
        let entry = self.deciding(path);
        let fate = entry.map_or(Fate::Absent, |e| e.fate_of(path));
        let mut chain = Vec::new();
        match entry {
            Some(entry) if entry.path == *path || entry.reaches_below() => {
                self.follow(entry, &mut chain);
            }
            _ => chain.push((path.clone(), Cause::Unnamed)),
        }
        Explanation {
            path: path.clone(),
            fate,
            entry: entry.cloned(),
            chain,
        }
    }

    /// Adds the causes of an entry, and of the files that they name, each file once.
    fn follow(&self, entry: &PlanEntry, chain: &mut Vec<(AbsPath, Cause)>) {
        for cause in &entry.causes {
            let step = (entry.path.clone(), cause.clone());
            if chain.contains(&step) {
                continue;
            }
            chain.push(step);
            let source = match cause {
                Cause::Link { from } => from,
                Cause::NamedIn { file } => file,
                _ => continue,
            };
            if let Some(above) = self.deciding(source)
                && above.path != entry.path
            {
                self.follow(above, chain);
            }
        }
    }
}

impl PlanEntry {
    /// Whether the entry decides on what is below its path as well.
    #[must_use]
    pub fn reaches_below(&self) -> bool {
        match &self.disposition {
            Disposition::Copy { scope } => *scope == CopyScope::Tree,
            Disposition::Share | Disposition::Mask { .. } => true,
            Disposition::Generate { .. } => false,
        }
    }

    /// What a path is that this entry is the nearest for.
    fn fate_of(&self, path: &AbsPath) -> Fate {
        if *path != self.path && !self.reaches_below() {
            return Fate::Absent;
        }
        match &self.disposition {
            Disposition::Copy { .. } => Fate::Private,
            Disposition::Share => Fate::Shared,
            Disposition::Mask {
                how: MaskKind::Absent | MaskKind::NullLink,
            } => Fate::Masked,
            Disposition::Generate { .. } => Fate::Generated,
        }
    }
}
