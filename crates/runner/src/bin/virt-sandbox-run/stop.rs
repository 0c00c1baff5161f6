//! Stopping a container from a process that does not wait on it.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use vss_config::RuntimeState;
use vss_enter::start_time;
use vss_libvirt::Hypervisor;
use vss_runner::say;
use vss_runner::watch::after;

use crate::attend;
use crate::ended;
use crate::error::{Error, io};
use crate::launch;
use crate::sandbox::Sandbox;

/// What a runner has, after the container's own time, for libvirt and for cleaning up.
const RUNNER: Duration = Duration::from_secs(20);

/// `virt-sandbox-run stop NAME`: has the runner stop the container, or does it in its place.
pub(crate) fn run(sandbox: &Sandbox) -> Result<u8, Error> {
    let Some(lock) = sandbox.store.run_lock(sandbox.name())? else {
        return tell_runner(sandbox);
    };
    let parts = launch::parts(sandbox)?;
    let Some(domain) = sandbox.running()? else {
        ended::clear(sandbox);
        return Err(Error::NotRunning(sandbox.name().clone()));
    };
    attend::stop(sandbox, parts, &domain)?;
    drop(lock);
    Ok(0)
}

fn tell_runner(sandbox: &Sandbox) -> Result<u8, Error> {
    let name = sandbox.name();
    let state = sandbox
        .store
        .state(name)?
        .ok_or_else(|| Error::NotRunning(name.clone()))?;
    let Some(runner) = hold(&state) else {
        return Err(Error::NotRunning(name.clone()));
    };
    pidfd_send_signal(&runner, Signal::TERM).map_err(io("tell the runner to stop"))?;
    let limit = sandbox
        .stop_limit()
        .map(|limit| limit.saturating_add(RUNNER));
    if is_gone_within(&runner, limit)? {
        return Ok(0);
    }
    say("the runner did not stop it in time: destroying the domain");
    sandbox.libvirt()?.destroy(sandbox.config.uuid)?;
    if is_gone_within(&runner, Some(RUNNER))? {
        return Ok(1);
    }
    Err(Error::StillThere {
        name: name.clone(),
        seconds: limit.map_or(0, |limit| limit.as_secs()),
    })
}

/// A process of that number may be another by now: its start time tells.
fn hold(state: &RuntimeState) -> Option<rustix::fd::OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(state.waiter_pid).ok()?)?;
    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let is_it = start_time(state.waiter_pid).is_ok_and(|start| start == state.waiter_start);
    is_it.then_some(handle)
}

fn is_gone_within(process: &rustix::fd::OwnedFd, limit: Option<Duration>) -> Result<bool, Error> {
    let end = limit.and_then(after);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io("wait for the runner")(error)),
        }
    }
}
