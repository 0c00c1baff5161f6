//! Inside a running container: a service has ended, the container ends with it.
//!
//! At the begin of a boot what the last one said of that is taken away ([`forget`]).
//!
//! systemd starts this by `OnFailure=` and `OnSuccess=` of the container's units and tells in
//! `$MONITOR_*` what happened (systemd.exec(5), since 251). What is to be said is left in a file
//! that the host reads once the container is gone; then the container powers off. Where another
//! unit is still up it looks once more when the unit that ran it is through.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, openat2, unlinkat};
use vss_model::handshake;
use vss_model::installed::INIT;

use crate::failure::{Failure, Stage};

/// How long after a unit ended another one's end may still be going on.
const SETTLE: Duration = Duration::from_millis(250);

/// The unit that runs this.
const UNIT: &str = "virt-sandbox-ended.service";

/// How a unit ended, in systemd's words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    unit: String,
    /// `success`, `exit-code`, `signal`, `timeout`, …
    result: String,
    /// `exited`, `killed`, `dumped`; empty if no process ran.
    code: String,
    /// An exit status, or the name or number of a signal.
    status: String,
}

impl End {
    fn exit_status(&self) -> u8 {
        vss_model::exit::of_service(&self.result, &self.code, &self.status)
    }
}

/// A unit as `systemctl show` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shown {
    unit: String,
    active: String,
    has_job: bool,
    /// Neither run nor skipped for a condition: what it requires failed.
    left_out: bool,
    result: String,
    code: String,
    status: String,
}

/// The result of a unit that systemd did not start, as what it requires failed: the result that
/// its job had. The unit itself knows of nothing.
const DEPENDENCY: &str = "dependency";

#[derive(Debug, PartialEq)]
enum Verdict {
    /// Something is still up, or on its way.
    Leave,
    End(End),
}

/// Which look at the units it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// By the unit that systemd starts.
    First,
    /// After that, by one of its own.
    Last,
}

impl Look {
    /// The option for the last one.
    pub(crate) const LAST: &str = "--ended-last";
}

pub(crate) fn run(look: Look, units: &[String]) -> Result<(), Failure> {
    let monitor = monitor();
    let mut verdict = decide(&show(units)?, monitor.as_ref());
    if verdict == Verdict::Leave && look == Look::First {
        // Two units that end at once start this only once.
        std::thread::sleep(SETTLE);
        verdict = decide(&show(units)?, monitor.as_ref());
    }
    let Verdict::End(end) = verdict else {
        return match look {
            Look::First => systemd_run(&last_look(units)).map(drop),
            Look::Last => Ok(()),
        };
    };
    record(&end).map_err(Failure::io(Stage::Ended, handshake::REPORTS))?;
    let status = end.exit_status().to_string();
    systemctl(&["--no-block", "exit", &status]).map(drop)
}

/// systemd-run(1) has the last look taken when the unit of the first is through. A unit that ends
/// before that starts nothing: systemd takes the unit that runs for the one that is to be started.
/// One that ends after it starts the unit anew.
fn last_look(units: &[String]) -> Vec<String> {
    let own = format!("--unit=virt-sandbox-ended-{}", std::process::id());
    let after = format!("--property=After={UNIT}");
    ["--no-block", "--quiet", "--collect", &own, &after]
        .into_iter()
        .chain(["--", INIT, Look::LAST])
        .chain(units.iter().map(String::as_str))
        .map(str::to_owned)
        .collect()
}

fn monitor() -> Option<End> {
    let read = |name: &str| std::env::var(name).unwrap_or_default();
    let unit = std::env::var("MONITOR_UNIT").ok()?;
    Some(End {
        unit,
        result: read("MONITOR_SERVICE_RESULT"),
        code: read("MONITOR_EXIT_CODE"),
        status: read("MONITOR_EXIT_STATUS"),
    })
}

/// One failure ends the container; success does when no unit is left. A unit with a job, or one
/// that waits for its own restart, is not at its end.
fn decide(shown: &[Shown], monitor: Option<&End>) -> Verdict {
    let mut last = None;
    for unit in shown {
        let at_rest = !unit.has_job && matches!(unit.active.as_str(), "failed" | "inactive");
        let end = unit.end(monitor);
        if at_rest && (unit.active == "failed" || unit.left_out) {
            return Verdict::End(end);
        }
        if !at_rest {
            last = Some(Verdict::Leave);
        } else if last.is_none() {
            last = Some(Verdict::End(end));
        }
    }
    last.unwrap_or(Verdict::Leave)
}

