//! A command that runs, until it has ended or the session is over.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::Result;
use crate::container::{Container, wait_readable};
use crate::error::{Error, caller};
use crate::process::{Child, Ended};
use crate::relay::{Flow, Moved};
use crate::signals::{Event, Signals};
use crate::sys;
use crate::terminal::{self, RawMode};

/// How long a session whose terminal was hung up may take to end.
const HANGUP: Duration = Duration::from_secs(1);

/// How long a terminal may take to bring out what was written before its last writer ended: the
/// kernel does that in a worker of its own.
const SETTLE: Duration = Duration::from_millis(100);

/// How often a terminal that nobody has open is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// How long that is waited for in all: whoever stays behind may write for ever, a byte at a time.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most that is read after the command has ended: what fits a pipe of the greatest size.
const LEFTOVER: usize = 1024 * 1024;

/// Signals that ask a command to end: one that is stopped is to go on for that.
const ENDING: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// The status of a command whose output nobody reads: 128 + SIGPIPE.
const BROKEN: u8 = 141;

/// A command that runs.
pub(crate) struct Session<'a> {
    pub(crate) container: &'a Container,
    pub(crate) child: Child,
    pub(crate) flows: Vec<Flow>,
    pub(crate) master: Option<OwnedFd>,
    pub(crate) signals: &'a Signals,
    /// The caller's terminal, where the session has it.
    pub(crate) raw: Option<RawMode>,
    /// Whether somebody who read the output is gone.
    pub(crate) broken: bool,
}

/// What is to be done next.
enum Next {
    GoOn,
    /// The command has ended.
    Ended,
    /// The session is to be ended with this status.
    HangUp(u8),
}

/// What there is to do.
struct Ready {
    /// The command has ended.
    ended: bool,
    /// Signals came.
    signal: bool,
    /// What there is at both ends of each flow.
    flows: Vec<(PollFlags, PollFlags)>,
}

