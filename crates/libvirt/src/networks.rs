//! Networks: what is known of one, and having one up.

use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use virt::connect::Connect;
use virt::error::ErrorNumber;
use virt::network::Network;
use vss_model::installed::NETWORK;
use vss_model::{MacAddress, NetworkChoice, Uuid};

use crate::connection::Libvirt;
use crate::error::{Error, Reply, Result, refused};
use crate::{domains, leases, read, routes};

/// The UUID in the shipped `network.xml`, which tells the project's own network from one that an
/// administrator defined under the same name.
pub const OWN_UUID: Uuid = Uuid::from_u128(0x6d0f_3c5b_52f1_4c0e_9a87_9d1d_0b7f_2ac4);

/// How often the own network is defined where somebody else takes it away each time.
const ATTEMPTS: u32 = 3;

/// More than any network definition by hand.
const MAX_FILE: u64 = 1 << 20;

/// What is known of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Its UUID.
    pub uuid: Uuid,
    /// Whether it is up.
    pub active: bool,
    /// The name of its bridge on the host; empty while libvirt hasn't chosen one.
    pub bridge: String,
    /// The host's address on the bridge, which is the network's DNS server too.
    pub gateway: Ipv4Addr,
    /// Bits of the network part, 1 to 31.
    pub prefix: u8,
    /// Addresses that somebody has: the host, static DHCP entries, leases, domains that run or
    /// are defined. In order, each once.
    pub in_use: Vec<Ipv4Addr>,
    /// What DHCP may give away at any time, first and last address of each range. On libvirt's
    /// `default` that is the whole network.
    pub dhcp_ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Hardware addresses of static DHCP entries, leases and domains. In order, each once.
    pub macs: Vec<MacAddress>,
}

/// Why a network can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It doesn't exist.
    #[error("there is no libvirt network {name}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// It is not up, and not this project's to start.
    #[error("the libvirt network {name} is not active")]
    Inactive {
        /// Its name.
        name: String,
    },
    /// It has no IPv4 address of its own, such as one that is bridged to the host's network.
    #[error("the libvirt network {name} has no IPv4 address of its own to give its containers one")]
    NoIpv4 {
        /// Its name.
        name: String,
    },
    /// Another interface or route of the host has its addresses.
    #[error("the addresses of the libvirt network {name} are already used on this host by {user}")]
    Collision {
        /// Its name.
        name: String,
        /// The interface or route.
        user: String,
    },
    /// The shipped definition can't be read.
    #[error("the network definition {path} can't be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The shipped definition isn't one of this network.
    #[error("the network definition {path} can't be used: {reason}")]
    Definition {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// libvirt refuses or doesn't answer.
    #[error(transparent)]
    Libvirt(#[from] Error),
}

impl NetworkError {
    /// What to run next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("see `virsh -c lxc:///system net-list --all`".to_owned()),
            Self::Inactive { name } => {
                Some(format!("run `virsh -c lxc:///system net-start {name}`"))
            }
            Self::NoIpv4 { .. } => Some("choose another network with -N source=NET".to_owned()),
            Self::Collision { name, .. } => Some(format!(
                "copy {NETWORK}, give its <ip> another range and `virsh -c lxc:///system net-define` it: an existing network {name} is used as it is"
            )),
            Self::File { .. } | Self::Definition { .. } => {
                Some("install virt-sandbox-service again".to_owned())
            }
            Self::Libvirt(Error::Open(error)) => error.hint(),
            Self::Libvirt(_) => None,
        }
    }
}

/// libvirt's virtual networks.
pub trait Networks {
    /// What is known of a network; `None` where it doesn't exist.
    ///
    /// # Errors
    /// Where it has no IPv4 address, or libvirt doesn't answer.
    fn info(&self, name: &str) -> Result<Option<NetworkInfo>, NetworkError>;

