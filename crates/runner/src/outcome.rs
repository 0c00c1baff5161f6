//! What happens inside, and what it means outside.
//!
//! | inside or outside | host unit |
//! |---|---|
//! | service active | started |
//! | service failed at start | start fails |
//! | a condition of the service not met | start fails and names it |
//! | service failed later | fails with its exit status |
//! | service ended with success | ends with success |
//! | inner power-off | clean stop |
//! | inner reboot | goes on with the new one |
//! | domain destroyed from outside | fails, says so |
//! | stop asked for | ends with success, or fails if it had to be killed |

use std::fmt;
use std::str::FromStr;

use vss_model::{InnerState, Sanitized, exit};

/// A unit inside, as its systemd has it. The texts are a container's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitView {
    /// Its name, as it was asked for.
    pub name: String,
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// Its state.
    pub active: InnerState,
    /// How its last run ended: `success`, `exit-code`, …
    pub result: String,
    /// `CLD_EXITED` is 1, `CLD_KILLED` 2, `CLD_DUMPED` 3; 0 for none.
    pub code: i32,
    /// Exit status, or the signal's number.
    pub status: i32,
    /// Whether its conditions were met when it was to be started.
    pub condition_met: bool,
    /// Those that were not.
    pub failed_conditions: Vec<String>,
    /// Whether it ever was anything but inactive.
    pub has_run: bool,
    /// Whether a job waits or runs for it.
    pub job_pending: bool,
}

/// What a start has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Something is still on its way.
    Wait,
    /// All units are up, or have done what they had to.
    Up,
    /// It has failed.
    Failed(Trouble),
}

/// What is wrong with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It ended.
    Ended(Report),
    /// It was not started.
    Condition {
        /// Which.
        unit: String,
        /// The conditions that were not met.
        conditions: Vec<String>,
    },
    /// systemd inside does not have it.
    NotLoaded {
        /// Which.
        unit: String,
        /// Why.
        load: String,
    },
    /// It is not up after this many seconds.
    TimedOut {
        /// The time that it had.
        seconds: u64,
    },
}

/// How a unit ended, as the container says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which.
    pub unit: String,
    /// `success`, `exit-code`, `signal`, …
    pub result: String,
    /// `exited`, `killed`, `dumped`, or empty.
    pub code: String,
    /// Exit status, or signal.
    pub status: String,
}

/// What all units together have come to, once PID 1 said that it is ready.
#[must_use]
pub fn start(units: &[UnitView]) -> Start {
    let mut waits = false;
    for unit in units {
        match of_unit(unit) {
            Start::Failed(trouble) => return Start::Failed(trouble),
            Start::Wait => waits = true,
            Start::Up => {}
        }
    }
    if waits { Start::Wait } else { Start::Up }
}

fn of_unit(unit: &UnitView) -> Start {
    let name = unit.name.clone();
    if unit.load != "loaded" {
        let load = unit.load.clone();
        return Start::Failed(Trouble::NotLoaded { unit: name, load });
    }
    if unit.job_pending {
        return Start::Wait;
    }
    match unit.active {
        InnerState::Active | InnerState::Reloading => Start::Up,
        InnerState::Failed => Start::Failed(Trouble::Ended(unit.report())),
        InnerState::Inactive if !unit.condition_met => Start::Failed(Trouble::Condition {
            unit: name,
            conditions: unit.failed_conditions.clone(),
        }),
        // systemd doesn't start what requires a unit that failed.
        InnerState::Inactive if !unit.has_run => Start::Failed(Trouble::Ended(Report {
            result: "dependency".to_owned(),
            ..unit.report()
        })),
        // It ran and ended well: what a oneshot does.
        InnerState::Inactive => Start::Up,
        InnerState::Activating | InnerState::Deactivating | InnerState::Unknown => Start::Wait,
    }
}

/// What is wrong where a unit that is active without a process, as one that only stands for others,
/// wants these: some failed and none is up.
#[must_use]
pub fn hollow(wanted: &[UnitView]) -> Option<Trouble> {
    let down = |unit: &&UnitView| matches!(unit.active, InnerState::Failed | InnerState::Inactive);
    let failed = wanted
        .iter()
        .find(|unit| unit.active == InnerState::Failed)?;
    let none_is_up = wanted.iter().all(|unit| down(&unit));
    none_is_up.then(|| Trouble::Ended(failed.report()))
}

