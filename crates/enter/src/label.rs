//! The label that a program turns out to have (A05, A42).
//!
//! The caller hears of the exec by a descriptor that it closes, and that is before the program has
//! its label: `begin_new_exec` of the kernel's `fs/exec.c` closes descriptors first and commits the
//! credentials some steps later, both for one. In between, which is long where a processor is taken
//! away, a process still shows the label of its caller. What tells is the label asked for by
//! `attr/exec` of proc_pid_attr(5): the credentials of an exec have none any more. One that is killed
//! in between has not run the program, and keeps the label of its caller until it is waited for.

use std::io;
use std::time::{Duration, Instant};

use vss_model::SecurityContext;

use crate::Result;
use crate::container::wait_readable;
use crate::error::{Error, caller};
use crate::process::Child;
use crate::procfs::ProcessDir;

/// How long a program with another label may look as if it had not begun. An exec needs no such
/// time; a program that asks for labels of its own could take any.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Reads the label of a command back, through the host's procfs.
///
/// # Errors
/// [`Error::Label`] where it is another than the one wanted.
pub(crate) fn check(wanted: Option<&SecurityContext>, child: &Child) -> Result<()> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    // a program that has ended already has no label to read
    let Ok(process) = ProcessDir::open(child.pid()) else {
        return Ok(());
    };
    let patient_until = Instant::now() + PATIENCE;
    compare(
        &wanted.to_string(),
        |attribute| process.read(attribute).ok(),
        || {
            Ok(match wait_readable(child.fd(), Some(PAUSE))? {
                true => Waited::Ended,
                false if Instant::now() < patient_until => Waited::Lives,
                false => Waited::TooLong,
            })
        },
    )
}

/// What became of a process meanwhile.
#[derive(Debug, Clone, Copy)]
enum Waited {
    /// It lives, and there is time for another look.
    Lives,
    /// It has ended.
    Ended,
    /// It lives, and the time is over.
    TooLong,
}

/// Compares as soon as the credentials are those of the program.
fn compare(
    wanted: &str,
    read: impl Fn(&'static str) -> Option<String>,
    mut wait: impl FnMut() -> io::Result<Waited>,
) -> Result<()> {
    let label = |attribute| {
        let text = read(attribute)?;
        let label = text.trim_end_matches(['\0', '\n']);
        (!label.is_empty()).then(|| label.to_owned())
    };
    let other = |found| Error::Label {
        found,
        wanted: wanted.to_owned(),
    };
    let mut has_ended = false;
    loop {
        // in this order: what is read behind an empty `exec` is the program's own
        let is_asked_for = label("attr/exec").is_some();
        let Some(found) = label("attr/current") else {
            return Ok(());
        };
        if found == wanted || (is_asked_for && has_ended) {
            return Ok(());
        }
        if !is_asked_for {
            return Err(other(found));
        }
        match wait().map_err(caller("wait for the command"))? {
            Waited::Lives => {}
            // it may have got through before that, and is looked at once more
            Waited::Ended => has_ended = true,
            Waited::TooLong => return Err(other(found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const CALLER: &str = "u:r:caller_t:s0\0";
    const CONTAINER: &str = "u:r:container_t:s0:c1,c2";

    /// A process whose exec is through after so many looks at its credentials, with this label.
    fn after(looks: usize, label: &str) -> (Result<()>, usize) {
        let begun = Cell::new(looks);
        let waited = Cell::new(0);
        let outcome = compare(
            CONTAINER,
            |attribute| {
                let in_exec = begun.get() > 0;
                begun.set(begun.get().saturating_sub(1));
                Some(match (attribute, in_exec) {
                    ("attr/exec", true) => format!("{CONTAINER}\0"),
                    ("attr/exec", false) => String::new(),
                    ("attr/current", true) => CALLER.to_owned(),
                    ("attr/current", false) => format!("{label}\n"),
                    other => panic!("{other:?}"),
                })
            },
            || {
                waited.set(waited.get() + 1);
                Ok(match waited.get() {
                    100 => Waited::TooLong,
                    _ => Waited::Lives,
                })
            },
        );
        (outcome, waited.get())
    }

    /// A process that had this label asked for, and this label, when it was seen to have ended.
    fn ended(asked_for: &str, label: &str) -> Result<()> {
        let seen = Cell::new(false);
        compare(
            CONTAINER,
            |attribute| {
                Some(match (attribute, seen.get()) {
                    ("attr/exec", false) => CONTAINER.to_owned(),
                    ("attr/exec", true) => asked_for.to_owned(),
                    ("attr/current", false) => CALLER.to_owned(),
                    ("attr/current", true) => label.to_owned(),
                    other => panic!("{other:?}"),
                })
            },
            || {
                assert!(!seen.replace(true), "it is not waited for");
                Ok(Waited::Ended)
            },
        )
    }

    fn found(outcome: Result<()>) -> String {
        match outcome {
            Err(Error::Label { found, wanted }) => {
                assert_eq!(wanted, CONTAINER);
                found
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a05_an_exec_that_is_not_through_has_no_label_yet() {
        for looks in 0..8 {
            let (outcome, waited) = after(looks, CONTAINER);
            assert!(outcome.is_ok(), "{looks} looks: {outcome:?}");
            assert_eq!(waited, looks / 2);
        }
    }

    #[test]
    fn a05_another_label_is_one_as_soon_as_the_exec_is_through() {
        for looks in [0, 2, 4] {
            let (outcome, waited) = after(looks, "u:r:other_t:s0");
            assert_eq!(found(outcome), "u:r:other_t:s0");
            assert_eq!(waited, looks / 2);
        }
    }

    #[test]
    fn a05_an_exec_that_never_gets_through_is_not_waited_for_without_end() {
        let (outcome, waited) = after(usize::MAX, CONTAINER);
        assert_eq!(found(outcome), "u:r:caller_t:s0");
        assert_eq!(waited, 100);
    }

    #[test]
    fn a05_who_is_killed_in_the_exec_never_ran_the_program() {
        assert!(ended(CONTAINER, CALLER).is_ok());
        assert!(ended("", CONTAINER).is_ok());
        assert_eq!(found(ended("", "u:r:other_t:s0")), "u:r:other_t:s0");
    }

    #[test]
    fn a_program_that_has_ended_has_no_label() {
        assert!(compare(CONTAINER, |_| None, || Ok(Waited::Lives)).is_ok());
    }
}
