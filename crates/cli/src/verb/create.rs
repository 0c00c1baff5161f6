//! `create`: plan a container and make it.

use clap::Args as ClapArgs;
use vss_manager::create::CreateOptions;
use vss_manager::outcome::CreateOutcome;
use vss_manager::{Error, Kind};
use vss_model::SandboxName;

use super::{Machine, control};
use crate::failure::{Failure, Status};
use crate::options::{ContainerOptions, Format, FormatOptions};
use crate::render;
use crate::ui::Ui;
use crate::watch::Watch;

/// Make a container for units that this host has installed
///
/// Plans the container as 'plan' shows it, then makes its content, its config
/// /etc/libvirt-sandbox/services/NAME.sandbox and its host unit. Either all of that is there
/// afterwards, or nothing.
#[derive(Debug, ClapArgs)]
#[command(
    arg_required_else_help = false,
    after_help = "Examples:
  Apache with the host's web pages:
      virt-sandbox-service create -C -u apache2.service web1
  One PostgreSQL cluster, started now and at boot:
      virt-sandbox-service create -C -u postgresql@15-main --now --enable db1
  An SSH server that sees one more directory of the host:
      virt-sandbox-service create -u ssh.service --share /srv/files files1"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,

    /// Start it afterwards
    #[arg(long)]
    pub(crate) now: bool,

    /// Start it at boot
    #[arg(long)]
    pub(crate) enable: bool,

    /// Show the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container's name: a-z, 0-9, '.', '_', '-'; at most 63 characters
    pub(crate) name: SandboxName,
}

pub(super) fn run(args: Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let Args {
        container,
        now,
        enable,
        dry_run,
        output,
        name,
    } = args;
    ui.set_quiet(output.quiet);
    let request = container.request(name)?;
    let host = machine.open()?;
    if dry_run {
        return super::plan::show(&host, &request, enable, output, ui);
    }
    let watch = Watch::new(output.quiet);
    let control = control(&watch);
    let options = CreateOptions { enable };
    let mut created = vss_manager::create::create(&host, &request, &options, &control)?;
    let is_table = output.format == Format::Table;
    if is_table {
        for warning in &created.warnings {
            ui.warning(warning);
        }
        // a start that takes long, or fails, leaves no doubt about what was made
        show(ui, |ui| {
            if !output.quiet {
                render::created::text(ui.out(), &created)?;
            }
            Ok(())
        })
        .map_err(|failure| unheard(failure, &created, now))?;
    }
    let started = now.then(|| vss_manager::lifecycle::start(&host, &request.name, &control));
    created.started = matches!(started, Some(Ok(_)));
    let shown = show(ui, |ui| match &started {
        _ if !is_table => Ok(render::json(ui.out(), &created)?),
        Some(Ok(outcome)) => ui.line(&super::lifecycle::started(outcome)),
        _ => Ok(()),
    });
    match started {
        Some(Err(error)) if error.kind() == Kind::Cancelled => Err(not_started(error, &created)),
        Some(Err(error)) => Err(error.into()),
        _ => {
            shown.map_err(|failure| unheard(failure, &created, false))?;
            Ok(Status::OK)
        }
    }
}

/// A signal during the start: unlike one before it, this leaves what was made.
fn not_started(error: Error, created: &CreateOutcome) -> Failure {
    let name = &created.name;
    let mut failure = Failure::from(error);
    failure.message = format!("interrupted; sandbox {name} is created, and not started");
    failure
}

/// Writes to stdout, all of it by the time this returns.
fn show(ui: &mut Ui, what: impl FnOnce(&mut Ui) -> Result<(), Failure>) -> Result<(), Failure> {
    what(ui)?;
    ui.flush()
}

/// A failure to tell what was made is no failure to make it, and looks like one.
fn unheard(mut failure: Failure, created: &CreateOutcome, was_to_start: bool) -> Failure {
    // who reads no more is told nothing
    if failure.message.is_empty() {
        return failure;
    }
    let name = &created.name;
    let what = match (created.started, was_to_start) {
        (true, _) => "is created and started",
        (false, true) => "is created, and not started",
        (false, false) => "is created",
    };
    failure.message = format!("{}; sandbox {name} {what}", failure.message);
    failure.hint(format!("virt-sandbox-service status {name}"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::render::created::sample;

    #[test]
    fn a56_an_interrupted_start_says_what_is_there() {
        let interrupted = Error::Interrupted {
            name: "web1".parse().unwrap(),
            what: "web1 was up".to_owned(),
        };
        let failure = not_started(interrupted, &sample());
        assert_eq!(failure.status, Status::of_signal(2));
        assert_eq!(
            failure.message,
            "interrupted; sandbox web1 is created, and not started"
        );
        assert!(failure.hints[0].contains("status web1"));
    }

    #[test]
    fn a_failure_to_tell_says_what_is_there_all_the_same() {
        let mut created = sample();
        let told = |created: &CreateOutcome, now| {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            unheard(full.into(), created, now)
        };
        let failure = told(&created, false);
        assert!(failure.message.ends_with("; sandbox web1 is created"));
        assert!(failure.message.starts_with("can't write the output: "));
        assert_eq!(failure.hints, ["virt-sandbox-service status web1"]);
        assert!(told(&created, true).message.ends_with(", and not started"));
        created.started = true;
        assert!(told(&created, false).message.ends_with("and started"));
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(unheard(closed.into(), &created, false).message, "");
    }
}
