//! The plan in the making: what each source says of a path, and which of them wins.

use std::collections::BTreeMap;

use vss_model::{AbsPath, Cause, CopyScope, Disposition, Generated, MaskKind};

use crate::outcome::Skipped;
use crate::root_plan::{PlanEntry, RootPlan};

/// The sources of a plan; of two that name the same path the later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Baseline,
    Unit,
    Package,
    Instance,
    Rule,
    User,
    Deny,
}

#[derive(Debug, Clone)]
struct Claim {
    source: Source,
    disposition: Disposition,
    causes: Vec<Cause>,
}

impl Claim {
    /// Whether it may not be covered by a share: what the user asks for, what somebody wants kept
    /// out, and what is made for every container. Copies of what the host has may be.
    fn has_to_hold(&self) -> bool {
        match &self.disposition {
            Disposition::Share => false,
            _ if self.source >= Source::User => true,
            Disposition::Copy { .. } => false,
            Disposition::Mask { how } => self.source >= Source::Rule || *how == MaskKind::NullLink,
            Disposition::Generate { what } => !matches!(what, Generated::Directory { .. }),
        }
    }
}

/// Claims on paths.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    claims: BTreeMap<AbsPath, Claim>,
    needed: BTreeMap<AbsPath, Cause>,
    skipped: Vec<Skipped>,
}

/// What a container can't do without, and what keeps it out.
#[derive(Debug)]
pub(crate) struct Lack {
    pub(crate) needed: AbsPath,
    pub(crate) why: Cause,
    /// The path that is kept out or shared.
    pub(crate) place: AbsPath,
    pub(crate) disposition: Disposition,
    /// Who asks for it.
    pub(crate) cause: Cause,
}

impl Draft {
    /// Says that no container can do without a path that is made for it.
    pub(crate) fn need(&mut self, path: &AbsPath, why: Cause) {
        self.needed.insert(path.clone(), why);
    }

    /// The first path that the container needs as it is made, and that is kept out or shared.
    pub(crate) fn lack(&self) -> Option<Lack> {
        self.needed.iter().find_map(|(needed, why)| {
            let (place, claim) = self.deciding(needed)?;
            let is_lack =
                is_absent(&claim.disposition) || matches!(claim.disposition, Disposition::Share);
            is_lack.then(|| Lack {
                needed: needed.clone(),
                why: why.clone(),
                place,
                disposition: claim.disposition.clone(),
                cause: claim.causes.first().unwrap_or(why).clone(),
            })
        })
    }

    /// Says what becomes of a path. The later source wins; within one, a whole tree wins over the
    /// path alone, and else the first.
    pub(crate) fn claim(
        &mut self,
        source: Source,
        path: &AbsPath,
        disposition: Disposition,
        cause: Cause,
    ) {
        let Some(old) = self.claims.get_mut(path) else {
            let causes = vec![cause];
            let claim = Claim {
                source,
                disposition,
                causes,
            };
            self.claims.insert(path.clone(), claim);
            return;
        };
        let wins = source > old.source
            || source == old.source
                && is_tree(&disposition)
                && matches!(
                    old.disposition,
                    Disposition::Copy {
                        scope: CopyScope::Node
                    }
                );
        // who copies a directory alone does not contradict one who copies it whole
        let narrows = is_tree(&old.disposition)
            && matches!(
                disposition,
                Disposition::Copy {
                    scope: CopyScope::Node
                }
            );
        if wins && !narrows {
            old.source = source;
            old.disposition = disposition;
            old.causes.retain(|c| *c != cause);
            old.causes.insert(0, cause);
        } else if !old.causes.contains(&cause) {
            old.causes.push(cause);
        }
    }

    pub(crate) fn node(&mut self, source: Source, path: &AbsPath, cause: Cause) {
        let scope = CopyScope::Node;
        self.claim(source, path, Disposition::Copy { scope }, cause);
    }

    pub(crate) fn tree(&mut self, source: Source, path: &AbsPath, cause: Cause) {
        let scope = CopyScope::Tree;
        self.claim(source, path, Disposition::Copy { scope }, cause);
    }

    pub(crate) fn generate(
        &mut self,
        source: Source,
        path: &AbsPath,
        what: Generated,
        cause: Cause,
    ) {
        self.claim(source, path, Disposition::Generate { what }, cause);
    }

    pub(crate) fn mask(&mut self, source: Source, path: &AbsPath, how: MaskKind, cause: Cause) {
        self.claim(source, path, Disposition::Mask { how }, cause);
    }