impl UnitView {
    fn report(&self) -> Report {
        let code = match self.code {
            1 => "exited",
            2 => "killed",
            3 => "dumped",
            _ => "",
        };
        Report {
            unit: self.name.clone(),
            result: self.result.clone(),
            code: code.to_owned(),
            status: self.status.to_string(),
        }
    }
}

impl Report {
    /// Reads the line that the init leaves (`virt-sandbox-init --ended`).
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut report = Self {
            unit: String::new(),
            result: String::new(),
            code: String::new(),
            status: String::new(),
        };
        for word in text.lines().next()?.split(' ') {
            let (key, value) = word.split_once('=')?;
            let field = match key {
                "unit" => &mut report.unit,
                "result" => &mut report.result,
                "code" => &mut report.code,
                "status" => &mut report.status,
                _ => return None,
            };
            value.clone_into(field);
        }
        (!report.unit.is_empty() && !report.result.is_empty()).then_some(report)
    }

    /// Whether the service did what it had to.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.result == "success"
    }

    /// Whether it was not even started, as a unit that it requires failed.
    #[must_use]
    pub fn is_of_dependency(&self) -> bool {
        self.result == "dependency"
    }

    /// As a shell has it: a signal counts from 128. A failure is never 0.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        exit::of_service(&self.result, &self.code, &self.status)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Sanitized::text(&self.unit);
        let result = Sanitized::text(&self.result);
        let status = Sanitized::text(&self.status);
        if self.is_success() {
            return write!(f, "{unit} ended");
        }
        if self.is_of_dependency() {
            return write!(f, "{unit} was not started: a unit that it requires failed");
        }
        write!(f, "{unit} failed: {result}")?;
        match self.code.as_str() {
            "exited" => write!(f, ", exit status {status}"),
            "killed" | "dumped" => write!(f, ", signal {status}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(report) => report.fmt(f),
            Self::Condition { unit, conditions } => {
                write!(
                    f,
                    "{} was not started: a condition is not met",
                    Sanitized::text(unit)
                )?;
                for (n, condition) in conditions.iter().enumerate() {
                    let before = if n == 0 { ": " } else { ", " };
                    write!(f, "{before}{}", Sanitized::text(condition))?;
                }
                Ok(())
            }
            Self::NotLoaded { unit, load } => write!(
                f,
                "the systemd inside does not have {}: {}",
                Sanitized::text(unit),
                Sanitized::text(load)
            ),
            Self::TimedOut { seconds } => write!(f, "the service is not up after {seconds} s"),
        }
    }
}

/// All that is known when PID 1 of a container is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// A stop was asked for.
    pub stopped: bool,
    /// It took too long, and PID 1 was killed.
    pub killed: bool,
    /// The wait status of PID 1, where the kernel tells.
    pub wait_status: Option<i32>,
    /// What the init's `--ended` left.
    pub report: Option<Report>,
    /// Systemd says that it went down by itself: its last message, or the last lines of the console.
    pub claim: Option<Claim>,
    /// Why the init gave up, in its words.
    pub said: Option<String>,
    /// libvirt runs the domain with another PID 1.
    pub runs_again: bool,
}

/// How systemd went down, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Power-off or halt.
    PowerOff,
    /// Reboot.
    Reboot,
}

impl Claim {
    /// Looks for systemd-shutdown's last word, or, where that got lost with the console, for the
    /// target that was reached.
    #[must_use]
    pub fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut found = None;
        for line in lines {
            let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
            if has(&[
                "Powering off.",
                "Halting system.",
                "Exiting container.",
                "Reached target poweroff.target",
                "Reached target halt.target",
                "Reached target exit.target",
            ]) {
                found = Some(Self::PowerOff);
            } else if has(&["Rebooting.", "Reached target reboot.target"]) {
                found = Some(Self::Reboot);
            }
        }
        found
    }
}

