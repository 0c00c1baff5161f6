//! The verbs, one file each: what was typed, and about thirty lines that translate it, call the
//! manager and render what comes back.

pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod execute;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod plan;
pub(crate) mod restart;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;

use crate::args::{Cli, Verb};
use crate::failure::{Failure, Status};
use crate::ui::Ui;

/// Does what was asked for.
pub(crate) fn run(cli: Cli, ui: &mut Ui) -> Result<Status, Failure> {
    require_root()?;
    let _ = (cli, ui);
    Err(Failure::new("not wired"))
}

/// Everything but help needs root: the databases, trees and sockets are root's.
fn require_root() -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new("only root can do this").hint("run it with sudo or from a root shell"))
}
