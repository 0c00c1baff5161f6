//! Links out of data: a tablespace on another disk, a web site beside the others.
//!
//! Configuration is written by root, and where its links lead is meant. Data is written by the
//! service, which may be somebody else's by now: its links lead to more data of the service, never
//! to what other packages, users or the deny list hold, and they name no secret. What is not
//! followed is told, as the link leads nowhere inside.

use vss_model::{AbsPath, Cause, CopyScope};

use crate::ask::resolve_escaped;
use crate::draft::{Draft, Source};
use crate::facts::PathFacts;
use crate::outcome::Warning;
use crate::packages::is_own_place;
use crate::paths::Scope;
use crate::region::{Region, region};
use crate::root_plan::{MAX_SYMLINKS, MOUNTED};

/// The most links out of trees that are looked into.
const MAX_LINKS_OUT: usize = 4096;
/// The most links of one tree that are told one by one.
const MAX_TOLD: usize = 16;

/// How many links may still be looked into: whoever writes the data may make any number.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_LINKS_OUT)
    }
}

/// The links of a tree that lead out of it, and how many more there are.
struct LinksOut {
    links: Vec<(AbsPath, AbsPath)>,
    more: usize,
}

impl Scope<'_, '_> {
    /// Takes what the links of a tree of data lead to.
    pub(crate) fn follow_data(&self, draft: &mut Draft, tree: &AbsPath, budget: &mut Budget) {
        for (link, target) in self.links_out(draft, tree, budget).links {
            self.follow_out(draft, link, target);
        }
    }

