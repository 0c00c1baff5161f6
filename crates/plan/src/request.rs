//! What an administrator asks for, in the project's own words.

use serde::{Deserialize, Serialize};
use vss_model::{
    AbsPath, ConfinementChoice, Level, NetworkChoice, PrivateUsers, SandboxName, UnitName,
};

/// What `create` and `plan` are asked for. Every field is valid by itself; whether it fits the
/// host is the plan's to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// The sandbox's name.
    pub name: SandboxName,
    /// The units to run, `-u`; at least one. A template is instantiated with the name.
    pub units: Vec<UnitName>,
    /// `-C`: the host's present data in `/var` comes along.
    #[serde(default)]
    pub copy_data: bool,
    /// `-l`: the level of the label; chosen where `None`.
    #[serde(default)]
    pub level: Option<Level>,
    /// `-N`.
    #[serde(default)]
    pub network: NetworkChoice,
    /// `-p`: the directory in which the content's directory is made; the default's where `None`.
    #[serde(default)]
    pub path: Option<AbsPath>,
    /// `--copy`: paths that get a private copy.
    #[serde(default)]
    pub copy: Vec<AbsPath>,
    /// `--share`: paths of the host seen read-only.
    #[serde(default)]
    pub share: Vec<AbsPath>,
    /// `--mask`: paths kept out of sight.
    #[serde(default)]
    pub mask: Vec<AbsPath>,
    /// `--confinement`.
    #[serde(default)]
    pub confinement: ConfinementChoice,
    /// `--private-users`; `None` where only the confinement decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_users: Option<PrivateUsers>,
    /// `--allow-shared-label`: a label given with `-l` may be one that others can reach.
    #[serde(default)]
    pub allow_shared_label: bool,
    /// `--allow-live-copy`: data may be copied while a process of the host writes it.
    #[serde(default)]
    pub allow_live_copy: bool,
}

impl CreateRequest {
    /// A request for these units with every option at its default.
    #[must_use]
    pub fn new(name: SandboxName, units: Vec<UnitName>) -> Self {
        Self {
            name,
            units,
            copy_data: false,
            level: None,
            network: NetworkChoice::Default,
            path: None,
            copy: Vec::new(),
            share: Vec::new(),
            mask: Vec::new(),
            confinement: ConfinementChoice::Auto,
            private_users: None,
            allow_shared_label: false,
            allow_live_copy: false,
        }
    }
}
