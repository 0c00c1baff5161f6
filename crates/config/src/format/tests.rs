//! What is written is read back, and whatever is wrong is told with its line and key.

use std::path::Path;

use proptest::prelude::*;
use vss_model::sandbox::{Timeouts, Tmpfs};
use vss_model::{AbsPath, Confinement, NetworkConfig, SandboxConfig, SandboxName, Uuid};

use super::*;
use crate::Error;

const TEN_YEARS: u64 = 315_360_000;

fn name() -> SandboxName {
    "web1".parse().unwrap()
}

fn sample() -> SandboxConfig {
    let path = |text: &str| text.parse::<AbsPath>().unwrap();
    SandboxConfig {
        name: name(),
        uuid: Uuid::from_u128(7),
        units: vec!["apache2.service".parse().unwrap()],
        content: path("/var/lib/libvirt/filesystems/web1"),
        host_unit: "apache2@web1.service".parse().unwrap(),
        confinement: Confinement::Reduced,
        private_users: None,
        label: "system_u:system_r:container_t:s0:c1,c2".parse().unwrap(),
        file_label: "system_u:object_r:container_file_t:s0:c1,c2"
            .parse()
            .unwrap(),
        network: Some(NetworkConfig {
            network: "virt-sandbox".to_owned(),
            mac: "52:54:00:00:00:02".parse().unwrap(),
            address: "192.168.155.2".parse().unwrap(),
            prefix: 24,
            gateway: "192.168.155.1".parse().unwrap(),
        }),
        shared: vec![path("/srv/www")],
        writable: vec![path("/etc"), path("/var"), path("/root")],
        tmpfs: vec![Tmpfs {
            target: path("/run"),
            size: 64 << 20,
        }],
        timeouts: Timeouts {
            start: Some(90),
            stop: None,
        },
    }
}

fn read(text: &str) -> Result<SandboxConfig, Error> {
    parse(Path::new("/etc/x/web1.sandbox"), text, &name())
}

