//! The connection, and why there is none.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use virt::connect::Connect;
use virt::error::{ErrorNumber, clear_error_callback};

use crate::error::{Reply, Result};
use crate::uri::Uri;

/// How long a daemon that went away may take to come back: libvirtd restarts in under a second.
const RESTART: Duration = Duration::from_secs(5);

/// Why no connection to libvirt came about.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// libvirt's library is not installed, or is another one.
    #[error("libvirt is not installed: {why}")]
    NoLibrary {
        /// The dynamic linker's words.
        why: String,
    },
    /// No daemon has ever listened here since boot.
    #[error("libvirt is not running: its socket for {uri} does not exist")]
    NoSocket {
        /// What was to be opened.
        uri: Uri,
        /// What to run next.
        hint: String,
        /// libvirt's own words.
        source: Reply,
    },
    /// A socket is there, and nobody listens on it.
    #[error("libvirt is not running: nobody listens on its socket for {uri}")]
    NotListening {
        /// What was to be opened.
        uri: Uri,
        /// What to run next.
        hint: String,
        /// libvirt's own words.
        source: Reply,
    },
    /// The daemon has no LXC driver.
    #[error("the libvirt daemon has no LXC driver")]
    NoDriver {
        /// libvirt's own words.
        source: Reply,
    },
    /// The daemon refuses this user.
    #[error("libvirt does not let this user in")]
    Permission {
        /// libvirt's own words.
        source: Reply,
    },
    /// Something else.
    #[error("libvirt could not be reached at {uri}")]
    Unreachable {
        /// What was to be opened.
        uri: Uri,
        /// libvirt's own words.
        source: Reply,
    },
}

impl OpenError {
    /// What to run next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoLibrary { .. } => Some(format!("install it: {}", packages())),
            Self::NoSocket { hint, .. } | Self::NotListening { hint, .. } => Some(hint.clone()),
            Self::NoDriver { .. } => Some(format!(
                "install the driver and restart the daemon: {}",
                packages()
            )),
            Self::Permission { .. } => Some("run the command as root".to_owned()),
            Self::Unreachable { .. } => Some("try `virsh -c lxc:///system list`".to_owned()),
        }
    }

    fn classify(uri: &Uri, source: Reply, root: &Path) -> Self {
        let says = |text| source.message().contains(text);
        let uri = uri.clone();
        // The client's messages are English: nothing in this process calls setlocale.
        if source.is(ErrorNumber::NoConnect) {
            Self::NoDriver { source }
        } else if [
            ErrorNumber::AuthFailed,
            ErrorNumber::AuthCancelled,
            ErrorNumber::AuthUnavailable,
            ErrorNumber::AccessDenied,
        ]
        .into_iter()
        .any(|number| source.is(number))
            || says("Permission denied")
        {
            Self::Permission { source }
        } else if says("No such file or directory") {
            let hint = start_hint(root);
            Self::NoSocket { uri, hint, source }
        } else if says("Connection refused") {
            let hint = start_hint(root);
            Self::NotListening { uri, hint, source }
        } else {
            Self::Unreachable { uri, source }
        }
    }
}

fn packages() -> String {
    "`apt-get install libvirt-daemon-system libvirt-daemon-driver-lxc` on Debian, `dnf install libvirt-daemon-lxc libvirt-daemon-config-network` on Fedora".to_owned()
}

/// How a daemon is started on the host with this root: the modular one where it is installed, else
/// the monolithic one.
fn start_hint(root: &Path) -> String {
    let installed = |daemon: &str| {
        ["usr/sbin", "usr/bin"]
            .iter()
            .any(|dir| root.join(dir).join(daemon).exists())
    };
    let Some(daemon) = ["virtlxcd", "libvirtd"].into_iter().find(|d| installed(d)) else {
        return format!("install libvirt: {}", packages());
    };
    // sd_booted(3)
    if root.join("run/systemd/system").is_dir() {
        format!("run `systemctl enable --now {daemon}.socket`")
    } else {
        format!("run `virtlogd -d; {daemon} -d`")
    }
}

/// libvirt's LXC driver on this machine.
///
/// A connection that broke because the daemon restarted is opened anew by the call that notices.
#[derive(Debug)]
pub struct Libvirt {
    uri: Uri,
    connection: Mutex<Connect>,
}

impl Libvirt {
    /// Connects.
    ///
    /// # Errors
    /// Where there is no daemon, no LXC driver, or no permission.
    pub fn open(uri: &Uri) -> Result<Self, OpenError> {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        crate::library::load()?;
        // Else libvirt writes each error to stderr by itself.
        clear_error_callback();
        Ok(Self {
            uri: uri.clone(),
            connection: Mutex::new(connect(uri)?),
        })
    }

    /// The connection as it is, perhaps broken.
    pub(crate) fn connection(&self) -> Connect {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Opens anew if the connection broke, and says whether it did. Waits for a daemon that
    /// restarts.
    pub(crate) fn reopened(&self) -> Result<bool> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if connection.is_alive().unwrap_or(false) {
            return Ok(false);
        }
        let begin = Instant::now();
        *connection = loop {
            match connect(&self.uri) {
                Ok(new) => break new,
                Err(OpenError::NoSocket { .. } | OpenError::NotListening { .. })
                    if begin.elapsed() < RESTART =>
                {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(error.into()),
            }
        };
        tracing::info!("the connection to libvirt broke and was opened anew");
        Ok(true)
    }

    /// Asks something that may be asked twice: again, where the connection broke over it.
    pub(crate) fn ask<T>(&self, question: impl Fn(&Connect) -> Result<T>) -> Result<T> {
        match question(&self.connection()) {
            Err(error) => {
                if self.reopened()? {
                    question(&self.connection())
                } else {
                    Err(error)
                }
            }
            answer => answer,
        }
    }
}

fn connect(uri: &Uri) -> Result<Connect, OpenError> {
    Connect::open(Some(uri.as_str()))
        .map_err(|error| OpenError::classify(uri, error.into(), Path::new("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a47_a_missing_daemon_is_told_from_one_that_does_not_listen() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("sock");
        let uri: Uri = format!("lxc:///system?socket={}", socket.display())
            .parse()
            .unwrap();
        let missing = Libvirt::open(&uri).unwrap_err();
        assert!(matches!(missing, OpenError::NoSocket { .. }), "{missing:?}");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let refused = Libvirt::open(&uri).unwrap_err();
        assert!(
            matches!(refused, OpenError::NotListening { .. }),
            "{refused:?}"
        );
    }

    #[test]
    fn a47_the_hint_names_the_daemon_that_is_installed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert!(start_hint(root).contains("apt-get install"));
        std::fs::create_dir_all(root.join("usr/sbin")).unwrap();
        std::fs::write(root.join("usr/sbin/libvirtd"), "").unwrap();
        assert_eq!(start_hint(root), "run `virtlogd -d; libvirtd -d`");
        std::fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        assert_eq!(
            start_hint(root),
            "run `systemctl enable --now libvirtd.socket`"
        );
        std::fs::write(root.join("usr/sbin/virtlxcd"), "").unwrap();
        assert_eq!(
            start_hint(root),
            "run `systemctl enable --now virtlxcd.socket`"
        );
    }
}
