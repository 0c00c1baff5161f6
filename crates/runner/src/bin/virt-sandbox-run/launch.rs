//! Having libvirt start the domain, or taking over one that runs without a runner.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{FlockOperation, Mode, OFlags, XattrFlags, flock, statfs};
use vss_libvirt::{Hypervisor, Libvirt, Networks, RunningDomain, StartError};
use vss_model::installed::NETWORK;
use vss_model::{DomainSpec, Sanitized, SecurityContext};
use vss_runner::console::Console;
use vss_runner::notify::Inbox;
use vss_runner::sys;
use vss_runner::upstream::Upstream;

use crate::attend::{self, Parts};
use crate::cgroups;
use crate::confine;
use crate::ended::give_up;
use crate::error::{Error, at, io};
use crate::ground;
use crate::moves::QuickMoves;
use crate::own;
use crate::sandbox::Sandbox;
use crate::users;

/// As sd_notify(3) has it: EBUSY.
const BUSY: &str = "ERRNO=16";
const SELINUX_MAGIC: rustix::fs::FsWord = 0xf97c_ff8c;

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
    let moves = QuickMoves::begin(cgroups::own_procs(), &locks.join("moves"));
    let (domain, adopted) =
        begin(sandbox, &parts.inbox).map_err(|error| give_up(sandbox, error))?;
    attend::run(sandbox, lock, parts, domain, adopted, Some(moves))
}

/// Starts the domain anew after a reboot that libvirt took for an end.
pub(crate) fn again(sandbox: &Sandbox, inbox: &Inbox) -> Result<RunningDomain, Error> {
    let (domain, _) = begin(sandbox, inbox).map_err(|error| give_up(sandbox, error))?;
    Ok(domain)
}

/// What a runner has before it has a container.
pub(crate) fn parts(sandbox: &Sandbox) -> Result<Parts, Error> {
    Ok(Parts {
        signals: sys::signals().map_err(io("take signals"))?,
        inbox: make_inbox(sandbox)?,
        console: Console::new(Instant::now()),
    })
}

fn begin(sandbox: &Sandbox, inbox: &Inbox) -> Result<(RunningDomain, bool), Error> {
    let libvirt = sandbox.libvirt()?;
    if let Some(running) = sandbox.running()? {
        return Ok((running, true));
    }
    let is_selinux_on = is_selinux_on();
    own::check(&sandbox.config, &sandbox.store)?;
    confine::check(&sandbox.config, is_selinux_on)?;
    users::check(&sandbox.config)?;
    confine::check_content(&sandbox.config, is_selinux_on)?;
    sandbox.admit()?;
    sandbox.remove_cgroups();
    sandbox.forget_report();
    if let Some(network) = &sandbox.config.network {
        libvirt.ensure(&network.network, Path::new(NETWORK))?;
    }
    let spec = spec(sandbox);
    ground::check(sandbox.config.content.as_path(), &spec)?;
    match create(sandbox, libvirt, &spec) {
        Ok(domain) => {
            sandbox.launched.set(true);
            Ok((domain, false))
        }
        Err(error @ (StartError::Ended { .. } | StartError::Failed { .. })) => {
            Err(match inbox.any_status() {
                Some(said) => Error::GaveUp {
                    name: sandbox.name().clone(),
                    said: Sanitized::text(&said).to_string(),
                },
                None => Error::Start(error),
            })
        }
        Err(error) => Err(Error::Start(error)),
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

fn spec(sandbox: &Sandbox) -> DomainSpec {
    let spec = vss_plan::domain_spec(&sandbox.config);
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
    sandbox.lend(&directory, &path)?;
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
