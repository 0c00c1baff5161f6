//! What the host's systemd is told (sd_notify(3)), where it started this process.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use vss_model::Sanitized;

/// How often a text from inside is passed on at most.
const EVERY: Duration = Duration::from_millis(500);
/// How long a message of this program's own waits for a place in the queue of a busy systemd.
const PATIENCE: Duration = Duration::from_secs(10);

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

    /// Sends a message of this program's own. It waits for a systemd that has much to read, as while
    /// the host boots: what is lost is not asked for again, and a start would time out.
    pub fn send(&self, message: &str) {
        self.deliver(message, Some(PATIENCE));
    }

    /// Sends a message that waits so long, or not at all.
    fn deliver(&self, message: &str, patience: Option<Duration>) {
        let Some(address) = &self.address else {
            return;
        };
        let Ok(socket) = UnixDatagram::unbound() else {
            return;
        };
        let is_set = match patience {
            Some(_) => socket.set_write_timeout(patience),
            None => socket.set_nonblocking(true),
        };
        // One that could wait for ever is worse than a message that is lost.
        if is_set.is_err() {
            return;
        }
        let is_interrupted = |error: io::Error| error.kind() == io::ErrorKind::Interrupted;
        while socket
            .send_to_addr(message.as_bytes(), address)
            .is_err_and(is_interrupted)
        {}
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
            // One that is lost costs nothing: the next says more.
            self.deliver(&format!("STATUS={text}"), None);
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

    /// A receiver whose queue takes no more, and who reads nothing.
    fn busy(path: &std::path::Path) -> UnixDatagram {
        let receiver = UnixDatagram::bind(path).unwrap();
        loop {
            let sender = UnixDatagram::unbound().unwrap();
            sender.set_nonblocking(true).unwrap();
            if sender.send_to(b"x", path).is_err() {
                return receiver;
            }
        }
    }

    #[test]
    fn a_systemd_that_is_busy_is_waited_for_with_what_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let receiver = busy(&path);
        let generous = Duration::from_secs(300);
        receiver.set_read_timeout(Some(generous)).unwrap();
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            let mut bytes = [0; 64];
            loop {
                let length = receiver.recv(&mut bytes).unwrap();
                if &bytes[..length] != b"x" {
                    return bytes[..length].to_owned();
                }
            }
        });
        Upstream::to(Some(path.clone().into())).send("READY=1");
        // Where that was lost, this is read in its place; where not, the reader may be gone.
        let last = UnixDatagram::unbound().unwrap();
        let _ = last.send_to(b"nothing", &path);
        assert_eq!(reader.join().unwrap(), b"READY=1");
    }

    #[test]
    fn a_systemd_that_reads_nothing_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _receiver = busy(&path);
        let mut upstream = Upstream::to(Some(path.into()));
        let short = Duration::from_millis(50);
        let begin = Instant::now();
        upstream.deliver("READY=1", Some(short));
        assert!(begin.elapsed() >= short);
        let begin = Instant::now();
        upstream.status("x", begin);
        assert!(begin.elapsed() < PATIENCE);
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
