//! Pairs between two network namespaces of this test: one stands for the host's, with a bridge, one
//! for a container's.
#![expect(clippy::unwrap_used, reason = "of tests")]

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send};
use rustix::thread::{UnshareFlags, gettid, unshare_unsafe};
use vss_link::{Error, Plug, host_end, plug, unplug};
use vss_model::{Interface, SandboxName, Uuid};

const UUID: Uuid = Uuid::from_u128(0x6d0f_3c5b_52f1_4c0e_9a87_9d1d_0b7f_2ac4);

fn route_socket() -> OwnedFd {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap()
}

#[expect(unsafe_code, reason = "NEWNET takes nothing from other threads")]
fn own_network() {
    // SAFETY: only FILES may break what other code relies on.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
}

fn make_bridge(name: &str) {
    let mut link = LinkMessage::default();
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ];
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let payload = NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link));
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let socket = route_socket();
    send(&socket, &bytes, SendFlags::empty()).unwrap();
    let mut answer = vec![0; 4096];
    recv(&socket, &mut answer, RecvFlags::DONTWAIT).unwrap();
}

/// A thread in a network of its own, which looks at it when it is asked to.
struct Container {
    task: u32,
    socket: OwnedFd,
    look: Sender<()>,
    seen: Receiver<String>,
}

impl Container {
    fn new() -> Self {
        let (ready, is_ready) = channel();
        let (look, looks) = channel::<()>();
        let (tell, seen) = channel();
        std::thread::spawn(move || {
            own_network();
            let task = u32::try_from(gettid().as_raw_nonzero().get()).unwrap();
            ready.send((task, route_socket())).unwrap();
            while looks.recv().is_ok() {
                let read = |path: &str| std::fs::read_to_string(path).unwrap();
                let devices = read("/proc/thread-self/net/dev");
                let (routes, addresses) = (
                    read("/proc/thread-self/net/route"),
                    read("/proc/thread-self/net/fib_trie"),
                );
                tell.send(format!("{devices}{routes}{addresses}")).unwrap();
            }
        });
        let (task, socket) = is_ready.recv().unwrap();
        Self {
            task,
            socket,
            look,
            seen,
        }
    }

    fn sees(&self) -> String {
        self.look.send(()).unwrap();
        self.seen.recv().unwrap()
    }
}

fn interface() -> Interface {
    Interface {
        network: "virt-sandbox".to_owned(),
        mac: "52:54:00:12:34:56".parse().unwrap(),
        address: "10.9.8.7".parse().unwrap(),
        prefix: 24,
        gateway: "10.9.8.1".parse().unwrap(),
        device: "eth0".to_owned(),
        isolated: true,
        bridge: None,
    }
}

/// Runs in a network of its own, which stands for the host's.
#[expect(clippy::print_stderr, reason = "a skipped test is to be seen")]
fn on_a_host(test: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED, needs root: the pairs");
        assert!(std::env::var_os("CI").is_none(), "this needs root");
        return;
    }
    let host = std::thread::spawn(|| {
        own_network();
        make_bridge("br0");
        test();
    });
    if let Err(panic) = host.join() {
        std::panic::resume_unwind(panic);
    }
}

fn devices() -> String {
    std::fs::read_to_string("/proc/thread-self/net/dev").unwrap()
}

fn connect(container: &Container, interface: &Interface, bridge: &str) -> Result<(), Error> {
    let socket = container.socket.try_clone().unwrap();
    ask(container, interface, bridge, socket)
}

fn ask(
    container: &Container,
    interface: &Interface,
    bridge: &str,
    socket: OwnedFd,
) -> Result<(), Error> {
    let name: SandboxName = "web1".parse().unwrap();
    let what = Plug {
        name: &name,
        uuid: UUID,
        bridge,
        interface,
        init: container.task,
    };
    plug(&what, socket)
}

#[test]
fn the_container_has_an_address_and_a_route_and_the_host_one_end() {
    on_a_host(|| {
        let container = Container::new();
        connect(&container, &interface(), "br0").unwrap();
        let seen = container.sees();
        assert!(seen.contains("eth0:"), "{seen}");
        // the default route and the network's, in hexadecimal and this machine's byte order
        let hex = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let default = format!("eth0\t00000000\t{}", hex([10, 9, 8, 1]));
        assert!(seen.contains(&default), "{seen}");
        assert!(
            seen.contains(&format!("eth0\t{}", hex([10, 9, 8, 0]))),
            "{seen}"
        );
        assert!(seen.contains("10.9.8.7"), "{seen}");
        assert!(seen.contains("10.9.8.255"), "{seen}");
        let end = host_end(UUID);
        assert_eq!(end, "vs-6d0f3c5b52f1");
        assert!(devices().contains(&format!("{end}:")), "{}", devices());
        assert!(!devices().contains("eth0"), "{}", devices());
        unplug(UUID).unwrap();
        assert!(!devices().contains(&end), "{}", devices());
        assert!(!container.sees().contains("eth0"));
        unplug(UUID).unwrap();
    });
}

#[test]
fn what_an_earlier_run_left_is_replaced() {
    on_a_host(|| {
        let earlier = Container::new();
        connect(&earlier, &interface(), "br0").unwrap();
        let container = Container::new();
        connect(&container, &interface(), "br0").unwrap();
        assert!(container.sees().contains("eth0:"));
        assert!(!earlier.sees().contains("eth0:"));
    });
}

#[test]
fn what_fails_leaves_nothing_and_says_what_failed() {
    on_a_host(|| {
        let container = Container::new();
        let error = connect(&container, &interface(), "br1").unwrap_err();
        assert!(matches!(error, Error::NoBridge { .. }), "{error}");
        let far = Interface {
            gateway: "10.1.1.1".parse().unwrap(),
            ..interface()
        };
        let error = connect(&container, &far, "br0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot route through 10.1.1.1 in the container"
        );
        assert!(!container.sees().contains("eth0"));
        assert!(!devices().contains("vs-"), "{}", devices());
        let (pipe, _end) = rustix::pipe::pipe().unwrap();
        let udp = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        for other in [pipe, udp.into()] {
            let error = ask(&container, &interface(), "br0", other).unwrap_err();
            assert_eq!(error.to_string(), "cannot reach the container's network");
        }
        assert!(!devices().contains("vs-"), "{}", devices());
        // a name that is taken inside
        connect(&container, &interface(), "br0").unwrap();
        let name: SandboxName = "web2".parse().unwrap();
        let other = Plug {
            name: &name,
            uuid: Uuid::from_u128(7 << 96),
            bridge: "br0",
            interface: &interface(),
            init: container.task,
        };
        let error = plug(&other, container.socket.try_clone().unwrap()).unwrap_err();
        assert!(error.to_string().contains("make eth0"), "{error}");
        assert!(container.sees().contains("eth0:"));
    });
}
