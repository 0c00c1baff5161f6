//! Reading the XML that libvirt answers.
//!
//! Any user of libvirt may have written what a domain or network says of itself: sizes have a cap,
//! and a document type, which entities would come from, is refused (roxmltree's default).

use std::net::Ipv4Addr;
use std::path::PathBuf;

use roxmltree::{Document, Node, ParsingOptions};
use vss_model::{MacAddress, SecurityContext};

use crate::xml::NAMESPACE;

/// Far beyond any real description; a domain with 4000 disks has less.
const MAX_BYTES: usize = 4 << 20;
const MAX_NODES: u32 = 200_000;

/// Parses a description.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it has {} bytes of XML", text.len()));
    }
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| error.to_string())
}

fn children<'a, 'i>(node: Node<'a, 'i>, tag: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |n| n.has_tag_name(tag))
}

fn child<'a, 'i>(node: Node<'a, 'i>, tag: &'static str) -> Option<Node<'a, 'i>> {
    children(node, tag).next()
}

/// The static or running SELinux context of a domain.
pub(crate) fn selinux_label(domain: &Document<'_>) -> Option<SecurityContext> {
    let root = domain.root_element();
    let text = children(root, "seclabel")
        .filter(|n| n.attribute("model") == Some("selinux"))
        .find_map(|n| child(n, "label")?.text())?;
    text.trim().parse().ok()
}

/// The terminal on the host of a running domain's first console.
pub(crate) fn console(domain: &Document<'_>) -> Option<PathBuf> {
    let devices = child(domain.root_element(), "devices")?;
    let console = child(devices, "console")?;
    let tty = console
        .attribute("tty")
        .or_else(|| child(console, "source")?.attribute("path"))?;
    tty.starts_with("/dev/pts/").then(|| PathBuf::from(tty))
}

/// What a domain uses of a network.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) macs: Vec<MacAddress>,
    /// Interfaces on the network, with or without an address.
    pub(crate) interfaces: usize,
}

/// Adds what a domain's interfaces on the network use: those that libvirt made, and those that it is
/// told of in the domain's metadata.
pub(crate) fn add_usage(domain: &Document<'_>, network: &str, usage: &mut Usage) {
    for interface in noted(domain).filter(|n| n.attribute("network") == Some(network)) {
        usage.interfaces += 1;
        let address = interface.attribute("address");
        usage
            .addresses
            .extend(address.and_then(|a| a.parse::<Ipv4Addr>().ok()));
        usage.macs.extend(interface.attribute("mac").and_then(mac));
    }
    let devices = child(domain.root_element(), "devices");
    for interface in devices.into_iter().flat_map(|d| children(d, "interface")) {
        let on_network = child(interface, "source")
            .is_some_and(|source| source.attribute("network") == Some(network));
        if !on_network {
            continue;
        }
        usage.interfaces += 1;
        let address = |n: Node<'_, '_>| n.attribute("address").map(str::to_owned);
        usage
            .addresses
            .extend(children(interface, "ip").filter_map(|n| address(n)?.parse::<Ipv4Addr>().ok()));
        usage
            .macs
            .extend(children(interface, "mac").filter_map(|n| mac(&address(n)?)));
    }
}

/// The interfaces that libvirt is only told of: the runner makes them.
fn noted<'a, 'input>(domain: &'a Document<'input>) -> impl Iterator<Item = Node<'a, 'input>> {
    let ours = |tag| (NAMESPACE, tag);
    let marks = child(domain.root_element(), "metadata")
        .into_iter()
        .flat_map(move |n| {
            n.children()
                .filter(move |n| n.has_tag_name(ours("sandbox")))
        });
    marks.flat_map(move |n| {
        n.children()
            .filter(move |n| n.has_tag_name(ours("interface")))
    })
}

/// Whether the domain's first process waits for an interface of the runner's.
pub(crate) fn awaits_interface(domain: &Document<'_>) -> bool {
    noted(domain).next().is_some()
}

/// A MAC address, in capitals or not.
pub(crate) fn mac(text: &str) -> Option<MacAddress> {
    text.to_ascii_lowercase().parse().ok()
}

/// What a network's own description says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NetworkXml {
    pub(crate) name: String,
    pub(crate) uuid: Option<String>,
    /// `nat`, `route` and the like; `None` where it leads nowhere.
    pub(crate) forward: Option<String>,
    pub(crate) bridge: Option<String>,
    /// The host's address on it and the length of its network part.
    pub(crate) address: Option<(Ipv4Addr, u8)>,
    pub(crate) ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
    pub(crate) hosts: Vec<Ipv4Addr>,
    pub(crate) macs: Vec<MacAddress>,
    /// Whether a container needs nothing but a port of the bridge: no share of a bandwidth, VLAN or
    /// profile, no other length of packets, no table of addresses that libvirt keeps.
    pub(crate) is_plain: bool,
}