    /// What links lead to that is not there inside, although the host has it.
    pub(crate) fn links_left(&self, draft: &Draft) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut budget = Budget::default();
        let own = |(_, _, source): &(AbsPath, CopyScope, Source)| *source > Source::Baseline;
        for (path, scope, _) in draft.copies().into_iter().filter(own) {
            let out = match scope {
                CopyScope::Tree => self.links_out(draft, &path, &mut budget),
                CopyScope::Node => self.link_out(&path),
            };
            let lost = out.links.into_iter().filter_map(|(link, target)| {
                let target = self.left_at(draft, &target)?;
                let why = self.why_left(draft, &target);
                Some(Warning::LinkLeft { link, target, why })
            });
            let mut lost: Vec<Warning> = lost.collect();
            let count = lost.len().saturating_sub(MAX_TOLD) + out.more;
            lost.truncate(MAX_TOLD);
            warnings.extend(lost);
            if count > 0 {
                warnings.push(Warning::LinksLeft { path, count });
            }
        }
        warnings
    }

    /// The links of a tree that lead elsewhere, and those to what is kept out of it.
    fn links_out(&self, draft: &Draft, tree: &AbsPath, budget: &mut Budget) -> LinksOut {
        let links = self.ask.tree(tree).map(|t| t.links.as_slice());
        let mut out = LinksOut {
            links: Vec::new(),
            more: 0,
        };
        for (link, target) in links.unwrap_or_default() {
            let Some(target) = resolve_escaped(link, target) else {
                continue;
            };
            let stays = target.starts_with(tree) && !draft.is_hidden(&target);
            if stays || is_everywhere(&target) || draft.is_hidden(link) {
                continue;
            }
            if budget.0 == 0 {
                out.more += 1;
                continue;
            }
            budget.0 -= 1;
            out.links.push((link.clone(), target));
        }
        out
    }

    /// Where a path that is copied alone leads, if it is a link.
    fn link_out(&self, path: &AbsPath) -> LinksOut {
        let target = self.ask.link_target(path).flatten();
        let target = target.filter(|t| !is_everywhere(t));
        LinksOut {
            links: target.map(|t| (path.clone(), t)).into_iter().collect(),
            more: 0,
        }
    }

    /// Takes what a link of data leads to, link by link, as far as it is the service's.
    fn follow_out(&self, draft: &mut Draft, mut link: AbsPath, target: AbsPath) {
        let mut target = Some(target);
        for _ in 0..MAX_SYMLINKS {
            let Some(place) = target.and_then(|t| self.ask.resolve(&t)) else {
                return;
            };
            if draft.in_tree(&place) || !self.may_be_led_to(draft, &link, &place) {
                return;
            }
            let cause = Cause::Link { from: link };
            match self.ask.path(&place) {
                None | Some(PathFacts::Missing | PathFacts::Special) => return,
                Some(PathFacts::Link { .. }) => {
                    draft.node(Source::Package, &place, cause);
                    target = self.ask.link_target(&place).flatten();
                    link = place;
                }
                Some(PathFacts::File { .. }) => {
                    self.claim(draft, Source::Package, &place, &cause);
                    return;
                }
                Some(PathFacts::Directory { .. }) => {
                    if self.rules.volatile(&place).is_some() || self.is_free(&place) {
                        self.claim(draft, Source::Package, &place, &cause);
                    }
                    return;
                }
            }
        }
    }

    /// Whether data may bring along what its link leads to.
    fn may_be_led_to(&self, draft: &Draft, link: &AbsPath, place: &AbsPath) -> bool {
        let is_taken = match region(place) {
            Region::Config => true,
            Region::Data => self.copy_data,
            Region::Elsewhere => false,
        };
        let is_of_user = ["/home", "/root"]
            .into_iter()
            .any(|home| place.as_path().starts_with(home) && !link.as_path().starts_with(home));
        is_taken
            && !is_of_user
            && is_own_place(place)
            && !self.rules.in_baseline(place)
            && !self.is_upkeep(place)
            && !draft.is_hidden(place)
            && self.rules.denied(place).is_none()
            && !self.is_strangers(place)
    }

    /// Whether a directory holds nothing of other packages.
    fn is_free(&self, directory: &AbsPath) -> bool {
        self.packages.owns(self.ask, directory) || self.is_free_for_data(directory)
    }

    /// Whether a path is, or lies in, what only packages outside the closure list.
    fn is_strangers(&self, path: &AbsPath) -> bool {
        let places = path.ancestors().filter(is_own_place);
        let owners = places
            .map(|place| self.ask.owners(&place).unwrap_or_default())
            .find(|owners| !owners.is_empty());
        owners.is_some_and(|owners| {
            let is_ours = |o| self.packages.packages.contains_key(o) || self.rules.is_base(o);
            !owners.iter().any(is_ours)
        })
    }

    /// The place that a link leads to, where the host has it and the container doesn't.
    fn left_at(&self, draft: &Draft, target: &AbsPath) -> Option<AbsPath> {
        let place = self.ask.resolve(target)?;
        let is_there = is_everywhere(&place) || draft.is_seen(&place);
        let on_host = || !matches!(self.ask.path(&place), None | Some(PathFacts::Missing));
        (!is_there && on_host()).then_some(place)
    }

    fn why_left(&self, draft: &Draft, place: &AbsPath) -> String {
        if let Some(entry) = self.rules.denied(place) {
            return entry.why.clone();
        }
        if draft.is_hidden(place) {
            return "it is kept out".to_owned();
        }
        match region(place) {
            Region::Elsewhere => format!("nothing is taken from there but with --copy {place}"),
            Region::Data if !self.copy_data => "data comes with -C".to_owned(),
            _ => format!("it is not known as the service's; --copy {place} brings it"),
        }
    }
}

/// Takes out the links to what is told as missing already.
pub(crate) fn drop_told(warnings: &mut Vec<Warning>) {
    let missing = |w: &Warning| match w {
        Warning::MissingPath { path, .. } => Some(path.clone()),
        _ => None,
    };
    let missing: Vec<AbsPath> = warnings.iter().filter_map(missing).collect();
    warnings.retain(|w| !matches!(w, Warning::LinkLeft { target, .. } if missing.contains(target)));
}

/// Whether every container has a path, of the host or of its own.
fn is_everywhere(path: &AbsPath) -> bool {
    let mut places = MOUNTED.into_iter().chain(["/usr"]);
    path.depth() == 0 || places.any(|place| path.as_path().starts_with(place))
}
