//! Whether a path can be what an option asks for.

use vss_model::{AbsPath, Cause};

use crate::draft::Draft;
use crate::facts::PathFacts;
use crate::outcome::PlanError;
use crate::paths::Scope;
use crate::request::CreateRequest;
use crate::root_plan::MOUNTED;

/// Of two options that say different things of one path, one would be lost without a word.
///
/// # Errors
/// Where there are such.
pub(crate) fn contradiction(request: &CreateRequest) -> Result<(), PlanError> {
    let options = [
        ("--copy", &request.copy),
        ("--share", &request.share),
        ("--mask", &request.mask),
    ];
    for (n, (first, paths)) in options.iter().enumerate() {
        for (second, others) in &options[n + 1..] {
            if let Some(path) = paths.iter().find(|p| others.contains(p)) {
                return Err(PlanError::Contradiction {
                    path: path.clone(),
                    first,
                    second,
                });
            }
        }
    }
    Ok(())
}

/// Whether a path can be given with `--copy`.
///
/// # Errors
/// Where it can't.
pub(crate) fn to_copy(scope: &Scope<'_, '_>, path: &AbsPath) -> Result<(), PlanError> {
    const OPTION: &str = "--copy";
    possible(path, OPTION)?;
    not_led_elsewhere(path, scope.ask.resolve(path), OPTION)?;
    let is_directory = matches!(
        scope.ask.path(path),
        None | Some(PathFacts::Directory { .. })
    );
    if path.as_path().starts_with("/usr") && !is_directory {
        return Err(unsuitable(
            path,
            OPTION,
            "a file of /usr can't be the container's own, only a directory can",
        ));
    }
    Ok(())
}

/// Whether a path can be given with `--share`.
///
/// # Errors
/// Where it can't.
pub(crate) fn to_share(scope: &Scope<'_, '_>, path: &AbsPath) -> Result<(), PlanError> {
    const OPTION: &str = "--share";
    possible(path, OPTION)?;
    if path.as_path() == std::path::Path::new("/root") {
        return Err(unsuitable(
            path,
            OPTION,
            "each container has its own; name a path below it",
        ));
    }
    not_led_elsewhere(path, scope.ask.real(path), OPTION)?;
    if matches!(scope.ask.path(path), Some(PathFacts::Missing)) {
        return Err(no_such(path, OPTION));
    }
    Ok(())
}

/// Whether a path can be given with `--mask`.
///
/// # Errors
/// Where it can't.
pub(crate) fn to_mask(scope: &Scope<'_, '_>, path: &AbsPath) -> Result<(), PlanError> {
    const OPTION: &str = "--mask";
    possible(path, OPTION)?;
    not_led_elsewhere(path, scope.ask.resolve(path), OPTION)?;
    if path.as_path().starts_with("/usr") {
        return Err(unsuitable(
            path,
            OPTION,
            "all of /usr is the host's, seen read-only",
        ));
    }
    Ok(())
}

/// Whether the container has what it needs: no option and no rule may keep that out, or put the
/// host's in its place.
///
/// # Errors
/// Where one does.
pub(crate) fn needed(draft: &Draft) -> Result<(), PlanError> {
    let Some(lack) = draft.lack() else {
        return Ok(());
    };
    let (what, next) = if lack.needed == lack.place {
        ("it".to_owned(), String::new())
    } else {
        let word = lack.disposition.word();
        let next = format!("; {word} what is beside that, path by path");
        (lack.needed.to_string(), next)
    };
    let fact = match &lack.why {
        Cause::OutsideClosure { .. } => "has to be a link to /dev/null",
        _ => "is made for the container, which needs it",
    };
    let reason = format!("{what} {fact} ({}){next}", lack.why);
    let by = said_by(&lack.cause, lack.disposition.word());
    Err(unsuitable(&lack.place, &by, &reason))
}

/// Whether an option can say anything of a path, by its spelling alone.
///
/// # Errors
/// Where it can't.
pub(crate) fn possible(path: &AbsPath, option: &str) -> Result<(), PlanError> {
    match fault(path) {
        Some(reason) => Err(unsuitable(path, option, reason)),
        None => Ok(()),
    }
}

fn fault(path: &AbsPath) -> Option<&'static str> {
    const WHOLE: [&str; 4] = ["/", "/etc", "/var", "/usr"];
    let text = path.as_path();
    if MOUNTED.iter().any(|m| text.starts_with(m)) {
        return Some("each container has its own, made at the start");
    }
    let whole = WHOLE.iter().any(|w| text == std::path::Path::new(w));
    whole.then_some("name a path below it")
}

/// A mount and a mask are of the place that they name: through a link they would be somewhere else,
/// with something else in it.
fn not_led_elsewhere(
    path: &AbsPath,
    led_to: Option<AbsPath>,
    option: &str,
) -> Result<(), PlanError> {
    let Some(place) = led_to.filter(|l| l != path) else {
        return Ok(());
    };
    let next = match fault(&place) {
        Some(reason) => reason.to_owned(),
        None => format!("give {option} {place} instead"),
    };
    let reason = format!("through a link it is {place}; {next}");
    Err(unsuitable(path, option, &reason))
}

/// Who asks for a path, as an error names it; of a rule with the key.
pub(crate) fn said_by(cause: &Cause, key: &str) -> String {
    match cause {
        Cause::User { option } => option.clone(),
        Cause::Rule { file, .. } => format!("in the rules file {file}, {key} ="),
        other => other.to_string(),
    }
}

pub(crate) fn no_such(path: &AbsPath, option: &str) -> PlanError {
    PlanError::NoSuchPath {
        path: path.clone(),
        option: option.to_owned(),
    }
}

pub(crate) fn unsuitable(path: &AbsPath, option: &str, reason: &str) -> PlanError {
    PlanError::UnsuitablePath {
        path: path.clone(),
        option: option.to_owned(),
        reason: reason.to_owned(),
    }
}