    pub(crate) fn skip(&mut self, path: &AbsPath, reason: &str) {
        let skipped = Skipped {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    /// Whether a path is copied by a claim on a tree that it is in or is.
    pub(crate) fn in_tree(&self, path: &AbsPath) -> bool {
        self.deciding(path)
            .is_some_and(|(_, claim)| is_tree(&claim.disposition))
    }

    /// Whether a path is copied, by itself or with a tree that it is in.
    pub(crate) fn is_copied(&self, path: &AbsPath) -> bool {
        self.deciding(path).is_some_and(|(place, claim)| {
            is_tree(&claim.disposition) || place == *path && is_copy(&claim.disposition)
        })
    }

    /// Whether a path is there inside: copied, shared or made, itself or something in it.
    pub(crate) fn is_seen(&self, path: &AbsPath) -> bool {
        let is_there = self.deciding(path).is_some_and(|(place, claim)| {
            let reaches_below =
                is_tree(&claim.disposition) || matches!(claim.disposition, Disposition::Share);
            reaches_below || place == *path && !is_absent(&claim.disposition)
        });
        let below = self
            .claims
            .range(path.clone()..)
            .skip_while(|(p, _)| *p == path);
        is_there
            || below
                .take_while(|(p, _)| p.starts_with(path))
                .any(|(p, c)| {
                    !matches!(c.disposition, Disposition::Mask { .. }) && !self.is_lost(p)
                })
    }

    /// Whether a path is left out.
    pub(crate) fn is_hidden(&self, path: &AbsPath) -> bool {
        self.deciding(path)
            .is_some_and(|(_, claim)| is_absent(&claim.disposition))
    }

    /// Who says what becomes of a path.
    pub(crate) fn source_of(&self, path: &AbsPath) -> Option<Source> {
        self.deciding(path).map(|(_, claim)| claim.source)
    }

    /// Whether exactly this path is claimed.
    pub(crate) fn has(&self, path: &AbsPath) -> bool {
        self.claims.contains_key(path)
    }

    /// Whether exactly this path is claimed by a source from that one on.
    pub(crate) fn has_from(&self, source: Source, path: &AbsPath) -> bool {
        self.claims.get(path).is_some_and(|c| c.source >= source)
    }

    /// The claim that says what becomes of a path: of those on it and above it the nearest, unless
    /// a later source leaves out a directory that the nearest is in.
    fn deciding(&self, path: &AbsPath) -> Option<(AbsPath, &Claim)> {
        let mut deciding: Option<(AbsPath, &Claim)> = None;
        let mut latest = None;
        for place in path.ancestors() {
            let Some(claim) = self.claims.get(&place) else {
                continue;
            };
            let is_later = latest.is_none_or(|latest| claim.source > latest);
            if deciding.is_none() || is_later && is_absent(&claim.disposition) {
                deciding = Some((place, claim));
            }
            latest = latest.max(Some(claim.source));
        }
        deciding
    }

    /// Whether a claim is lost: a later source leaves out a directory that its path is in.
    fn is_lost(&self, path: &AbsPath) -> bool {
        self.deciding(path).is_none_or(|(place, _)| place != *path)
    }

    /// The claims that copy, with whether it is a tree, and whether a source after the baseline
    /// said so: what is the service's own.
    pub(crate) fn copies(&self) -> Vec<(AbsPath, CopyScope, Source)> {
        self.claims
            .iter()
            .filter_map(|(path, claim)| match claim.disposition {
                Disposition::Copy { scope } if !self.is_lost(path) => {
                    Some((path.clone(), scope, claim.source))
                }
                _ => None,
            })
            .collect()
    }

    /// The shares that somebody asks for, each with its deciding cause.
    pub(crate) fn shares(&self) -> Vec<(AbsPath, Cause)> {
        let shared =
            |c: &Claim| c.source > Source::Baseline && matches!(c.disposition, Disposition::Share);
        self.claims
            .iter()
            .filter(|(_, claim)| shared(claim))
            .filter_map(|(path, claim)| Some((path.clone(), claim.causes.first()?.clone())))
            .collect()
    }

    /// Takes out what is claimed below a share, which is mounted over it.
    ///
    /// # Errors
    /// The first path for which that may not be, with its cause.
    pub(crate) fn cover(&mut self, share: &AbsPath) -> Result<(), (AbsPath, Cause)> {
        let below = self
            .claims
            .range(share.clone()..)
            .take_while(|(path, _)| path.starts_with(share))
            .filter(|(path, _)| *path != share);
        let mut covered = Vec::new();
        for (path, claim) in below {
            match claim.causes.first() {
                Some(cause) if claim.has_to_hold() => return Err((path.clone(), cause.clone())),
                _ => covered.push(path.clone()),
            }
        }
        for path in covered {
            self.claims.remove(&path);
        }
        Ok(())
    }

    /// The plan: entries that say no more than the one above them are left out.
    pub(crate) fn finish(self) -> (RootPlan, Vec<Skipped>) {
        let mut entries: Vec<PlanEntry> = Vec::with_capacity(self.claims.len());
        for (path, claim) in &self.claims {
            let above = path.parent().and_then(|p| self.deciding(&p));
            let said_above = above.is_some_and(|(_, above)| {
                let copied = is_tree(&above.disposition) && is_copy(&claim.disposition);
                let hidden = is_absent(&above.disposition)
                    && claim.source == above.source
                    && is_absent(&claim.disposition);
                let shared = matches!(above.disposition, Disposition::Share)
                    && matches!(claim.disposition, Disposition::Share);
                copied || hidden || shared
            });
            if !said_above && !self.is_lost(path) {
                entries.push(PlanEntry {
                    path: path.clone(),
                    disposition: claim.disposition.clone(),
                    causes: claim.causes.clone(),
                    bytes: None,
                    files: None,
                });
            }
        }
        let mut skipped = self.skipped;
        skipped.sort();
        (RootPlan { entries }, skipped)
    }
}

fn is_tree(disposition: &Disposition) -> bool {
    matches!(
        disposition,
        Disposition::Copy {
            scope: CopyScope::Tree
        }
    )
}

fn is_copy(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::Copy { .. })
}

fn is_absent(disposition: &Disposition) -> bool {
    matches!(
        disposition,
        Disposition::Mask {
            how: MaskKind::Absent
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> AbsPath {
        text.parse().unwrap()
    }

    fn why(text: &str) -> Cause {
        Cause::User {
            option: text.to_owned(),
        }
    }

    #[test]
    fn the_longest_path_wins_and_ties_go_to_the_later_source() {
        let mut draft = Draft::default();
        draft.tree(Source::Package, &path("/etc/a"), why("package"));
        draft.mask(
            Source::User,
            &path("/etc/a/b"),
            MaskKind::Absent,
            why("mask"),
        );
        draft.node(Source::Package, &path("/etc/a/c"), why("listed"));
        draft.node(Source::Package, &path("/etc/a/b/d"), why("listed"));
        draft.node(Source::User, &path("/etc/a/b/e"), why("copy"));
        draft.tree(Source::Package, &path("/etc/a/b/f"), why("listed"));
        draft.node(Source::Package, &path("/etc/a/b/f/g"), why("listed"));
        draft.node(Source::User, &path("/etc/a/b/f/h"), why("copy"));
        let copied: Vec<_> = draft.copies().into_iter().map(|(p, ..)| p).collect();
        let kept = ["/etc/a", "/etc/a/b/e", "/etc/a/b/f/h", "/etc/a/c"];
        assert_eq!(copied, kept.map(path));
        draft.node(Source::Baseline, &path("/etc/x"), why("baseline"));
        draft.mask(Source::Rule, &path("/etc/x"), MaskKind::Absent, why("rule"));
        draft.node(Source::Unit, &path("/etc/x"), why("unit"));
        let (plan, _) = draft.finish();
        let shown: Vec<_> = plan
            .entries
            .iter()
            .map(|e| format!("{} {}", e.path, e.disposition.word()))
            .collect();
        assert_eq!(
            shown,
            [
                "/etc/a copy",
                "/etc/a/b mask",
                "/etc/a/b/e copy",
                "/etc/a/b/f/h copy",
                "/etc/x mask"
            ]
        );
        assert_eq!(
            plan.entries[4].causes,
            [why("rule"), why("baseline"), why("unit")]
        );
    }

    proptest! {
        #[test]
        fn explain_is_total_and_the_longest_path_decides(
            claims in proptest::collection::vec(("(/[abc]){1,4}", 0u8..3, 0u8..5), 0..20),
            asked in "(/[abc]){1,5}",
        ) {
            let mut draft = Draft::default();
            let sources = [Source::Baseline, Source::Unit, Source::Package, Source::Rule, Source::User];
            for (text, kind, source) in claims {
                let source = sources[usize::from(source)];
                match kind {
                    0 => draft.tree(source, &path(&text), why("tree")),
                    1 => draft.node(source, &path(&text), why("node")),
                    _ => draft.mask(source, &path(&text), MaskKind::Absent, why("mask")),
                }
            }
            let (plan, _) = draft.finish();
            let explanation = plan.explain(&path(&asked));
            prop_assert!(!explanation.chain.is_empty());
            if let Some(entry) = explanation.entry {
                let longer = plan.entries.iter().filter(|e| path(&asked).starts_with(&e.path));
                prop_assert!(longer.into_iter().all(|e| e.path.depth() <= entry.path.depth()));
            }
        }
    }
}
