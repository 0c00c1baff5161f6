//! Having libvirt start the domain, or taking over one that runs without a runner.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{FlockOperation, Mode, OFlags, XattrFlags, flock, statfs};
use vss_libvirt::{Hypervisor, Libvirt, RunningDomain, StartError};
use vss_model::{DomainSpec, Sanitized, SecurityContext};
use vss_runner::console::Console;
use vss_runner::notify::Inbox;
use vss_runner::upstream::Upstream;
use vss_runner::{say, sys};

use crate::attend::{self, Parts};
use crate::cgroups;
use crate::confine;
use crate::ended::give_up;
use crate::error::{Error, at, chain, io};
use crate::ground;
use crate::network::{self, Connecting};
use crate::own;
use crate::quick::Quick;
use crate::sandbox::Sandbox;
use crate::users;

/// As sd_notify(3) has it: EBUSY.
const BUSY: &str = "ERRNO=16";
const SELINUX_MAGIC: rustix::fs::FsWord = 0xf97c_ff8c;

/// A domain that runs.
pub(crate) struct Launched {
    pub(crate) domain: RunningDomain,
    /// It was found running, and PID 1 may have said long ago that it is ready.
    pub(crate) adopted: bool,
    /// Its network, while it is being made.
    pub(crate) connecting: Option<Connecting>,
}

/// `virt-sandbox-run start NAME`.
pub(crate) fn start(sandbox: &Sandbox) -> Result<u8, Error> {
    let Some(lock) = sandbox.store.run_lock(sandbox.name())? else {
        // a command that started this one waits for the other then
        Upstream::from_environment().send(BUSY);
        return Err(Error::RunAlready(sandbox.name().clone()));
    };
    sandbox.store.clear_failure(sandbox.name())?;
    let parts = parts(sandbox).map_err(|error| give_up(sandbox, error))?;
    let locks = sandbox.store.places().run.join(".locks");
    let quick = Quick::begin(cgroups::own_procs(), &locks.join("moves"));
    let launched =
        begin(sandbox, &parts.inbox, Boot::First).map_err(|error| give_up(sandbox, error))?;
    attend::run(sandbox, lock, parts, launched, Some(quick))
}

/// What a domain is started for.
#[derive(Clone, Copy)]
enum Boot {
    /// A start. Of one that runs, a runner was lost.
    First,
    /// A reboot inside. libvirt may restart the domain by itself at any time.
    Again,
}

/// Starts the domain anew after a reboot that libvirt took for an end, unless libvirt has done so by
/// now.
pub(crate) fn again(sandbox: &Sandbox, inbox: &Inbox) -> Result<Launched, Error> {
    begin(sandbox, inbox, Boot::Again)
}

/// A domain that libvirt started anew after a reboot, from the description that it had. Its init
/// waits for its network.
pub(crate) fn restarted(
    sandbox: &Sandbox,
    domain: RunningDomain,
    inbox: &Inbox,
) -> Result<Launched, Error> {
    let connected = connect_again(sandbox, &domain).and_then(|connecting| {
        // what is asked of the network has changed since
        let in_vain = connecting.is_none() && sandbox.libvirt()?.awaits_interface(domain.uuid)?;
        Ok((connecting, in_vain))
    });
    match connected {
        Ok((connecting, false)) => Ok(Launched {
            domain,
            adopted: false,
            connecting,
        }),
        Ok((_, true)) => {
            say("the network is for libvirt to connect to by now: starting anew");
            sandbox.libvirt()?.destroy(domain.uuid)?;
            again(sandbox, inbox)
        }
        Err(error) => {
            // why it can't be connected is to be told
            if let Ok(Err(error)) = sandbox.libvirt().map(|l| l.destroy(domain.uuid)) {
                say(&chain(&error));
            }
            Err(error)
        }
    }
}

/// The same where the container goes on without: its runner went, maybe before the init had its
/// network.
pub(crate) fn connect_if_possible(sandbox: &Sandbox, domain: &RunningDomain) -> Option<Connecting> {
    connect_again(sandbox, domain).unwrap_or_else(|error| {
        say(&chain(&error));
        None
    })
}

/// Listens to the first process of a domain that this process did not start. What it gets goes by
/// the config, which may have been edited since to name what is another's.
fn connect_again(sandbox: &Sandbox, domain: &RunningDomain) -> Result<Option<Connecting>, Error> {
    own::check(&sandbox.config, &sandbox.store)?;
    let bridge = network::bridge(sandbox)?;
    let spec = spec(sandbox, bridge.as_deref());
    Connecting::begin(sandbox, &spec, Some(domain.init_pid))
}

/// What a runner has before it has a container.
pub(crate) fn parts(sandbox: &Sandbox) -> Result<Parts, Error> {
    Ok(Parts {
        signals: sys::signals().map_err(io("take signals"))?,
        inbox: make_inbox(sandbox)?,
        console: Console::new(Instant::now()),
    })
}