impl Session<'_> {
    /// Relays until the command has ended or the session is over; the exit status.
    pub(crate) fn run(mut self) -> Result<u8> {
        loop {
            match self.turn().map_err(caller("relay"))? {
                Next::GoOn => {}
                Next::Ended => break,
                Next::HangUp(status) => return self.hang_up(status),
            }
        }
        let mut patience = match self.master {
            Some(_) => PATIENCE,
            None => Duration::ZERO,
        };
        for flow in &mut self.flows {
            drain(flow, self.signals, &mut patience).map_err(caller("relay"))?;
        }
        let ended = self.child.wait().map_err(caller("wait for the command"))?;
        if ended == Ended::Killed(libc::SIGKILL) && is_stopping(self.container) {
            return Err(Error::Stopped);
        }
        Ok(if self.broken { BROKEN } else { ended.status() })
    }

    fn turn(&mut self) -> io::Result<Next> {
        let Ready {
            ended,
            signal,
            flows,
        } = self.poll()?;
        if signal && let Some(next) = self.on_signals()? {
            return Ok(next);
        }
        for (flow, (from, to)) in self.flows.iter_mut().zip(flows) {
            match flow.step(from, to)? {
                Moved::Fine => {}
                Moved::Escaped => {
                    // what was typed before the key
                    flow.flush()?;
                    return Ok(Next::HangUp(0));
                }
                Moved::Broken if flow.is_output() => {
                    self.broken = true;
                    if self.master.is_some() {
                        return Ok(Next::HangUp(BROKEN));
                    }
                }
                Moved::Broken => {}
            }
        }
        Ok(if ended { Next::Ended } else { Next::GoOn })
    }

    /// Waits for something to do.
    fn poll(&self) -> io::Result<Ready> {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.child.fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN),
        ];
        let mut places = Vec::new();
        for flow in &self.flows {
            places.push(flow.interests().map(|interest| {
                let (fd, flags) = interest?;
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                Some(fds.len() - 1)
            }));
        }
        let is_deserted = self.flows.iter().any(Flow::is_deserted);
        let timeout = Timespec::try_from(RETRY).ok().filter(|_| is_deserted);
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => fds.iter_mut().for_each(PollFd::clear_revents),
            Err(error) => return Err(error.into()),
        }
        let at = |place: Option<usize>| place.map_or(PollFlags::empty(), |n| fds[n].revents());
        Ok(Ready {
            ended: !at(Some(0)).is_empty(),
            signal: !at(Some(1)).is_empty(),
            flows: places
                .into_iter()
                .map(|[from, to]| (at(from), at(to)))
                .collect(),
        })
    }

    fn on_signals(&mut self) -> io::Result<Option<Next>> {
        while let Some(event) = self.signals.next()? {
            match event {
                Event::Resized => {
                    if let Some(master) = &self.master {
                        terminal::follow(master.as_fd());
                    }
                }
                Event::Suspend => self.suspend()?,
                Event::Forward(signal) if self.raw.is_some() => {
                    return Ok(Some(Next::HangUp(Ended::Killed(signal).status())));
                }
                Event::Forward(signal) => {
                    // it has ended already, or it gets it
                    let _ = sys::send_signal(self.child.fd(), signal);
                    // as systemd.kill(5) has it: stopped, it would not even die of it
                    if ENDING.contains(&signal) {
                        let _ = sys::send_signal(self.child.fd(), libc::SIGCONT);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Stops this process with the terminal as its shell knows it, and goes on when it is told to.
    fn suspend(&mut self) -> io::Result<()> {
        let interactive = self.raw.take().map(|raw| raw.is_interactive());
        rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?;
        if let Some(interactive) = interactive {
            self.raw = RawMode::enter(interactive)?;
        }
        if let Some(master) = &self.master {
            terminal::follow(master.as_fd());
        }
        Ok(())
    }

    /// Ends the session: with the last master end closed the kernel tells the command's session.
    fn hang_up(mut self, status: u8) -> Result<u8> {
        self.flows.clear();
        self.master = None;
        self.child.signal(Signal::HUP);
        if wait_readable(self.child.fd(), Some(HANGUP)).unwrap_or(false) {
            self.child.wait().map_err(caller("wait for the command"))?;
        } else {
            self.child.leave();
        }
        Ok(status)
    }
}

/// Brings out what the command wrote before it ended. What others hold open may go on for ever
/// and is not waited for.
fn drain(flow: &mut Flow, signals: &Signals, patience: &mut Duration) -> io::Result<()> {
    if !flow.is_output() {
        return Ok(());
    }
    let mut left = LEFTOVER;
    if flow.is_deserted() {
        flow.fill()?;
    }
    loop {
        while flow.has_pending() {
            // a reader may take all the time that it needs
            let [_, to] = flow.interests();
            if !wait_for(to, signals, None)? {
                return Ok(());
            }
            flow.flush()?;
        }
        let [from, _] = flow.interests();
        let began = Instant::now();
        if left == 0 || !wait_for(from, signals, Some(SETTLE.min(*patience)))? {
            return Ok(());
        }
        *patience = patience.saturating_sub(began.elapsed());
        flow.fill()?;
        left = left.saturating_sub(flow.pending());
    }
}

/// Waits for one end of a flow; `false` where there is none, the time is over or a signal says not
/// to.
fn wait_for(
    end: Option<(BorrowedFd<'_>, PollFlags)>,
    signals: &Signals,
    timeout: Option<Duration>,
) -> io::Result<bool> {
    let Some((fd, flags)) = end else {
        return Ok(false);
    };
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [
            PollFd::from_borrowed_fd(fd, flags),
            PollFd::from_borrowed_fd(signals.fd(), PollFlags::IN),
        ];
        match poll(&mut fds, left.as_ref()) {
            Ok(0) => return Ok(false),
            Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        // what is ready is not lost to a signal
        if !fds[0].revents().is_empty() {
            return Ok(true);
        }
        while let Some(event) = signals.next()? {
            if matches!(event, Event::Forward(_)) {
                return Ok(false);
            }
        }
    }
}

/// Whether a command was killed because its container stops. The first process can't end before
/// the others of its PID namespace were waited for, so it is asked whether it is about to.
fn is_stopping(container: &Container) -> bool {
    container.directory.is_exiting()
        || container
            .wait(Some(Duration::from_millis(250)))
            .unwrap_or(false)
}
