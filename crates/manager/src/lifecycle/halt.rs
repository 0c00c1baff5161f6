//! Taking a running sandbox down: by its host unit, by its waiter, or, where both are gone, by its
//! first process; its domain is destroyed last of all.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use vss_config::{Phase, RuntimeState};
use vss_enter::Container;
use vss_model::sandbox::Timeouts;
use vss_model::{InnerState, SandboxConfig};

use crate::control::{Control, Notice};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::removal::Identity;

/// What a waiter may need beyond the timeout of the service inside: its own margin, to destroy the
/// domain and to tidy up.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a runner may take from its lock to its first word of the container, beyond the start limit
/// of the service inside: libvirt may be restarting, or have many to start.
const BEGUN: Duration = Duration::from_secs(10);
/// How long a domain may take to be gone after it was destroyed.
const GONE: Duration = Duration::from_secs(10);

/// How long until a first process that goes on is told again to power off.
const AGAIN: Duration = Duration::from_secs(1);

/// Asked time and again while something is waited for; an error ends the wait.
type GoOn<'a> = dyn Fn() -> Result<()> + 'a;

/// How a sandbox is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// Its systemd is asked to shut down, and destroyed only after the service's own timeout.
    #[default]
    Graceful,
    /// Its processes are killed at once: nothing inside ends as it should, and data may be lost.
    Force,
}

/// Stops a running sandbox and waits until it is gone; whether it was destroyed.
pub(crate) fn halt(
    host: &Host,
    identity: &Identity,
    config: Option<&SandboxConfig>,
    how: Stop,
    control: &Control<'_>,
) -> Result<bool> {
    let before = say_stopping(host, identity);
    let result = kill(host, identity, how)
        .and_then(|killed| Ok(take_down(host, identity, config, how, control)? || killed));
    if let (Err(error), Some(before)) = (&result, before)
        && !matches!(error, Error::Cancelled)
        && host.proc().runs(before.init_pid, before.init_start)
    {
        // it is no worse for a stop that failed
        let _ = host.store().save_state(&identity.name, &before);
    }
    result
}

/// Has libvirt end it where that is wanted. Its runner, if there is one, finds it gone, and by what
/// [`say_stopping`] wrote it takes that for the stop that was asked for.
fn kill(host: &Host, identity: &Identity, how: Stop) -> Result<bool> {
    if how == Stop::Graceful {
        return Ok(false);
    }
    let libvirt = host.hypervisor()?;
    // one whose first process is not to be found is there all the same
    let runs = !matches!(libvirt.find(identity.uuid), Ok(None));
    libvirt.destroy(identity.uuid)?;
    Ok(runs)
}

/// Says that a stop is under way, for whoever asks or wants to start it meanwhile; what was said
/// before. Where it can't be said, the stop goes on.
fn say_stopping(host: &Host, identity: &Identity) -> Option<RuntimeState> {
    let state = host.store().state(&identity.name).ok().flatten();
    let before = state.filter(|state| {
        state.uuid == identity.uuid && host.proc().runs(state.init_pid, state.init_start)
    })?;
    let stopping = RuntimeState {
        phase: Phase::Stopping,
        ..before.clone()
    };
    let said = host.store().save_state(&identity.name, &stopping);
    said.is_ok().then_some(before)
}

fn take_down(
    host: &Host,
    identity: &Identity,
    config: Option<&SandboxConfig>,
    how: Stop,
    control: &Control<'_>,
) -> Result<bool> {
    let timeouts = config.map_or_else(Timeouts::default, |config| config.timeouts);
    let stop = match how {
        Stop::Graceful => timeouts.stop,
        Stop::Force => Some(0),
    };
    // what its runner, or a `Restart=` of the unit, had only begun to start is killed as it comes;
    // where that fails it is stopped as any other
    let go_on = || {
        if how != Stop::Graceful {
            say_stopping(host, identity);
        }
        let _ = kill(host, identity, how);
        control.check()
    };
    stop_unit(host, identity, &go_on)?;
    let state = state_of(host, identity, after(timeouts.start, BEGUN), &go_on)?;
    let attended = match &state {
        Some(state) => !stop_waiter(host, identity, state, stop, &go_on)?,
        None => false,
    };
    // held meanwhile, so that what is found and removed is not what another command starts anew
    let lock = host.store().run_lock(&identity.name)?;
    let killed = match (&lock, &state) {
        (None, Some(_)) if !attended => false,
        (None, None) => {
            let message = "its runner has not got as far as to be stopped";
            return Err(failed(identity, message));
        }
        _ => {
            let killed = stop_orphan(host, identity, state.as_ref(), stop, &go_on)?;
            forget(host, identity)?;
            killed
        }
    };
    let killed = killed || was_killed(host, identity);
    if killed {
        control.notice(&Notice::Killed(identity.name.clone()));
    }
    Ok(killed)
}

