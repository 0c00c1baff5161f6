//! How an attempt ends.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// What shows that an attempt got out, or why it did not.
pub(crate) type Outcome = Result<String, Failure>;

#[derive(Debug)]
pub(crate) enum Failure {
    /// A step was refused, or did not lead to what is the host's.
    Refused { step: String, why: String },
    /// Something is missing that the attempt needs: it shows nothing.
    Untried(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { step, why } => write!(f, "refused {step}: {why}"),
            Self::Untried(why) => write!(f, "untried {why}"),
        }
    }
}

pub(crate) fn refused<T>(step: impl Into<String>, why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Refused {
        step: step.into(),
        why: why.into(),
    })
}

pub(crate) fn untried<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Untried(why.into()))
}

/// Names the step that an error comes from.
pub(crate) trait Step<T> {
    /// The kernel's refusal counts as one.
    fn step(self, step: &str) -> Result<T, Failure>;

    /// It has to succeed, or the attempt was none.
    fn needed(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &str) -> Result<T, Failure> {
        self.map_err(|error| match code(error.into()) {
            Ok(errno) => Failure::Refused {
                step: step.to_owned(),
                why: format!("{errno:?}"),
            },
            Err(error) => Failure::Untried(format!("{step}: {error}")),
        })
    }

    fn needed(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Untried(format!("{what}: {}", error.into())))
    }
}

/// The kernel's own number, if the error is the kernel's.
fn code(error: io::Error) -> Result<Errno, io::Error> {
    error.raw_os_error().map(Errno::from_raw).ok_or(error)
}

/// The first that got out, else why the last did not. One that could not be tried beats refusals.
pub(crate) fn any(ways: impl IntoIterator<Item = Outcome>) -> Outcome {
    let mut why = Failure::Untried("there is no way to try".to_owned());
    let mut all_tried = true;
    for way in ways {
        match way {
            Ok(evidence) => return Ok(evidence),
            Err(failure @ Failure::Untried(_)) => {
                all_tried = false;
                why = failure;
            }
            Err(failure) if all_tried => why = failure,
            Err(_) => {}
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_a_refusal_and_what_it_does_not_say_is_none() {
        let refused = Err::<(), _>(Errno::EPERM).step("mount").unwrap_err();
        assert_eq!(refused.to_string(), "refused mount: EPERM");
        let none = Err::<(), _>(io::Error::other("odd")).step("mount");
        assert_eq!(none.unwrap_err().to_string(), "untried mount: odd");
        let missing = Err::<(), _>(Errno::ENOENT).needed("the file");
        assert!(missing.unwrap_err().to_string().starts_with("untried"));
    }

    #[test]
    fn of_several_ways_one_that_was_not_tried_is_not_hidden_by_a_refusal() {
        let said = |ways: [Outcome; 3]| any(ways).map_err(|failure| failure.to_string());
        assert_eq!(
            said([refused("a", "EPERM"), untried("b"), Ok("c".into())]),
            Ok("c".into())
        );
        let last = said([refused("a", "EPERM"), untried("b"), refused("c", "EPERM")]);
        assert_eq!(last, Err("untried b".into()));
        let last = said([
            refused("a", "EPERM"),
            refused("b", "EPERM"),
            refused("c", "EACCES"),
        ]);
        assert_eq!(last, Err("refused c: EACCES".into()));
    }
}
