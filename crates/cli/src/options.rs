//! Options that several verbs share.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PathBufValueParser, TypedValueParser, ValueParser};
use clap::{Args, ValueEnum};
use vss_manager::CreateRequest;
use vss_model::label::LevelError;
use vss_model::{
    AbsPath, ConfinementChoice, Level, NetworkChoice, PrivateUsers, SandboxName, UnitName,
};

use crate::failure::Failure;

/// The headings under which `--help` groups what makes up a container.
const CONTENT: &str = "Content";
const ISOLATION: &str = "Isolation";

/// What makes up a container: what `create` and `plan` need, and `explain` may.
#[derive(Debug, Clone, Args)]
pub(crate) struct ContainerOptions {
    /// A systemd unit to run inside; may be repeated
    ///
    /// A name without a suffix is a service. A template (foo@) becomes an instance named after the
    /// container; an instance (postgresql@15-main) is taken as it is.
    #[arg(short, long = "unit", alias = "unitfile", value_name = "UNIT")]
    pub(crate) unit: Vec<UnitName>,

    /// Copy the host's present data in /var too
    ///
    /// Web pages and databases, never logs and caches. Refused for data that a running service of
    /// the host is writing, see --allow-live-copy.
    #[arg(short = 'C', long = "copy-data", help_heading = CONTENT)]
    pub(crate) copy_data: bool,

    /// Keep the container's own files in DIR/NAME [default: /var/lib/libvirt/filesystems]
    #[arg(short, long, value_name = "DIR", value_parser = absolute_path(), help_heading = CONTENT)]
    pub(crate) path: Option<AbsPath>,

    /// Give the container a private copy of the host's PATH; may be repeated
    #[arg(long, value_name = "PATH", value_parser = absolute_path(), help_heading = CONTENT)]
    pub(crate) copy: Vec<AbsPath>,

    /// Show the container the host's PATH, read-only; may be repeated
    #[arg(long, value_name = "PATH", value_parser = absolute_path(), help_heading = CONTENT)]
    pub(crate) share: Vec<AbsPath>,

    /// Keep PATH out of the container; may be repeated
    #[arg(long, value_name = "PATH", value_parser = absolute_path(), help_heading = CONTENT)]
    pub(crate) mask: Vec<AbsPath>,

    /// Copy data although a running service of the host is writing it
    #[arg(long, help_heading = CONTENT)]
    pub(crate) allow_live_copy: bool,

    /// What holds root inside: auto, selinux, userns, reduced or none
    ///
    /// auto takes selinux where SELinux enforces and this project's policy module is loaded, else
    /// userns where the host has cgroup v2, and refuses where neither is to be had. selinux is the
    /// label. userns gives the container users of its own: root inside is nobody outside. reduced takes capabilities away and filters system calls; root inside is root outside
    /// nevertheless. none is little.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "auto",
        help_heading = ISOLATION
    )]
    pub(crate) confinement: ConfinementChoice,

    /// Give the container users of its own, whatever else confines it [default: pick]
    ///
    /// pick takes a range of the host's user and group numbers that nobody else has. BASE:COUNT is
    /// one given by hand. Root inside is BASE outside then, who owns nothing else.
    #[arg(
        long,
        value_name = "pick|BASE:COUNT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "pick",
        help_heading = ISOLATION
    )]
    pub(crate) private_users: Option<PrivateUsers>,

    /// The SELinux level, two categories: s0:c1,c2
    ///
    /// Without it, a pair that no other label of this host has is chosen.
    #[arg(short, long, value_name = "LEVEL", value_parser = level, help_heading = ISOLATION)]
    pub(crate) level: Option<Level>,

    /// Take a level that another label equals, contains or is contained in
    #[arg(long, help_heading = ISOLATION)]
    pub(crate) allow_shared_label: bool,

    /// The network: source=NET for a libvirt network, none for loopback only
    ///
    /// Without it, an interface on the libvirt network virt-sandbox, which is made on first use.
    #[arg(short = 'N', long, value_name = "OPTS", help_heading = ISOLATION)]
    pub(crate) network: Option<NetworkChoice>,
}

