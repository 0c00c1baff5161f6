//! The pair of devices, and what the container's end is given.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vss_model::{Interface, SandboxName, Uuid};

use crate::rtnetlink::Rtnetlink;

/// Why a container is not connected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host has no such bridge: its network was stopped a moment ago.
    #[error("there is no bridge {bridge}")]
    NoBridge {
        /// The bridge.
        bridge: String,
    },
    /// What was sent along with a request for it is something else.
    #[error(
        "the container's first process asks for its network in another way: is it of another release?"
    )]
    Request,
    /// The kernel refuses.
    #[error("cannot {action}")]
    Refused {
        /// What was to be done.
        action: String,
        /// Why not.
        source: io::Error,
    },
}

/// What is to be connected.
#[derive(Debug, Clone, Copy)]
pub struct Plug<'a> {
    /// The sandbox, whose name the host's end has for an alias.
    pub name: &'a SandboxName,
    /// Its UUID, which gives the host's end its name.
    pub uuid: Uuid,
    /// The bridge on the host.
    pub bridge: &'a str,
    /// The container's end.
    pub interface: &'a Interface,
    /// The container's first process, as the host counts.
    pub init: u32,
}

/// The name of the host's end: a name of a device has at most 15 bytes.
#[must_use]
pub fn host_end(uuid: Uuid) -> String {
    let digits = uuid.simple().to_string();
    format!("vs-{}", &digits[..12])
}

/// Makes the pair, in place of one that an earlier run left, and gives the container's end its
/// address and default route. `inside` is an rtnetlink socket of the container's network. Never waits.
///
/// # Errors
/// Where the bridge is gone, `inside` is something else, or the kernel refuses. Nothing is left then.
pub fn plug(what: &Plug<'_>, inside: OwnedFd) -> Result<(), Error> {
    let host = open()?;
    let inside =
        Rtnetlink::adopt(inside).map_err(refused(|| "reach the container's network".to_owned()))?;
    let done = make(&host, what).and_then(|()| settle(&inside, what.interface));
    if done.is_err() {
        // why it failed is to be told
        let _ = remove(&host, what.uuid);
    }
    done
}

/// Takes the pair away, if it is there.
///
/// # Errors
/// Where the kernel refuses.
pub fn unplug(uuid: Uuid) -> Result<(), Error> {
    remove(&open()?, uuid)
}

fn open() -> Result<Rtnetlink, Error> {
    Rtnetlink::open().map_err(refused(|| "ask for network devices".to_owned()))
}

fn make(host: &Rtnetlink, what: &Plug<'_>) -> Result<(), Error> {
    let end = host_end(what.uuid);
    let bridge = index(host, what.bridge)?.ok_or_else(|| Error::NoBridge {
        bridge: what.bridge.to_owned(),
    })?;
    let create = || {
        let request = RouteNetlinkMessage::NewLink(pair(what, &end, bridge));
        host.ask(request, NLM_F_CREATE | NLM_F_EXCL)
    };
    let made = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove(host, what.uuid)?;
            create()
        }
        other => other,
    };
    made.map_err(refused(|| {
        format!(
            "make {} in the container and {end} on {}",
            what.interface.device, what.bridge
        )
    }))?;
    let request = RouteNetlinkMessage::NewLink(port(what, &end));
    host.ask(request, 0)
        .map_err(refused(|| format!("bring up {end} on {}", what.bridge)))
}

/// Both ends, the host's on its bridge. Neither can be up before it has the other.
fn pair(what: &Plug<'_>, end: &str, bridge: u32) -> LinkMessage {
    let mut peer = LinkMessage::default();
    peer.attributes = vec![
        LinkAttribute::IfName(what.interface.device.clone()),
        LinkAttribute::Address(what.interface.mac.octets().to_vec()),
        LinkAttribute::NetNsPid(what.init),
    ];
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::IfName(end.to_owned()),
        LinkAttribute::Controller(bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    link
}

/// The host's end as a port of its bridge, which is brought up once it is isolated.
fn port(what: &Plug<'_>, end: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    up(&mut link);
    link.attributes = vec![
        LinkAttribute::IfName(end.to_owned()),
        LinkAttribute::IfAlias(format!("virt-sandbox-service {}", what.name)),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(
                what.interface.isolated,
            )])),
        ]),
    ];
    link
}

fn up(link: &mut LinkMessage) {
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
}

/// The container's end brought up, with its address and default route.
fn settle(inside: &Rtnetlink, interface: &Interface) -> Result<(), Error> {
    let device = &interface.device;
    let index = index(inside, device)?.ok_or_else(|| Error::Refused {
        action: format!("find {device} in the container"),
        source: io::ErrorKind::NotFound.into(),
    })?;
    let mut link = LinkMessage::default();
    up(&mut link);
    link.header.index = index;
    inside
        .ask(RouteNetlinkMessage::SetLink(link), 0)
        .map_err(refused(|| format!("bring up {device} in the container")))?;
    let request = RouteNetlinkMessage::NewAddress(address(interface, index));
    inside
        .ask(request, NLM_F_CREATE | NLM_F_EXCL)
        .map_err(refused(|| {
            format!(
                "give {device} in the container the address {}/{}",
                interface.address, interface.prefix
            )
        }))?;
    let request = RouteNetlinkMessage::NewRoute(default_route(interface, index));
    inside
        .ask(request, NLM_F_CREATE | NLM_F_EXCL)
        .map_err(refused(|| {
            format!("route through {} in the container", interface.gateway)
        }))
}

fn address(interface: &Interface, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = interface.prefix;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(interface.address.into()),
        AddressAttribute::Address(interface.address.into()),
    ];
    // a network of two has no broadcast address (RFC 3021)
    if interface.prefix < 31 {
        let host = u32::MAX.checked_shr(interface.prefix.into()).unwrap_or(0);
        let broadcast = Ipv4Addr::from(u32::from(interface.address) | host);
        message
            .attributes
            .push(AddressAttribute::Broadcast(broadcast));
    }
    message
}

fn default_route(interface: &Interface, index: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Gateway(RouteAddress::Inet(interface.gateway)),
        RouteAttribute::Oif(index),
    ];
    message
}

fn remove(host: &Rtnetlink, uuid: Uuid) -> Result<(), Error> {
    let end = host_end(uuid);
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(end.clone())];
    match host.ask(RouteNetlinkMessage::DelLink(link), 0) {
        // with the container's network it goes by itself
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
            Ok(())
        }
        other => other.map_err(refused(|| format!("remove the network device {end}"))),
    }
}

fn index(network: &Rtnetlink, device: &str) -> Result<Option<u32>, Error> {
    network
        .index(device)
        .map_err(refused(|| format!("look for the network device {device}")))
}

fn refused(action: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Refused {
        action: action(),
        source,
    }
}
