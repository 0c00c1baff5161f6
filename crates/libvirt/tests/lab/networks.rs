//! The project's own network, and others.

use std::fs;
use std::net::Ipv4Addr;

use vss_libvirt::{Hypervisor, Libvirt, NetworkError, Networks, OWN_UUID, Uri};
use vss_model::{DomainSpec, Interface};

use crate::world::{SERVER, container, greeting, in_world, interface, output, run, shipped};

/// The own network is in use by this running domain, and by nobody else.
fn is_used_by(libvirt: &Libvirt, spec: &DomainSpec) {
    let info = libvirt.info("virt-sandbox").unwrap().unwrap();
    let interface = &spec.interfaces[0];
    assert_eq!(info.in_use, [info.gateway, interface.address]);
    assert_eq!(info.macs, [interface.mac]);
    assert!(!libvirt.release(&shipped()).unwrap(), "a domain is on it");
}

#[test]
#[ignore = "of the lab tier: make check-lab"]
fn the_own_network_carries_containers_with_ready_made_addresses() {
    in_world(
        "networks::the_own_network_carries_containers_with_ready_made_addresses",
        |libvirt| {
            libvirt.ensure("virt-sandbox", &shipped()).unwrap();
            let info = libvirt.info("virt-sandbox").unwrap().unwrap();
            assert!(info.active && info.prefix == 20 && info.dhcp_ranges.is_empty());
            let script = format!(
                "{{ ip -o -4 addr show eth0; ip route; cat /sys/class/net/eth0/address; }} >/out/t; mv /out/t /out/net; {SERVER}"
            );
            let mut spec = container("web", &script);
            spec.interfaces = vec![interface(17, true)];
            libvirt.start(&spec).unwrap();
            let net = output("web", "net");
            assert!(net.contains("10.203.240.17/20"), "{net}");
            assert!(net.contains("default via 10.203.240.1"), "{net}");
            assert!(net.contains("52:54:00:00:00:11"), "{net}");
            output("web", "up");
            assert_eq!(greeting(Ipv4Addr::new(10, 203, 240, 17)), "hello\n");

            is_used_by(libvirt, &spec);
            libvirt.destroy(spec.uuid).unwrap();
            assert!(libvirt.release(&shipped()).unwrap());
            assert!(!libvirt.release(&shipped()).unwrap());
            assert!(libvirt.info("virt-sandbox").unwrap().is_none());
            assert!(!fs::exists("/sys/class/net/virbr-sandbox").unwrap());
            let left = run(
                "find",
                &["/etc/libvirt", "/var/lib/libvirt", "-name", "*sandbox*"],
            );
            assert_eq!(left, "");
        },
    );
}

/// Whoever asks for what is in use finds it, although libvirt made no interface.
#[test]
#[ignore = "of the lab tier: make check-lab"]
fn a_container_that_the_runner_connects_uses_its_network_too() {
    in_world(
        "networks::a_container_that_the_runner_connects_uses_its_network_too",
        |libvirt| {
            let bridge = libvirt.ensure("virt-sandbox", &shipped()).unwrap();
            assert_eq!(bridge.as_deref(), Some("virbr-sandbox"));
            let script = "ls /sys/class/net >/out/t; mv /out/t /out/net; sleep 1000";
            let mut spec = container("web", script);
            spec.interfaces = vec![Interface {
                bridge,
                ..interface(17, true)
            }];
            libvirt.start(&spec).unwrap();
            assert_eq!(output("web", "net").trim(), "lo");
            is_used_by(libvirt, &spec);
            libvirt.destroy(spec.uuid).unwrap();
            assert!(libvirt.release(&shipped()).unwrap());
        },
    );
}

#[test]
#[ignore = "of the lab tier: make check-lab"]
fn a_network_that_was_given_other_addresses_stays() {
    in_world(
        "networks::a_network_that_was_given_other_addresses_stays",
        |libvirt| {
            let text = fs::read_to_string(shipped()).unwrap();
            assert!(text.contains("10.203.240.1"));
            let edited = text.replace("10.203.240.1", "10.203.224.1");
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), edited).unwrap();
            let file = file.path().to_str().unwrap();
            run("virsh", &["-c", "lxc:///system", "net-define", file]);
            libvirt.ensure("virt-sandbox", &shipped()).unwrap();
            assert!(!libvirt.release(&shipped()).unwrap());
            let info = libvirt.info("virt-sandbox").unwrap().unwrap();
            assert_eq!(info.gateway, Ipv4Addr::new(10, 203, 224, 1));
        },
    );
}

