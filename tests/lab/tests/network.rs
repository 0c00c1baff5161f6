//! A container's interface: on the project's own network, on another, and where it can't be made.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests, which fail by panicking and say what they did"
)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpStream};

use vss_lab::{Lab, Sandbox, fixture};

const UNIT: &str = "lab-net.service";

/// A sandbox with one process, which listens nowhere.
fn sandbox<'a>(lab: &'a Lab, name: &'a str, options: &[&str]) -> Sandbox<'a> {
    fixture::service(lab, "lab-net", "", "ExecStart=/bin/sleep infinity");
    let options = [&["-u", UNIT], options].concat();
    lab.create(name, &options)
}

/// The host's end of the interface, as the sandbox's UUID names it.
fn host_end(sandbox: &Sandbox<'_>) -> String {
    let uuid = sandbox.status()["uuid"]
        .as_str()
        .expect("a uuid")
        .to_owned();
    let digits: String = uuid.chars().filter(|c| *c != '-').take(12).collect();
    format!("vs-{digits}")
}

/// What a running container has: its address, the way out, and nothing else.
fn is_connected(sandbox: &Sandbox<'_>, gateway: &str) {
    let address = sandbox.address();
    let addresses = sandbox
        .execute(&["ip", "-o", "-4", "address", "show", "eth0"])
        .ok();
    assert!(
        addresses.contains(&format!("inet {address}/")),
        "{addresses}"
    );
    let routes = sandbox.execute(&["ip", "-4", "route"]).ok();
    assert!(
        routes.contains(&format!("default via {gateway} dev eth0")),
        "{routes}"
    );
    // whoever refuses is there
    let refusal = TcpStream::connect((address, 80)).expect_err("nothing listens");
    assert_eq!(refusal.kind(), ErrorKind::ConnectionRefused, "{refusal}");
}

#[test]
fn the_hosts_end_is_an_isolated_port_that_tells_whose_it_is_and_goes_with_the_container() {
    let lab = Lab::enter();
    let sandbox = sandbox(&lab, "net-own", &[]);
    for _ in 0..2 {
        sandbox.start();
        is_connected(&sandbox, "10.203.240.1");
        let end = host_end(&sandbox);
        let link = lab.run("ip", &["-d", "link", "show", &end]).ok();
        for wanted in [
            "master virbr-sandbox",
            "isolated on",
            "alias virt-sandbox-service net-own",
            "state UP",
        ] {
            assert!(link.contains(wanted), "{wanted} is not in {link}");
        }
        // the socket by which it was asked for is gone
        let sockets = sandbox.execute(&["ls", "/run/host"]).ok();
        assert_eq!(sockets.trim(), "notify");
        sandbox.stop();
        lab.run("ip", &["link", "show", &end]).ended(1);
    }
}

#[test]
fn what_uses_a_network_is_told_in_the_domain() {
    let lab = Lab::enter();
    let sandbox = sandbox(&lab, "net-told", &[]);
    sandbox.start();
    let domain = lab
        .run("virsh", &["-c", "lxc:///system", "dumpxml", "net-told"])
        .ok();
    let address = sandbox.address();
    for wanted in [
        "network=\"virt-sandbox\"".to_owned(),
        format!("address=\"{address}\""),
    ] {
        assert!(domain.contains(&wanted), "{wanted} is not in {domain}");
    }
    assert!(!domain.contains("<interface"), "{domain}");
}

#[test]
fn a_network_that_asks_for_more_than_a_port_has_libvirt_make_the_interface() {
    let lab = Lab::enter();
    let network = Network::define(
        &lab,
        "lab-mtu",
        "<mtu size='1400'/>",
        Ipv4Addr::new(10, 77, 1, 1),
    );
    let sandbox = sandbox(&lab, "net-mtu", &["-N", "source=lab-mtu"]);
    sandbox.start();
    is_connected(&sandbox, "10.77.1.1");
    let domain = lab
        .run("virsh", &["-c", "lxc:///system", "dumpxml", "net-mtu"])
        .ok();
    assert!(domain.contains("<interface"), "{domain}");
    lab.run("ip", &["link", "show", &host_end(&sandbox)])
        .ended(1);
    sandbox.stop();
    drop(sandbox);
    drop(network);
}

#[test]
fn a_network_whose_bridge_is_gone_fails_the_start_and_says_what_to_look_at() {
    let lab = Lab::enter();
    let network = Network::define(&lab, "lab-gone", "", Ipv4Addr::new(10, 77, 2, 1));
    let sandbox = sandbox(&lab, "net-gone", &["-N", "source=lab-gone"]);
    sandbox.start();
    is_connected(&sandbox, "10.77.2.1");
    sandbox.stop();
    lab.run("ip", &["link", "delete", "lab-gone"]).ok();
    let told = lab.vss(&["start", "net-gone"]).failed(1);
    for wanted in [
        "net-gone can't be connected to the network lab-gone: there is no bridge lab-gone",
        "virsh -c lxc:///system net-info lab-gone",
    ] {
        assert!(told.contains(wanted), "{wanted} is not in {told}");
    }
    lab.run("ip", &["link", "show", &host_end(&sandbox)])
        .ended(1);
    drop(network);
    let network = Network::define(&lab, "lab-gone", "", Ipv4Addr::new(10, 77, 2, 1));
    sandbox.start();
    is_connected(&sandbox, "10.77.2.1");
    sandbox.stop();
    drop(sandbox);
    drop(network);
}

