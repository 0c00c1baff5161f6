//! Start, stop and restart: through the host's systemd where it is PID 1, else by a runner of our
//! own.

mod detached;
mod halt;
mod said;

use std::time::Duration;

use vss_config::{Failure, Phase, RuntimeState};
use vss_model::{InnerState, SandboxConfig, SandboxName, SandboxState, Sanitized};
use vss_unit::ServiceManager;

use crate::content::Ownership;
use crate::control::Control;
use crate::error::{Error, IoContext, Result};
use crate::host::Host;
use crate::outcome::{StartOutcome, StopOutcome};
use crate::recover;
use crate::removal::Identity;
use crate::traces;

use detached::Started;

pub use halt::Stop;
pub(crate) use halt::halt;

/// How long to wait before looking again what another runner does.
const OTHER_RUNNER: Duration = Duration::from_millis(20);

/// The runtime state of a sandbox, if its first process lives.
pub(crate) fn live_state(host: &Host, config: &SandboxConfig) -> Result<Option<RuntimeState>> {
    Ok(host.store().state(&config.name)?.filter(|state| {
        state.uuid == config.uuid && host.proc().runs(state.init_pid, state.init_start)
    }))
}

/// The state of a sandbox without a first process that a runner is busy with all the same: before
/// it started one, or after its end.
pub(crate) fn attended(host: &Host, config: &SandboxConfig) -> Result<Option<SandboxState>> {
    let store = host.store();
    if !store.is_run(&config.name)? {
        return Ok(None);
    }
    // one that lives by now has begun since it was looked for
    let ended = store.state(&config.name)?.is_some_and(|state| {
        state.uuid == config.uuid && !host.proc().runs(state.init_pid, state.init_start)
    });
    Ok(Some(if ended {
        SandboxState::Stopping
    } else {
        SandboxState::Starting
    }))
}

/// Whether a sandbox runs, or is about to: by what its runner wrote and holds, and, where libvirt
/// answers, by its domain.
pub(crate) fn is_running(host: &Host, identity: &Identity) -> Result<bool> {
    let store = host.store();
    // a state that can't be read tells nothing of what runs
    let state = store.state(&identity.name).ok().flatten();
    let lives = state.is_some_and(|state| {
        state.uuid == identity.uuid && host.proc().runs(state.init_pid, state.init_start)
    });
    if lives || store.is_run(&identity.name)? {
        return Ok(true);
    }
    match host.hypervisor() {
        Ok(libvirt) => Ok(libvirt.find(identity.uuid)?.is_some()),
        // without libvirt nothing can be started; what its controller keeps alive has a state
        Err(_) => Ok(false),
    }
}

/// Starts a sandbox; returns when the service inside is active.
///
/// # Errors
/// [`Error::StartFailed`] with the inner result and the last lines of the log where the service
/// does not come up.
pub fn start(host: &Host, name: &SandboxName, control: &Control<'_>) -> Result<StartOutcome> {
    bring_up(host, name, control)
        .map_err(|error| error.interrupted(name, || format!("{name} was up")))
}

fn bring_up(host: &Host, name: &SandboxName, control: &Control<'_>) -> Result<StartOutcome> {
    recover::recover(host, control)?;
    let config = traces::load(host, name)?;
    recover::refuse_unfinished(host, name)?;
    let already = is_attended_and_up(host, &config)?;
    if !already {
        control.check()?;
        refuse_unstartable(host, &config)?;
        let started = match host.services()? {
            Some(services) => start_unit(host, services, &config, control),
            None => start_detached(host, &config, control),
        };
        started.map_err(|error| match error {
            Error::Cancelled => Error::Cancelled,
            // deleted meanwhile: the name was right, so none that is near is meant
            _ if !host.store().exists(name) => Error::NoSandbox {
                name: name.clone(),
                near: Vec::new(),
            },
            other => other,
        })?;
    }
    Ok(StartOutcome {
        name: name.clone(),
        already,
        address: config.network.map(|network| network.address),
    })
}

/// Refuses what is known not to start: without content, or without a host unit of its own where
/// systemd would start whatever has that name.
fn refuse_unstartable(host: &Host, config: &SandboxConfig) -> Result<()> {
    let name = config.name.clone();
    if let Err(error) = host.path(&config.content).symlink_metadata()
        && error.kind() == std::io::ErrorKind::NotFound
    {
        let path = config.content.clone();
        return Err(Error::NoContent { name, path });
    }
    if host.services()?.is_none() {
        return Ok(());
    }
    let path = host.shown(&host.unit_dir().join(config.host_unit.as_str()));
    match Identity::of(config).unit_ownership(host)? {
        Ownership::Ours => Ok(()),
        Ownership::Absent => Err(Error::NoUnit { name, path }),
        Ownership::Foreign => Err(Error::Foreign { name, path }),
    }
}

fn is_attended_and_up(host: &Host, config: &SandboxConfig) -> Result<bool> {
    Ok(live_state(host, config)?.is_some_and(|state| {
        state.phase == Phase::Ready && host.proc().runs(state.waiter_pid, state.waiter_start)
    }))
}

/// What another runner was seen to do.
enum Other {
    /// The service is up.
    Up,
    /// It began to start it, and did not get to that.
    Failed,
    /// There is none, or no more.
    Gone,
}

/// Waits while another runner brings the sandbox up, or is not yet done with its end: it holds the
/// run lock, and a second one would find nothing to do. Its own timeouts bound this.
fn await_other_runner(host: &Host, config: &SandboxConfig, control: &Control<'_>) -> Result<Other> {
    let mut began = false;
    while host.store().is_run(&config.name)? {
        if is_attended_and_up(host, config)? {
            return Ok(Other::Up);
        }
        began |= live_state(host, config)?.is_some_and(|state| state.phase == Phase::Starting);
        control.check()?;
        std::thread::sleep(OTHER_RUNNER);
    }
    // one that was told to stop leaves no failure
    let failed = began && host.store().failure(&config.name)?.is_some();
    Ok(if failed { Other::Failed } else { Other::Gone })
}

