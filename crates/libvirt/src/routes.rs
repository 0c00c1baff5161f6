//! Whether a range of addresses is used on the host already.
//!
//! libvirt refuses to start a network only where another route has the very same destination and
//! mask. A network inside of, or around, one that the host is connected to would start, and cut
//! the host off from some of it.

use std::net::Ipv4Addr;

#[derive(Debug, PartialEq, Eq)]
struct Route {
    interface: String,
    destination: u32,
    prefix: u32,
    /// 0.0.0.0 where the destination is connected directly.
    gateway: u32,
}

/// Reads `/proc/net/route` (route(8)): numbers in hexadecimal, in the machine's byte order of an
/// address in network byte order.
fn parse(table: &str) -> Vec<Route> {
    let number = |field: &str| {
        let raw = u32::from_str_radix(field, 16).ok()?;
        Some(u32::from_be_bytes(raw.to_ne_bytes()))
    };
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some(Route {
            interface: (*fields.first()?).to_owned(),
            destination: number(fields.get(1)?)?,
            gateway: number(fields.get(2)?)?,
            prefix: number(fields.get(7)?)?.leading_ones(),
        })
    };
    table.lines().skip(1).filter_map(route).collect()
}

fn covers(network: u32, prefix: u32, address: u32) -> bool {
    let shift = 32 - prefix;
    network.checked_shr(shift) == address.checked_shr(shift)
}

/// The route that the range would take something from: one that lies inside of it, or one of a
/// directly connected network around it. A wider route through a router is not one: a default
/// route is like that.
fn collide(routes: &[Route], address: Ipv4Addr, prefix: u8, own: &str) -> Option<String> {
    let (address, prefix) = (u32::from(address), u32::from(prefix));
    let hit = routes.iter().filter(|r| r.interface != own).find(|r| {
        let inside = r.prefix >= prefix && covers(address, prefix, r.destination);
        let around = r.prefix > 0 && r.gateway == 0 && covers(r.destination, r.prefix, address);
        inside || around
    })?;
    Some(format!(
        "the interface {} with {}/{}",
        hit.interface,
        Ipv4Addr::from(hit.destination),
        hit.prefix
    ))
}

/// Who on the host uses addresses of this range already, the interface `own` aside.
pub(crate) fn collision(address: Ipv4Addr, prefix: u8, own: &str) -> Option<String> {
    // Without procfs, libvirt's own check remains.
    let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    collide(&parse(&table), address, prefix, own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(interface: &str, destination: [u8; 4], gateway: [u8; 4], prefix: u32) -> String {
        let hex = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0).to_be_bytes();
        format!(
            "{interface}\t{}\t{}\t0001\t0\t0\t0\t{}\t0\t0\t0\n",
            hex(destination),
            hex(gateway),
            hex(mask)
        )
    }

    fn hit(line: &str) -> Option<String> {
        let table = format!("Iface\tDestination\tGateway\n{line}");
        collide(&parse(&table), Ipv4Addr::new(10, 9, 16, 1), 20, "own0")
    }

    #[test]
    fn a_network_of_the_host_within_or_around_the_range_collides() {
        let direct = [0; 4];
        let router = [192, 168, 0, 1];
        assert_eq!(
            hit(&line("eth0", [10, 9, 16, 0], direct, 20)).unwrap(),
            "the interface eth0 with 10.9.16.0/20"
        );
        assert!(hit(&line("eth0", [10, 9, 20, 0], router, 24)).is_some());
        assert!(hit(&line("eth0", [10, 0, 0, 0], direct, 8)).is_some());
        assert_eq!(hit(&line("vpn0", [10, 0, 0, 0], router, 8)), None);
        assert_eq!(hit(&line("eth0", [0; 4], router, 0)), None);
        assert_eq!(hit(&line("eth0", [10, 9, 32, 0], direct, 20)), None);
        assert_eq!(hit(&line("own0", [10, 9, 16, 0], direct, 20)), None);
    }
}
