//! Runs attempts, and says how they ended.

use std::fs::File;
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};

use crate::attempt::{self, ALL, Attempt};
use crate::facts::Facts;
use crate::outcome::{Failure, Outcome, Step, refused, untried};

/// Says something; who doesn't listen doesn't matter.
fn say(mut to: impl Write, text: &str) {
    let _ = writeln!(to, "{text}");
}

pub(crate) fn complain(text: &str) -> ExitCode {
    say(io::stderr(), text);
    ExitCode::from(64)
}

pub(crate) fn list() -> ExitCode {
    for (name, _) in ALL {
        say(io::stdout(), name);
    }
    ExitCode::SUCCESS
}

/// `OUT`, `refused`, `untried`: 0, 1, 2.
fn status(outcome: &Outcome) -> ExitCode {
    ExitCode::from(match outcome {
        Ok(_) => 0,
        Err(Failure::Refused { .. }) => 1,
        Err(Failure::Untried(_)) => 2,
    })
}

fn line(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Ok(evidence) => format!("{name} out {evidence}"),
        Err(failure) => format!("{name} {failure}"),
    }
}

/// One attempt, in this process. With a root, what holds it is chroot(2) and nothing else.
pub(crate) fn one(name: &str, root: Option<&str>) -> ExitCode {
    let Some(attempt) = attempt::named(name) else {
        return complain(&format!("{name} is no attempt; see breakout list"));
    };
    end(name, &attempted(attempt, root))
}

fn end(name: &str, outcome: &Outcome) -> ExitCode {
    say(io::stdout(), &line(name, outcome));
    status(outcome)
}

fn attempted(attempt: Attempt, root: Option<&str>) -> Outcome {
    let facts = Facts::read()?;
    if let Some(root) = root {
        nix::unistd::chroot(root).needed("chroot")?;
        nix::unistd::chdir("/").needed("chdir")?;
    }
    attempt(&facts)
}

/// Each attempt in a process of its own: what one leaves of itself doesn't help or hinder the next.
pub(crate) fn all(to: Option<&str>) -> ExitCode {
    let mut lines = String::new();
    for (name, _) in ALL {
        lines.push_str(&line(name, &apart(name)));
        lines.push('\n');
    }
    lines.push_str("all tried\n");
    let written = match to {
        Some(path) => File::create(path).and_then(|mut file| file.write_all(lines.as_bytes())),
        None => io::stdout().write_all(lines.as_bytes()),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("the results: {error}")),
    }
}

/// An attempt in a process of its own, and what came of it.
#[expect(
    clippy::disallowed_methods,
    reason = "the owner of this program's own processes"
)]
pub(crate) fn apart(name: &str) -> Outcome {
    let ran = Command::new("/proc/self/exe")
        .args(["try", name])
        .stdin(Stdio::null())
        .output()
        .needed("run")?;
    let said = String::from_utf8_lossy(&ran.stdout);
    let words = said.lines().last().and_then(|line| line.strip_prefix(name));
    match words.and_then(|words| words.trim_start().split_once(' ')) {
        Some(("out", evidence)) => Ok(evidence.to_owned()),
        Some(("refused", why)) => {
            let (step, why) = why.rsplit_once(": ").unwrap_or((why, ""));
            refused(step, why)
        }
        Some(("untried", why)) => untried(why),
        _ => untried(
            format!(
                "it ended with {}: {said}{}",
                ran.status,
                String::from_utf8_lossy(&ran.stderr)
            )
            .replace('\n', "; "),
        ),
    }
}

pub(crate) fn leave_set_uid(path: &str) -> ExitCode {
    end(
        "set-uid",
        &Facts::read().and_then(|_| crate::files::leave_set_uid(path)),
    )
}

/// Who one is; the program is left behind set-uid to ask that.
pub(crate) fn whoami() -> ExitCode {
    say(io::stdout(), &format!("euid {}", nix::unistd::geteuid()));
    ExitCode::SUCCESS
}
