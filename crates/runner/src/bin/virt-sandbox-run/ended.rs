//! PID 1 is gone: finding out why, going on with what was rebooted, cleaning up after the rest.

use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use vss_config::{Failure, Store};
use vss_libvirt::{Hypervisor, RunningDomain};
use vss_model::confinement::payload_cgroup;
use vss_model::{SandboxName, Uuid, handshake};
use vss_runner::blame;
use vss_runner::console::Console;
use vss_runner::handover::{self, Options};
use vss_runner::notify::{INIT_SAYS, Inbox};
use vss_runner::outcome::{self, Claim, End, Evidence, Report, Trouble};
use vss_runner::upstream::Upstream;
use vss_runner::{say, sys};

use crate::attend::{self, Parts};
use crate::cgroups::remove_noted;
use crate::error::{Error, chain, io};
use crate::launch::{self, Launched};
use crate::sandbox::Sandbox;

/// How long a PID 1 that is gone may still be seen below libvirt's controller.
const FORGETS: Duration = Duration::from_secs(10);
/// How many lines of the log a failure is told with.
const TOLD: usize = 10;

/// What comes after a PID 1.
pub(crate) enum Next {
    /// Nothing.
    Over(End),
    /// Another, of the same sandbox.
    Again(Launched),
}

/// `virt-sandbox-run ended NAME`, executed by the waiter.
pub(crate) fn run(sandbox: &Sandbox, options: &Options) -> Result<u8, Error> {
    let signals = sys::signals().map_err(io("take signals"))?;
    let lock = sandbox
        .store
        .adopt_run_lock(sandbox.name(), options.need("lock")?)?;
    let inbox = Inbox::adopt(options.take("inbox")?);
    let log = options.take("log").map(handover::read_log);
    let mut parts = Parts {
        signals,
        inbox,
        console: Console::with_kept(Instant::now(), log.unwrap_or_default()),
    };
    let evidence = Evidence {
        stopped: options.has("stopped"),
        killed: options.has("killed"),
        wait_status: options.get("wait-status")?,
        claim: options.get("shutdown")?,
        ..Evidence::default()
    };
    match settle(sandbox, &mut parts, evidence, options.need("init")?)? {
        Next::Over(end) => conclude(sandbox, &parts.console, &end, true),
        Next::Again(launched) => attend::run(sandbox, lock, parts, launched, None),
    }
}

/// Completes the evidence and weighs it. Where the container is to go on, it does when this returns.
pub(crate) fn settle(
    sandbox: &Sandbox,
    parts: &mut Parts,
    mut evidence: Evidence,
    old_init: u32,
) -> Result<Next, Error> {
    let found = successor(sandbox, old_init);
    evidence.runs_again = found.is_some();
    evidence.stopped |= sandbox.is_stopping(old_init);
    evidence.report = sandbox.report();
    evidence.claim = evidence.claim.or_else(|| Claim::read(parts.console.kept()));
    let mut end = outcome::end(&evidence);
    // whoever ends it by force tells its runner to stop as well, in either order
    if end == End::Destroyed && sys::is_signalled(parts.signals.as_fd()) {
        end = End::Stopped;
    }
    if matches!(end, End::Reboot(_)) {
        say("rebooted from inside");
        parts.console.forget();
        let launched = match found {
            Some(domain) => launch::restarted(sandbox, domain, &parts.inbox),
            // libvirt fails to restart one where AppArmor is on: it frees the label's model first.
            None => launch::again(sandbox, &parts.inbox),
        };
        return launched
            .map(Next::Again)
            .map_err(|error| give_up(sandbox, error));
    }
    // One that is not to go on, or libvirt's controller, which may outlive its container.
    let gone = sandbox.libvirt().map(|l| l.destroy(sandbox.config.uuid));
    if let Ok(Err(error)) = gone {
        say(&chain(&error));
    }
    Ok(Next::Over(end))
}

/// The domain with another PID 1: libvirt restarts one whose inside rebooted, whatever its
/// description says. A libvirt that doesn't answer knows of none.
fn successor(sandbox: &Sandbox, old_init: u32) -> Option<RunningDomain> {
    let end = Instant::now() + FORGETS;
    loop {
        match sandbox.running() {
            Ok(None) => return None,
            Ok(Some(domain)) if domain.init_pid != old_init => return Some(domain),
            Ok(Some(_)) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            Ok(Some(_)) => return None,
            Err(error) => {
                say(&chain(&error));
                return None;
            }
        }
    }
}