#[test]
fn a_container_that_reboots_is_connected_again() {
    let lab = Lab::enter();
    let sandbox = sandbox(&lab, "net-reboot", &[]);
    sandbox.start();
    let first = sandbox.first_process();
    let _ = sandbox.execute(&["systemctl", "reboot"]);
    sandbox.runs_anew(first);
    is_connected(&sandbox, "10.203.240.1");
    sandbox.stop();
}

/// libvirt restarts it from the description that it had, whose first process waits for the runner.
#[test]
fn a_container_that_reboots_on_a_network_that_changed_is_connected_as_the_network_is_now() {
    let lab = Lab::enter();
    let network = Network::define(&lab, "lab-turn", "", Ipv4Addr::new(10, 77, 3, 1));
    let sandbox = sandbox(&lab, "net-turn", &["-N", "source=lab-turn"]);
    sandbox.start();
    is_connected(&sandbox, "10.77.3.1");
    let group = "<portgroup name='all' default='yes'/>";
    lab.run(
        "virsh",
        &[
            "-c",
            "lxc:///system",
            "net-update",
            "lab-turn",
            "add",
            "portgroup",
            group,
        ],
    )
    .ok();
    let first = sandbox.first_process();
    let _ = sandbox.execute(&["systemctl", "reboot"]);
    sandbox.runs_anew(first);
    is_connected(&sandbox, "10.77.3.1");
    lab.run("ip", &["link", "show", &host_end(&sandbox)])
        .ended(1);
    sandbox.stop();
    drop(sandbox);
    drop(network);
}

/// Root inside writes to the runner's socket as long as there is one: from the first service on, and
/// until systemd says that it is up, which it does not before the runner has read much of it.
#[test]
fn a_container_that_floods_the_runner_comes_up_all_the_same() {
    let lab = Lab::enter();
    let unit = "[Service]\nExecStart=/usr/bin/perl /usr/share/lab-flood/flood\n\
        ExecStartPost=/bin/sh -c 'until [ -e /var/tmp/lab-heard ]; do sleep 0.1; done'\n";
    let flood = r#"
        use Socket;
        socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die;
        my $to = sockaddr_un("/run/host/network");
        for (1 .. 3) { last unless fork }
        my $heard = 0;
        while (1) {
            if (!send($s, "NETWORK=1", 0, $to)) { select(undef, undef, undef, 0.001) }
            elsif (++$heard == 100) { open(my $f, ">", "/var/tmp/lab-heard"); close $f }
        }
    "#;
    let files = [
        ("/usr/lib/systemd/system/lab-flood.service", unit),
        ("/usr/share/lab-flood/flood", flood),
    ];
    fixture::install(&lab, "lab-flood", &files);
    let sandbox = lab.create("net-flood", &["-u", "lab-flood.service"]);
    sandbox.start();
    is_connected(&sandbox, "10.203.240.1");
    sandbox.execute(&["ls", "/var/tmp/lab-heard"]).ok();
    sandbox.stop();
}

/// The init learns of it by the end of its pipe, and the next start is as any other.
#[test]
fn a_runner_that_is_killed_while_it_connects_leaves_nothing_in_the_way() {
    let lab = Lab::enter();
    let sandbox = sandbox(&lab, "net-killed", &[]);
    // the first that is sent is the request to the kernel
    let strace = "strace -f -qq -o /dev/null -e trace=sendto -e inject=sendto:signal=KILL:when=1";
    let mut command: Vec<&str> = strace.split(' ').collect();
    command.extend(["/usr/libexec/virt-sandbox-run", "start", "net-killed"]);
    let killed = lab.run(command[0], &command[1..]);
    assert_ne!(killed.code(), Some(0), "{}", killed.stderr());
    sandbox.start();
    is_connected(&sandbox, "10.203.240.1");
    sandbox.stop();
    lab.run("ip", &["link", "show", &host_end(&sandbox)])
        .ended(1);
}

/// A libvirt network of the test's own, whose bridge has its name.
struct Network<'a> {
    lab: &'a Lab,
    name: &'static str,
}

impl<'a> Network<'a> {
    fn define(lab: &'a Lab, name: &'static str, more: &str, address: Ipv4Addr) -> Self {
        let file = format!("/tmp/{name}.xml");
        let text = format!(
            "<network><name>{name}</name><bridge name='{name}' stp='off' delay='0'/>{more}<ip address='{address}' prefix='24'/></network>"
        );
        std::fs::write(&file, text).expect("a file in /tmp");
        let virsh = |verb, object| lab.run("virsh", &["-c", "lxc:///system", verb, object]);
        virsh("net-define", file.as_str()).ok();
        virsh("net-start", name).ok();
        Self { lab, name }
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        for verb in ["net-destroy", "net-undefine"] {
            // one whose bridge is gone may be neither up nor down
            let _ = self
                .lab
                .run("virsh", &["-c", "lxc:///system", verb, self.name]);
        }
    }
}
