//! What a share may not show, and what it covers: the host's directory is mounted over all that the
//! plan says of paths below it.

use vss_model::sandbox::ShareClash;
use vss_model::{AbsPath, Cause, SandboxConfig};

use crate::deny::own_by_name;
use crate::draft::Draft;
use crate::facts::PathFacts;
use crate::follow::Named;
use crate::outcome::PlanError;
use crate::paths::Scope;
use crate::root_plan::RootPlan;
use crate::suitable::{said_by, unsuitable};

/// Whether what is shared goes with the rest of a config, which its reader would refuse else.
///
/// # Errors
/// Where a share would show content of containers, or is the container's own.
pub(crate) fn fit(config: &SandboxConfig, root: &RootPlan) -> Result<(), PlanError> {
    let Some(clash) = config.share_clash() else {
        return Ok(());
    };
    let path = clash.path();
    let cause = root.entry(path).and_then(|e| e.causes.first());
    let by = cause.map_or_else(|| "--share".to_owned(), |c| said_by(c, "share"));
    let reason = match &clash {
        ShareClash::Content(_) => format!(
            "the content of the container is in {}, and would be seen; share other paths of it one by one",
            config.content
        ),
        other => format!("{other}; share what is beside that, path by path"),
    };
    Err(unsuitable(path, &by, &reason))
}

impl Scope<'_, '_> {
    /// Takes out of the draft what shares cover.
    ///
    /// # Errors
    /// Where a share would show what the deny list holds, or would undo what has to be so: a mask,
    /// what the user asked for, what is made for every container.
    pub(crate) fn shares(&self, draft: &mut Draft, named: &Named) -> Result<(), PlanError> {
        for (share, cause) in draft.shares() {
            let by = said_by(&cause, "share");
            if let Some((path, why)) = self.secret_in(&share, named) {
                let next = if path == share {
                    "only --copy of that very path brings it in".to_owned()
                } else {
                    format!(
                        "share other paths of it one by one, or --copy {share}, which leaves secrets out"
                    )
                };
                let reason = format!("the container would see {path} ({why}); {next}");
                return Err(unsuitable(&share, &by, &reason));
            }
            // a directory of the baseline has no content of its own that a share would replace
            let is_file = matches!(self.ask.path(&share), Some(PathFacts::File { .. }));
            if is_file && self.rules.is_made(&share) {
                let reason = format!(
                    "each container has its own; --copy {share} gives it the host's in its place"
                );
                return Err(unsuitable(&share, &by, &reason));
            }
            if let Err((path, cause)) = draft.cover(&share) {
                let reason = format!(
                    "it shows all that is in it, and {path} is to be another inside ({cause}); share what is beside that, path by path"
                );
                return Err(unsuitable(&share, &by, &reason));
            }
        }
        Ok(())
    }

    /// The first path at or below a share that the deny list holds, and why. A directory that the
    /// service's own key is in is judged by what else is in it.
    fn secret_in(&self, share: &AbsPath, named: &Named) -> Option<(AbsPath, Cause)> {
        let tree = self.ask.tree(share)?;
        let below = tree.watched.iter().filter(|w| *w != share);
        std::iter::once(share).chain(below).find_map(|path| {
            let entry = self.rules.denied(path)?;
            let holds_own = || named.keys().any(|n| n != path && n.starts_with(path));
            let is_own = own_by_name(entry, path, named).is_some();
            let is_fine = is_own || path != share && entry.unless_named && holds_own();
            (!is_fine).then(|| (path.clone(), entry.cause()))
        })
    }
}
