//! What the host's systemd is told (sd_notify(3)), where it started this process.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use vss_model::Sanitized;

/// How often a text from inside is passed on at most.
const EVERY: Duration = Duration::from_millis(500);

/// The way to whoever waits for this process to be ready; it may lead nowhere.
#[derive(Debug)]
pub struct Upstream {
    address: Option<SocketAddr>,
    last: Option<Instant>,
    waiting: Option<String>,
}

impl Upstream {
    /// As the environment says: `$NOTIFY_SOCKET`.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::to(std::env::var_os("NOTIFY_SOCKET"))
    }

    fn to(socket: Option<OsString>) -> Self {
        let address = socket.and_then(|path| match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
            _ => SocketAddr::from_pathname(&path).ok(),
        });
        Self {
            address,
            last: None,
            waiting: None,
        }
    }

    /// Sends a message of this program's own.
    pub fn send(&self, message: &str) {
        if let Some(address) = &self.address
            && let Ok(socket) = UnixDatagram::unbound()
        {
            let _ = socket.set_nonblocking(true);
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }

    /// Passes a text from inside on, sanitised; the last of several in short time.
    pub fn status(&mut self, text: &str, now: Instant) {
        self.waiting = Some(Sanitized::text(text).to_string());
        self.flush(now);
    }

    /// Sends what waits, if it is time.
    pub fn flush(&mut self, now: Instant) {
        let is_time = self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= EVERY);
        if is_time && let Some(text) = self.waiting.take() {
            self.send(&format!("STATUS={text}"));
            self.last = Some(now);
        }
    }

    /// Whether a text waits for its time.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a40_texts_are_sanitised_and_the_last_of_many_is_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut upstream = Upstream::to(Some(path.into()));
        let now = Instant::now();
        upstream.status("a\nREADY=1", now);
        upstream.status("b", now);
        upstream.status("c", now);
        assert!(upstream.is_waiting());
        upstream.flush(now + EVERY);
        let mut bytes = [0; 64];
        let mut received = Vec::new();
        while let Ok(length) = socket.recv(&mut bytes) {
            received.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        assert_eq!(received, ["STATUS=a\\x0aREADY=1", "STATUS=c"]);
    }

    #[test]
    fn without_a_systemd_nothing_is_sent() {
        let mut upstream = Upstream::to(None);
        upstream.send("READY=1");
        upstream.status("x", Instant::now());
        assert!(!upstream.is_waiting());
    }
}
