//! From the text of a `.sandbox` file to a checked config.

use std::path::Path;

use toml::de::DeTable;
use uuid::Uuid;
use vss_model::sandbox::{Timeouts, Tmpfs};
use vss_model::{AbsPath, NetworkChoice, NetworkConfig, SandboxConfig, SandboxName, UnitName};

use super::section::{Item, Outcome, Section, Source};
use super::{VERSION, value};
use crate::error::{ConfigProblem, Error};

/// The directories that every container writes to.
const ALWAYS_WRITABLE: [&str; 3] = ["/etc", "/var", "/root"];

/// Reads the config of `name` out of a file's text; `path` is named in errors.
///
/// # Errors
/// Where the text is no TOML, of another version, has unknown, missing or wrong keys, or tells of
/// another sandbox; with file, line and key.
pub fn parse(path: &Path, text: &str, name: &SandboxName) -> Result<SandboxConfig, Error> {
    let source = Source { path, text };
    // editors on other systems put a byte order mark first, and TOML allows it
    let text = text.strip_prefix('\u{feff}').map_or(text, |rest| rest);
    let source = Source { text, ..source };
    let table = DeTable::parse(text).map_err(|error| syntax(source, &error))?;
    let top = Section::new(source, "", table.get_ref(), None);
    check_version(source, &top)?;
    Ok(config(source, top, name)?)
}

fn syntax(source: Source<'_>, error: &toml::de::Error) -> Box<ConfigProblem> {
    let problem = format!("this is no TOML: {}", error.message().trim_end());
    source.problem(error.span(), "", problem)
}

/// Comes before all else: another version may have other keys.
fn check_version(source: Source<'_>, top: &Section<'_>) -> Result<(), Error> {
    let version = top.require("version")?.require_number()?;
    if version != VERSION {
        return Err(Error::Version {
            path: source.path.to_owned(),
            version,
            known: VERSION,
        });
    }
    Ok(())
}

fn config(source: Source<'_>, top: Section<'_>, name: &SandboxName) -> Outcome<SandboxConfig> {
    let sandbox = top.require_section("sandbox")?;
    let content = top.require_section("content")?;
    let security = top.require_section("security")?;
    let network = top.section("network")?;
    let timeouts = top.section("timeouts")?;
    let tmpfs = match top.get("tmpfs") {
        Some(item) => tmpfs(&item)?,
        None => Vec::new(),
    };
    top.finish()?;

    let stored: SandboxName = sandbox.require("name")?.parse()?;
    if stored != *name {
        let problem =
            format!("the file's name says {name}, this key says {stored}; the two have to agree");
        return Err(sandbox.require("name")?.problem(problem));
    }
    let config = SandboxConfig {
        name: stored,
        uuid: uuid(&sandbox.require("uuid")?)?,
        units: units(&sandbox.require("units")?)?,
        host_unit: host_unit(&sandbox.require("host-unit")?)?,
        content: content_path(&content.require("path")?)?,
        writable: writable(&content.require("writable")?)?,
        shared: match content.get("shared") {
            Some(item) => shared(&item)?,
            None => Vec::new(),
        },
        confinement: security.require("confinement")?.parse()?,
        private_users: security
            .get("private-users")
            .map(|item| item.parse())
            .transpose()?,
        label: security.require("label")?.parse()?,
        file_label: security.require("file-label")?.parse()?,
        network: network.map(network_config).transpose()?,
        tmpfs,
        timeouts: timeouts.map_or_else(|| Ok(Timeouts::default()), read_timeouts)?,
    };
    sandbox.finish()?;
    content.finish()?;
    security.finish()?;
    if config.confinement.needs_private_users() && config.private_users.is_none() {
        let problem = "it is missing, and is what confines; delete and create the sandbox anew";
        return Err(source.problem(None, "security.private-users", problem));
    }
    check_overlap(source, &config)?;
    Ok(config)
}

fn uuid(item: &Item<'_>) -> Outcome<Uuid> {
    let text = item.text()?;
    Uuid::try_parse(text)
        .ok()
        .filter(|uuid| !uuid.is_nil())
        .ok_or_else(|| item.problem(format!("{text:?} is no UUID")))
}

fn units(item: &Item<'_>) -> Outcome<Vec<UnitName>> {
    let mut units = Vec::new();
    for item in item.items()? {
        let unit: UnitName = item.parse()?;
        if unit.is_template() {
            return Err(item.problem(format!("{unit} is a template; name an instance of it")));
        }
        if units.contains(&unit) {
            return Err(item.problem(format!("{unit} is named twice")));
        }
        units.push(unit);
    }
    if units.is_empty() {
        return Err(item.problem("a sandbox runs at least one unit; name it here"));
    }
    Ok(units)
}