fn forget(host: &Host, identity: &Identity) -> Result<()> {
    let state = host.store().state(&identity.name)?;
    if state.is_some_and(|state| state.uuid == identity.uuid) {
        host.store().clear_state(&identity.name)?;
    }
    Ok(())
}

/// Whether its waiter had to kill it: a failure that is there is of this end, as a start forgets what
/// is of another.
fn was_killed(host: &Host, identity: &Identity) -> bool {
    let failure = host.store().failure(&identity.name).ok().flatten();
    failure.is_some_and(|failure| failure.killed)
}

/// What the runner wrote; of one that has just begun, what it will have written when libvirt is done
/// with the start. That can't be stopped half way, except with the runner.
fn state_of(
    host: &Host,
    identity: &Identity,
    deadline: Option<Instant>,
    go_on: &GoOn<'_>,
) -> Result<Option<RuntimeState>> {
    loop {
        let state = host
            .store()
            .state(&identity.name)?
            .filter(|state| state.uuid == identity.uuid);
        let begins = state.is_none() && host.store().is_run(&identity.name)?;
        if !begins || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(state);
        }
        go_on()?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn stop_unit(host: &Host, identity: &Identity, go_on: &GoOn<'_>) -> Result<()> {
    let Some(services) = host.services()? else {
        return Ok(());
    };
    for unit in identity.units() {
        let is_up = || {
            let active = services.status(unit)?.active;
            Ok::<_, Error>(!matches!(
                active,
                InnerState::Inactive | InnerState::Failed | InnerState::Unknown
            ))
        };
        if identity.is_own(host, unit)? && is_up()? {
            services.stop(unit, &|| go_on().is_err())?;
        }
    }
    Ok(())
}

/// Asks the waiter to stop the container, as the host's systemd would, and waits for it to end;
/// `false` where it has not in time.
fn stop_waiter(
    host: &Host,
    identity: &Identity,
    state: &RuntimeState,
    stop: Option<u64>,
    go_on: &GoOn<'_>,
) -> Result<bool> {
    let Some(waiter) = open_process(host, state.waiter_pid, state.waiter_start)? else {
        return Ok(true);
    };
    match pidfd_send_signal(&waiter, Signal::TERM) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => {
            return Err(failed(
                identity,
                &format!("its waiter can't be reached: {error}"),
            ));
        }
    }
    wait_for_end(&waiter, after(stop, MARGIN), go_on).map_err(|error| match error {
        Error::Cancelled => Error::Cancelled,
        other => failed(identity, &other.to_string()),
    })
}

/// So many seconds and a margin from now; `None` for never.
fn after(seconds: Option<u64>, margin: Duration) -> Option<Instant> {
    let pause = Duration::from_secs(seconds?).checked_add(margin)?;
    Instant::now().checked_add(pause)
}

/// A process by its pid and start time; `None` where it is gone.
fn open_process(host: &Host, pid: u32, start: u64) -> Result<Option<OwnedFd>> {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let Ok(fd) = pidfd_open(number, PidfdFlags::empty()) else {
        return Ok(None);
    };
    // checked after it is held: the number can't be another's from here on
    Ok(host.proc().runs(pid, start).then_some(fd))
}

/// Waits for a process to end; `false` where it has not by the deadline.
fn wait_for_end(process: &impl AsFd, deadline: Option<Instant>, go_on: &GoOn<'_>) -> Result<bool> {
    loop {
        let pause = Duration::from_millis(200);
        let left = deadline.map_or(pause, |d| d.saturating_duration_since(Instant::now()));
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(left.min(pause).subsec_nanos()),
        };
        let mut fds = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ended) if ended > 0 => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                return Err(Error::Io {
                    action: "wait for the processes of",
                    path: vss_model::AbsPath::root(),
                    source: error.into(),
                });
            }
        }
        go_on()?;
        if left.is_zero() {
            return Ok(false);
        }
    }
}