    /// Has a network up. The project's own is defined from the file on its first use and started
    /// where it isn't; any other has to be up already. Several callers at once are fine. The outcome
    /// is the network's bridge on the host, where a container needs nothing but a port of it, and
    /// `None` where libvirt has to make its interface: a network may have a bandwidth, VLANs, a
    /// profile of its ports.
    ///
    /// # Errors
    /// Where the network isn't up in the end.
    fn ensure(&self, name: &str, definition: &Path) -> Result<Option<String>, NetworkError>;

    /// Takes the project's own network away, if it is as the file defines it and no domain is on it:
    /// one that an administrator gave other addresses is theirs. Says whether it was taken away. To
    /// be called under the caller's lock, when no sandbox needs the network any more.
    ///
    /// # Errors
    /// Where libvirt refuses or doesn't answer.
    fn release(&self, definition: &Path) -> Result<bool, NetworkError>;
}

fn lookup(connection: &Connect, name: &str) -> Result<Option<Network>> {
    match connection.lookup_network_by_name(name).map_err(Reply::from) {
        Ok(network) => Ok(Some(network)),
        Err(source) if source.is(ErrorNumber::NoNetwork) => Ok(None),
        Err(source) => Err(Error::Refused {
            action: format!("look for the network {name}"),
            source,
        }),
    }
}

fn is_active(network: &Network) -> Result<bool> {
    network
        .is_active()
        .map_err(refused("tell whether a network is active"))
}

/// What was asked of a network that was found; `None` where it is gone since, as another command
/// may have taken it away.
fn unless_gone<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(Error::Refused { source, .. }) if source.is(ErrorNumber::NoNetwork) => Ok(None),
        other => other.map(Some),
    }
}

fn describe(network: &Network, name: &str) -> Result<read::NetworkXml> {
    let xml = network
        .xml_desc(0)
        .map_err(refused(format!("describe the network {name}")))?;
    read::network(&xml).map_err(|reason| Error::Answer {
        object: format!("the network {name}"),
        reason,
    })
}

/// What all domains of this driver use of a network. What other drivers' domains use is in its
/// leases and static entries.
fn usage(connection: &Connect, name: &str) -> Result<read::Usage> {
    let mut usage = read::Usage::default();
    let domains = connection
        .list_all_domains(0)
        .map_err(refused("list the domains"))?;
    for domain in &domains {
        let Some(xml) = domains::description(domain)? else {
            continue;
        };
        match read::parse(&xml) {
            Ok(document) => read::add_usage(&document, name, &mut usage),
            Err(reason) => {
                return Err(Error::Answer {
                    object: "a domain".to_owned(),
                    reason,
                });
            }
        }
    }
    Ok(usage)
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items.dedup();
    items
}

/// The shipped definition, checked to be of the network that is wanted.
fn definition(path: &Path, name: &str) -> Result<(String, read::NetworkXml), NetworkError> {
    let file = |source| NetworkError::File {
        path: path.to_owned(),
        source,
    };
    let wrong = |reason: String| NetworkError::Definition {
        path: path.to_owned(),
        reason,
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|f| f.take(MAX_FILE).read_to_string(&mut text))
        .map_err(file)?;
    let xml = read::network(&text).map_err(wrong)?;
    if xml.name != name {
        return Err(wrong(format!("it defines the network {:?}", xml.name)));
    }
    Ok((text, xml))
}

/// The host's address and the bits of the network part in a network's shipped definition: what the
/// network will have once it is defined.
///
/// # Errors
/// Where the file can't be read or is no definition of that network.
pub fn shipped_address(path: &Path, name: &str) -> Result<(Ipv4Addr, u8), NetworkError> {
    let (_, xml) = definition(path, name)?;
    xml.address.ok_or_else(|| NetworkError::NoIpv4 {
        name: name.to_owned(),
    })
}

impl Libvirt {
    /// Whether a network is up; `None` where it doesn't exist.
    pub(crate) fn is_network_active(&self, name: &str) -> Result<Option<bool>> {
        self.ask(|connection| match lookup(connection, name)? {
            Some(network) => unless_gone(is_active(&network)),
            None => Ok(None),
        })
    }