fn host_unit(item: &Item<'_>) -> Outcome<UnitName> {
    let unit: UnitName = item.parse()?;
    if unit.suffix() != "service" || unit.is_template() {
        return Err(item.problem(format!("{unit} is no service; the host unit has to be one")));
    }
    Ok(unit)
}

fn content_path(item: &Item<'_>) -> Outcome<AbsPath> {
    let path = value::path(item)?;
    if path.depth() < 2 {
        let problem =
            format!("{path} is a directory of the host's own; content needs one to itself");
        return Err(item.problem(problem));
    }
    Ok(path)
}

fn paths(item: &Item<'_>) -> Outcome<Vec<AbsPath>> {
    let mut paths = Vec::new();
    for item in item.items()? {
        let path = value::path(&item)?;
        if path == AbsPath::root() {
            return Err(item.problem("/ is always read-only and private; name a path below it"));
        }
        if paths.contains(&path) {
            return Err(item.problem(format!("{path} is named twice")));
        }
        paths.push(path);
    }
    Ok(paths)
}

fn writable(item: &Item<'_>) -> Outcome<Vec<AbsPath>> {
    let writable = paths(item)?;
    for needed in ALWAYS_WRITABLE {
        if !writable
            .iter()
            .any(|path| path.as_path() == Path::new(needed))
        {
            return Err(item.problem(format!("{needed} is missing; no container runs without it")));
        }
    }
    Ok(writable)
}

fn shared(item: &Item<'_>) -> Outcome<Vec<AbsPath>> {
    paths(item)
}

fn network_config(section: Section<'_>) -> Outcome<NetworkConfig> {
    let network = section.require("network")?;
    let name = network.text()?;
    // the rule for names of networks stands in one place
    if format!("source={name}").parse::<NetworkChoice>().is_err() {
        return Err(network.problem(format!("{name:?} is no name of a libvirt network")));
    }
    let (address, prefix) = value::address(&section.require("address")?)?;
    let gateway = section.require("gateway")?;
    let config = NetworkConfig {
        network: name.to_owned(),
        mac: section.require("mac")?.parse()?,
        address,
        prefix,
        gateway: gateway.parse()?,
    };
    let mask = u32::MAX << (32 - u32::from(prefix));
    if config.gateway.to_bits() & mask != address.to_bits() & mask || config.gateway == address {
        let problem = format!("{} is no neighbour of {address}/{prefix}", config.gateway);
        return Err(gateway.problem(problem));
    }
    section.finish()?;
    Ok(config)
}

fn read_timeouts(section: Section<'_>) -> Outcome<Timeouts> {
    let default = Timeouts::default();
    let read = |item: Option<Item<'_>>, default| item.map_or(Ok(default), |i| value::timeout(&i));
    let timeouts = Timeouts {
        start: read(section.get("start"), default.start)?,
        stop: read(section.get("stop"), default.stop)?,
    };
    section.finish()?;
    Ok(timeouts)
}

fn tmpfs(item: &Item<'_>) -> Outcome<Vec<Tmpfs>> {
    let mut all: Vec<Tmpfs> = Vec::new();
    for item in item.items()? {
        let section = item.section("tmpfs")?;
        let target = section.require("target")?;
        let entry = Tmpfs {
            target: value::path(&target)?,
            size: value::size(&section.require("size")?)?,
        };
        if entry.target == AbsPath::root() || all.iter().any(|other| other.target == entry.target) {
            return Err(target.problem(format!(
                "there is a file system at {} already",
                entry.target
            )));
        }
        section.finish()?;
        all.push(entry);
    }
    Ok(all)
}

/// One path can't be the host's and the container's own.
fn check_overlap(source: Source<'_>, config: &SandboxConfig) -> Outcome<()> {
    match config.share_clash() {
        None => Ok(()),
        Some(clash) => Err(source.problem(None, "content.shared", format!("{clash}; drop one"))),
    }
}

/// The UUID that a file carries, whatever else is wrong with it: who owns it can be told as long
/// as one line of it is whole.
pub(crate) fn uuid_of(text: &str) -> Option<Uuid> {
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.split('#').next()?.trim();
        (key.trim() == "uuid").then(|| Uuid::try_parse(value.trim_matches(['"', '\''])).ok())?
    };
    text.lines().find_map(value)
}
