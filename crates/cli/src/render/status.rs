//! `status` as lines of a name and a value.

use std::io::{self, Write};

use vss_manager::outcome::{InnerUnit, Status};
use vss_model::Sanitized;

use super::{bytes, moment, state_style};

/// The width of the names, so that the values stand below each other.
const WIDTH: usize = 12;

/// Writes what there is to say; what does not apply is left out.
pub(crate) fn text(out: &mut impl Write, status: &Status) -> io::Result<()> {
    let entry = &status.entry;
    let style = state_style(entry.state);
    write!(out, "{}: {style}{}{style:#}", entry.name, entry.state)?;
    if let Some(since) = entry.since {
        write!(out, " since {}", moment::text(since))?;
    }
    writeln!(out)?;
    let mut line = |name: &str, value: &str| -> io::Result<()> {
        let name = format!("{name}:");
        writeln!(out, "  {name:WIDTH$} {}", Sanitized::text(value))
    };
    if let Some(problem) = &entry.problem {
        line("Problem", problem)?;
    }
    if status.inner.is_empty() {
        for unit in &entry.units {
            line("Unit", unit.as_str())?;
        }
    }
    for unit in &status.inner {
        line("Unit", &inner(unit))?;
    }
    if let Some(problem) = &status.inner_problem {
        line("Inside", &format!("can't be asked: {problem}"))?;
    }
    let host = &status.host_unit;
    let mut host_text = host.name.to_string();
    if !host.ours {
        host_text.push_str(" (missing, or not this container's)");
    }
    if let Some(active) = host.active {
        host_text.push_str(&format!(", {active}"));
    }
    host_text.push_str(if host.enabled {
        ", enabled at boot"
    } else {
        ", not enabled at boot"
    });
    line("Host unit", &host_text)?;
    if let Some(confinement) = entry.confinement {
        line(
            "Confined",
            &format!("{confinement}: {}", confinement.summary()),
        )?;
    }
    for protection in &status.confined_by {
        let mark = if protection.holds { "yes" } else { "no" };
        line("", &format!("{mark}: {}", protection.what)).map(drop)?;
    }
    line("Label", &status.label.to_string())?;
    match &status.live_label {
        Some(live) if *live != status.label => {
            line("", &format!("its first process has {live} instead"))?;
        }
        _ => {}
    }
    if let Some(address) = entry.address {
        line("Address", &address.to_string())?;
    }
    if let Some(memory) = status.memory {
        line("Memory", &bytes(memory))?;
    }
    if let Some(processes) = status.processes {
        line("Processes", &processes.to_string())?;
    }
    if let Some(pid) = status.init_pid {
        line("First process", &pid.to_string())?;
    }
    line("Content", &status.content.to_string())?;
    line("UUID", &status.uuid.to_string())?;
    if let Some(failure) = &status.last_failure {
        let mut lines = failure.lines();
        line("Last failure", lines.next().unwrap_or_default())?;
        for more in lines {
            line("", more)?;
        }
    }
    Ok(())
}

fn inner(unit: &InnerUnit) -> String {
    let mut text = format!("{} {} ({})", unit.unit, unit.state, unit.sub);
    if unit.result != "success" && !unit.result.is_empty() {
        text.push_str(&format!(", {}", unit.result));
    }
    if !unit.text.is_empty() {
        text.push_str(&format!(": {}", unit.text));
    }
    text
}