    fn network(&self, name: &str) -> Result<Option<Network>> {
        self.ask(|connection| lookup(connection, name))
    }

    /// The own network, defined. Where two callers define at once, one of them fails and finds the
    /// other's.
    fn defined(&self, name: &str, path: &Path) -> Result<Network, NetworkError> {
        if let Some(network) = self.network(name)? {
            return Ok(network);
        }
        let (text, _) = definition(path, name)?;
        let defined = self.connection().define_network_xml(&text);
        match defined {
            Ok(network) => Ok(network),
            Err(error) => {
                self.reopened()?;
                let refusal = refused(format!("define the network {name}"))(error);
                self.network(name)?.ok_or_else(|| refusal.into())
            }
        }
    }

    /// Starts the own network, and describes it: `None` where it was taken away meanwhile. Where two
    /// callers start at once, one of them fails and finds it up.
    fn started(
        &self,
        name: &str,
        network: &Network,
    ) -> Result<Option<read::NetworkXml>, NetworkError> {
        let Some((active, xml)) = unless_gone(seen(network, name))? else {
            return Ok(None);
        };
        if active {
            return Ok(Some(xml));
        }
        if let Some((address, prefix)) = xml.address {
            let own = xml.bridge.as_deref().unwrap_or_default();
            if let Some(user) = routes::collision(address, prefix, own) {
                // The other caller's bridge may have got its address just now.
                if self.is_network_active(name)? == Some(true) {
                    return Ok(Some(xml));
                }
                return Err(NetworkError::Collision {
                    name: name.to_owned(),
                    user,
                });
            }
        }
        match network.create() {
            Ok(()) => Ok(Some(xml)),
            Err(error) => {
                self.reopened()?;
                match self.is_network_active(name)? {
                    Some(true) => Ok(Some(xml)),
                    Some(false) => Err(refused(format!("start the network {name}"))(error).into()),
                    None => Ok(None),
                }
            }
        }
    }
}

/// Whether a network is up, and what it is.
fn seen(network: &Network, name: &str) -> Result<(bool, read::NetworkXml)> {
    Ok((is_active(network)?, describe(network, name)?))
}

/// The bridge, where a container needs nothing but a port of it.
fn port_of(network: read::NetworkXml) -> Option<String> {
    network.bridge.filter(|_| network.is_plain)
}

/// What [`Networks::info`] asks libvirt.
struct Known {
    uuid: Uuid,
    active: bool,
    xml: read::NetworkXml,
    leases: Vec<leases::Lease>,
    usage: read::Usage,
}

fn known(connection: &Connect, network: &Network, name: &str) -> Result<Known> {
    let active = is_active(network)?;
    Ok(Known {
        uuid: network.uuid().map_err(refused("identify a network"))?,
        active,
        xml: describe(network, name)?,
        leases: if active {
            // A network without DHCP has none, and some drivers don't know.
            leases::of(network).unwrap_or_default()
        } else {
            Vec::new()
        },
        usage: usage(connection, name)?,
    })
}

impl Networks for Libvirt {
    fn info(&self, name: &str) -> Result<Option<NetworkInfo>, NetworkError> {
        let known = self.ask(|connection| match lookup(connection, name)? {
            Some(network) => unless_gone(known(connection, &network, name)),
            None => Ok(None),
        })?;
        let Some(Known {
            uuid,
            active,
            xml,
            leases,
            usage,
        }) = known
        else {
            return Ok(None);
        };
        let (gateway, prefix) = xml.address.ok_or_else(|| NetworkError::NoIpv4 {
            name: name.to_owned(),
        })?;
        let addresses = leases.iter().filter_map(|l| l.address);
        let macs = leases.iter().filter_map(|l| l.mac);
        Ok(Some(NetworkInfo {
            uuid,
            active,
            bridge: xml.bridge.unwrap_or_default(),
            gateway,
            prefix,
            in_use: sorted(
                addresses
                    .chain([gateway])
                    .chain(xml.hosts)
                    .chain(usage.addresses),
            ),
            dhcp_ranges: xml.ranges,
            macs: sorted(macs.chain(xml.macs).chain(usage.macs)),
        }))
    }

