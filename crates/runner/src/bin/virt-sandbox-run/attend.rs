//! A domain that runs: waiting until its service is up, then becoming the waiter.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use vss_config::{Phase, RunLock, RuntimeState};
use vss_enter::{Container, start_time};
use vss_libvirt::{Hypervisor, RunningDomain};
use vss_runner::console::Console;
use vss_runner::handover::{self, Options};
use vss_runner::notify::Inbox;
use vss_runner::outcome::{self, Evidence, Start, Trouble};
use vss_runner::upstream::Upstream;
use vss_runner::watch::{Allowance, Event, LastWords, Watch, after};
use vss_runner::{say, sys};

use crate::ended::{self, Next};
use crate::error::{Error, chain, io, is_gone};
use crate::launch::{self, Launched, is_selinux_on};
use crate::network::Connecting;
use crate::quick::Quick;
use crate::sandbox::{START_MARGIN, Sandbox};

/// How often units that are on their way are asked after.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long a systemd that doesn't answer is asked, before that counts as a failure. One that was found
/// running may still be on its way, and listens late on a busy machine.
const SILENCE: Duration = Duration::from_secs(60);

/// What outlives a container's PID 1, and so a reboot.
pub(crate) struct Parts {
    pub(crate) signals: OwnedFd,
    pub(crate) inbox: Inbox,
    pub(crate) console: Console,
}

/// A PID 1 that is held.
struct Held {
    container: Container,
    start: u64,
}

/// What came of waiting.
enum Waited {
    Up,
    Failed(Trouble),
    Gone,
    Stop,
}

/// Waits until the service is up and becomes the waiter; returns where it ends before.
pub(crate) fn run(
    sandbox: &Sandbox,
    lock: RunLock,
    mut parts: Parts,
    mut launched: Launched,
    mut quick: Option<Quick>,
) -> Result<u8, Error> {
    loop {
        let mut evidence = Evidence::default();
        let domain = launched.domain.clone();
        if let Ok(held) = hold(&domain) {
            let mut watch = watch(sandbox, parts, &domain, &held)?;
            match begin(sandbox, &mut launched, &held, &mut watch, quick.take()) {
                Ok(Waited::Up) => {
                    let error = match Waiter::prepare(sandbox, &domain, &held, &watch) {
                        Ok(waiter) => waiter.replace_this(sandbox, lock, &watch.upstream),
                        Err(error) => error,
                    };
                    take_down(sandbox, &mut watch);
                    return Err(ended::give_up(sandbox, error));
                }
                Ok(Waited::Failed(trouble)) => {
                    take_down(sandbox, &mut watch);
                    return ended::fail(sandbox, &watch.console, &trouble);
                }
                Ok(Waited::Gone) => {
                    evidence.wait_status = sys::wait_status(held.container.fd());
                    evidence.said = watch.words.gave_up.take();
                    evidence.claim = watch.words.claim;
                }
                Ok(Waited::Stop) => {
                    evidence.stopped = true;
                    evidence.killed = !shut_down(sandbox, &mut watch)?;
                }
                Err(error) => {
                    take_down(sandbox, &mut watch);
                    return Err(ended::give_up(sandbox, error));
                }
            }
            parts = Parts {
                signals: watch.signals,
                inbox: watch.inbox,
                console: watch.console,
            };
        } else {
            evidence.said = last_words(&parts.inbox, domain.init_pid);
        }
        // the next one listens at the same place
        launched.connecting = None;
        match ended::settle(sandbox, &mut parts, evidence, domain.init_pid)? {
            Next::Again(new) => launched = new,
            Next::Over(end) => return ended::conclude(sandbox, &parts.console, &end, false),
        }
    }
}

/// Why an init gave up that had ended before it could be held.
fn last_words(inbox: &Inbox, init: u32) -> Option<String> {
    let mut words = LastWords::default();
    let mut budget = u32::MAX;
    while let Some(message) = inbox.next(init, || true, &mut budget) {
        words.hear(&message);
    }
    words.gave_up
}

fn hold(domain: &RunningDomain) -> Result<Held, vss_enter::Error> {
    let start = start_time(domain.init_pid)?;
    let container = Container::open(domain.init_pid, start)?;
    Ok(Held { container, start })
}

fn watch(
    sandbox: &Sandbox,
    parts: Parts,
    domain: &RunningDomain,
    held: &Held,
) -> Result<Watch, Error> {
    // Without a console the container runs all the same, unseen.
    let terminal = sandbox.open_console().unwrap_or_else(|error| {
        say(&chain(&error));
        None
    });
    let process = held.container.fd().try_clone_to_owned();
    Ok(Watch {
        init: domain.init_pid,
        process: process.map_err(io("keep hold of the container"))?,
        inbox: parts.inbox,
        terminal,
        signals: parts.signals,
        console: parts.console,
        words: LastWords::default(),
        upstream: Upstream::from_environment(),
        allowance: Allowance::new(Instant::now()),
    })
}

