//! The connection, and why there is none.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use virt::connect::Connect;
use virt::error::{ErrorNumber, clear_error_callback};

use crate::error::{Reply, Result};
use crate::uri::Uri;

/// How long a daemon that went away may take to come back. libvirtd restarts in under a second, and
/// takes longer where it has many domains and networks to look after first.
const RESTART: Duration = Duration::from_secs(30);

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a connection may break over one question: a daemon that is about to end still accepts,
/// and one that each time ends over the question is not to be asked for ever.
const BREAKS: u32 = 3;

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
    /// The daemon let go of the connection before it was one, as it does when it ends.
    #[error("the libvirt daemon hung up on a connection to {uri}")]
    HungUp {
        /// What was to be opened.
        uri: Uri,
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
            Self::HungUp { .. } | Self::Unreachable { .. } => {
                Some("try `virsh -c lxc:///system list`".to_owned())
            }
        }
    }

    /// Whether it may be that the daemon is just restarting.
    fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::NoSocket { .. } | Self::NotListening { .. } | Self::HungUp { .. }
        )
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
        } else if HANGING_UP.into_iter().any(says) {
            Self::HungUp { uri, source }
        } else {
            Self::Unreachable { uri, source }
        }
    }
}

/// What the client says where the other end of its socket is closed.
const HANGING_UP: [&str; 4] = [
    "End of file while reading data",
    "Connection reset by peer",
    "Broken pipe",
    "socket is closed",
];

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
    /// Whether a daemon was waited for in vain. It is tried once by each call from then on, until it
    /// is back: who asks many things would wait for each.
    missed: AtomicBool,
}

impl Libvirt {
    /// Connects. Where there is no daemon that fails at once; one that hangs up is taken to restart,
    /// and waited for.
    ///
    /// # Errors
    /// Where there is no daemon, no LXC driver, or no permission.
    pub fn open(uri: &Uri) -> Result<Self, OpenError> {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        crate::library::load()?;
        // Else libvirt writes each error to stderr by itself.
        clear_error_callback();
        let connection = match connect(uri) {
            Err(OpenError::HungUp { .. }) => reconnect(uri, RESTART)?,
            outcome => outcome?,
        };
        Ok(Self {
            uri: uri.clone(),
            connection: Mutex::new(connection),
            missed: AtomicBool::new(false),
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
        let patience = match self.missed.load(Ordering::Relaxed) {
            false => RESTART,
            true => Duration::ZERO,
        };
        let new = reconnect(&self.uri, patience);
        self.missed.store(new.is_err(), Ordering::Relaxed);
        *connection = new?;
        tracing::info!("the connection to libvirt broke and was opened anew");
        Ok(true)
    }

    /// Asks something that may be asked twice: again, where the connection broke over it.
    pub(crate) fn ask<T>(&self, question: impl Fn(&Connect) -> Result<T>) -> Result<T> {
        let mut answer = question(&self.connection());
        for _ in 0..BREAKS {
            if answer.is_ok() || !self.reopened()? {
                break;
            }
            answer = question(&self.connection());
        }
        answer
    }
}

fn connect(uri: &Uri) -> Result<Connect, OpenError> {
    Connect::open(Some(uri.as_str()))
        .map_err(|error| OpenError::classify(uri, error.into(), Path::new("/")))
}

/// Connects to a daemon that was there a moment ago.
fn reconnect(uri: &Uri, patience: Duration) -> Result<Connect, OpenError> {
    let deadline = Instant::now() + patience;
    until_it_is_back(
        || connect(uri),
        || {
            let is_early = Instant::now() < deadline;
            if is_early {
                std::thread::sleep(PAUSE);
            }
            is_early
        },
    )
}

/// Tries until it works or fails with what no restart explains. `wait` says whether there is time
/// for another try.
fn until_it_is_back<T>(
    mut attempt: impl FnMut() -> Result<T, OpenError>,
    mut wait: impl FnMut() -> bool,
) -> Result<T, OpenError> {
    loop {
        match attempt() {
            Err(error) if error.is_passing() && wait() => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a47_a_missing_daemon_is_told_from_one_that_does_not_listen() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("sock");
        let uri = uri(&socket);
        let missing = Libvirt::open(&uri).unwrap_err();
        assert!(matches!(missing, OpenError::NoSocket { .. }), "{missing:?}");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let refused = Libvirt::open(&uri).unwrap_err();
        assert!(
            matches!(refused, OpenError::NotListening { .. }),
            "{refused:?}"
        );
    }

    fn uri(socket: &Path) -> Uri {
        format!("lxc:///system?socket={}", socket.display())
            .parse()
            .unwrap()
    }

    #[test]
    fn a47_a_daemon_that_hangs_up_is_tried_again_until_it_is_gone_or_back() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let accept = std::thread::spawn(move || {
            // whoever accepts without a word
            drop(listener.accept().unwrap());
            listener
        });
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        crate::library::load().unwrap();
        clear_error_callback();
        let hung_up = || connect(&uri(&socket)).map(drop).unwrap_err();
        let error = hung_up();
        assert!(matches!(error, OpenError::HungUp { .. }), "{error:?}");
        drop(accept.join().unwrap());

        let mut errors = vec![hung_up(), error];
        assert!(matches!(&errors[0], OpenError::NotListening { .. }));
        let mut waited = 0;
        let outcome = until_it_is_back(
            || errors.pop().map_or(Ok(7), Err),
            || {
                waited += 1;
                true
            },
        );
        assert_eq!((outcome.unwrap(), waited), (7, 2));
    }

    #[test]
    fn a47_what_no_restart_explains_or_lasts_too_long_fails() {
        let dir = tempfile::tempdir().unwrap();
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        crate::library::load().unwrap();
        clear_error_callback();
        let missing = || connect(&uri(&dir.path().join("sock"))).map(drop);
        let mut left = 3;
        let outcome = until_it_is_back(missing, || {
            left -= 1;
            left > 0
        });
        assert!(matches!(outcome, Err(OpenError::NoSocket { .. })));
        assert_eq!(left, 0);
        let source = match missing().unwrap_err() {
            OpenError::NoSocket { source, .. } => source,
            other => panic!("{other:?}"),
        };
        let refused = || {
            let source = source.clone();
            Err::<(), _>(OpenError::Permission { source })
        };
        assert!(until_it_is_back(refused, || panic!("it is not waited for")).is_err());
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
