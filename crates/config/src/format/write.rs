//! The text of a `.sandbox` file, for people.

use std::fmt::{Result, Write};

use vss_model::{AbsPath, NetworkConfig, SandboxConfig};

use super::VERSION;
use super::value::{render_path, render_size, render_timeout};

/// The text of a config, with comments.
#[must_use]
pub fn render(config: &SandboxConfig) -> String {
    let mut text = String::new();
    // writing to a String can't fail
    let _ = write_config(&mut text, config);
    text
}

fn write_config(out: &mut String, config: &SandboxConfig) -> Result {
    let name = &config.name;
    writeln!(
        out,
        "# The sandbox {name}. What you change here counts from its next start on;"
    )?;
    writeln!(
        out,
        "# `virt-sandbox-service inspect {name}` tells how it is understood."
    )?;
    writeln!(out, "version = {VERSION}")?;

    writeln!(out, "\n[sandbox]")?;
    entry(out, "name", quoted(name.as_str()))?;
    writeln!(
        out,
        "# who owns the content, the host unit and the domain; not to be changed"
    )?;
    entry(out, "uuid", quoted(&config.uuid.to_string()))?;
    writeln!(out, "# what runs inside")?;
    entry(
        out,
        "units",
        list(config.units.iter().map(|unit| unit.as_str().to_owned())),
    )?;
    writeln!(out, "# what systemd runs on the host")?;
    entry(out, "host-unit", quoted(config.host_unit.as_str()))?;

    writeln!(out, "\n[content]")?;
    entry(out, "path", quoted(&render_path(&config.content)))?;
    writeln!(
        out,
        "# directories of the content that are writable inside; the rest is read-only"
    )?;
    entry(out, "writable", path_list(&config.writable))?;
    writeln!(out, "# host paths seen inside, read-only, besides /usr")?;
    entry(out, "shared", path_list(&config.shared))?;

    writeln!(out, "\n[security]")?;
    writeln!(
        out,
        "# {}",
        config.confinement.summary(config.private_users.is_some())
    )?;
    entry(out, "confinement", quoted(config.confinement.as_str()))?;
    if let Some(users) = config.private_users {
        let (first, last) = (users.base(), users.last());
        writeln!(
            out,
            "# the host's {first} to {last} are the users inside and own the content; not to be changed"
        )?;
        entry(out, "private-users", quoted(&users.to_string()))?;
    }
    writeln!(out, "# of the processes, and of the content")?;
    entry(out, "label", quoted(&config.label.to_string()))?;
    entry(out, "file-label", quoted(&config.file_label.to_string()))?;

    match &config.network {
        Some(network) => write_network(out, network)?,
        None => writeln!(out, "\n# no [network]: loopback only")?,
    }

    writeln!(out, "\n# seconds, or \"infinity\"\n[timeouts]")?;
    entry(out, "start", render_timeout(config.timeouts.start))?;
    entry(out, "stop", render_timeout(config.timeouts.stop))?;

    for tmpfs in &config.tmpfs {
        writeln!(out, "\n[[tmpfs]]")?;
        entry(out, "target", quoted(&render_path(&tmpfs.target)))?;
        entry(out, "size", quoted(&render_size(tmpfs.size)))?;
    }
    Ok(())
}

fn write_network(out: &mut String, network: &NetworkConfig) -> Result {
    writeln!(out, "\n[network]\n# the libvirt network")?;
    entry(out, "network", quoted(&network.network))?;
    entry(out, "mac", quoted(&network.mac.to_string()))?;
    entry(
        out,
        "address",
        quoted(&format!("{}/{}", network.address, network.prefix)),
    )?;
    entry(out, "gateway", quoted(&network.gateway.to_string()))
}

fn entry(out: &mut String, key: &str, value: impl std::fmt::Display) -> Result {
    writeln!(out, "{key} = {value}")
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.map(|text| quoted(&text)).collect();
    format!("[{}]", texts.join(", "))
}

fn path_list(paths: &[AbsPath]) -> String {
    list(paths.iter().map(render_path))
}