/// The container is gone for good. `was_up`: its service had been, so that an end with success is
/// one; before that, only a service that did what it had to is.
pub(crate) fn conclude(
    sandbox: &Sandbox,
    console: &Console,
    end: &End,
    was_up: bool,
) -> Result<u8, Error> {
    let done = matches!(end, End::Service(report) if report.is_success());
    let upstream = Upstream::from_environment();
    if done && !was_up {
        upstream.send("READY=1");
    }
    let too_early = !was_up && !done && matches!(end, End::PowerOff);
    let status = if too_early { 1 } else { end.exit_status() };
    let name = sandbox.name();
    let message = match end {
        End::PowerOff if too_early => format!("{end} before the service was up"),
        // Its own words say more than its status.
        End::Init { said: None, .. } => console
            .last_with(INIT_SAYS)
            .unwrap_or_else(|| end.to_string()),
        _ => end.to_string(),
    };
    let report = match end {
        End::Service(report) => Some(report),
        _ => None,
    };
    let failure = Failure {
        killed: matches!(end, End::Killed),
        ..of_service(sandbox, console, report, message)
    };
    let message = &failure.message;
    say(&format!("{name}: {message}"));
    clear(sandbox);
    disconnect(sandbox.config.uuid);
    if status == 0 {
        sandbox.store.clear_runtime(name)?;
    } else {
        upstream.send(&format!("STATUS={message}"));
        sandbox.leave_failure(&failure)?;
    }
    Ok(status)
}

/// The service did not come up; the container has been stopped.
pub(crate) fn fail(sandbox: &Sandbox, console: &Console, trouble: &Trouble) -> Result<u8, Error> {
    let report = match trouble {
        Trouble::Ended(report) => Some(report),
        _ => None,
    };
    let failure = of_service(sandbox, console, report, trouble.to_string());
    let message = &failure.message;
    say(&format!("{}: {message}", sandbox.name()));
    Upstream::from_environment().send(&format!("STATUS={message}"));
    clear(sandbox);
    sandbox.leave_failure(&failure)?;
    Ok(report.map_or(1, |report| report.exit_status().max(1)))
}

/// What is told of a service that failed: a unit that kept it from being started is named, and its
/// lines are told as well.
fn of_service(
    sandbox: &Sandbox,
    console: &Console,
    report: Option<&Report>,
    mut message: String,
) -> Failure {
    let mut units = sandbox.units();
    if let Some(report) = report {
        units.push(report.unit.clone());
        if report.is_of_dependency()
            && let Some(unit) = blame::required(console.kept(), &report.unit)
        {
            message.push_str(&format!(": {unit}"));
            units.push(unit);
        }
    }
    Failure {
        message,
        log: console.telling(&units, TOLD),
        hint: None,
        killed: false,
    }
}

/// Leaves why and what to do about it, and nothing else. The container may run all the same, where
/// libvirt doesn't answer.
pub(crate) fn give_up(sandbox: &Sandbox, error: Error) -> Error {
    let failure = Failure {
        message: chain(&error),
        log: Vec::new(),
        hint: error.hint(),
        killed: false,
    };
    clear(sandbox);
    if let Err(other) = sandbox.leave_failure(&failure) {
        say(&chain(&other));
    }
    error
}

/// Takes away what stood for a running container. What can't be taken away is taken over by the next
/// start.
pub(crate) fn clear(sandbox: &Sandbox) {
    clear_of(&sandbox.store, sandbox.name(), sandbox.config.uuid);
}

fn clear_of(store: &Store, name: &SandboxName, uuid: Uuid) {
    remove_noted(store, name, &payload_cgroup(uuid));
    let host = store.places().runtime(name).join("host");
    let _ = fs::remove_file(host.join("notify"));
    let _ = fs::remove_file(host.join(handshake::SOCKET));
    let _ = fs::remove_dir(host);
    if let Err(error) = store.clear_state(name) {
        say(&chain(&error));
    }
}

/// Takes the interface of a container away that is gone: with its network it goes by itself, a moment
/// later.
pub(crate) fn disconnect(uuid: Uuid) {
    if let Err(error) = vss_link::unplug(uuid) {
        say(&chain(&error));
    }
}

/// A container has ended whose config was edited into nonsense, or deleted, while it ran: what is
/// left of it is known by its state.
pub(crate) fn without_config(name: &SandboxName, options: &Options) -> Result<(), Error> {
    let store = Sandbox::store(options)?;
    if let Some(state) = store.state(name)? {
        clear_of(&store, name, state.uuid);
        disconnect(state.uuid);
    }
    Ok(())
}
