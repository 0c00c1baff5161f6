//! Waiting until PID 1 is held by what is to hold all that come after it (A42).
//!
//! A container has a PID 1 from early on in its start, and that one is not confined before the last
//! steps of the init: whoever joined it until then would have the host's capabilities, and be in a
//! cgroup and a cgroup namespace that the container leaves behind. What shows from outside that the
//! init is through is its filter of system calls. It is there under every confinement, it is loaded
//! when all else is done but giving up this process's own capabilities, and nobody gets rid of one.

use std::time::{Duration, Instant};

use crate::Result;
use crate::container::Container;
use crate::error::Error;
use crate::procfs::ProcessDir;

/// How long the init may take. It waits for its network, which takes longest on a busy host.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until a container's PID 1 is confined, which it then is to its end.
///
/// # Errors
/// [`Error::NotConfined`] where it does not get so far in time, [`Error::Gone`] where it ends.
pub(crate) fn wait(container: &Container) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let lives_for = |pause| match container.wait(Some(pause))? {
        true => Err(Error::Gone { pid: container.pid }),
        false => Ok(()),
    };
    let look = || {
        is_confined(&container.directory).or_else(|error| {
            // of one that is gone there is nothing to read
            lives_for(Duration::ZERO)?;
            Err(error)
        })
    };
    until(look, || {
        lives_for(PAUSE)?;
        Ok(Instant::now() < deadline)
    })
}

/// Looks until it is confined. `wait` says whether there is time for another look.
fn until(look: impl Fn() -> Result<bool>, mut wait: impl FnMut() -> Result<bool>) -> Result<()> {
    while !look()? {
        if !wait()? {
            return Err(Error::NotConfined);
        }
    }
    Ok(())
}

/// Whether PID 1 has a filter that it was not born with: the host may have put some on libvirt, and
/// so on its controller, which is the parent, and all that comes of it.
fn is_confined(first: &ProcessDir) -> Result<bool> {
    let parent: u32 = number(first, "PPid")?;
    // a parent that can't be seen has none that is known
    let inherited = ProcessDir::open(parent).and_then(|parent| filters(&parent));
    Ok(filters(first)? > inherited.unwrap_or(0))
}

fn filters(process: &ProcessDir) -> Result<u32> {
    number(process, "Seccomp_filters")
}

fn number(process: &ProcessDir, key: &str) -> Result<u32> {
    let value = process.status(key)?;
    value.parse().map_err(|_| process.malformed("status"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a42_what_is_not_confined_yet_is_waited_for() {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            Ok(looks.get() == 4)
        };
        let waited = Cell::new(0);
        let outcome = until(look, || {
            waited.set(waited.get() + 1);
            Ok(true)
        });
        assert!(outcome.is_ok());
        assert_eq!((looks.get(), waited.get()), (4, 3));
    }

    #[test]
    fn a42_what_never_gets_confined_is_not_entered() {
        let mut left = 3;
        let outcome = until(
            || Ok(false),
            || {
                left -= 1;
                Ok(left > 0)
            },
        );
        assert!(matches!(outcome, Err(Error::NotConfined)));
        assert_eq!(left, 0);
    }

    #[test]
    fn a_container_that_ends_meanwhile_is_not_waited_for() {
        let outcome = until(|| Ok(false), || Err(Error::Gone { pid: 7 }));
        assert!(matches!(outcome, Err(Error::Gone { pid: 7 })));
    }
}