/// As `X_SYSTEMD_SHUTDOWN=` has it (systemd(1)).
impl FromStr for Claim {
    type Err = ();

    fn from_str(kind: &str) -> Result<Self, ()> {
        match kind {
            "poweroff" | "halt" | "exit" => Ok(Self::PowerOff),
            "reboot" | "kexec" => Ok(Self::Reboot),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerOff => "poweroff",
            Self::Reboot => "reboot",
        })
    }
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As asked.
    Stopped,
    /// As asked, but not in time.
    Killed,
    /// Its service ended.
    Service(Report),
    /// From inside.
    PowerOff,
    /// From inside; the container is to go on. `true`: libvirt has already started it again.
    Reboot(bool),
    /// The init gave up.
    Init {
        /// Its exit status, where the kernel tells.
        status: Option<u8>,
        /// Why, in its words.
        said: Option<String>,
    },
    /// Its systemd exited with this status without a report.
    Exited(u8),
    /// By whoever.
    Destroyed,
}

/// Weighs the evidence. What the host knows counts for more than what the container says.
#[must_use]
pub fn end(evidence: &Evidence) -> End {
    let signal = evidence
        .wait_status
        .filter(|s| s & 0x7f != 0)
        .map(|s| s & 0x7f);
    let exited = evidence
        .wait_status
        .filter(|s| s & 0x7f == 0)
        .and_then(|s| u8::try_from(s >> 8 & 0xff).ok());
    if evidence.killed {
        return End::Killed;
    }
    if evidence.stopped {
        return End::Stopped;
    }
    if evidence.runs_again {
        return End::Reboot(true);
    }
    match (signal, exited) {
        // reboot(2) in a PID namespace ends its PID 1 with these.
        (Some(libc::SIGHUP), _) => End::Reboot(false),
        (Some(libc::SIGINT), _) => reported(evidence).unwrap_or(End::PowerOff),
        (Some(_), _) => End::Destroyed,
        (_, Some(status)) if evidence.said.is_some() && exit::OF_INIT.contains(&status) => {
            End::Init {
                status: Some(status),
                said: evidence.said.clone(),
            }
        }
        // A service may end with one of the init's statuses; once one runs, the init is through.
        (_, Some(status)) => reported(evidence).unwrap_or(match status {
            0 => End::PowerOff,
            _ if exit::OF_INIT.contains(&status) => End::Init {
                status: Some(status),
                said: None,
            },
            _ => End::Exited(status),
        }),
        (None, None) if evidence.said.is_some() => End::Init {
            status: None,
            said: evidence.said.clone(),
        },
        // the services report their ends in a reboot as well
        (None, None) if evidence.claim == Some(Claim::Reboot) => End::Reboot(false),
        (None, None) => reported(evidence).unwrap_or(match evidence.claim {
            Some(_) => End::PowerOff,
            None => End::Destroyed,
        }),
    }
}

fn reported(evidence: &Evidence) -> Option<End> {
    evidence.report.clone().map(End::Service)
}

impl End {
    /// What the host unit's main process ends with.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Stopped | Self::PowerOff | Self::Reboot(_) => 0,
            Self::Service(report) => report.exit_status(),
            Self::Exited(status)
            | Self::Init {
                status: Some(status),
                ..
            } => *status,
            Self::Killed | Self::Destroyed | Self::Init { status: None, .. } => 1,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Killed => f.write_str("it did not stop in time and was killed"),
            Self::Service(report) => report.fmt(f),
            Self::PowerOff => f.write_str("powered off from inside"),
            Self::Reboot(_) => f.write_str("rebooted from inside"),
            Self::Init {
                said: Some(said), ..
            } => Sanitized::text(said).fmt(f),
            Self::Init { status, said: None } => {
                f.write_str("its first process could not set it up (")?;
                if let Some(status) = status {
                    write!(f, "status {status}; ")?;
                }
                f.write_str("the console has the cause)")
            }
            Self::Exited(status) => write!(f, "its systemd exited with status {status}"),
            Self::Destroyed => f.write_str(
                "it was ended from outside: its domain destroyed, or its first process killed",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
