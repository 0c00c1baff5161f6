//! `delete`: no trace is left.

use std::ffi::OsString;

use clap::Args as ClapArgs;
use vss_manager::delete::DeleteOptions;
use vss_manager::outcome::{DeleteOutcome, Part};
use vss_manager::{Error, Host, Kind};
use vss_model::SandboxName;

use super::{Machine, bulk, control};
use crate::failure::{Failure, Status};
use crate::options::{FormatOptions, Names};
use crate::render;
use crate::ui::Ui;
use crate::watch::Watch;

/// Remove containers with all that belongs to them
///
/// Content, config, manifest, host unit, label and address. Shows what goes and asks first, on a
/// terminal. Works from any half-made state, and removes nothing that does not carry the
/// container's own UUID.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service delete --dry-run web1
  virt-sandbox-service delete --yes web1 db1
  virt-sandbox-service delete --force --keep-content web1")]
pub(crate) struct Args {
    /// Stop it first where it is running; remove content that was kept
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Don't ask
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// Leave the content directory where it is; delete --force removes it later
    #[arg(long)]
    pub(crate) keep_content: bool,

    /// Show what would go and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Taken from scripts of the ancestor, where it had to be repeated; the config knows the path
    #[arg(short, long, value_name = "DIR", hide = true)]
    pub(crate) path: Option<OsString>,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    #[command(flatten)]
    pub(crate) names: Names,
}

pub(super) fn run(args: &Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let host = machine.open()?;
    let names = &args.names.names;
    let options = DeleteOptions {
        force: args.force,
        keep_content: args.keep_content,
    };
    let look = |name: &_| Ok(vss_manager::delete::plan(&host, name, &options)?);
    let would = |outcome: &_| said(false, outcome);
    if args.dry_run {
        return bulk::run(names, args.output, ui, look, would);
    }
    if !args.yes {
        match confirm(&host, names, &options, ui)? {
            Answer::Yes => {}
            Answer::No => return Err(Failure::new("nothing was removed")),
            Answer::NothingToAsk => return bulk::run(names, args.output, ui, look, would),
        }
    }
    let watch = Watch::new(args.output.quiet);
    let mut config_kept = Vec::new();
    let act = |name: &SandboxName| {
        let deleted = vss_manager::delete::delete(&host, name, &options, &control(&watch))?;
        if keeps_config(&deleted) {
            config_kept.push(name.clone());
        }
        Ok(deleted)
    };
    let status = bulk::run(names, args.output, ui, act, |d| said(true, d))?;
    match config_kept.first() {
        Some(name) => Err(half_deleted(name, args.force)),
        None => Ok(status),
    }
}

fn keeps_config(deleted: &DeleteOutcome) -> bool {
    deleted.keeps.iter().any(|kept| kept.part == Part::Config)
}

/// With its config left, a container is still listed and its name is taken.
fn half_deleted(name: &SandboxName, force: bool) -> Failure {
    let failure = Failure::new(format!("the config of {name} is kept"));
    if force {
        return failure;
    }
    failure.hint(format!(
        "`virt-sandbox-service delete --force {name}` removes it too"
    ))
}

enum Answer {
    Yes,
    No,
    /// None of them can be removed, and looking at them tells why.
    NothingToAsk,
}

/// Shows what goes and asks, on a terminal; elsewhere nobody is there to be asked.
fn confirm(
    host: &Host,
    names: &[SandboxName],
    options: &DeleteOptions,
    ui: &mut Ui,
) -> Result<Answer, Failure> {
    if !ui.can_ask()? {
        return Ok(Answer::Yes);
    }
    let (mut shown, mut refused) = (false, false);
    for name in names {
        match vss_manager::delete::plan(host, name, options) {
            Ok(deleted) => {
                ui.show(&said(false, &deleted))?;
                shown = true;
            }
            // told by the delete itself, which also finishes one that was cut short
            Err(Error::Unfinished { .. }) => {}
            Err(error) => refused |= error.kind() != Kind::NotFound,
        }
    }
    Ok(match (shown, refused) {
        (true, _) if ui.ask("Remove all that?")? => Answer::Yes,
        (true, _) => Answer::No,
        (false, true) => Answer::NothingToAsk,
        (false, false) => Answer::Yes,
    })
}

fn said(done: bool, deleted: &DeleteOutcome) -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = render::deleted::text(&mut text, done, deleted);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use vss_manager::outcome::Kept;

    use super::*;

    #[test]
    fn a_delete_that_keeps_the_config_has_failed() {
        let name: SandboxName = "web1".parse().unwrap();
        let kept = |part| DeleteOutcome {
            name: name.clone(),
            uuid: None,
            running: false,
            removes: Vec::new(),
            keeps: vec![Kept {
                part,
                path: "/etc/libvirt-sandbox/services/web1.sandbox"
                    .parse()
                    .unwrap(),
                why: String::new(),
            }],
        };
        assert!(keeps_config(&kept(Part::Config)));
        assert!(!keeps_config(&kept(Part::Content)));
        let failure = half_deleted(&name, false);
        assert_eq!(failure.status, Status::FAILURE);
        assert!(failure.hints[0].contains("delete --force web1"));
        assert!(half_deleted(&name, true).hints.is_empty());
    }
}