/// Stops a container that nobody waits for: its first process is told to shut down, and the domain
/// is destroyed when that takes too long.
fn stop_orphan(
    host: &Host,
    identity: &Identity,
    state: Option<&RuntimeState>,
    stop: Option<u64>,
    go_on: &GoOn<'_>,
) -> Result<bool> {
    let Some((pid, start)) = first_process(host, identity, state)? else {
        return Ok(false);
    };
    let deadline = after(stop, Duration::ZERO);
    // gone meanwhile is what is wanted
    if let Ok(container) = Container::open(pid, start) {
        power_off(&container, deadline, go_on)?;
    }
    // a container that reboots itself has a new first process by now
    let libvirt = host.hypervisor()?;
    if libvirt.find(identity.uuid)?.is_none() {
        return Ok(false);
    }
    let killed = host.proc().runs(pid, start);
    libvirt.destroy(identity.uuid)?;
    let deadline = Instant::now() + GONE;
    while libvirt.find(identity.uuid)?.is_some() {
        if Instant::now() >= deadline {
            return Err(failed(identity, "libvirt still has its domain"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(killed)
}

/// Has systemd inside power off and waits until it is gone; whether it is by the deadline.
///
/// A first process that has not got as far as to listen loses a signal: it is sent again until it
/// works, which does no harm.
fn power_off(container: &Container, deadline: Option<Instant>, go_on: &GoOn<'_>) -> Result<bool> {
    loop {
        match container.signal(vss_enter::Signal::POWER_OFF) {
            Err(vss_enter::Error::Gone { .. }) => return Ok(true),
            sent => sent?,
        }
        let again = Instant::now() + AGAIN;
        let until = deadline.map_or(again, |deadline| deadline.min(again));
        if wait_for_end(&container.fd(), Some(until), go_on)? {
            return Ok(true);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(false);
        }
    }
}

/// The first process of a container, by what its runner wrote, else by libvirt.
fn first_process(
    host: &Host,
    identity: &Identity,
    state: Option<&RuntimeState>,
) -> Result<Option<(u32, u64)>> {
    if let Some(state) = state
        && host.proc().runs(state.init_pid, state.init_start)
    {
        return Ok(Some((state.init_pid, state.init_start)));
    }
    let Ok(libvirt) = host.hypervisor() else {
        return Ok(None);
    };
    Ok(libvirt.find(identity.uuid)?.and_then(|domain| {
        let start = host.proc().start_time(domain.init_pid)?;
        Some((domain.init_pid, start))
    }))
}

fn failed(identity: &Identity, message: &str) -> Error {
    Error::StopFailed {
        name: identity.name.clone(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process that has got as far as to say so, and is not waited for when it ends.
    #[expect(
        clippy::disallowed_methods,
        reason = "a first process that does as it is told"
    )]
    fn process(script: &str) -> (Child, Container) {
        let mut child = Command::new("bash")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        let start = vss_enter::start_time(child.id()).unwrap();
        let container = Container::open(child.id(), start).unwrap();
        (child, container)
    }

    #[test]
    fn a_first_process_that_does_not_listen_yet_is_told_again() {
        let second =
            "trap '((heard++)) && exit 0' SIGRTMIN+4; echo up; while :; do sleep 0.1; done";
        let (mut child, container) = process(second);
        assert!(power_off(&container, None, &|| Ok(())).unwrap());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn one_that_is_gone_when_it_is_told_has_ended() {
        let (mut child, container) = process("echo up; exec sleep 600");
        child.kill().unwrap();
        assert!(container.wait(None).unwrap());
        let nobody = || panic!("it is not waited for");
        assert!(power_off(&container, None, &nobody).unwrap());
        child.wait().unwrap();
    }

    #[test]
    fn one_that_goes_on_is_not_told_for_ever() {
        let (mut child, container) = process("trap '' SIGRTMIN+4; echo up; exec sleep 600");
        let deadline = Some(Instant::now());
        assert!(!power_off(&container, deadline, &|| Ok(())).unwrap());
        let cancelled = power_off(&container, None, &|| Err(Error::Cancelled));
        assert!(matches!(cancelled, Err(Error::Cancelled)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
