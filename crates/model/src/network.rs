//! How a container is connected.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What `-N` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkChoice {
    /// An interface on the project's own network.
    #[default]
    Default,
    /// An interface on the libvirt network of this name (`source=NET`).
    Source(String),
    /// Loopback only.
    None,
}

/// Why a text is no network choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkChoiceError {
    /// Not one of the forms.
    #[error("{0:?} is no network option: give source=NET or none")]
    Form(String),
    /// The name is empty or has characters that libvirt network names don't have.
    #[error("{0:?} is no name of a libvirt network")]
    Name(String),
}

impl NetworkChoice {
    /// The name of the project's own libvirt network.
    pub const OWN: &'static str = "virt-sandbox";

    /// The libvirt network, unless there is none.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Default => Some(Self::OWN),
            Self::Source(name) => Some(name),
            Self::None => None,
        }
    }
}

impl FromStr for NetworkChoice {
    type Err = NetworkChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::None);
        }
        let name = text
            .strip_prefix("source=")
            .ok_or_else(|| NetworkChoiceError::Form(text.to_owned()))?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.starts_with('-') || !name.chars().all(allowed) {
            return Err(NetworkChoiceError::Name(name.to_owned()));
        }
        Ok(Self::Source(name.to_owned()))
    }
}

/// A unicast MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

/// Why a text is no unicast MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no unicast MAC address of the form 52:54:00:12:34:56")]
pub struct MacError(String);

impl MacAddress {
    /// An address in the range that libvirt and QEMU use, `52:54:00`, with these last three bytes.
    #[must_use]
    pub fn libvirt(tail: [u8; 3]) -> Self {
        Self([0x52, 0x54, 0x00, tail[0], tail[1], tail[2]])
    }

    /// Its bytes, in the order in which they are sent and written.
    #[must_use]
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || MacError(text.to_owned());
        let mut bytes = [0u8; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(error)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() || bytes[0] & 1 == 1 || bytes == [0; 6] {
            return Err(error());
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a container is given: all of it is reserved at create, so that no DHCP client is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The libvirt network.
    pub network: String,
    /// The interface's address on the wire.
    pub mac: MacAddress,
    /// The container's IPv4 address.
    pub address: Ipv4Addr,
    /// Bits of the network part, 1 to 31.
    pub prefix: u8,
    /// The default route, which is the host on the network's bridge and its DNS server too.
    pub gateway: Ipv4Addr,
}