#[test]
#[ignore = "of the lab tier: make check-lab"]
fn isolated_neighbours_do_not_reach_each_other() {
    in_world(
        "networks::isolated_neighbours_do_not_reach_each_other",
        |libvirt| {
            libvirt.ensure("virt-sandbox", &shipped()).unwrap();
            let client = |peer: &str, patience: u32, file: &str| {
                format!(
                    r#"perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(PeerAddr => "{peer}:80", Timeout => {patience}); print $s ? "reached" : "not reached"' >/out/t; mv /out/t /out/{file}; sleep 1000"#
                )
            };
            // who is to be reached may be slow to answer
            for (isolated, last, patience, expected) in
                [(true, 20, 3, "not reached"), (false, 30, 60, "reached")]
            {
                let server_name = format!("server{last}");
                let mut server = container(&server_name, SERVER);
                server.interfaces = vec![interface(last, isolated)];
                libvirt.start(&server).unwrap();
                output(&server_name, "up");
                assert_eq!(greeting(Ipv4Addr::new(10, 203, 240, last)), "hello\n");
                let name = format!("client{last}");
                let script = client(&format!("10.203.240.{last}"), patience, "result");
                let mut spec = container(&name, &script);
                spec.interfaces = vec![interface(last + 1, isolated)];
                libvirt.start(&spec).unwrap();
                assert_eq!(output(&name, "result"), expected, "isolated: {isolated}");
            }
        },
    );
}

#[test]
#[ignore = "of the lab tier: make check-lab"]
fn a52_many_at_once_define_and_start_one_network() {
    in_world(
        "networks::a52_many_at_once_define_and_start_one_network",
        |_| {
            for _ in 0..5 {
                std::thread::scope(|scope| {
                    for _ in 0..8 {
                        scope.spawn(|| {
                            let libvirt = Libvirt::open(&Uri::default()).unwrap();
                            libvirt.ensure("virt-sandbox", &shipped()).unwrap();
                            let info = libvirt.info("virt-sandbox").unwrap().unwrap();
                            assert_eq!((info.uuid, info.active), (OWN_UUID, true));
                        });
                    }
                });
                let libvirt = Libvirt::open(&Uri::default()).unwrap();
                assert!(libvirt.release(&shipped()).unwrap());
            }
        },
    );
}

#[test]
#[ignore = "of the lab tier: make check-lab"]
fn addresses_that_the_host_uses_are_not_taken_from_it() {
    in_world(
        "networks::addresses_that_the_host_uses_are_not_taken_from_it",
        |libvirt| {
            run("ip", &["link", "add", "lan0", "type", "bridge"]);
            run("ip", &["addr", "add", "10.203.241.7/24", "dev", "lan0"]);
            run("ip", &["link", "set", "lan0", "up"]);
            let error = libvirt.ensure("virt-sandbox", &shipped()).unwrap_err();
            assert!(matches!(error, NetworkError::Collision { .. }), "{error:?}");
            assert!(error.to_string().contains("lan0"), "{error}");
            run("ip", &["link", "del", "lan0"]);
            libvirt.ensure("virt-sandbox", &shipped()).unwrap();
        },
    );
}

#[test]
#[ignore = "of the lab tier: make check-lab"]
fn an_administrators_network_is_used_as_it_is() {
    in_world(
        "networks::an_administrators_network_is_used_as_it_is",
        |libvirt| {
            let ensure = |name| libvirt.ensure(name, &shipped());
            assert!(matches!(ensure("nope"), Err(NetworkError::Missing { .. })));
            assert!(matches!(
                ensure("default"),
                Err(NetworkError::Inactive { .. })
            ));
            run("virsh", &["-q", "net-start", "default"]);
            ensure("default").unwrap();
            let info = libvirt.info("default").unwrap().unwrap();
            assert_eq!(info.gateway, Ipv4Addr::new(192, 168, 122, 1));
            assert_eq!(info.dhcp_ranges.len(), 1);
            // Also under the own name: it is somebody's choice of other addresses.
            let file = format!("{}/own.xml", std::env::var("VSS_WORLD").unwrap());
            let other = "<network><name>virt-sandbox</name><bridge name='other0'/><ip address='10.5.0.1' prefix='24'/></network>";
            fs::write(&file, other).unwrap();
            run("virsh", &["-q", "net-define", &file]);
            ensure("virt-sandbox").unwrap();
            let info = libvirt.info("virt-sandbox").unwrap().unwrap();
            assert_eq!((info.active, info.prefix), (true, 24));
            assert!(!libvirt.release(&shipped()).unwrap(), "not ours to remove");
            run("virsh", &["-q", "net-define", &bridged_file("bridged")]);
            assert!(matches!(
                libvirt.info("bridged"),
                Err(NetworkError::NoIpv4 { .. })
            ));
        },
    );
}

fn bridged_file(name: &str) -> String {
    let file = format!("{}/{name}.xml", std::env::var("VSS_WORLD").unwrap());
    let xml = format!(
        "<network><name>{name}</name><forward mode='bridge'/><bridge name='br0'/></network>"
    );
    fs::write(&file, xml).unwrap();
    file
}