fn begin(
    sandbox: &Sandbox,
    launched: &mut Launched,
    held: &Held,
    watch: &mut Watch,
    quick: Option<Quick>,
) -> Result<Waited, Error> {
    let Launched {
        domain,
        adopted,
        connecting,
    } = launched;
    // It may be another's by now, whose pid libvirt told a moment ago: asked again, it is ours.
    if sandbox.libvirt()?.find(sandbox.config.uuid)?.as_ref() != Some(domain) {
        // the console may be the next one's
        watch.terminal = None;
        watch.hear_out();
        return Ok(Waited::Gone);
    }
    save(sandbox, domain, held, Phase::Starting)?;
    sandbox.note_cgroups(domain.init_pid)?;
    let limit = sandbox.config.timeouts.start;
    let deadline = limit.and_then(|s| after(Duration::from_secs(s.saturating_add(START_MARGIN))));
    if !*adopted {
        match watch.next(deadline).map_err(io("wait for the container"))? {
            // nobody else is to be heard once something of the container runs
            Event::Ready => *connecting = None,
            Event::Gone => {
                // what kept it from being connected is why
                connecting.take().map_or(Ok(()), Connecting::end)?;
                return Ok(Waited::Gone);
            }
            Event::Stop => return Ok(Waited::Stop),
            Event::Deadline => {
                let seconds = limit.unwrap_or_default();
                return Ok(Waited::Failed(Trouble::TimedOut { seconds }));
            }
        }
    }
    drop(quick);
    let waited = wait_for_units(sandbox, held, watch, deadline)?;
    if matches!(waited, Waited::Up) {
        *connecting = None;
        check_label(sandbox, domain.init_pid)?;
    }
    Ok(waited)
}

/// PID 1 is ready when its queue of jobs is empty, also where the service failed.
fn wait_for_units(
    sandbox: &Sandbox,
    held: &Held,
    watch: &mut Watch,
    deadline: Option<Instant>,
) -> Result<Waited, Error> {
    let mut silent_until = None;
    loop {
        let asked = sandbox.ask_units(&held.container);
        if asked.is_ok() {
            silent_until = None;
        }
        match asked {
            Ok(units) => match outcome::start(&units) {
                Start::Up => match sandbox.ask_stood_for(&held.container) {
                    Ok(Some(trouble)) => return Ok(Waited::Failed(trouble)),
                    Ok(None) => return Ok(Waited::Up),
                    Err(error) => {
                        // what is asked for is up
                        say(&chain(&error));
                        return Ok(Waited::Up);
                    }
                },
                Start::Failed(trouble) => return Ok(Waited::Failed(trouble)),
                Start::Wait => {}
            },
            Err(error) => {
                let now = Instant::now();
                if now >= *silent_until.get_or_insert_with(|| now + SILENCE) {
                    return Err(error);
                }
            }
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            let seconds = sandbox.config.timeouts.start.unwrap_or_default();
            return Ok(Waited::Failed(Trouble::TimedOut { seconds }));
        }
        let again = now + ASK_AGAIN;
        loop {
            match watch
                .next(Some(again))
                .map_err(io("wait for the container"))?
            {
                Event::Gone => return Ok(Waited::Gone),
                Event::Stop => return Ok(Waited::Stop),
                Event::Ready => {}
                Event::Deadline => break,
            }
        }
    }
}

/// The init has checked it already; whoever is adopted is checked again. Not before systemd answers:
/// until it executes the init, the first process is libvirt's, and has libvirt's label.
fn check_label(sandbox: &Sandbox, init: u32) -> Result<(), Error> {
    if !is_selinux_on() {
        return Ok(());
    }
    let path = format!("/proc/{init}/attr/current");
    let found = match std::fs::read(&path) {
        // which is told next
        Err(error) if is_gone(&error) => return Ok(()),
        read => read.map_err(crate::error::at("read", &path))?,
    };
    let found = String::from_utf8_lossy(&found);
    let found = found.trim_end_matches(['\0', '\n']);
    let wanted = sandbox.config.label.to_string();
    if found == wanted {
        return Ok(());
    }
    Err(Error::Label {
        name: sandbox.name().clone(),
        found: found.to_owned(),
        wanted,
    })
}

