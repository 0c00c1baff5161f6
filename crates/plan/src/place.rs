//! Where content can be kept: what `create` would refuse later, as far as facts tell.

use vss_model::AbsPath;

use crate::ask::Ask;
use crate::facts::PathFacts;
use crate::outcome::PlanError;
use crate::request::CreateRequest;
use crate::suitable::unsuitable;

/// Where content is kept unless `--path` says otherwise.
pub const CONTENT: &str = "/var/lib/libvirt/filesystems";

/// The directory that content is kept in, with no link left in its path: a start goes down to the
/// content from `/` and follows none.
pub(crate) fn parent(ask: &Ask<'_>, request: &CreateRequest) -> AbsPath {
    let path = asked(request);
    ask.real(&path).unwrap_or(path)
}

fn asked(request: &CreateRequest) -> AbsPath {
    let default = || CONTENT.parse().unwrap_or_else(|_| AbsPath::root());
    request.path.clone().unwrap_or_else(default)
}

/// Whether the directory given with `--path` can hold content, and the path of any can be told.
///
/// # Errors
/// Where it can't.
pub(crate) fn check(ask: &Ask<'_>, request: &CreateRequest) -> Result<(), PlanError> {
    let place = parent(ask, request);
    let is_link = |path: AbsPath| ask.link_target(&path).flatten().is_some();
    if place.ancestors().filter(|p| p.depth() > 0).any(is_link) {
        let reason = "its links lead in a circle; name another directory";
        return Err(unsuitable(&asked(request), "--path", reason));
    }
    let Some(path) = &request.path else {
        return Ok(());
    };
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
