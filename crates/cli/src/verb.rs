//! The verbs, one file each: what was typed, and about thirty lines that translate it, call the
//! manager and render what comes back.

mod bulk;
pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod execute;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod lifecycle;
pub(crate) mod list;
pub(crate) mod plan;
pub(crate) mod status;

use vss_manager::inside::Caller;
use vss_manager::{Control, Host};

use crate::args::{Cli, Verb};
use crate::failure::{Failure, Status};
use crate::options::ConnectUri;
use crate::signals;
use crate::ui::Ui;
use crate::watch::Watch;

use lifecycle::Change;

/// The host, opened once the command line is known to make sense.
#[derive(Debug)]
pub(crate) struct Machine {
    connect: ConnectUri,
}

impl Machine {
    /// Opens it. Everything but help needs root: the databases, trees and sockets are root's.
    fn open(&self) -> Result<Host, Failure> {
        if !rustix::process::geteuid().is_root() {
            return Err(
                Failure::new("only root can do this").hint("run it with sudo or from a root shell")
            );
        }
        Ok(Host::open(self.connect.as_str())?)
    }
}

/// What a command inside is told of the caller's environment: how to draw and speak to it.
fn caller() -> Caller {
    Caller {
        term: std::env::var("TERM").ok(),
        lang: std::env::var("LANG").ok(),
    }
}

/// How the manager is watched and stopped. From here on signals ask the verb to stop; one that only
/// looks, or has not been told yet to go on, has nothing to undo, and is ended by them.
fn control(watch: &Watch) -> Control<'_> {
    signals::install();
    Control {
        cancelled: signals::cancelled(),
        observer: watch,
    }
}

/// Does what was asked for.
pub(crate) fn run(cli: Cli, ui: &mut Ui) -> Result<Status, Failure> {
    let machine = Machine {
        connect: cli.connect,
    };
    match cli.verb {
        Verb::Create(args) => create::run(args, &machine, ui),
        Verb::Plan(args) => plan::run(args, &machine, ui),
        Verb::Explain(args) => explain::run(args, &machine, ui),
        Verb::Start(args) => lifecycle::run(Change::Start, &args, &machine, ui),
        Verb::Stop(args) => lifecycle::run(Change::Stop(args.how()), &args.common, &machine, ui),
        Verb::Restart(args) => lifecycle::run(Change::Restart, &args, &machine, ui),
        Verb::Execute(args) => execute::run(args, &machine),
        Verb::Connect(args) => connect::run(&args, &machine),
        Verb::Status(args) => status::run(&args, &machine, ui),
        Verb::List(args) => list::run(&args, &machine, ui),
        Verb::Inspect(args) => inspect::run(&args, &machine, ui),
        Verb::Delete(args) => delete::run(&args, &machine, ui),
    }
}
