//! What follows from a config alone: the domain that libvirt is given, the unit that systemd runs.

use vss_model::installed::{INIT, RUNNER};
use vss_model::sandbox::Timeouts;
use vss_model::unit_file::escape_specifiers;
use vss_model::{
    AbsPath, DomainSpec, Filesystem, Interface, NetworkChoice, SandboxConfig, SandboxName,
    UnitFile, UnitName,
};

use crate::facts::UnitFacts;

/// What the init executes.
pub const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// What systemd tells of its progress on the console, systemd(1): what failed. All of it is in the
/// journal, which goes to the console too, and the log of the host would have each line twice.
const PROGRESS: &str = "--show-status=error";
/// Where the host's directory with the readiness socket is seen inside.
pub const HOST_INSIDE: &str = "/run/host";
/// `<memory>` without a limit: the most that libvirt takes
/// (`VIR_DOMAIN_MEMORY_PARAM_UNLIMITED`). The runner may give the host's own memory instead.
pub const MEMORY_UNLIMITED_KIB: u64 = 9_007_199_254_740_991;
/// Seconds that the host unit waits for longer than the unit inside: for libvirt, the boot of
/// systemd, and the way down.
const MARGIN: u64 = 60;

/// The host directory that is seen at [`HOST_INSIDE`]: it holds the socket `notify`.
#[must_use]
pub fn host_directory(name: &SandboxName) -> Option<AbsPath> {
    format!("/run/libvirt-sandbox/{name}/host").parse().ok()
}

/// The domain of a sandbox, with its label, which libvirt takes only where SELinux is on: see
/// [`unlabelled`].
#[must_use]
pub fn domain_spec(config: &SandboxConfig) -> DomainSpec {
    let bind = |source: AbsPath, target: &AbsPath, readonly| Filesystem::Bind {
        source,
        target: target.clone(),
        readonly,
    };
    let mut filesystems = vec![bind(config.content.clone(), &AbsPath::root(), true)];
    if let Ok(usr) = "/usr".parse::<AbsPath>() {
        filesystems.push(bind(usr.clone(), &usr, true));
    }
    let own = config.writable.iter().filter_map(|path| {
        let source = config.content.join(path.as_path()).ok()?;
        Some(bind(source, path, false))
    });
    filesystems.extend(own);
    filesystems.extend(
        config
            .shared
            .iter()
            .map(|path| bind(path.clone(), path, true)),
    );
    filesystems.extend(config.tmpfs.iter().map(|tmpfs| Filesystem::Ram {
        target: tmpfs.target.clone(),
        size: tmpfs.size,
    }));
    if let (Some(source), Ok(target)) = (host_directory(&config.name), HOST_INSIDE.parse()) {
        filesystems.push(bind(source, &target, true));
    }
    DomainSpec {
        name: config.name.clone(),
        uuid: config.uuid,
        init: INIT.parse().unwrap_or_else(|_| AbsPath::root()),
        init_args: init_args(config),
        init_env: vec![("NOTIFY_SOCKET".to_owned(), format!("{HOST_INSIDE}/notify"))],
        memory_kib: MEMORY_UNLIMITED_KIB,
        filesystems,
        interfaces: config.network.iter().map(interface).collect(),
        private_users: config.private_users,
        label: Some(config.label.of_init()),
    }
}

/// The same domain for a host without SELinux: libvirt refuses a label there, and the init has
/// none to check.
#[must_use]
pub fn unlabelled(mut domain: DomainSpec) -> DomainSpec {
    domain.label = None;
    if let Some(at) = domain.init_args.iter().position(|a| a == "--label") {
        domain
            .init_args
            .drain(at..(at + 2).min(domain.init_args.len()));
    }
    domain
}

fn interface(network: &vss_model::NetworkConfig) -> Interface {
    Interface {
        network: network.network.clone(),
        mac: network.mac,
        address: network.address,
        prefix: network.prefix,
        gateway: network.gateway,
        device: "eth0".to_owned(),
        isolated: network.network == NetworkChoice::OWN,
    }
}

fn init_args(config: &SandboxConfig) -> Vec<String> {
    let mut args = vec!["--confinement".to_owned(), config.confinement.to_string()];
    if let Some(users) = config.private_users {
        args.push("--private-users".to_owned());
        args.push(users.to_string());
    }
    // see the domain's XML: libvirt does not, in a user namespace
    let host = HOST_INSIDE.parse::<AbsPath>().ok();
    for path in config.shared.iter().chain(&host) {
        if config.private_users.is_some() {
            args.push("--read-only".to_owned());
            args.push(path.as_path().to_string_lossy().into_owned());
        }
    }
    for path in &config.writable {
        args.push("--writable".to_owned());
        args.push(path.as_path().to_string_lossy().into_owned());
    }
    args.push("--label".to_owned());
    args.push(config.label.of_init().to_string());
    args.push("--".to_owned());
    args.push(SYSTEMD.to_owned());
    args.push(PROGRESS.to_owned());
    args
}