/// Elements of a network that say nothing of how its ports are to be made.
const OF_THE_HOST: [&str; 12] = [
    "bridge",
    "description",
    "dns",
    "domain",
    "forward",
    "ip",
    "mac",
    "metadata",
    "name",
    "route",
    "title",
    "uuid",
];
/// Ways for a network to lead on that have a bridge of libvirt's own; without one, it leads nowhere.
const WITH_OWN_BRIDGE: [&str; 3] = ["nat", "open", "route"];

fn is_plain(network: Node<'_, '_>) -> bool {
    let is_known = |n: Node<'_, '_>| {
        // in a namespace are options for dnsmasq
        n.tag_name().namespace().is_some() || OF_THE_HOST.contains(&n.tag_name().name())
    };
    let bridge = child(network, "bridge");
    let keeps_table = bridge.and_then(|n| n.attribute("macTableManager"));
    let mode = child(network, "forward").map(|n| n.attribute("mode").unwrap_or("nat"));
    network.children().filter(Node::is_element).all(is_known)
        && keeps_table.is_none_or(|manager| manager == "kernel")
        && mode.is_none_or(|mode| WITH_OWN_BRIDGE.contains(&mode))
}

/// Reads a network (<https://libvirt.org/formatnetwork.html>).
pub(crate) fn network(text: &str) -> Result<NetworkXml, String> {
    let document = parse(text)?;
    let root = document.root_element();
    if !root.has_tag_name("network") {
        return Err(format!("it is a <{}>", root.tag_name().name()));
    }
    let text_of = |tag| {
        child(root, tag)
            .and_then(|n| n.text())
            .map(|t| t.trim().to_owned())
    };
    let mut read = NetworkXml {
        name: text_of("name").ok_or("it has no name")?,
        uuid: text_of("uuid"),
        forward: child(root, "forward").map(|n| n.attribute("mode").unwrap_or("nat").to_owned()),
        bridge: child(root, "bridge")
            .and_then(|n| n.attribute("name"))
            .map(str::to_owned),
        address: None,
        ranges: Vec::new(),
        hosts: Vec::new(),
        macs: Vec::new(),
        is_plain: is_plain(root),
    };
    let is_v4 = |n: &Node<'_, '_>| matches!(n.attribute("family"), None | Some("ipv4"));
    for ip in children(root, "ip").filter(is_v4) {
        if read.address.is_none() {
            read.address = address(ip);
        }
        for dhcp in children(ip, "dhcp") {
            read_dhcp(dhcp, &mut read);
        }
    }
    Ok(read)
}

fn address(ip: Node<'_, '_>) -> Option<(Ipv4Addr, u8)> {
    let address: Ipv4Addr = ip.attribute("address")?.parse().ok()?;
    let prefix: u32 = match (ip.attribute("prefix"), ip.attribute("netmask")) {
        (Some(prefix), _) => prefix.parse().ok()?,
        (None, Some(mask)) => {
            let mask = u32::from(mask.parse::<Ipv4Addr>().ok()?);
            // A mask with holes has no prefix.
            (mask.leading_ones() == mask.count_ones()).then(|| mask.leading_ones())?
        }
        // libvirt's default is that of the address's class.
        (None, None) => match address.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            _ => 24,
        },
    };
    let prefix = u8::try_from(prefix).ok()?;
    (1..32).contains(&prefix).then_some((address, prefix))
}

