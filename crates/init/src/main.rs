//! The first process of a container, before systemd.
//!
//! libvirt's LXC driver makes the namespaces and the mounts; what it can't do is done here, in
//! this order, and then the program is replaced by systemd:
//!
//! 1. [`ended::forget`]: what the last boot told of its end is gone.
//! 2. [`users`], [`label`]: the process is in the user namespace and in the SELinux context that were
//!    planned, or nothing runs.
//! 3. [`network`]: the runner is asked to make the interface; it is there before 8 begins.
//! 4. [`limits`]: the hard limits are lifted, so that units can have their own without the
//!    capability that would be needed later.
//! 5. [`keyring`](sys::join_new_session_keyring): a session keyring that is not the host's.
//! 6. [`cgroup`]: a cgroup below the one that libvirt limits, a namespace that begins there, and
//!    the cgroup file systems as that namespace shows them.
//! 7. [`mounts`]: writable trees are nosuid and nodev, `/` and `/usr` are read-only, and what
//!    `/proc` and `/sys` tell of the host is out of sight; [`pins`] hold the ways to mounts; what
//!    systemd's helpers mount shows.
//! 8. [`privileges`]: bounding set, seccomp filter, capabilities.
//!
//! Nothing of the container has run when this does, but its files are what an earlier run left:
//! every path is opened without following a link, and the program is linked statically, so that
//! no library of theirs is loaded (`build.rs`). A step that fails ends the program, and with
//! it the domain, with one line on the console and an exit status of its own ([`Failure`]).
//!
//! The same program, started inside by a unit of its own with `--ended`, tells the host how a
//! service ended: [`ended`].

mod args;
mod cgroup;
mod ended;
mod failure;
mod label;
mod limits;
mod mounts;
mod network;
mod pins;
mod privileges;
mod sys;
mod users;

use std::process::ExitCode;

use crate::args::{Args, Boot};
use crate::failure::{Failure, Stage};

fn main() -> ExitCode {
    let done = match args::parse(std::env::args_os().skip(1)) {
        Ok(Args::Boot(boot)) => run(&boot).map(|never| match never {}),
        Ok(Args::Ended(look, units)) => ended::run(look, &units),
        Ok(Args::Version) => {
            sys::say(concat!("virt-sandbox-init ", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let line = format!("virt-sandbox-init: {failure}");
            sys::say(&line);
            sys::notify(&line);
            ExitCode::from(failure.stage.exit_status())
        }
    }
}

fn run(boot: &Boot) -> Result<std::convert::Infallible, Failure> {
    if std::process::id() != 1 {
        return Err(Failure::new(
            Stage::Usage,
            "this is the first process of a container and is started by libvirt; see virt-sandbox-service(1)",
        ));
    }
    sys::prepare_process();
    // before anything can fail: else a report of the last boot would be told as this one's
    ended::forget();
    mounts::check_kernel_file_systems()?;
    if let Some(wanted) = boot.private_users {
        users::check(wanted)?;
    }
    if let Some(wanted) = &boot.label {
        label::check(wanted)?;
    }
    let interface = if boot.awaits_network {
        Some(network::ask()?)
    } else {
        None
    };
    limits::lift()?;
    sys::join_new_session_keyring().map_err(Failure::io(Stage::Keyring, "session keyring"))?;
    cgroup::enter()?;
    mounts::check_own_trees(&boot.writable)?;
    mounts::harden(&boot.writable, &boot.read_only)?;
    pins::hold()?;
    mounts::mask()?;
    mounts::share()?;
    if let Some(interface) = interface {
        interface.wait()?;
    }
    sys::close_descriptors().map_err(Failure::io(Stage::Exec, "open file descriptors"))?;
    privileges::reduce(boot.confinement)?;
    let error = sys::exec(&boot.command);
    Err(Failure::io(
        Stage::Exec,
        boot.command[0].to_string_lossy().as_ref(),
    )(error))
}