/// The host unit of a sandbox.
///
/// libvirt's daemons are wanted and not required: the container outlives their restart. No
/// `Restart=` is set: what the unit inside says of restarts has been carried out inside when its
/// end reaches the host, and whether to go on after that is the administrator's choice, in a
/// drop-in. `Delegate=` isn't needed, as libvirt puts the container into a scope of its own.
#[must_use]
pub fn host_unit(config: &SandboxConfig) -> UnitFile {
    let name = config.name.as_str();
    let units: Vec<&str> = config.units.iter().map(UnitName::as_str).collect();
    let units = escape_specifiers(&units.join(" "));
    let daemons = "libvirtd.service virtlxcd.service virtnetworkd.service virtlogd.service virt-guest-shutdown.target";
    let uuid = config.uuid.to_string();
    let margin = |limit: Option<u64>| match limit {
        Some(seconds) => seconds.saturating_add(MARGIN).to_string(),
        None => "infinity".to_owned(),
    };
    let Timeouts { start, stop } = config.timeouts;
    UnitFile::new(&[
        "Made by virt-sandbox-service, and made anew from the config: change it with a drop-in.",
        &format!("uuid={uuid}"),
    ])
    .section(
        "Unit",
        &[
            (
                "Description",
                &format!("Secure container {name} of {units}"),
            ),
            ("Documentation", "man:virt-sandbox-service(1)"),
            ("Wants", daemons),
            ("After", &format!("{daemons} network.target")),
            ("RequiresMountsFor", &unit_path(&config.content)),
            ("ReloadPropagatedFrom", &units),
        ],
    )
    .section(
        "Service",
        &[
            ("Type", "notify"),
            ("NotifyAccess", "main"),
            ("ExecStart", &format!("{RUNNER} start {name}")),
            ("ExecReload", &format!("{RUNNER} reload {name}")),
            // the runner stops the container when it is told to end
            ("KillMode", "mixed"),
            ("TimeoutStartSec", &margin(start)),
            ("TimeoutStopSec", &margin(stop)),
            ("SyslogIdentifier", name),
            ("Slice", "machine.slice"),
        ],
    )
    .section("Install", &[("WantedBy", "multi-user.target")])
    .section("X-VirtSandbox", &[("Name", name), ("UUID", &uuid)])
}

/// A path in a list of paths of a unit file: quoted and escaped (systemd.syntax(7)).
fn unit_path(path: &AbsPath) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut out = String::from("\"");
    for &byte in path.as_path().as_os_str().as_bytes() {
        match byte {
            b'%' => out.push_str("%%"),
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    if out[1..out.len() - 1]
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-+@:".contains(&b))
    {
        out = out.trim_matches('"').to_owned();
    }
    out
}

/// How long units take at the most, by their own settings.
pub(crate) fn timeouts<'a>(units: impl Iterator<Item = &'a UnitFacts>) -> Timeouts {
    let default = Timeouts::default();
    let mut out = Timeouts {
        start: Some(0),
        stop: Some(0),
    };
    for unit in units.filter(|u| u.name.suffix() == "service") {
        let both = unit.last("TimeoutSec");
        let oneshot = unit.last("Type") == Some("oneshot");
        let start = match unit.last("TimeoutStartSec").or(both) {
            Some(text) => time_span(text).unwrap_or(default.start),
            None if oneshot => None,
            None => default.start,
        };
        let stop = match unit.last("TimeoutStopSec").or(both) {
            Some(text) => time_span(text).unwrap_or(default.stop),
            None => default.stop,
        };
        out.start = longer(out.start, start);
        out.stop = longer(out.stop, stop);
    }
    Timeouts {
        start: out
            .start
            .filter(|&s| s > 0)
            .or(default.start.filter(|_| out.start == Some(0))),
        stop: out
            .stop
            .filter(|&s| s > 0)
            .or(default.stop.filter(|_| out.stop == Some(0))),
    }
}

fn longer(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.max(b?))
}

/// A time span of systemd.time(7) in seconds, rounded up; inner `None` for no limit (`infinity`
/// and 0), outer `None` where it is none.
fn time_span(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text == "infinity" {
        return Some(None);
    }
    let mut seconds = 0f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len());
        seconds += number * seconds_of(&rest[..letters])?;
        rest = rest[letters..].trim_start();
    }
    let whole = seconds.ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float to integer cast saturates"
    )]
    Some((whole > 0.0).then_some(whole as u64))
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "ms" | "msec" => 1e-3,
        "us" | "usec" | "μs" => 1e-6,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_systemds() {
        for (text, expected) in [
            ("900", Some(Some(900))),
            ("1h", Some(Some(3600))),
            ("5min 20s", Some(Some(320))),
            ("1min30s", Some(Some(90))),
            ("500ms", Some(Some(1))),
            ("0", Some(None)),
            ("infinity", Some(None)),
            ("soon", None),
        ] {
            assert_eq!(time_span(text), expected, "{text}");
        }
    }

    #[test]
    fn a17_a_path_of_the_content_ends_no_line_and_expands_to_nothing() {
        let path = |text: &str| unit_path(&text.parse().unwrap());
        assert_eq!(path("/var/lib/x"), "/var/lib/x");
        assert_eq!(path("/a b/%i\n\"x"), "\"/a b/%%i\\x0a\\\"x\"");
    }
}
