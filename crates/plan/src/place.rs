//! Where content can be kept: what `create` would refuse later, as far as facts tell.

use vss_model::AbsPath;

use crate::ask::Ask;
use crate::facts::PathFacts;
use crate::outcome::PlanError;
use crate::request::CreateRequest;
use crate::suitable::unsuitable;

/// Whether the directory given with `--path` can hold content.
///
/// # Errors
/// Where it can't.
pub(crate) fn check(ask: &Ask<'_>, request: &CreateRequest) -> Result<(), PlanError> {
    let Some(path) = &request.path else {
        return Ok(());
    };
    let place = ask.real(path).unwrap_or_else(|| path.clone());
    let reason = match fault(ask, &place) {
        Some(reason) if place == *path => reason,
        Some(reason) => format!("it is {place}, and {reason}"),
        None => return Ok(()),
    };
    Err(unsuitable(path, "--path", &reason))
}

fn fault(ask: &Ask<'_>, place: &AbsPath) -> Option<String> {
    const OTHERS: u32 = 0o007;
    let is_in = |base: &str| place.as_path().starts_with(base);
    if is_in("/usr") {
        return Some("every container sees all of /usr".to_owned());
    }
    if ["/proc", "/sys", "/dev"].into_iter().any(is_in) {
        return Some("nothing is kept there; name a directory on a disk".to_owned());
    }
    match ask.path(place)? {
        PathFacts::Directory { mode, .. } if mode & OTHERS != 0 => Some(format!(
            "others than root can enter it (mode {mode:04o}), and could run the setuid programs of a container; name a directory that is not there yet, or one of mode 0700"
        )),
        PathFacts::File { .. } | PathFacts::Special => Some("it is no directory".to_owned()),
        _ => None,
    }
}
