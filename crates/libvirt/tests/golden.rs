//! Domain XML as whole files, judged by libvirt's own schema where its checker is installed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; clippy.toml's exception does not reach their helper functions"
)]

use std::io::Write;
use std::path::{Path, PathBuf};

use snapbox::{Data, assert_data_eq};
use vss_libvirt::domain_xml;
use vss_model::{DomainSpec, Filesystem, Interface, Uuid};

fn plain() -> DomainSpec {
    DomainSpec {
        name: "web1".parse().unwrap(),
        uuid: Uuid::from_u128(0x1111_2222_3333_4444_8555_6666_7777_8888),
        init: "/usr/libexec/virt-sandbox-init".parse().unwrap(),
        init_args: ["--confinement", "none", "--", "/usr/lib/systemd/systemd"]
            .map(str::to_owned)
            .to_vec(),
        init_env: vec![("NOTIFY_SOCKET".to_owned(), "/run/host/notify".to_owned())],
        memory_kib: 1 << 20,
        filesystems: vec![
            bind("/var/lib/libvirt/filesystems/web1", "/", true),
            bind("/usr", "/usr", true),
            bind("/var/lib/libvirt/filesystems/web1/etc", "/etc", false),
            Filesystem::Ram {
                target: "/run".parse().unwrap(),
                size: 64 << 20,
            },
        ],
        interfaces: vec![],
        private_users: None,
        label: None,
    }
}

fn bind(source: &str, target: &str, readonly: bool) -> Filesystem {
    Filesystem::Bind {
        source: source.parse().unwrap(),
        target: target.parse().unwrap(),
        readonly,
    }
}

fn whole() -> DomainSpec {
    DomainSpec {
        interfaces: vec![Interface {
            network: "virt-sandbox".to_owned(),
            mac: "52:54:00:01:02:03".parse().unwrap(),
            address: [10, 203, 240, 17].into(),
            prefix: 20,
            gateway: [10, 203, 240, 1].into(),
            device: "eth0".to_owned(),
            isolated: true,
            bridge: None,
        }],
        label: Some("system_u:system_r:container_t:s0:c1,c2".parse().unwrap()),
        ..plain()
    }
}

fn nasty() -> DomainSpec {
    let nasty = "& < > \" ' ]]> %s\n$(x)";
    DomainSpec {
        init_args: vec![nasty.to_owned()],
        init_env: vec![],
        filesystems: vec![bind("/srv/a b&<c>'\"", "/srv/ü", false)],
        ..plain()
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn compare(name: &str, spec: &DomainSpec) {
    assert_data_eq!(
        domain_xml(spec).unwrap(),
        Data::read_from(&golden(name), None)
    );
}

#[test]
fn a_domain_without_an_interface() {
    compare("plain.xml", &plain());
}

#[test]
fn a_domain_with_an_interface_and_a_label() {
    compare("whole.xml", &whole());
}

#[test]
fn a_domain_whose_interface_the_runner_makes() {
    let mut spec = whole();
    spec.interfaces[0].bridge = Some("virbr-sandbox".to_owned());
    compare("bridge.xml", &spec);
}

#[test]
fn a_domain_with_users_of_its_own() {
    let spec = DomainSpec {
        private_users: Some("2000224256:65536".parse().unwrap()),
        ..plain()
    };
    compare("users.xml", &spec);
}

#[test]
fn a18_a_domain_with_markup_in_its_texts() {
    compare("nasty.xml", &nasty());
}

#[test]
fn libvirts_schema_takes_what_is_written() {
    let files = ["plain.xml", "whole.xml", "users.xml", "nasty.xml"].map(golden);
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../units/network.xml");
    for file in files.iter().chain([&network]) {
        validate(file);
    }
}

/// virt-xml-validate is a part of libvirt-clients and needs xmllint. The lab has libvirtd itself
/// validate, so that nothing goes unseen where they are missing.
#[expect(
    clippy::disallowed_methods,
    reason = "the checker is a program, and only this test runs it"
)]
fn validate(file: &Path) {
    let found = |program: &str| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|d| d.join(program).exists()))
    };
    if !found("virt-xml-validate") || !found("xmllint") {
        // Not by eprintln!, which the test harness keeps to itself.
        let message = format!(
            "SKIPPED the schema's check of {}: virt-xml-validate (libvirt-clients) or xmllint (libxml2-utils) is missing\n",
            file.display()
        );
        std::io::stderr().write_all(message.as_bytes()).unwrap();
        assert!(std::env::var_os("CI").is_none(), "{message}");
        return;
    }
    let output = std::process::Command::new("virt-xml-validate")
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
