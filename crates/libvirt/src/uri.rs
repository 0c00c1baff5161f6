//! Which libvirt to talk to.

use std::fmt;
use std::str::FromStr;

/// A connection URI of libvirt that names this machine's LXC driver.
///
/// ```
/// use vss_libvirt::Uri;
/// assert_eq!(Uri::default().to_string(), "lxc:///system");
/// assert!("lxc:///".parse::<Uri>().is_ok());
/// assert!("qemu:///system".parse::<Uri>().is_err());
/// assert!("lxc+ssh://host/system".parse::<Uri>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri(String);

/// Why a text is no URI that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// The URI has no scheme.
    #[error("{0:?} is no libvirt URI: give lxc:///system")]
    Form(String),
    /// Another driver.
    #[error(
        "the driver {driver:?} of {uri:?} is not supported: services run in libvirt's LXC containers, lxc:///system"
    )]
    Driver {
        /// The text.
        uri: String,
        /// Its scheme.
        driver: String,
    },
    /// The URI names another machine.
    #[error(
        "{0:?} names another machine: containers share this machine's /usr, so only lxc:///system is supported"
    )]
    Remote(String),
}

impl Default for Uri {
    fn default() -> Self {
        Self("lxc:///system".to_owned())
    }
}

impl Uri {
    /// The text for libvirt.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || UriError::Form(text.to_owned());
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(form());
        }
        let (scheme, rest) = text.split_once(':').ok_or_else(form)?;
        let (driver, transport) = match scheme.split_once('+') {
            Some((driver, transport)) => (driver, Some(transport)),
            None => (scheme, None),
        };
        if driver.is_empty() {
            return Err(form());
        }
        if driver != "lxc" {
            return Err(UriError::Driver {
                uri: text.to_owned(),
                driver: driver.to_owned(),
            });
        }
        let authority_and_path = rest.strip_prefix("//").ok_or_else(form)?;
        if !authority_and_path.starts_with('/') || transport.is_some_and(|t| t != "unix") {
            return Err(UriError::Remote(text.to_owned()));
        }
        let path = authority_and_path
            .split_once('?')
            .map_or(authority_and_path, |(path, _)| path);
        if !matches!(path, "/" | "/system") {
            return Err(form());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_lxc_driver_is_taken() {
        for good in [
            "lxc:///system",
            "lxc:///",
            "lxc+unix:///system",
            "lxc:///system?socket=/run/x",
        ] {
            assert!(good.parse::<Uri>().is_ok(), "{good}");
        }
        let error = |text: &str| text.parse::<Uri>().unwrap_err();
        assert!(matches!(error("qemu:///system"), UriError::Driver { .. }));
        assert!(matches!(error("lxc://host/system"), UriError::Remote(_)));
        assert!(matches!(error("lxc+ssh:///system"), UriError::Remote(_)));
        for bad in [
            "",
            "lxc",
            "lxc:",
            ":///",
            "lxc:///session",
            "lxc:///sys\ntem",
        ] {
            assert!(matches!(error(bad), UriError::Form(_)), "{bad:?}");
        }
    }
}