    fn ensure(&self, name: &str, definition: &Path) -> Result<Option<String>, NetworkError> {
        if name == NetworkChoice::OWN {
            for _ in 0..ATTEMPTS {
                let network = self.defined(name, definition)?;
                if let Some(xml) = self.started(name, &network)? {
                    return Ok(port_of(xml));
                }
            }
        }
        let found = self.ask(|connection| match lookup(connection, name)? {
            Some(network) => unless_gone(seen(&network, name)),
            None => Ok(None),
        })?;
        let name = name.to_owned();
        match found {
            None => Err(NetworkError::Missing { name }),
            Some((false, _)) => Err(NetworkError::Inactive { name }),
            Some((true, xml)) => Ok(port_of(xml)),
        }
    }

    fn release(&self, definition: &Path) -> Result<bool, NetworkError> {
        let name = NetworkChoice::OWN;
        let Ok((_, shipped)) = self::definition(definition, name) else {
            return Ok(false);
        };
        let released = self.ask(|connection| {
            let Some(network) = lookup(connection, name)? else {
                return Ok(false);
            };
            if describe(&network, name)? != shipped || usage(connection, name)?.interfaces > 0 {
                return Ok(false);
            }
            if is_active(&network)? {
                network
                    .destroy()
                    .map_err(refused(format!("stop the network {name}")))?;
            }
            match network.undefine().map_err(Reply::from) {
                Ok(()) => Ok(true),
                Err(source) if source.is(ErrorNumber::NoNetwork) => Ok(true),
                Err(source) => Err(Error::Refused {
                    action: format!("undefine the network {name}"),
                    source,
                }),
            }
        })?;
        Ok(released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../units/network.xml")
    }

    #[test]
    fn the_shipped_network_is_what_the_code_takes_it_for() {
        let (text, xml) = definition(&shipped(), NetworkChoice::OWN).unwrap();
        assert_eq!(xml.uuid, Some(OWN_UUID.to_string()));
        assert!(text.contains("stp='off' delay='0'"));
        assert!(xml.ranges.is_empty(), "no DHCP");
        let (_, prefix) = xml.address.unwrap();
        assert!(prefix <= 21, "room for two thousand containers");
        assert!(xml.bridge.unwrap().len() <= 15, "IFNAMSIZ");
    }

    /// libvirt's own test driver, which is part of the library and needs no daemon.
    #[test]
    fn a_network_that_goes_after_it_was_found_is_none() {
        crate::library::load().unwrap();
        let connection = Connect::open(Some("test:///default")).unwrap();
        let network = lookup(&connection, "default").unwrap().unwrap();
        assert_eq!(unless_gone(is_active(&network)).unwrap(), Some(true));
        let other = lookup(&connection, "default").unwrap().unwrap();
        other.destroy().unwrap();
        other.undefine().unwrap();
        assert_eq!(unless_gone(is_active(&network)).unwrap(), None);
        let described = unless_gone(describe(&network, "default")).unwrap();
        assert!(described.is_none());
        assert!(
            unless_gone(known(&connection, &network, "default"))
                .unwrap()
                .is_none()
        );
        let other_error = Error::Answer {
            object: "x".to_owned(),
            reason: "y".to_owned(),
        };
        assert!(unless_gone::<()>(Err(other_error)).is_err());
    }

    #[test]
    fn another_definition_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network.xml");
        let error = || definition(&path, NetworkChoice::OWN).unwrap_err();
        assert!(matches!(error(), NetworkError::File { .. }));
        std::fs::write(&path, "<network><name>default</name></network>").unwrap();
        assert!(matches!(error(), NetworkError::Definition { .. }));
        std::fs::write(&path, "not XML").unwrap();
        assert!(matches!(error(), NetworkError::Definition { .. }));
    }
}
