//! The loop over a running container: its end, its console, its messages, and our signals.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::console::Console;
use crate::notify::{INIT_SAYS, Inbox, Message};
use crate::outcome::Claim;
use crate::sys;
use crate::upstream::Upstream;

/// How much is read from inside in each second. More waits in the kernel, and then whoever writes
/// it waits.
const BYTES: usize = 1024 * 1024;
const MESSAGES: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);
/// How long the last lines may take from libvirt's controller after the container's end. It hangs up
/// when it has passed them on, but for one that does not notice the end.
const LAST_LINES: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// PID 1 says that it is ready.
    Ready,
    /// This process is to stop the container (SIGTERM, SIGINT).
    Stop,
    /// The container is gone.
    Gone,
    /// The time is over.
    Deadline,
}

/// A running container.
#[derive(Debug)]
pub struct Watch {
    /// PID 1 of the container, as the host counts.
    pub init: u32,
    /// Its pidfd.
    pub process: OwnedFd,
    /// Where its messages come in.
    pub inbox: Inbox,
    /// The host's end of its console; `None` once it hung up.
    pub terminal: Option<OwnedFd>,
    /// Where this process's signals come in.
    pub signals: OwnedFd,
    /// What it printed.
    pub console: Console,
    /// What its messages tell of its end.
    pub words: LastWords,
    /// Who is told.
    pub upstream: Upstream,
    /// What may be read until `refill`.
    pub allowance: Allowance,
}

/// What PID 1 says of its end before it comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastWords {
    /// Why the init gave up.
    pub gave_up: Option<String>,
    /// How systemd goes down.
    pub claim: Option<Claim>,
}

impl LastWords {
    /// Takes in a message.
    pub fn hear(&mut self, message: &Message) {
        if let Some(status) = &message.status {
            // whatever comes after it shows that it did not give up
            self.gave_up = status.starts_with(INIT_SAYS).then(|| status.clone());
        }
        self.claim = message.shutdown.or(self.claim);
    }
}

/// What may be read from inside until the next second.
#[derive(Debug)]
pub struct Allowance {
    bytes: usize,
    messages: u32,
    since: Instant,
}

impl Allowance {
    /// That of a whole second.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            bytes: BYTES,
            messages: MESSAGES,
            since: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= SECOND {
            *self = Self::new(now);
        }
    }

    fn is_used_up(&self) -> bool {
        self.bytes == 0 || self.messages == 0
    }
}

impl Watch {
    /// Waits for the next event.
    ///
    /// # Errors
    /// Where the kernel can't wait for the descriptors.
    pub fn next(&mut self, deadline: Option<Instant>) -> io::Result<Event> {
        loop {
            let now = Instant::now();
            self.allowance.refill(now);
            self.upstream.flush(now);
            let is_over = deadline.is_some_and(|deadline| now >= deadline);
            // what has come until then counts, also where this process was late to look
            let ready = self.wait(now, deadline)?;
            if ready.terminal {
                self.read_terminal();
            }
            if ready.inbox && self.read_inbox() {
                return Ok(Event::Ready);
            }
            if ready.process {
                self.hear_out();
                return Ok(Event::Gone);
            }
            if ready.signals && self.take_signals() {
                return Ok(Event::Stop);
            }
            if is_over {
                return Ok(Event::Deadline);
            }
        }
    }

    /// Takes in the last that comes from a container that is gone.
    pub fn hear_out(&mut self) {
        self.allowance = Allowance::new(Instant::now());
        self.read_inbox();
        self.read_last_lines();
    }