fn start_unit(
    host: &Host,
    services: &dyn ServiceManager,
    config: &SandboxConfig,
    control: &Control<'_>,
) -> Result<()> {
    let unit = &config.host_unit;
    if !host.store().is_run(&config.name)? {
        // that of another start is not the cause where systemd doesn't get as far as the runner
        host.store().clear_failure(&config.name)?;
    }
    let job = services.start(unit, &|| control.is_cancelled())?;
    if job.is_done() {
        return Ok(());
    }
    let told = format!("the job of {unit} ended with {job}");
    let hint = format!("`systemctl status {unit}` tells more");
    Err(start_failed(host, config, &told, Some(hint)))
}

/// Starts it by a runner of this command's own, unless another command's is at it: then that one's
/// success or failure is this one's too.
fn start_detached(host: &Host, config: &SandboxConfig, control: &Control<'_>) -> Result<()> {
    loop {
        match await_other_runner(host, config, control)? {
            Other::Up => return Ok(()),
            Other::Failed => return Err(start_failed(host, config, "its runner ended", None)),
            Other::Gone => {}
        }
        match run_detached(host, config, control)? {
            Started::Ready => return Ok(()),
            Started::Busy => {}
            Started::Cancelled => return Err(Error::Cancelled),
            Started::Stopped => {
                let message = "it was stopped before its service was up";
                return Err(start_failed(host, config, message, None));
            }
            Started::Ended(said) => {
                let message = said
                    .message()
                    .unwrap_or_else(|| "its runner ended".to_owned());
                return Err(start_failed(host, config, &message, said.hint()));
            }
        }
    }
}

fn run_detached(host: &Host, config: &SandboxConfig, control: &Control<'_>) -> Result<Started> {
    let name = &config.name;
    let directory = host.places().runtime(name);
    loop {
        host.store().make_runtime(name)?;
        match detached::start(host.runner(), name, &directory, &|| control.is_cancelled()) {
            // another's runner has just ended, and taken the empty directory away
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !directory.exists() => {
                control.check()?;
            }
            other => return other.at("run", host.runner()),
        }
    }
}

/// What the runner said last, or else what is known. Without libvirt it said that, but not what to
/// do about it.
fn start_failed(
    host: &Host,
    config: &SandboxConfig,
    otherwise: &str,
    hint: Option<String>,
) -> Error {
    let failure = host.store().failure(&config.name).ok().flatten();
    let failure = failure.unwrap_or_else(|| Failure {
        message: otherwise.to_owned(),
        log: Vec::new(),
        hint,
        killed: false,
    });
    if let (true, Err(error @ Error::Connection(_))) = (failure.log.is_empty(), host.hypervisor()) {
        return error;
    }
    let shown = |text: &String| Sanitized::text(text).to_string();
    Error::StartFailed {
        name: config.name.clone(),
        message: shown(&failure.message),
        log: failure.log.iter().map(shown).collect(),
        hint: failure.hint.as_ref().map(shown),
    }
}

/// Stops a sandbox; returns when nothing of it runs.
///
/// # Errors
/// Where it can't be stopped.
pub fn stop(
    host: &Host,
    name: &SandboxName,
    how: Stop,
    control: &Control<'_>,
) -> Result<StopOutcome> {
    let what = || format!("{name} was down; it may stop all the same");
    bring_down(host, name, how, control).map_err(|error| error.interrupted(name, what))
}

fn bring_down(
    host: &Host,
    name: &SandboxName,
    how: Stop,
    control: &Control<'_>,
) -> Result<StopOutcome> {
    recover::recover(host, control)?;
    let (identity, config) = match traces::load(host, name) {
        Ok(config) => (Identity::of(&config), Some(config)),
        // what runs can be stopped although its config has been made unreadable meanwhile
        Err(error) => match traces::find(host, name)? {
            Some(found) if is_running(host, &found.identity)? => (found.identity, None),
            _ => return Err(error),
        },
    };
    let already = !is_running(host, &identity)?;
    let killed = match (&config, already) {
        (Some(config), true) => {
            reset_failed(host, config, control)?;
            false
        }
        (None, true) => false,
        (config, false) => halt(host, &identity, config.as_ref(), how, control)?,
    };
    Ok(StopOutcome {
        name: name.clone(),
        already,
        killed,
    })
}

/// A unit that waits to be restarted (`Restart=`) is not running, and has to be stopped all the
/// same.
fn reset_failed(host: &Host, config: &SandboxConfig, control: &Control<'_>) -> Result<()> {
    if let Some(services) = host.services()?
        && Identity::of(config).is_own(host, &config.host_unit)?
        && matches!(
            services.status(&config.host_unit)?.active,
            InnerState::Activating | InnerState::Active | InnerState::Reloading
        )
    {
        services.stop(&config.host_unit, &|| control.is_cancelled())?;
    }
    Ok(())
}

/// Stops a sandbox, if it runs, and starts it. One whose config or content is known not to start
/// runs on.
///
/// # Errors
/// As [`stop`] and [`start`].
pub fn restart(host: &Host, name: &SandboxName, control: &Control<'_>) -> Result<StartOutcome> {
    let what = || format!("{name} was up again; it may be stopped, now or soon");
    recover::recover(host, control)
        .and_then(|()| refuse_unstartable(host, &traces::load(host, name)?))
        .and_then(|()| bring_down(host, name, Stop::Graceful, control))
        .and_then(|_| bring_up(host, name, control))
        .map_err(|error| error.interrupted(name, what))
}
