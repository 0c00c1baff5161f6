//! `plan`: what `create` would make.

use clap::Args as ClapArgs;
use vss_manager::{CreateRequest, Error, Host};
use vss_model::SandboxName;

use super::Machine;
use crate::failure::{Failure, Status};
use crate::options::{ContainerOptions, Format, FormatOptions};
use crate::render;
use crate::ui::Ui;

/// Show what create would make; change nothing
///
/// Every path with what becomes of it (copy, share, mask, generate), its size and its cause; then
/// the label, the host unit and the libvirt domain. A path that is not listed follows the nearest
/// one above it that is.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  virt-sandbox-service plan -C -u apache2.service web1
  virt-sandbox-service plan -u ssh.service --format json ssh1 |
      jq '.root.entries[].path'")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container's name: a-z, 0-9, '.', '_', '-'; at most 63 characters
    pub(crate) name: SandboxName,
}

pub(super) fn run(args: Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let request = args.container.request(args.name)?;
    show(&machine.open()?, &request, false, args.output, ui)
}

/// Plans and shows the plan; `create --dry-run` is the same.
pub(super) fn show(
    host: &Host,
    request: &CreateRequest,
    enable: bool,
    output: FormatOptions,
    ui: &mut Ui,
) -> Result<Status, Failure> {
    let plan = vss_manager::create::plan(host, request).map_err(only_asked)?;
    if enable {
        host.can_enable(&plan.config.host_unit)?;
    }
    match output.format {
        Format::Json => render::json(ui.out(), &plan)?,
        Format::Table => {
            render::plan::text(ui.out(), &plan)?;
            for warning in &plan.warnings {
                ui.warning(&warning.to_string());
            }
        }
    }
    Ok(Status::OK)
}

/// Who asks what a container would be is not told how to lose the one that has its name.
pub(super) fn only_asked(error: Error) -> Failure {
    let hint = match &error {
        Error::NameTaken { name, .. } => format!(
            "choose another name; `virt-sandbox-service explain {name} PATH` tells of the one there is"
        ),
        Error::OnlyContent { .. } => "choose another name".to_owned(),
        _ => return error.into(),
    };
    let mut failure = Failure::from(error);
    failure.hints = vec![hint];
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_not_answered_with_the_advice_to_delete() {
        let name: SandboxName = "web1".parse().unwrap();
        for error in [
            Error::NameTaken {
                name: name.clone(),
                by: String::new(),
            },
            Error::OnlyContent {
                name: name.clone(),
                path: "/var/lib/libvirt/filesystems/web1".parse().unwrap(),
            },
        ] {
            let failure = only_asked(error);
            assert_eq!(failure.hints.len(), 1);
            assert!(failure.hints[0].starts_with("choose another name"));
            assert!(!failure.hints[0].contains("delete"));
        }
        assert!(only_asked(Error::Running(name)).hints[0].contains("delete"));
    }
}