/// Has libvirt start the domain, or goes on with the one that runs.
fn begin(sandbox: &Sandbox, inbox: &Inbox, boot: Boot) -> Result<Launched, Error> {
    let libvirt = sandbox.libvirt()?;
    if let Some(domain) = sandbox.running()? {
        return found(sandbox, domain, inbox, boot);
    }
    let is_selinux_on = is_selinux_on();
    own::check(&sandbox.config, &sandbox.store)?;
    confine::check(&sandbox.config, is_selinux_on)?;
    users::check(&sandbox.config)?;
    confine::check_content(&sandbox.config, is_selinux_on)?;
    sandbox.admit()?;
    if matches!(boot, Boot::First) {
        // after a reboot it may be in use already: the init does it
        sandbox.remove_cgroups();
        sandbox.forget_report();
    }
    let spec = spec(sandbox, network::bridge(sandbox)?.as_deref());
    ground::check(sandbox.config.content.as_path(), &spec)?;
    let connecting = Connecting::begin(sandbox, &spec, None)?;
    match create(sandbox, libvirt, &spec) {
        Ok(domain) => {
            sandbox.launched.set(true);
            Ok(Launched {
                domain,
                adopted: false,
                connecting,
            })
        }
        Err(error) => {
            // it was not there a moment ago: libvirt restarts what was rebooted
            if matches!(error, StartError::Running { .. })
                && let Some(domain) = sandbox.running()?
            {
                drop(connecting);
                return found(sandbox, domain, inbox, boot);
            }
            // the init of a container that can't be connected only knows that it isn't
            connecting.map_or(Ok(()), Connecting::end)?;
            Err(told_by_init(sandbox, inbox, error))
        }
    }
}

/// Goes on with a domain that runs.
fn found(
    sandbox: &Sandbox,
    domain: RunningDomain,
    inbox: &Inbox,
    boot: Boot,
) -> Result<Launched, Error> {
    match boot {
        Boot::First => Ok(Launched {
            connecting: connect_if_possible(sandbox, &domain),
            domain,
            adopted: true,
        }),
        Boot::Again => restarted(sandbox, domain, inbox),
    }
}

/// A start that ended with the init, in its own words.
fn told_by_init(sandbox: &Sandbox, inbox: &Inbox, error: StartError) -> Error {
    match error {
        error @ (StartError::Ended { .. } | StartError::Failed { .. }) => {
            match inbox.any_status() {
                Some(said) => Error::GaveUp {
                    name: sandbox.name().clone(),
                    said: Sanitized::text(&said).to_string(),
                },
                None => Error::Start(error),
            }
        }
        error => Error::Start(error),
    }
}

/// Starts by many at once disturb each other in libvirt. The first attempt is free; those that were
/// disturbed go on one after the other.
fn create(
    sandbox: &Sandbox,
    libvirt: &Libvirt,
    spec: &DomainSpec,
) -> Result<RunningDomain, StartError> {
    match libvirt.start(spec) {
        Err(error) if error.is_race() => {
            let _turn = take_turn(sandbox);
            vss_libvirt::start(libvirt, spec)
        }
        other => other,
    }
}

fn take_turn(sandbox: &Sandbox) -> Option<rustix::fd::OwnedFd> {
    let path = sandbox.store.places().run.join(".locks/start");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).ok()?;
    // Without the lock the start is tried all the same.
    let _ = flock(&file, FlockOperation::LockExclusive);
    Some(file)
}

fn spec(sandbox: &Sandbox, bridge: Option<&str>) -> DomainSpec {
    let mut spec = vss_plan::domain_spec(&sandbox.config);
    if let Some(bridge) = bridge {
        spec = vss_plan::bridged(spec, bridge);
    }
    if is_selinux_on() {
        spec
    } else {
        vss_plan::unlabelled(spec)
    }
}

/// As libselinux has it: its file system is mounted.
pub(crate) fn is_selinux_on() -> bool {
    statfs("/sys/fs/selinux").is_ok_and(|found| found.f_type == SELINUX_MAGIC)
}

/// The directory that the container sees, and the socket in it.
fn make_inbox(sandbox: &Sandbox) -> Result<Inbox, Error> {
    sandbox.store.make_runtime(sandbox.name())?;
    let directory = sandbox.host_directory();
    match fs::DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(at("make", &directory)(error));
        }
        _ => {}
    }
    if is_selinux_on()
        && let Some(context) = sandbox.config.label.of_notify()
    {
        label(&directory, &context).map_err(|error| {
            // that the policy has no such label says more than that it was refused
            match confine::check(&sandbox.config, true) {
                Err(reason) => reason,
                Ok(()) => at("label", &directory)(error),
            }
        })?;
    }
    let path = directory.join("notify");
    let inbox = Inbox::bind(&path).map_err(at("listen at", &path))?;
    sandbox.lend(&directory)?;
    sandbox.lend_socket(&path)?;
    Ok(inbox)
}

/// Gives a directory a context, which what is made in it inherits. No link is followed.
fn label(directory: &Path, context: &SecurityContext) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    let value = format!("{context}\0");
    let flags = XattrFlags::empty();
    rustix::fs::fsetxattr(directory, "security.selinux", value.as_bytes(), flags)?;
    Ok(())
}