impl Shown {
    /// What systemd told about the unit that started this is better than what it still knows.
    fn end(&self, monitor: Option<&End>) -> End {
        match monitor {
            _ if self.left_out => End {
                unit: self.unit.clone(),
                result: DEPENDENCY.to_owned(),
                code: String::new(),
                status: String::new(),
            },
            Some(end) if end.unit == self.unit => end.clone(),
            _ => End {
                unit: self.unit.clone(),
                result: self.result.clone(),
                code: self.code.clone(),
                status: self.status.clone(),
            },
        }
    }
}

/// Reads `systemctl show`: a block of `KEY=VALUE` lines for each unit, in the order asked for.
fn parse_shown(units: &[String], text: &str) -> Vec<Shown> {
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    units
        .iter()
        .zip(blocks)
        .map(|(unit, block)| {
            let mut shown = Shown {
                unit: unit.clone(),
                ..Shown::default()
            };
            let (mut has_run, mut tested) = (true, true);
            for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
                let value = value.to_owned();
                match key {
                    // An alias, once its unit is known by another name.
                    "Id" => shown.unit = value,
                    "ActiveState" => shown.active = value,
                    "Job" => shown.has_job = !matches!(value.as_str(), "" | "0"),
                    "InactiveExitTimestampMonotonic" => has_run = value != "0",
                    "ConditionTimestampMonotonic" => tested = value != "0",
                    "Result" => shown.result = value,
                    "ExecMainCode" => shown.code = code_word(&value).to_owned(),
                    "ExecMainStatus" => shown.status = value,
                    _ => {}
                }
            }
            shown.left_out = !has_run && !tested;
            shown
        })
        .collect()
}

/// `CLD_EXITED`, `CLD_KILLED` and `CLD_DUMPED` of sigaction(2), as `$MONITOR_EXIT_CODE` has them.
fn code_word(number: &str) -> &'static str {
    match number {
        "1" => "exited",
        "2" => "killed",
        "3" => "dumped",
        _ => "",
    }
}

fn show(units: &[String]) -> Result<Vec<Shown>, Failure> {
    let mut args = vec![
        "show",
        "--property=Id,ActiveState,Job,Result,ExecMainCode,ExecMainStatus,InactiveExitTimestampMonotonic,ConditionTimestampMonotonic",
        "--",
    ];
    args.extend(units.iter().map(String::as_str));
    let text = systemctl(&args)?;
    Ok(parse_shown(units, &text))
}

fn systemctl(args: &[&str]) -> Result<String, Failure> {
    output("/usr/bin/systemctl", args)
}

