//! What the verbs return: values to render as text, table or JSON.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use vss_model::{
    AbsPath, Confinement, IdRange, InnerState, Manifest, SandboxConfig, SandboxName, SandboxState,
    SecurityContext, UnitName, Uuid,
};

/// What `create` made.
#[derive(Debug, Clone, Serialize)]
pub struct CreateOutcome {
    /// The sandbox.
    pub name: SandboxName,
    /// Its UUID.
    pub uuid: Uuid,
    /// The directory that holds its own files.
    pub content: AbsPath,
    /// Its config file.
    pub config: AbsPath,
    /// Its host unit's file.
    pub unit_file: AbsPath,
    /// The host unit's name.
    pub host_unit: UnitName,
    /// The context of its processes.
    pub label: SecurityContext,
    /// What holds root inside.
    pub confinement: Confinement,
    /// Bytes that were copied.
    pub bytes: u64,
    /// Regular files and links that were put there.
    pub files: u64,
    /// Whether the host unit is enabled (`--enable`).
    pub enabled: bool,
    /// Whether it was started afterwards: for who does that (`--now`) to tell.
    pub started: bool,
    /// What the administrator should know, one line each.
    pub warnings: Vec<String>,
}

/// What `start` or `restart` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartOutcome {
    /// The sandbox.
    pub name: SandboxName,
    /// Whether it ran already.
    pub already: bool,
    /// Its address.
    pub address: Option<Ipv4Addr>,
}

/// What `stop` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StopOutcome {
    /// The sandbox.
    pub name: SandboxName,
    /// Whether it was stopped already.
    pub already: bool,
    /// Whether it was destroyed: it did not stop in time, or that was asked for.
    pub killed: bool,
}

/// What `delete` would remove, or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeleteOutcome {
    /// The sandbox.
    pub name: SandboxName,
    /// Its UUID, where a trace of it tells.
    pub uuid: Option<Uuid>,
    /// Whether it runs, and has to be stopped first.
    pub running: bool,
    /// What goes, in the order in which it goes.
    pub removes: Vec<Removal>,
    /// What stays although it is at one of the sandbox's places, and why.
    pub keeps: Vec<Kept>,
}

/// A thing that `delete` removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Which part of a sandbox it is.
    pub part: Part,
    /// Where it is, or its name.
    pub what: String,
}

/// A thing that `delete` leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Which part of a sandbox is, or would be, there.
    pub part: Part,
    /// Where it is.
    pub path: AbsPath,
    /// Why it stays.
    pub why: String,
}

/// A part of a sandbox on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The running container.
    Domain,
    /// A link that enables the host unit.
    Enablement,
    /// The host unit.
    Unit,
    /// The directory with its own files.
    Content,
    /// The manifest and the directory it is in.
    Manifest,
    /// The way to the content for users of the container's own: an entry in the access control list
    /// of the directory that the content is in.
    Access,
    /// The reservation of label, address and users.
    Reservation,
    /// What is in `/run`.
    Runtime,
    /// The `.sandbox` file.
    Config,
    /// The record of a change that was cut short.
    Journal,
}

/// A line of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListEntry {
    /// The sandbox.
    pub name: SandboxName,
    /// The units inside; empty where the config can't be read.
    pub units: Vec<UnitName>,
    /// Its state.
    pub state: SandboxState,
    /// What the config says holds root inside; `None` where it can't be read.
    pub confinement: Option<Confinement>,
    /// What does, by what it was started with and what the host says now; `None` where that is not
    /// known.
    pub confined: Option<String>,
    /// Whether that is what the config says; `None` where one of the two is not known.
    pub as_planned: Option<bool>,
    /// The users of the host that are those inside; `None` where they are the host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_users: Option<IdRange>,
    /// Its address; `None` for loopback only.
    pub address: Option<Ipv4Addr>,
    /// When it was started, in seconds since 1970; `None` where it doesn't run.
    pub since: Option<u64>,
    /// Why the state is `broken` or `incomplete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What `status` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// As in `list`.
    #[serde(flatten)]
    pub entry: ListEntry,
    /// The libvirt domain's UUID.
    pub uuid: Uuid,
    /// The directory that holds its own files.
    pub content: AbsPath,
    /// The host unit and what systemd says of it.
    pub host_unit: HostUnit,
    /// The units inside and their states, with those that they only stand for and others that
    /// failed; empty where it doesn't run.
    pub inner: Vec<InnerUnit>,
    /// How many more units inside failed.
    pub more_failed: usize,
    /// Why not all units inside could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_problem: Option<String>,
    /// The context that the config gives its processes.
    pub label: SecurityContext,
    /// The context that its first process really has; `None` where it doesn't run or where the
    /// kernel has no SELinux.
    pub live_label: Option<SecurityContext>,
    /// What confines it, one statement a line, with what does not.
    pub confined_by: Vec<Protection>,
    /// Memory of its processes in bytes; `None` where it doesn't run.
    pub memory: Option<u64>,
    /// How many processes it has; `None` where it doesn't run.
    pub processes: Option<u64>,
    /// The host pid of its first process.
    pub init_pid: Option<u32>,
    /// Why its last start failed or it came to a bad end, sanitised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// The last lines of the log inside then, sanitised, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_log: Vec<String>,
}

/// What confines a container, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// Whether it is in force.
    pub holds: bool,
    /// What it is, in a line.
    pub what: String,
}

/// A host unit and what systemd says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostUnit {
    /// Its name.
    pub name: UnitName,
    /// Its file.
    pub path: AbsPath,
    /// Whether the file is there and carries the sandbox's UUID.
    pub ours: bool,
    /// Whether a link enables it at boot.
    pub enabled: bool,
    /// What systemd says; `None` where systemd does not run on the host.
    pub active: Option<InnerState>,
}

/// A unit inside and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InnerUnit {
    /// The unit.
    pub unit: UnitName,
    /// Its state.
    pub state: InnerState,
    /// The finer state, `running`, sanitised.
    pub sub: String,
    /// `success` or how it failed, sanitised.
    pub result: String,
    /// What the service says of itself, sanitised; empty where it says nothing.
    pub text: String,
    /// Since when, in seconds since 1970.
    pub since: Option<u64>,
}

/// What `inspect` shows: all that is stored.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// As in `status`.
    pub status: Status,
    /// The config.
    pub config: SandboxConfig,
    /// Where the config is.
    pub config_file: AbsPath,
    /// What libvirt would be given at a start now.
    pub domain_xml: String,
    /// The host unit's text as it would be made now.
    pub unit_text: String,
    /// What was put where; `None` where the manifest is lost.
    pub manifest: Option<Manifest>,
}
