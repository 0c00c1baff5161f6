//! `explain`: why a path is what it is in a container.

use std::ffi::OsString;

use clap::Args as ClapArgs;
use vss_manager::CreateRequest;
use vss_model::{AbsPath, Confinement, ConfinementChoice, SandboxName};

use super::Machine;
use crate::failure::{Failure, Status};
use crate::options::{ContainerOptions, Format, FormatOptions};
use crate::render;
use crate::ui::Ui;

const HINT: &str = "virt-sandbox-service explain --help";

/// What a container is called that nobody is going to make.
const ANY_NAME: &str = "sandbox";

/// Say why a path is private, shared, masked or absent in a container
///
/// Of a container that exists, as it was made; or, with -u and create's other options, as it would
/// be made.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "virt-sandbox-service explain [OPTIONS] NAME PATH
       virt-sandbox-service explain [OPTIONS] -u UNIT [NAME] PATH",
    after_help = "Examples:
  virt-sandbox-service explain web1 /etc/apache2/mods-enabled
  virt-sandbox-service explain -C -u mariadb.service /var/lib/mysql"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,

    #[command(flatten)]
    pub(crate) output: FormatOptions,

    /// The container, and the absolute path inside it
    #[arg(value_name = "NAME PATH", required = true, num_args = 1..=2)]
    pub(crate) name_and_path: Vec<OsString>,
}

pub(super) fn run(args: Args, machine: &Machine, ui: &mut Ui) -> Result<Status, Failure> {
    let wanted = Wanted::parse(args.container, &args.name_and_path)?;
    let host = machine.open()?;
    let explanation = match &wanted {
        Wanted::Made { name, path } => vss_manager::explain::stored(&host, name, path)?,
        Wanted::Planned { request, path } => vss_manager::explain::requested(&host, request, path)
            .map_err(super::plan::only_asked)?,
    };
    match args.output.format {
        Format::Json => render::json(ui.out(), &explanation)?,
        Format::Table => render::explain::text(ui.out(), &explanation)?,
    }
    Ok(Status::OK)
}

/// What is to be explained.
#[derive(Debug)]
enum Wanted {
    /// A path of a container that exists.
    Made { name: SandboxName, path: AbsPath },
    /// A path of a container that could be made.
    Planned {
        request: Box<CreateRequest>,
        path: AbsPath,
    },
}

impl Wanted {
    fn parse(container: ContainerOptions, words: &[OsString]) -> Result<Self, Failure> {
        let usage = |message: String| Failure::usage(message).hint(HINT);
        let (name, path) = match words {
            [path] => (None, path),
            [name, path, ..] => (Some(name), path),
            [] => return Err(usage("no PATH given".to_owned())),
        };
        let named = name
            .map(|name| name.to_string_lossy().parse::<SandboxName>())
            .transpose()
            .map_err(|error| usage(error.to_string()))?;
        let path = AbsPath::new(path).map_err(|error| {
            usage(match &named {
                None => format!("NAME and PATH, or -u UNIT and PATH, are needed: {error}"),
                Some(_) => error.to_string(),
            })
        })?;
        if container.unit.is_empty() && container.says_more_than_units() {
            let message =
                "the options of create say how a container would be made: they need -u UNIT";
            return Err(usage(message.to_owned()));
        }
        match named {
            Some(name) if container.unit.is_empty() => Ok(Self::Made { name, path }),
            None if container.unit.is_empty() => Err(usage("no NAME and no -u UNIT given".into())),
            named => {
                let name = named.map_or_else(|| ANY_NAME.parse(), Ok);
                let name = name.map_err(|error| usage(error.to_string()))?;
                let mut request = Box::new(container.request(name)?);
                // Where this host offers nothing sound, auto refuses a container; a reason needs
                // none, and no path depends on what confines root.
                if request.confinement == ConfinementChoice::Auto {
                    request.confinement = ConfinementChoice::Exactly(Confinement::Reduced);
                }
                Ok(Self::Planned { request, path })
            }
        }
    }
}
