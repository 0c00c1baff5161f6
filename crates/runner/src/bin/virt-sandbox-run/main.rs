//! Runs a container: what the host unit executes, and what the command spawns where systemd is not
//! PID 1.
//!
//! - `start NAME`: takes the run lock, has libvirt start the domain, or adopts one that runs
//!   without a runner ([`launch`]); waits until the service inside is up ([`attend`]); becomes
//!   `virt-sandbox-wait`.
//! - `ended NAME`: what that becomes when PID 1 is gone: finds out why, goes on with a container
//!   that was rebooted, cleans up after any other ([`ended`]).
//! - `stop NAME`: stops a container, whether a runner waits on it or not ([`stop`]).
//! - `reload NAME`: has the units inside read their configuration anew ([`inside`]).
//!
//! All end with status 0, with a service's own where it failed, 2 for a usage error, or 1. Why a
//! start failed or a container ended is on stderr, in the host unit's status, and in the sandbox's
//! runtime directory for the command to show.

mod asked;
mod attend;
mod awake;
mod cgroups;
mod confine;
mod ended;
mod error;
mod ground;
mod inside;
mod launch;
mod moves;
mod network;
mod own;
mod places;
mod quick;
mod sandbox;
mod stop;
mod users;

use std::process::ExitCode;

use vss_runner::handover::Options;
use vss_runner::say;

use crate::error::Error;
use crate::sandbox::Sandbox;

/// `root` is for tests: where `/etc`, `/var` and `/run` of this project are.
const OPTIONS: [&str; 10] = [
    "root",
    "init",
    "start",
    "lock",
    "inbox",
    "log",
    "stopped",
    "killed",
    "shutdown",
    "wait-status",
];

fn main() -> ExitCode {
    let messages = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        // a command that is no longer there to read is no reason to panic
        .log_internal_errors(false);
    messages.init();
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            say(&format!("virt-sandbox-run: {}", error::chain(&error)));
            if let Some(hint) = error.hint() {
                say(&format!("hint: {hint}"));
            }
            ExitCode::from(error.exit_status())
        }
    }
}

fn run() -> Result<u8, Error> {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.into_string())
        .collect::<Result<_, _>>()
        .map_err(|arg| Error::Usage(format!("{} is not UTF-8", arg.to_string_lossy())))?;
    let (words, options) = Options::parse(args.into_iter(), &OPTIONS)?;
    let [verb, name] = words.as_slice() else {
        let usage = "virt-sandbox-run start|stop|reload NAME; it is run by the host unit, see virt-sandbox-service(1)";
        return Err(Error::Usage(usage.to_owned()));
    };
    let name = name
        .parse()
        .map_err(|error| Error::Usage(format!("{error}")))?;
    match verb.as_str() {
        "start" => launch::start(&Sandbox::open(&name, &options)?),
        "ended" => match Sandbox::open(&name, &options) {
            Ok(sandbox) => ended::run(&sandbox, &options),
            Err(error) => {
                ended::without_config(&name, &options)?;
                Err(error)
            }
        },
        "stop" => stop::run(&Sandbox::open(&name, &options)?),
        "reload" => inside::reload(&Sandbox::open(&name, &options)?),
        other => Err(Error::Usage(format!("there is no verb {other}"))),
    }
}
