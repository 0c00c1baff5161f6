//! What follows from a config alone: the domain that libvirt is given, the unit that systemd runs.

use vss_model::installed::{INIT, RUNNER};
use vss_model::sandbox::Timeouts;
use vss_model::unit_file::escape_specifiers;
use vss_model::{
    AbsPath, DomainSpec, Filesystem, Interface, NetworkChoice, SandboxConfig, SandboxName,
    UnitFile, UnitName,
};

use crate::facts::UnitFacts;
use crate::timespan::{self, TimeSpan};

/// What the init executes.
pub const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// What systemd tells of its progress on the console, systemd(1): what failed. All of it is in the
/// journal, which goes to the console too, and the log of the host would have each line twice.
const PROGRESS: &str = "--show-status=error";
/// Where the host's directory with the readiness socket is seen inside.
pub const HOST_INSIDE: &str = vss_model::handshake::DIRECTORY;
/// `<memory>` without a limit: the most that libvirt takes
/// (`VIR_DOMAIN_MEMORY_PARAM_UNLIMITED`). The runner may give the host's own memory instead.
pub const MEMORY_UNLIMITED_KIB: u64 = 9_007_199_254_740_991;
/// Seconds that the host unit waits for longer than the unit inside: for libvirt, the boot of
/// systemd, and the way down.
const MARGIN: u64 = 60;
/// The longest limit in seconds that a config may state: ten years.
const LONGEST: u64 = 315_360_000;

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

/// The same domain, whose interfaces the runner connects to a bridge. Its init asks for them, and goes
/// on once they are there.
#[must_use]
pub fn bridged(mut domain: DomainSpec, bridge: &str) -> DomainSpec {
    for interface in &mut domain.interfaces {
        interface.bridge = Some(bridge.to_owned());
    }
    if !domain.interfaces.is_empty() {
        domain.init_args.insert(0, "--await-network".to_owned());
    }
    domain
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
        bridge: None,
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
    let services: Vec<&UnitFacts> = units.filter(|u| u.name.suffix() == "service").collect();
    let longest = |limit: &dyn Fn(&UnitFacts) -> Option<u64>, default| {
        let limits = services.iter().map(|unit| limit(unit));
        limits.reduce(longer).unwrap_or(default)
    };
    Timeouts {
        start: longest(
            &|unit| {
                let default = default.start.filter(|_| !unit.is_oneshot());
                limit(unit, "TimeoutStartSec").unwrap_or(default)
            },
            default.start,
        ),
        stop: longest(
            &|unit| limit(unit, "TimeoutStopSec").unwrap_or(default.stop),
            default.stop,
        ),
    }
}

fn longer(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.max(b?))
}

/// The seconds that a unit gives a step: the later of the step's own key and of `TimeoutSec=`,
/// which sets both, a value that is no time span aside (systemd.service(5)). Inner `None` for no
/// limit, outer `None` where the unit says nothing.
fn limit(unit: &UnitFacts, key: &str) -> Option<Option<u64>> {
    let settings = unit.settings.iter().rev();
    settings
        .filter(|s| s.section == "Service" && (s.key == key || s.key == "TimeoutSec"))
        .find_map(|s| timespan::parse(&s.value))
        .map(seconds)
}

/// Whole seconds, rounded up; `None` for no limit, which 0 is too, and what is beyond the longest
/// that a config holds comes to.
fn seconds(span: TimeSpan) -> Option<u64> {
    let TimeSpan::Finite(span) = span else {
        return None;
    };
    let whole = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    (1..=LONGEST).contains(&whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)]) -> Timeouts {
        let unit = crate::facts::UnitFacts::with("a.service", settings);
        timeouts([&unit].into_iter())
    }

    #[test]
    fn of_two_limits_the_later_valid_one_counts() {
        let start = "TimeoutStartSec";
        for (settings, expected) in [
            (&[][..], (Some(90), Some(90))),
            (
                &[(start, "5min"), ("TimeoutSec", "30min")],
                (Some(1800), Some(1800)),
            ),
            (
                &[("TimeoutSec", "30min"), (start, "5min")],
                (Some(300), Some(1800)),
            ),
            (
                &[(start, "5min"), (start, "nonsense")],
                (Some(300), Some(90)),
            ),
            (
                &[("TimeoutStopSec", "900"), ("TimeoutSec", "")],
                (Some(90), Some(900)),
            ),
            (
                &[(start, "500ms"), ("TimeoutStopSec", "0")],
                (Some(1), None),
            ),
        ] {
            let mut settings = settings.to_vec();
            settings.push(("ExecStart", "/bin/a"));
            let of = of(&settings);
            assert_eq!((of.start, of.stop), expected, "{settings:?}");
        }
    }

    #[test]
    fn a_start_that_ends_by_itself_has_no_limit() {
        for (settings, expected) in [
            (&[("Type", "oneshot"), ("ExecStart", "/bin/a")][..], None),
            (&[("ExecStop", "/bin/a")], None),
            (&[("BusName", "org.a"), ("ExecStop", "/bin/a")], Some(90)),
            (&[("Type", "oneshot"), ("TimeoutStartSec", "7")], Some(7)),
        ] {
            assert_eq!(of(settings).start, expected, "{settings:?}");
        }
    }

    #[test]
    fn a_limit_beyond_what_a_config_holds_is_none() {
        for (text, expected) in [
            ("3649d", Some(3649 * 86400)),
            ("11y", None),
            ("584000y", None),
            // systemd can't hold it either, and says so
            ("600000y", Some(90)),
        ] {
            let settings = [("ExecStart", "/bin/a"), ("TimeoutSec", text)];
            assert_eq!(of(&settings).stop, expected, "{text}");
        }
    }

    #[test]
    fn a17_a_path_of_the_content_ends_no_line_and_expands_to_nothing() {
        let path = |text: &str| unit_path(&text.parse().unwrap());
        assert_eq!(path("/var/lib/x"), "/var/lib/x");
        assert_eq!(path("/a b/%i\n\"x"), "\"/a b/%%i\\x0a\\\"x\"");
    }
}