fn systemd_run(args: &[String]) -> Result<String, Failure> {
    output("/usr/bin/systemd-run", args)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the programs of systemd that this one runs: D-Bus is not for a program of this size"
)]
fn output<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<String, Failure> {
    let output = Command::new(program)
        .args(args)
        .output()
        .map_err(Failure::io(Stage::Ended, program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let words: Vec<_> = args
        .iter()
        .map(|arg| arg.as_ref().to_string_lossy())
        .collect();
    let text = format!("{program} {}: {}", words.join(" "), said.trim());
    Err(Failure::new(Stage::Ended, text))
}

/// Takes away what was left before a reboot: nobody else knows when nothing of this boot has ended yet.
/// What can't be taken away is no report either.
pub(crate) fn forget() {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let links = ResolveFlags::NO_SYMLINKS;
    if let Ok(directory) = openat2(CWD, handshake::REPORTS, flags, Mode::empty(), links) {
        let _ = unlinkat(directory, handshake::REPORT, AtFlags::empty());
    }
}

/// One line, in place of what an earlier end left.
fn record(end: &End) -> std::io::Result<()> {
    let directory = Path::new(handshake::REPORTS);
    let place = directory.join(handshake::REPORT);
    let new = place.with_extension("new");
    fs::create_dir_all(directory)?;
    let _ = fs::remove_file(&new);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    writeln!(
        file,
        "unit={} result={} code={} status={}",
        end.unit, end.result, end.code, end.status
    )?;
    file.sync_all()?;
    fs::rename(new, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(unit: &str, active: &str, has_job: bool) -> Shown {
        Shown {
            unit: unit.to_owned(),
            active: active.to_owned(),
            has_job,
            left_out: false,
            result: "exit-code".to_owned(),
            code: "exited".to_owned(),
            status: "3".to_owned(),
        }
    }

    fn end(result: &str, code: &str, status: &str) -> End {
        End {
            unit: "a.service".to_owned(),
            result: result.to_owned(),
            code: code.to_owned(),
            status: status.to_owned(),
        }
    }

    #[test]
    fn a_failure_ends_the_container_even_beside_a_unit_that_is_up() {
        let units = [
            shown("b.service", "active", false),
            shown("a.service", "failed", false),
        ];
        assert_eq!(
            decide(&units, None),
            Verdict::End(end("exit-code", "exited", "3"))
        );
    }

    #[test]
    fn success_ends_it_when_no_unit_is_left() {
        let monitor = end("success", "exited", "0");
        let alone = [shown("a.service", "inactive", false)];
        assert_eq!(
            decide(&alone, Some(&monitor)),
            Verdict::End(monitor.clone())
        );
        let beside = [
            shown("a.service", "inactive", false),
            shown("b.service", "active", false),
        ];
        assert_eq!(decide(&beside, Some(&monitor)), Verdict::Leave);
    }

    #[test]
    fn a_unit_that_its_requirement_kept_from_starting_has_not_ended_well() {
        let units = ["a.service".to_owned()];
        let text = "Result=success\nExecMainCode=0\nExecMainStatus=0\nId=a.service\n\
            ActiveState=inactive\nJob=\nInactiveExitTimestampMonotonic=0\n\
            ConditionTimestampMonotonic=0\n";
        let monitor = end("success", "", "");
        let verdict = decide(&parse_shown(&units, text), Some(&monitor));
        assert_eq!(verdict, Verdict::End(end("dependency", "", "")));
        assert_eq!(end("dependency", "", "").exit_status(), 1);
        // one that a condition kept from starting is no failure of another's
        let skipped = text.replace(
            "ConditionTimestampMonotonic=0",
            "ConditionTimestampMonotonic=7",
        );
        let verdict = decide(&parse_shown(&units, &skipped), Some(&monitor));
        assert_eq!(verdict, Verdict::End(monitor));
    }

    #[test]
    fn what_comes_back_is_not_at_its_end() {
        for (active, job) in [
            ("activating", false),
            ("failed", true),
            ("inactive", true),
            ("reloading", false),
            ("deactivating", false),
        ] {
            assert_eq!(
                decide(&[shown("a.service", active, job)], None),
                Verdict::Leave
            );
        }
    }

    #[test]
    fn the_last_look_waits_for_the_first_and_does_not_begin_another() {
        let args = last_look(&["a.service".to_owned(), "b.service".to_owned()]);
        let at = args.iter().position(|arg| arg == "--").unwrap();
        assert!(args[..at].contains(&format!("--property=After={UNIT}")));
        assert_eq!(
            args[at + 1..],
            [INIT, "--ended-last", "a.service", "b.service"]
        );
    }

    #[test]
    fn systemctl_show_is_read() {
        let units = ["a.service".to_owned(), "b.socket".to_owned()];
        let text = "Result=signal\nExecMainCode=2\nExecMainStatus=9\nId=a.service\nActiveState=failed\nJob=17\n\nResult=success\nId=b.socket\nActiveState=active\n";
        let found = parse_shown(&units, text);
        assert!(found[0].has_job);
        assert_eq!(
            (found[0].code.as_str(), found[0].status.as_str()),
            ("killed", "9")
        );
        assert_eq!(found[1].unit, "b.socket");
        assert!(!found[1].has_job);
    }

    #[test]
    fn exit_statuses_are_the_shells() {
        assert_eq!(end("exit-code", "exited", "3").exit_status(), 3);
        assert_eq!(end("core-dump", "dumped", "SEGV").exit_status(), 139);
    }
}
