//! The label that a program turns out to have (A05, A42).
//!
//! The caller hears of the exec by a descriptor that it closes, and that is before the program has
//! its label: `begin_new_exec` of the kernel's `fs/exec.c` closes descriptors first and commits the
//! credentials some steps later, both for one. In between, which is long where a processor is taken
//! away, a process still shows the label of its caller. What tells is the label asked for by
//! `attr/exec` of proc_pid_attr(5): the credentials of an exec have none any more.

use std::thread;
use std::time::{Duration, Instant};

use vss_model::SecurityContext;

use crate::Result;
use crate::error::Error;
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
            thread::sleep(PAUSE);
            Instant::now() < patient_until
        },
    )
}

/// Compares as soon as the credentials are those of the program. `wait` says whether there is time
/// for another look.
fn compare(
    wanted: &str,
    read: impl Fn(&'static str) -> Option<String>,
    mut wait: impl FnMut() -> bool,
) -> Result<()> {
    let label = |attribute| {
        let text = read(attribute)?;
        let label = text.trim_end_matches(['\0', '\n']);
        (!label.is_empty()).then(|| label.to_owned())
    };
    loop {
        // in this order: what is read behind an empty `exec` is the program's own
        let is_asked_for = label("attr/exec").is_some();
        match label("attr/current") {
            None => return Ok(()),
            Some(found) if found == wanted => return Ok(()),
            Some(found) if !(is_asked_for && wait()) => {
                return Err(Error::Label {
                    found,
                    wanted: wanted.to_owned(),
                });
            }
            Some(_) => {}
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
                waited.get() < 100
            },
        );
        (outcome, waited.get())
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
    fn a_program_that_has_ended_has_no_label() {
        assert!(compare(CONTAINER, |_| None, || true).is_ok());
    }
}
