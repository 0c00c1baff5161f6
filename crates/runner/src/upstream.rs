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
    watchdog: Option<Watchdog>,
}

/// A sign of life that the host's systemd expects now and then (`WatchdogSec=` of the host unit).
#[derive(Debug)]
struct Watchdog {
    /// Half of what systemd waits for.
    every: Duration,
    due: Instant,
}

impl Watchdog {
    /// As systemd says in the environment of the process that it means (sd_watchdog_enabled(3)).
    fn new(pid: Option<OsString>, usec: Option<OsString>) -> Option<Self> {
        let number = |text: OsString| text.to_str()?.parse::<u64>().ok();
        if pid.is_some_and(|pid| number(pid) != Some(std::process::id().into())) {
            return None;
        }
        let usec = number(usec?).filter(|usec| *usec > 0)?;
        Some(Self {
            every: Duration::from_micros(usec / 2),
            due: Instant::now(),
        })
    }
}

impl Upstream {
    /// As the environment says: `$NOTIFY_SOCKET`, `$WATCHDOG_PID`, `$WATCHDOG_USEC`.
    #[must_use]
    pub fn from_environment() -> Self {
        let var = std::env::var_os;
        Self {
            watchdog: Watchdog::new(var("WATCHDOG_PID"), var("WATCHDOG_USEC")),
            ..Self::to(var("NOTIFY_SOCKET"))
        }
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
            watchdog: None,
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

    /// Sends what waits, if it is time, and the sign of life.
    pub fn flush(&mut self, now: Instant) {
        if let Some(watchdog) = self
            .watchdog
            .as_mut()
            .filter(|watchdog| now >= watchdog.due)
        {
            watchdog.due = now + watchdog.every;
            self.send("WATCHDOG=1");
        }
        let is_time = self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= EVERY);
        if is_time && let Some(text) = self.waiting.take() {
            self.send(&format!("STATUS={text}"));
            self.last = Some(now);
        }
    }

    /// When there will be something to send.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let text = self
            .waiting
            .as_ref()
            .and(self.last)
            .map(|last| last + EVERY);
        let alive = self.watchdog.as_ref().map(|watchdog| watchdog.due);
        [text, alive].into_iter().flatten().min()
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
        assert_eq!(upstream.due(), Some(now + EVERY));
        upstream.flush(now + EVERY);
        assert_eq!(upstream.due(), None);
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
        assert_eq!(upstream.due(), None);
    }

    #[test]
    fn a_sign_of_life_is_sent_twice_in_the_time_that_systemd_waits() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let own = OsString::from(std::process::id().to_string());
        let mut upstream = Upstream {
            watchdog: Watchdog::new(Some(own), Some("10000000".into())),
            ..Upstream::to(Some(path.into()))
        };
        let begin = upstream.due().unwrap();
        let half = Duration::from_secs(5);
        for (after, sent) in [(0, 1), (4, 1), (5, 2), (9, 2), (10, 3)] {
            upstream.flush(begin + Duration::from_secs(after));
            let mut bytes = [0; 64];
            let mut received = 0;
            while let Ok(length) = socket.recv(&mut bytes) {
                assert_eq!(&bytes[..length], b"WATCHDOG=1");
                received += 1;
            }
            assert_eq!(received, if after % 5 == 0 { 1 } else { 0 }, "{after} s");
            assert_eq!(upstream.due(), Some(begin + sent * half), "{after} s");
        }
        assert!(Watchdog::new(Some("1".into()), Some("10000000".into())).is_none());
        assert!(Watchdog::new(None, Some("0".into())).is_none());
        assert!(Watchdog::new(None, None).is_none());
    }
}
