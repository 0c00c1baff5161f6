//! Processes of the host, by the numbers that they have there.

use nix::sys::ptrace as trace;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::facts::Facts;
use crate::outcome::{Failure, Outcome, Step, refused};

/// The host's process of this number; the container may have one of its own with the number.
fn of_the_host(number: i32) -> Result<Pid, Failure> {
    match std::fs::read_to_string(format!("/proc/{number}/comm")) {
        Ok(name) if name.trim() != "sleep" => refused(
            "look for it",
            format!("{} inside has its number", name.trim()),
        ),
        // hidden, perhaps, and still in reach
        _ => Ok(Pid::from_raw(number)),
    }
}

pub(crate) fn kill(facts: &Facts) -> Outcome {
    let victim = of_the_host(facts.number("process-to-kill")?)?;
    signal::kill(victim, Signal::SIGKILL).step("kill")?;
    Ok(format!("{victim}"))
}

/// Takes hold of it, and lets it go on.
pub(crate) fn ptrace(facts: &Facts) -> Outcome {
    let victim = of_the_host(facts.number("process-to-trace")?)?;
    trace::seize(victim, trace::Options::empty()).step("seize")?;
    Ok(format!("{victim}"))
}
