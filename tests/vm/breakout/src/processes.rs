//! Processes of the host, by the numbers that they have there.

use nix::sys::ptrace as trace;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::facts::Facts;
use crate::outcome::{Outcome, Step};

pub(crate) fn kill(facts: &Facts) -> Outcome {
    let victim = Pid::from_raw(facts.number("process-to-kill")?);
    signal::kill(victim, Signal::SIGKILL).step("kill")?;
    Ok(format!("{victim}"))
}

/// Takes hold of it, and lets it go on.
pub(crate) fn ptrace(facts: &Facts) -> Outcome {
    let victim = Pid::from_raw(facts.number("process-to-trace")?);
    trace::seize(victim, trace::Options::empty()).step("seize")?;
    Ok(format!("{victim}"))
}
