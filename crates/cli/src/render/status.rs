//! `status` as lines of a name and a value.

use std::io::{self, Write};

use vss_manager::outcome::{InnerUnit, Status};
use vss_model::Sanitized;

use super::{bytes, moment, state_style};

/// The width of the names, so that the values stand below each other.
const WIDTH: usize = 14;

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
        let name = if name.is_empty() {
            String::new()
        } else {
            format!("{name}:")
        };
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
    if status.more_failed > 0 {
        line("", &format!("and {} more that failed", status.more_failed))?;
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
    if let Some(confined) = &entry.confined {
        let by = status.confined_by.iter().map(|p| p.what.as_str());
        let said: Vec<&str> = std::iter::once(confined.as_str()).chain(by).collect();
        line("Confined", &said.join("; "))?;
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
        line("Last failure", failure)?;
    }
    for said in &status.last_log {
        line("", said)?;
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

#[cfg(test)]
mod tests {
    use vss_manager::outcome::{HostUnit, Protection};
    use vss_model::{InnerState, SandboxState, Uuid};

    use super::super::list::tests::entry;
    use super::*;

    fn running() -> Status {
        let label = "system_u:system_r:container_t:s0:c1,c2";
        Status {
            entry: entry("web1", SandboxState::Running),
            uuid: Uuid::nil(),
            content: "/var/lib/libvirt/filesystems/web1".parse().unwrap(),
            host_unit: HostUnit {
                name: "apache2@web1.service".parse().unwrap(),
                path: "/etc/systemd/system/apache2@web1.service".parse().unwrap(),
                ours: true,
                enabled: false,
                active: None,
            },
            inner: vec![InnerUnit {
                unit: "apache2.service".parse().unwrap(),
                state: InnerState::Active,
                sub: "running".into(),
                result: "success".into(),
                text: "\u{1b}[2Jready".into(),
                since: None,
            }],
            more_failed: 0,
            inner_problem: None,
            label: label.parse().unwrap(),
            live_label: None,
            confined_by: vec![Protection {
                holds: false,
                what: "SELinux: off, the label confines nothing".into(),
            }],
            memory: Some(12 << 20),
            processes: Some(7),
            init_pid: Some(4711),
            last_failure: None,
            last_log: Vec::new(),
        }
    }

    fn shown(status: &Status) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        text(&mut out, status).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn a40_a_running_container_and_what_its_service_says() {
        assert_eq!(
            shown(&running()),
            "web1: running since 2026-11-18 11:06:40Z
  Unit:          apache2.service active (running): \\x1b[2Jready
  Host unit:     apache2@web1.service, not enabled at boot
  Confined:      reduced; SELinux: off, the label confines nothing
  Label:         system_u:system_r:container_t:s0:c1,c2
  Address:       192.168.219.2
  Memory:        12.0 MiB
  Processes:     7
  First process: 4711
  Content:       /var/lib/libvirt/filesystems/web1
  UUID:          00000000-0000-0000-0000-000000000000
"
        );
    }

    #[test]
    fn of_failed_units_those_that_are_not_listed_are_counted() {
        let mut status = running();
        assert!(!shown(&status).contains("more"));
        status.more_failed = 984;
        let text = shown(&status);
        let line = "\\x1b[2Jready\n                 and 984 more that failed\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn a05_another_label_than_planned_is_told() {
        let mut status = running();
        let live = "system_u:system_r:unconfined_t:s0";
        status.live_label = Some(live.parse().unwrap());
        assert!(shown(&status).contains(&format!("its first process has {live} instead")));
    }

    #[test]
    fn of_one_that_failed_the_last_words_are_told_line_by_line() {
        let mut status = running();
        status.entry = entry("web1", SandboxState::Failed);
        status.inner.clear();
        status.last_failure = Some("exit-code".into());
        status.last_log = vec!["line".into()];
        let text = shown(&status);
        assert!(text.starts_with("web1: failed\n"), "{text}");
        assert!(
            text.contains("  Unit:          apache2.service\n"),
            "{text}"
        );
        let tail = "  Last failure:  exit-code\n                 line\n";
        assert!(text.ends_with(tail), "{text}");
    }
}