fn read_dhcp(dhcp: Node<'_, '_>, read: &mut NetworkXml) {
    let parsed = |n: &Node<'_, '_>, key| n.attribute(key).and_then(|a| a.parse().ok());
    for range in children(dhcp, "range") {
        if let (Some(start), Some(end)) = (parsed(&range, "start"), parsed(&range, "end")) {
            read.ranges.push((start, end));
        }
    }
    for host in children(dhcp, "host") {
        read.hosts.extend(parsed(&host, "ip"));
        read.macs.extend(host.attribute("mac").and_then(mac));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "<network connections='1'>
      <name>default</name><uuid>b1d2f6a5-0000-4000-8000-000000000001</uuid>
      <forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>
      <bridge name='virbr0' stp='on' delay='0'/>
      <ip family='ipv6' address='fd00::1' prefix='64'/>
      <ip address='192.168.122.1' netmask='255.255.255.0'>
        <dhcp><range start='192.168.122.2' end='192.168.122.254'/>
          <host mac='52:54:00:AA:00:01' name='a' ip='192.168.122.9'/></dhcp>
      </ip></network>";

    #[test]
    fn a_network_is_read() {
        let read = network(DEFAULT).unwrap();
        let ip = |n| Ipv4Addr::new(192, 168, 122, n);
        assert_eq!(read.name, "default");
        assert_eq!(read.bridge.as_deref(), Some("virbr0"));
        assert_eq!(read.address, Some((ip(1), 24)));
        assert_eq!(read.ranges, [(ip(2), ip(254))]);
        assert_eq!(read.hosts, [ip(9)]);
        assert_eq!(read.macs, ["52:54:00:aa:00:01".parse().unwrap()]);
    }

    #[test]
    fn a_network_that_asks_more_than_a_port_is_told_from_a_plain_one() {
        let is_plain = |text: &str| network(text).unwrap().is_plain;
        assert!(is_plain(DEFAULT));
        assert!(is_plain(include_str!("../../../units/network.xml")));
        let with = |more: &str| is_plain(&format!("<network><name>n</name>{more}</network>"));
        assert!(with("<bridge name='b' macTableManager='kernel'/>"));
        assert!(with("<forward mode='open'/><ip address='10.0.0.1'/>"));
        for more in [
            "<bandwidth><inbound average='100'/></bandwidth>",
            "<mtu size='1400'/>",
            "<vlan><tag id='4'/></vlan>",
            "<virtualport type='openvswitch'/>",
            "<portgroup name='p' default='yes'/>",
            "<port isolated='yes'/>",
            "<bridge name='b' macTableManager='libvirt'/>",
            "<forward mode='bridge'/>",
            "<something-new/>",
        ] {
            assert!(!with(more), "{more}");
        }
    }

    #[test]
    fn an_odd_netmask_is_no_address() {
        let with = |ip: &str| network(&format!("<network><name>n</name>{ip}</network>"));
        let address = |ip: &str| with(ip).unwrap().address;
        assert_eq!(
            address("<ip address='10.1.2.3' netmask='255.0.255.0'/>"),
            None
        );
        assert_eq!(address("<ip address='10.1.2.3' prefix='99'/>"), None);
        assert_eq!(
            address("<ip address='10.1.2.3'/>"),
            Some((Ipv4Addr::new(10, 1, 2, 3), 8))
        );
        assert!(network("<domain/>").is_err());
    }

    #[test]
    fn a18_entities_are_not_expanded() {
        let bomb = "<!DOCTYPE n [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><network><name>&b;</name></network>";
        assert!(network(bomb).is_err());
        let external = "<!DOCTYPE n [<!ENTITY x SYSTEM 'file:///etc/shadow'>]><network><name>&x;</name></network>";
        assert!(network(external).is_err());
    }

    #[test]
    fn a18_a_description_has_a_greatest_size() {
        let long = format!("<network><name>{}</name></network>", "n".repeat(MAX_BYTES));
        assert!(network(&long).unwrap_err().contains("bytes of XML"));
        let many = format!("<network>{}</network>", "<a/>".repeat(300_000));
        assert!(network(&many).is_err());
        // The nesting of a hostile description must not exhaust the stack.
        let deep = format!("<network>{}", "<a>".repeat(100_000));
        assert!(network(&deep).is_err());
    }

    #[test]
    fn a25_the_selinux_label_is_found_among_others() {
        let domain = "<domain><seclabel type='static' model='dac'><label>+0:+0</label></seclabel>
          <seclabel type='static' model='selinux' relabel='no'><label>system_u:system_r:container_t:s0:c1,c2</label></seclabel></domain>";
        let document = parse(domain).unwrap();
        assert_eq!(
            selinux_label(&document).unwrap().to_string(),
            "system_u:system_r:container_t:s0:c1,c2"
        );
        let none = parse("<domain><seclabel type='none'/></domain>").unwrap();
        assert_eq!(selinux_label(&none), None);
    }

    #[test]
    fn a_domains_interfaces_on_a_network_are_found() {
        let domain = "<domain><devices>
          <interface type='network'><mac address='52:54:00:00:00:01'/><source network='n'/><ip address='10.0.0.5' family='ipv4' prefix='24'/><ip address='fe80::1' family='ipv6'/></interface>
          <interface type='network'><mac address='52:54:00:00:00:02'/><source network='other'/><ip address='10.1.0.5'/></interface>
        </devices></domain>";
        let mut usage = Usage::default();
        add_usage(&parse(domain).unwrap(), "n", &mut usage);
        assert_eq!(usage.addresses, [Ipv4Addr::new(10, 0, 0, 5)]);
        assert_eq!(usage.macs, ["52:54:00:00:00:01".parse().unwrap()]);
        assert_eq!(usage.interfaces, 1);
    }

    #[test]
    fn interfaces_that_libvirt_did_not_make_are_found() {
        let domain = "<domain><metadata><vss:sandbox xmlns:vss='urn:virt-sandbox:domain:1'>
            <vss:interface network='n' mac='52:54:00:00:00:01' address='10.0.0.5'/>
            <vss:interface network='other' mac='52:54:00:00:00:02' address='10.1.0.5'/>
          </vss:sandbox><interface network='n' address='10.0.0.7'/></metadata></domain>";
        assert!(awaits_interface(&parse(domain).unwrap()));
        let other = "<domain><metadata><interface/></metadata></domain>";
        assert!(!awaits_interface(&parse(other).unwrap()));
        let mut usage = Usage::default();
        add_usage(&parse(domain).unwrap(), "n", &mut usage);
        assert_eq!(usage.addresses, [Ipv4Addr::new(10, 0, 0, 5)]);
        assert_eq!(usage.macs, ["52:54:00:00:00:01".parse().unwrap()]);
        assert_eq!(usage.interfaces, 1);
    }
}