impl ContainerOptions {
    /// Whether any of them was given besides the units.
    pub(crate) fn says_more_than_units(&self) -> bool {
        let Self {
            unit: _,
            copy_data,
            path,
            copy,
            share,
            mask,
            allow_live_copy,
            confinement,
            private_users,
            level,
            allow_shared_label,
            network,
        } = self;
        let lists = [copy, share, mask];
        *copy_data
            || *allow_live_copy
            || *allow_shared_label
            || path.is_some()
            || lists.iter().any(|list| !list.is_empty())
            || *confinement != ConfinementChoice::Auto
            || private_users.is_some()
            || level.is_some()
            || network.is_some()
    }

    /// What the manager is asked for.
    pub(crate) fn request(self, name: SandboxName) -> Result<CreateRequest, Failure> {
        if self.unit.is_empty() {
            return Err(Failure::usage("no unit given").hint(
                "name what to run inside with -u UNIT; systemctl list-unit-files shows all",
            ));
        }
        Ok(CreateRequest {
            name,
            units: self.unit,
            copy_data: self.copy_data,
            level: self.level,
            network: self.network.unwrap_or_default(),
            path: self.path,
            copy: self.copy,
            share: self.share,
            mask: self.mask,
            confinement: self.confinement,
            private_users: self.private_users,
            allow_shared_label: self.allow_shared_label,
            allow_live_copy: self.allow_live_copy,
        })
    }
}

/// How results are shown.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct FormatOptions {
    /// How to show the result
    #[arg(
        long,
        visible_alias = "output",
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) format: Format,

    /// Say less: no lines that are only good to know, of a list only the names
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    Table,
    /// JSON for programs; fields are added, never removed
    Json,
}

/// A connection URI of libvirt, of its LXC driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectUri(String);

impl ConnectUri {
    /// What is used where nothing is said.
    pub(crate) const DEFAULT: &str = "lxc:///system";

    /// The URI as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConnectUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "lxc:///" | "lxc:///system" => Ok(Self(text.to_owned())),
            _ if text.starts_with("lxc://") || text.starts_with("lxc+") => {
                Err("only libvirt on this host can be used: its URI is lxc:///system".to_owned())
            }
            _ => Err("only lxc URIs are supported, as in lxc:///system".to_owned()),
        }
    }
}

impl fmt::Display for ConnectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names of sandboxes for verbs that work on several.
#[derive(Debug, Clone, Args)]
pub(crate) struct Names {
    /// The containers
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<SandboxName>,
}

/// Takes a path as it was typed, which need not be UTF-8.
pub(crate) fn absolute_path() -> ValueParser {
    PathBufValueParser::new().try_map(path).into()
}

/// A level as others have it may name a category twice; of one that is typed, another may have been
/// meant, and the container would have a category less than the pair that sets it apart.
fn level(text: &str) -> Result<Level, String> {
    let level: Level = text
        .parse()
        .map_err(|error: LevelError| error.to_string())?;
    let categories = text.split([':', ',']).skip(1);
    if !text.contains(['.', '-']) && categories.count() > level.categories().len() {
        return Err(format!(
            "the level {text} names a category twice; give two different ones, as in s0:c1,c2"
        ));
    }
    Ok(level)
}

/// A line break in a path is a slip of a script, and ends lines of files that are made.
fn path(path: PathBuf) -> Result<AbsPath, String> {
    let path = AbsPath::new(path).map_err(|error| error.to_string())?;
    let text = path.as_path().to_string_lossy();
    if text.contains(char::is_control) {
        return Err(format!("the path {path} has a control character in it"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_categories_of_a_level_are_two() {
        for good in ["s0:c1,c2", "s0:c0.c5", "s0", "s0-s0:c1"] {
            assert!(level(good).is_ok(), "{good}");
        }
        for bad in ["s0:c5,c5", "s0:c5,c05", "s0:c1,c2,c1"] {
            let error = level(bad).unwrap_err();
            assert!(error.contains("twice"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_path_is_one_line() {
        assert_eq!(path("/srv/a b".into()).unwrap().to_string(), "/srv/a b");
        for bad in [
            "/srv/a\nb",
            "/srv/a\tb",
            "/srv/a\x1b[1m",
            "/srv/\u{85}",
            "srv",
        ] {
            let error = path(bad.into()).unwrap_err();
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn only_lxc_of_this_host() {
        for good in ["lxc:///", "lxc:///system"] {
            assert_eq!(good.parse::<ConnectUri>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "lxc",
            "qemu:///system",
            "lxc+ssh://h/system",
            "lxc://h/",
        ] {
            assert!(bad.parse::<ConnectUri>().is_err(), "{bad:?}");
        }
    }
}
