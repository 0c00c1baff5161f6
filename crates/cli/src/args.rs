//! The command line as a whole.

use clap::{Parser, Subcommand};

use crate::options::ConnectUri;
use crate::verb;

/// Run installed systemd services, each in a secure container of its own
///
/// virt-sandbox-service takes a systemd unit that this host has installed, finds the packages and
/// files that it needs, and runs it in a libvirt LXC container that shares the host's /usr
/// read-only and has its own /etc, /var and SELinux label. There is no image to build or to fetch.
#[derive(Debug, Parser)]
#[command(
    name = "virt-sandbox-service",
    bin_name = "virt-sandbox-service",
    version,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = false,
    after_help = "Examples:
  See what a container of Apache would be, changing nothing:
      virt-sandbox-service plan -C -u apache2.service web1
  Make it, run it, look into it, take it away:
      virt-sandbox-service create -C -u apache2.service web1
      virt-sandbox-service start web1
      virt-sandbox-service execute web1 -- ps ax
      virt-sandbox-service delete --force web1

'virt-sandbox-service VERB --help' has each verb's options and examples."
)]
pub(crate) struct Cli {
    /// The libvirt to use; it has to be LXC on this host
    #[arg(
        short = 'c',
        long = "connect",
        value_name = "URI",
        default_value = ConnectUri::DEFAULT,
        global = true
    )]
    pub(crate) connect: ConnectUri,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Create(verb::create::Args),
    Plan(verb::plan::Args),
    Explain(verb::explain::Args),
    /// Start containers; return when their services are active
    ///
    /// Through systemd where it is PID 1, else by a detached runner. A start that fails shows the
    /// service's error and its last log lines. With several names the others are started all the
    /// same, and the exit status tells that one failed.
    #[command(after_help = "Examples:
  virt-sandbox-service start web1 db1")]
    Start(verb::lifecycle::Args),
    /// Stop containers
    ///
    /// Asks the systemd inside to shut down, and ends it by force only where that takes longer than
    /// the stop timeout of the service. A container that is not running is left as it is.
    #[command(after_help = "Examples:
  virt-sandbox-service stop web1 db1
  virt-sandbox-service stop --force web1")]
    Stop(verb::lifecycle::StopArgs),
    /// Stop containers and start them again
    ///
    /// A change of the config or of the host's packages counts from then on. A container that is
    /// not running is started.
    #[command(after_help = "Examples:
  virt-sandbox-service restart web1")]
    Restart(verb::lifecycle::Args),
    #[command(visible_alias = "exec")]
    Execute(verb::execute::Args),
    #[command(visible_alias = "shell")]
    Connect(verb::connect::Args),
    Status(verb::status::Args),
    #[command(visible_alias = "ls")]
    List(verb::list::Args),
    Inspect(verb::inspect::Args),
    #[command(visible_alias = "rm")]
    Delete(verb::delete::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_arguments_of_a_command_inside_are_bytes() {
        use std::os::unix::ffi::OsStringExt;
        let name = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
        let mut line: Vec<_> = ["x", "execute", "web1", "rm"].map(Into::into).to_vec();
        line.push(name.clone());
        match Cli::try_parse_from(line).map(|cli| cli.verb) {
            Ok(Verb::Execute(args)) => assert_eq!(args.command[1..], [name]),
            other => panic!("{other:?}"),
        }
    }

    /// The manual page is written by hand; this keeps it whole.
    #[test]
    fn the_manual_page_has_every_verb_and_option() {
        let page = include_str!("../../../man/virt-sandbox-service.1").replace("\\-", "-");
        let command = Cli::command();
        let mut words: Vec<String> = options(&command).collect();
        for verb in command.get_subcommands() {
            words.push(format!(".SS {}", verb.get_name()));
            words.extend(options(verb));
        }
        words.retain(|word| !page.contains(word));
        assert!(words.is_empty(), "not in the manual page: {words:?}");
    }

    fn options(command: &clap::Command) -> impl Iterator<Item = String> {
        let shown = command.get_arguments().filter(|a| !a.is_hide_set());
        shown.flat_map(|arg| {
            let long = arg.get_long().map(|l| format!("--{l}"));
            let short = arg.get_short().map(|s| format!("-{s}"));
            long.into_iter().chain(short)
        })
    }
}