fn save(sandbox: &Sandbox, domain: &RunningDomain, held: &Held, phase: Phase) -> Result<(), Error> {
    let own = std::process::id();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let earlier = sandbox.store.state(sandbox.name())?;
    let confined = sandbox.confined(earlier.as_ref());
    let started = earlier
        .filter(|state| (state.init_pid, state.init_start) == (domain.init_pid, held.start))
        .map_or_else(|| now.map_or(0, |now| now.as_secs()), |state| state.started);
    let state = RuntimeState {
        uuid: sandbox.config.uuid,
        init_pid: domain.init_pid,
        init_start: held.start,
        controller_pid: domain.controller_pid,
        waiter_pid: own,
        // The start time stays the same through every exec.
        waiter_start: start_time(own)?,
        started,
        phase,
        confined,
    };
    Ok(sandbox.store.save_state(sandbox.name(), &state)?)
}

/// Stops a container that nobody waits on; what was noted of it is cleared.
pub(crate) fn stop(sandbox: &Sandbox, parts: Parts, domain: &RunningDomain) -> Result<(), Error> {
    if let Ok(held) = hold(domain) {
        sandbox.note_cgroups(domain.init_pid)?;
        let mut watch = watch(sandbox, parts, domain, &held)?;
        // an init that still waits for its network powers nothing off
        let _connecting = launch::connect_if_possible(sandbox, domain);
        shut_down(sandbox, &mut watch)?;
    }
    // Destroys nothing where libvirt has forgotten it already.
    sandbox.libvirt()?.destroy(sandbox.config.uuid)?;
    ended::clear(sandbox);
    ended::disconnect(sandbox.config.uuid);
    Ok(sandbox.store.clear_runtime(sandbox.name())?)
}

/// Shuts a container down that did not come up. libvirt's controller may outlive it for a moment,
/// in which a domain without a first process is in the way of whatever comes next. What fails of it
/// goes to the log: why the container did not come up is to be told.
fn take_down(sandbox: &Sandbox, watch: &mut Watch) {
    if let Err(error) = shut_down(sandbox, watch) {
        say(&chain(&error));
    }
    if let Ok(Err(error)) = sandbox.libvirt().map(|l| l.destroy(sandbox.config.uuid)) {
        say(&chain(&error));
    }
    ended::disconnect(sandbox.config.uuid);
}

/// Has systemd inside power off, and waits; after the time that the unit inside has for it, the
/// domain is destroyed. Says whether it went by itself.
pub(crate) fn shut_down(sandbox: &Sandbox, watch: &mut Watch) -> Result<bool, Error> {
    let deadline = sandbox.stop_limit().and_then(after);
    if watch
        .power_off(deadline)
        .map_err(io("wait for the container"))?
    {
        return Ok(true);
    }
    say("the container did not stop in time: destroying it");
    sandbox.libvirt()?.destroy(sandbox.config.uuid)?;
    Ok(false)
}

/// The program that waits on the container in this one's place, ready to be executed.
struct Waiter {
    program: PathBuf,
    options: Options,
    /// Open until it has been taken over.
    _log: Option<OwnedFd>,
}

impl Waiter {
    /// All that can fail, but for the exec itself.
    fn prepare(
        sandbox: &Sandbox,
        domain: &RunningDomain,
        held: &Held,
        watch: &Watch,
    ) -> Result<Self, Error> {
        save(sandbox, domain, held, Phase::Ready)?;
        let pass = |fd: &dyn AsFd| sys::pass_on(fd.as_fd()).map_err(io("hand a descriptor over"));
        let log = handover::write_log(watch.console.kept()).ok();
        let mut options = Options::default()
            .with("init", domain.init_pid)
            .with("start", held.start)
            .with("pidfd", pass(&watch.process)?)
            .with("inbox", pass(&watch.inbox)?);
        if let Some(log) = &log {
            options = options.with("log", pass(log)?);
        }
        if let Some(terminal) = &watch.terminal {
            options = options.with("console", pass(terminal)?);
        }
        if let Some(limit) = sandbox.stop_limit() {
            options = options.with("stop-after", limit.as_secs());
        }
        if let Some(root) = &sandbox.root {
            options = options.with("root", root);
        }
        let program =
            handover::beside("virt-sandbox-wait").map_err(io("find virt-sandbox-wait"))?;
        Ok(Self {
            program,
            options,
            _log: log,
        })
    }

    /// Returns only where it fails: nobody waits on the container then.
    fn replace_this(self, sandbox: &Sandbox, lock: RunLock, upstream: &Upstream) -> Error {
        let lock = match lock.inherit() {
            Ok(lock) => lock,
            Err(error) => return error.into(),
        };
        let args: Vec<String> = std::iter::once(sandbox.name().to_string())
            .chain(self.options.with("lock", lock).to_args())
            .collect();
        // As late as can be: what fails before this is a start that failed, and is told as one.
        upstream.send("READY=1\nSTATUS=Ready");
        let error = sys::exec(self.program.as_os_str(), &args);
        crate::error::at("execute", self.program)(error)
    }
}