    /// Has systemd inside power off and waits until it is gone; whether it is by the deadline.
    ///
    /// A first process that has not got as far as to listen, as on its way from libvirt through the
    /// init to systemd, loses a signal: it is sent again until it works, which does no harm.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub fn power_off(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            // It may be gone, which is the next event.
            let _ = sys::send_signal(self.process.as_fd(), sys::POWER_OFF);
            let again = Instant::now() + SECOND;
            loop {
                match self.next(Some(deadline.map_or(again, |deadline| deadline.min(again))))? {
                    Event::Gone => return Ok(true),
                    Event::Ready | Event::Stop => {}
                    Event::Deadline => break,
                }
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(false);
            }
        }
    }

    fn wait(&self, now: Instant, deadline: Option<Instant>) -> io::Result<Readable> {
        let mut fds = vec![
            PollFd::new(&self.process, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        let reads_inbox = self.allowance.messages > 0;
        let terminal = self.terminal.as_ref().filter(|_| self.allowance.bytes > 0);
        if reads_inbox {
            fds.push(PollFd::new(&self.inbox, PollFlags::IN));
        }
        if let Some(terminal) = terminal {
            fds.push(PollFd::new(terminal, PollFlags::IN));
        }
        let tick = self.allowance.is_used_up().then(|| now + SECOND / 2);
        let until = [deadline, tick, self.upstream.due()];
        let until = until.into_iter().flatten().min();
        match poll(&mut fds, timeout(now, until).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Readable {
            process: is_ready(0),
            signals: is_ready(1),
            inbox: reads_inbox && is_ready(2),
            terminal: terminal.is_some() && is_ready(2 + usize::from(reads_inbox)),
        })
    }

    fn read_inbox(&mut self) -> bool {
        let mut ready = false;
        let has_ended = || sys::has_ended(self.process.as_fd());
        let budget = &mut self.allowance.messages;
        while let Some(message) = self.inbox.next(self.init, has_ended, budget) {
            self.words.hear(&message);
            if let Some(status) = message.status {
                self.upstream.status(&status, Instant::now());
            }
            ready |= message.ready;
        }
        ready
    }

    fn read_terminal(&mut self) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        let mut bytes = [0; 4096];
        let length = self.allowance.bytes.min(bytes.len());
        match rustix::io::read(terminal, &mut bytes[..length]) {
            Ok(0) => self.terminal = None,
            Ok(read) => {
                self.allowance.bytes -= read;
                self.console
                    .push(&bytes[..read], Instant::now(), write_line);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // EIO: libvirt's controller is gone, and the other end with it.
            Err(_) => self.terminal = None,
        }
    }

    fn read_last_lines(&mut self) {
        let end = Instant::now() + LAST_LINES;
        while let Some(terminal) = &self.terminal {
            let now = Instant::now();
            let mut fds = [PollFd::new(terminal, PollFlags::IN)];
            if self.allowance.bytes == 0 || now >= end {
                break;
            }
            match poll(&mut fds, timeout(now, Some(end)).as_ref()) {
                Ok(0) => break,
                _ => self.read_terminal(),
            }
        }
        self.console.push(b"\n", Instant::now(), write_line);
    }

    fn take_signals(&self) -> bool {
        let mut record = [0; 128];
        let mut any = false;
        while matches!(rustix::io::read(&self.signals, &mut record), Ok(1..)) {
            any = true;
        }
        any
    }
}

struct Readable {
    process: bool,
    signals: bool,
    inbox: bool,
    terminal: bool,
}

/// When so much time from now will be over; `None`, which is never, where no clock gets so far.
#[must_use]
pub fn after(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

fn timeout(now: Instant, until: Option<Instant>) -> Option<Timespec> {
    let left = until?.saturating_duration_since(now);
    Timespec::try_from(left).ok()
}

/// Writes a line of the container to standard output, if that takes it now: whoever doesn't read it
/// must not keep the container's end from being seen.
fn write_line(line: &str) {
    let stdout = rustix::stdio::stdout();
    if is_writable(stdout) {
        let _ = rustix::io::write(stdout, format!("{line}\n").as_bytes());
    }
}

fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    matches!(poll(&mut fds, Some(&at_once)), Ok(1..)) && fds[0].revents().contains(PollFlags::OUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    fn watch(init: u32, directory: &std::path::Path) -> Watch {
        let pid = rustix::process::Pid::from_raw(init.try_into().unwrap()).unwrap();
        let none = rustix::process::PidfdFlags::empty();
        let (signals, writer) = rustix::pipe::pipe().unwrap();
        std::mem::forget(writer);
        Watch {
            init,
            process: rustix::process::pidfd_open(pid, none).unwrap(),
            inbox: Inbox::bind(&directory.join("notify")).unwrap(),
            terminal: None,
            signals,
            console: Console::new(Instant::now()),
            words: LastWords::default(),
            upstream: Upstream::from_environment(),
            allowance: Allowance::new(Instant::now()),
        }
    }

    #[test]
    fn what_the_init_said_last_is_why_it_gave_up() {
        let mut words = LastWords::default();
        words.hear(&Message::parse(b"STATUS=virt-sandbox-init: mounts: /x"));
        assert_eq!(
            words.gave_up.as_deref(),
            Some("virt-sandbox-init: mounts: /x")
        );
        words.hear(&Message::parse(b"X_SYSTEMD_SHUTDOWN=reboot"));
        assert!(words.gave_up.is_some() && words.claim == Some(Claim::Reboot));
        words.hear(&Message::parse(b"READY=1\nSTATUS=Ready."));
        assert_eq!(words.gave_up, None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process that has ended")]
    fn what_came_before_the_deadline_counts_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        let mut watch = watch(child.id(), directory.path());
        let past = Some(Instant::now());
        rustix::event::poll(&mut [PollFd::new(&watch.process, PollFlags::IN)], None).unwrap();
        assert_eq!(watch.next(past).unwrap(), Event::Gone);
        child.wait().unwrap();
        let mut watch = self::watch(std::process::id(), directory.path());
        assert_eq!(watch.next(past).unwrap(), Event::Deadline);
    }

    #[test]
    fn a_time_that_no_clock_can_hold_is_never_over() {
        assert_eq!(after(Duration::from_secs(i64::MAX as u64)), None);
        assert_eq!(after(Duration::MAX), None);
        assert!(after(Duration::from_secs(90)).is_some());
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that does not hear the first signal"
    )]
    fn a_first_process_that_does_not_listen_yet_is_told_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new("bash")
            .args([
                "-c",
                "trap '((heard++)) && exit 0' SIGRTMIN+4; echo up; while :; do sleep 0.1; done",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "up\n");
        let mut watch = watch(child.id(), directory.path());
        let generous = Instant::now() + Duration::from_secs(300);
        assert!(watch.power_off(Some(generous)).unwrap());
        assert!(child.wait().unwrap().success());
    }
}
