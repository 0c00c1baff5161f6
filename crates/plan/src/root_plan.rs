//! What every path of a container is, and why: a value that can be printed, compared and asked.

use serde::{Deserialize, Serialize};
use vss_model::{AbsPath, Cause, CopyScope, Disposition, Generated, MaskKind};

/// Where each container gets a file system of its own at the start: `/dev/shm` is in `/dev`.
pub(crate) const MOUNTED: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/tmp"];
/// The most links that are followed, which is as many as the kernel does (path_resolution(7)).
pub(crate) const MAX_SYMLINKS: usize = 40;

/// Every path of a container that has a decision of its own, ordered by path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootPlan {
    /// The entries: no two of one path.
    pub entries: Vec<PlanEntry>,
}

/// The decision on a path. It holds for all below it as well where it is a copy of a tree, a share,
/// a mask, or a directory on which something is mounted at the start, unless a longer path has an
/// entry of its own.
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
    pub chain: Vec<Because>,
}

/// A step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// The path that was decided on.
    pub path: AbsPath,
    /// Why.
    pub cause: Cause,
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
        let mut chain = Vec::new();
        let place = self.led_to(path, &mut chain);
        let mut entry = self.deciding(&place);
        let mut fate = entry.map_or(Fate::Absent, |e| e.fate_of(&place));
        match entry {
            Some(mask) if fate == Fate::Masked => {
                // a directory that is kept out is there for what is named below it
                if let Some(below) = self.brought_below(&place) {
                    fate = Fate::Generated;
                    entry = Some(below);
                    self.follow(below, &mut chain);
                }
                self.follow(mask, &mut chain);
            }
            Some(entry) if fate != Fate::Absent => self.follow(entry, &mut chain),
            _ if place == AbsPath::root() => {
                fate = Fate::Generated;
                let why = "the container's own root, read-only".to_owned();
                let cause = Cause::Baseline { why };
                chain.push(Because { path: place, cause });
            }
            _ => match self.brought_below(&place) {
                Some(below) => {
                    fate = Fate::Generated;
                    entry = Some(below);
                    self.follow(below, &mut chain);
                }
                None => chain.push(Because {
                    path: place,
                    cause: Cause::Unnamed,
                }),
            },
        }
        Explanation {
            path: path.clone(),
            fate,
            entry: entry.cloned(),
            chain,
        }
    }

    /// Where a path leads through the links that are made for every container, `/bin` and
    /// `/var/run` among them, with their causes.
    fn led_to(&self, path: &AbsPath, chain: &mut Vec<Because>) -> AbsPath {
        let mut place = path.clone();
        for _ in 0..MAX_SYMLINKS {
            let link = place.ancestors().skip(1).find_map(|above| {
                let entry = self.entry(&above)?;
                let rest = place.strip_prefix(&above)?;
                let led_to = entry.link_target()?.join(rest).ok()?;
                Some((entry, led_to))
            });
            let Some((link, led_to)) = link else {
                break;
            };
            self.follow(link, chain);
            place = led_to;
        }
        place
    }

    /// The first entry below a path that has something there: the directories above it are made.
    fn brought_below(&self, path: &AbsPath) -> Option<&PlanEntry> {
        let start = self.entries.partition_point(|e| e.path <= *path);
        self.entries[start..]
            .iter()
            .take_while(|e| e.path.starts_with(path))
            .find(|e| !e.is_mask())
    }

    /// Adds the causes of an entry, and of the files that they name, each file once.
    fn follow(&self, entry: &PlanEntry, chain: &mut Vec<Because>) {
        for cause in &entry.causes {
            let step = Because {
                path: entry.path.clone(),
                cause: cause.clone(),
            };
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
            // the directory is empty, and something is mounted on it at each start
            Disposition::Generate { .. } => {
                let path = self.path.as_path();
                MOUNTED.iter().any(|m| path == std::path::Path::new(m))
            }
        }
    }

    fn is_mask(&self) -> bool {
        matches!(self.disposition, Disposition::Mask { .. })
    }

    /// Where a link leads that is made.
    fn link_target(&self) -> Option<AbsPath> {
        match &self.disposition {
            Disposition::Generate {
                what: Generated::Link { target },
            } => self.path.resolve_link(target).ok(),
            _ => None,
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