/// The problem that a text has: line, key and words.
fn problem(text: &str) -> (Option<usize>, String, String) {
    match read(text) {
        Err(Error::Config(problem)) => (problem.line, problem.key, problem.problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_text_is_for_people() {
    let text = include_str!("../../tests/web1.sandbox");
    assert_eq!(render(&sample()), text);
    assert_eq!(read(text).unwrap(), sample());
}

#[test]
fn private_users_are_stored_and_checked() {
    let users: vss_model::IdRange = "100000:65536".parse().unwrap();
    let config = SandboxConfig {
        confinement: Confinement::Userns,
        private_users: Some(users),
        ..sample()
    };
    let text = render(&config);
    assert!(text.contains("the host's 100000 to 165535 are the users inside"));
    assert_eq!(read(&text).unwrap(), config);

    let line = "private-users = \"100000:65536\"";
    let (_, key, words) = problem(&text.replace(line, ""));
    assert_eq!(key, "security.private-users");
    assert!(words.contains("missing"), "{words}");
    for bad in ["0:65536", "100000:1", "100000:65536x", "4294901760:65536"] {
        let text = text.replace("100000:65536", bad);
        let (at, key, words) = problem(&text);
        assert_eq!(key, "security.private-users", "{words}");
        assert!(at.is_some());
    }
    for also in [
        Confinement::Selinux,
        Confinement::Reduced,
        Confinement::None,
    ] {
        let config = SandboxConfig {
            confinement: also,
            ..config.clone()
        };
        assert_eq!(read(&render(&config)).unwrap(), config);
    }
}

#[test]
fn a19_an_unknown_key_is_told_with_its_line_and_the_nearest_name() {
    let text = render(&sample()).replace("confinement =", "confinment =");
    let line = text
        .lines()
        .position(|l| l.starts_with("confinment"))
        .unwrap()
        + 1;
    let (at, key, words) = problem(&text);
    // the missing key is as true, and is met first
    assert_eq!(key, "security.confinement");
    assert!(words.contains("missing"), "{words}");
    assert!(at.is_some());

    let text = text.replace("confinment =", "confinement = \"none\"\nconfinment =");
    assert_eq!(
        problem(&text),
        (
            Some(line + 1),
            "security.confinment".to_owned(),
            "there is no such key; did you mean confinement?".to_owned()
        )
    );
    let (_, key, words) = problem(&format!("{}\n[securty]\n", render(&sample())));
    assert_eq!(key, "securty");
    assert!(words.contains("security"), "{words}");
    let (_, _, words) = problem(&format!("{}\n[zzzzzzzzzz]\n", render(&sample())));
    assert!(words.contains("there are version, sandbox"), "{words}");
}

#[test]
fn a19_injected_and_doubled_keys_are_refused() {
    for (from, to) in [
        ("name = \"web1\"", "name = \"web1\"\nname = \"web2\""),
        ("name = \"web1\"", "name = \"web1\\n[security]\""),
        ("name = \"web1\"", "name = \"../web1\""),
        ("[content]", "[security]"),
        ("units = [", "units = [1, "),
        ("units = [\"apache2.service\"]", "units = []"),
        (
            "units = [\"apache2.service\"]",
            "units = [\"apache2@.service\"]",
        ),
        (
            "units = [\"apache2.service\"]",
            "units = \"apache2.service\"",
        ),
        ("path = \"/var", "path = \"var"),
        (
            "path = \"/var/lib/libvirt/filesystems/web1\"",
            "path = \"/\"",
        ),
        (
            "path = \"/var/lib/libvirt/filesystems/web1\"",
            "path = \"/etc\"",
        ),
        ("path = \"/var/lib", "path = \"/var/../lib"),
        ("\"/root\"]", "\"/\"]"),
        (", \"/root\"]", "]"),
        ("shared = [\"/srv/www\"]", "shared = [\"/etc\"]"),
        ("\"/root\"]", "\"/root\", \"/srv/www/x\"]"),
        ("shared = [\"/srv/www\"]", "shared = [\"/var/lib/libvirt\"]"),
        ("size = \"64M\"", "size = \"64Q\""),
        ("size = \"64M\"", "size = \"99999999999T\""),
        ("size = \"64M\"", "size = -1"),
        ("size = \"64M\"", "size = 1"),
        ("start = 90", "start = \"soon\""),
        ("/24\"", "/32\""),
        ("/24\"", "/0\""),
        ("gateway = \"192.168.155.1\"", "gateway = \"192.168.156.1\""),
        ("network = \"virt-sandbox\"", "network = \"a b\""),
        ("mac = \"52:", "mac = \"53:"),
        ("s0:c1,c2\"\nfile", "s0:c1,c1024\"\nfile"),
        (
            "host-unit = \"apache2@web1.service\"",
            "host-unit = \"x.socket\"",
        ),
        (
            "uuid = \"00000000-0000-0000-0000-000000000007\"",
            "uuid = \"00000000-0000-0000-0000-000000000000\"",
        ),
    ] {
        let good = render(&sample());
        assert!(good.contains(from), "{from}");
        let (line, _, words) = problem(&good.replacen(from, to, 1));
        assert!(line.is_some() || words.contains("drop"), "{to}: {words}");
    }
}

#[test]
fn a19_a_limit_that_no_clock_can_hold_is_refused() {
    let with = |start: u64| render(&sample()).replace("start = 90", &format!("start = {start}"));
    let longest = read(&with(TEN_YEARS)).unwrap().timeouts.start;
    assert_eq!(longest, Some(TEN_YEARS));
    for seconds in [TEN_YEARS + 1, i64::MAX as u64] {
        let (line, key, words) = problem(&with(seconds));
        assert!(line.is_some(), "{words}");
        assert_eq!(key, "timeouts.start");
        assert!(words.contains("write \"infinity\""), "{words}");
    }
}

#[test]
fn the_version_is_looked_at_before_all_else() {
    let later = "version = 2\n[things]\nof = \"a later time\"\n";
    match read(later) {
        Err(Error::Version {
            version: 2,
            known: 1,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(problem("[sandbox]\n").1, "version");
    assert_eq!(problem("version = \"1\"").1, "version");
}

#[test]
fn a16_the_name_inside_is_the_file_s() {
    let text = render(&sample()).replace("name = \"web1\"", "name = \"web2\"");
    let (line, key, words) = problem(&text);
    assert_eq!((line, key.as_str()), (Some(6), "sandbox.name"));
    assert!(words.contains("web1") && words.contains("web2"), "{words}");
}

#[test]
fn a_syntax_error_has_a_line_and_no_control_characters() {
    let error = read("version = 1\n[sandbox]\nname = \u{1b}[2J\n").unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("/etc/x/web1.sandbox, line 3: this is no TOML"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_byte_order_mark_and_other_spellings_are_understood() {
    let text = render(&sample())
        .replace("size = \"64M\"", "size = 67_108_864")
        .replace("name = \"web1\"", "name = 'web1'");
    assert_eq!(read(&format!("\u{feff}{text}")).unwrap(), sample());
    let text = text.replace("67_108_864", "0x4000000");
    assert_eq!(read(&text).unwrap(), sample());
}

#[test]
fn the_owner_of_a_broken_file_is_still_told() {
    let broken = render(&sample()).replace("[content]", "[[[content");
    assert!(read(&broken).is_err());
    assert_eq!(uuid_of(&broken), Some(Uuid::from_u128(7)));
    assert_eq!(uuid_of("# uuid = 1\nuuids = 2\n"), None);
}

prop_compose! {
    fn path_below(top: &'static str)(bytes in prop::collection::vec(1u8.., 1..20)) -> AbsPath {
        use std::os::unix::ffi::OsStringExt;
        let component: Vec<u8> = bytes.into_iter().filter(|b| *b != b'/' && *b != b'.').collect();
        let mut path = top.as_bytes().to_vec();
        path.extend(b"x");
        path.extend(component);
        AbsPath::new(std::path::PathBuf::from(std::ffi::OsString::from_vec(path))).unwrap()
    }
}

proptest! {
    #[test]
    fn every_config_comes_back(
        uuid in 1u128..,
        content in path_below("/var/lib/"),
        target in path_below("/mnt/"),
        shared in path_below("/opt/"),
        size in 4096u64..=i64::MAX as u64,
        start in prop::option::of(0u64..=TEN_YEARS),
        address in any::<u32>(),
        prefix in 1u8..=30,
        with_network in any::<bool>(),
    ) {
        let mut config = sample();
        config.uuid = Uuid::from_u128(uuid);
        config.content = content;
        config.tmpfs[0].target = target;
        config.tmpfs[0].size = size;
        config.shared = vec![shared];
        config.timeouts.start = start;
        if let Some(network) = config.network.as_mut().filter(|_| with_network) {
            network.address = address.into();
            network.gateway = (address ^ 1).into();
            network.prefix = prefix;
        } else {
            config.network = None;
        }
        let text = render(&config);
        prop_assert_eq!(read(&text).unwrap(), config.clone());
        prop_assert_eq!(uuid_of(&text), Some(config.uuid));
    }

    #[test]
    fn a19_no_text_makes_it_panic(text in "\\PC{0,200}", cut in 0usize..2000) {
        let _ = read(&text);
        let whole = render(&sample());
        let cut = (0..=cut.min(whole.len())).rev().find(|n| whole.is_char_boundary(*n)).unwrap();
        let _ = read(&whole[..cut]);
        let _ = read(&format!("{}{text}{}", &whole[..cut], &whole[cut..]));
    }
}
