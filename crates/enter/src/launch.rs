//! The way in, seen from the caller: two forks, and what is heard of them.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::Result;
use crate::channel::{Channel, Message};
use crate::child::{self, Streams, Way};
use crate::command::Command;
use crate::container::{Container, wait_readable};
use crate::error::{Error, Stage, caller};
use crate::null;
use crate::process::Child;
use crate::signals::{Event, Signals};
use crate::sys;
use crate::target::Target;

/// All that the fork needs.
pub(crate) struct Launch<'a> {
    pub(crate) container: &'a Container,
    pub(crate) target: &'a Target,
    pub(crate) command: &'a Command,
    pub(crate) streams: Streams,
}

pub(crate) enum Launched {
    /// The command is executed; its terminal's master end, if it has one.
    Running(Child, Option<OwnedFd>),
    /// A signal came first.
    Interrupted(i32),
}

impl Launch<'_> {
    /// Forks, and follows the way in to its end.
    pub(crate) fn go(self, signals: &Signals) -> Result<Launched> {
        let (here, there) = Channel::pair().map_err(caller("make a channel"))?;
        let null = null::of_host().map_err(caller("open /dev/null"))?;
        let Some(pid) = sys::fork().map_err(caller("start a process"))? else {
            child::enter(&Way {
                container: self.container,
                target: self.target,
                command: self.command,
                streams: &self.streams,
                channel: &there,
                null: &null,
            });
        };
        let first = Child::new(pid).map_err(caller("take hold of a process"))?;
        // the command's ends are the command's alone now: their end is to be seen here
        drop((there, self.streams));
        follow(&here, first, signals)
    }
}

/// Follows the way in to its end. Whatever was started is gone when this fails.
fn follow(channel: &Channel, first: Child, signals: &Signals) -> Result<Launched> {
    let mut first = Some(first);
    let mut second = None;
    let mut master = None;
    loop {
        wait_two(channel, signals).map_err(caller("wait for the command to start"))?;
        while let Some(event) = signals.next().map_err(caller("read signals"))? {
            if let Event::Forward(signal) = event {
                return Ok(Launched::Interrupted(signal));
            }
        }
        if !wait_readable(channel.fd(), Some(Duration::ZERO)).map_err(caller("wait"))? {
            continue;
        }
        match channel.receive().map_err(caller("hear of the command"))? {
            Some(Message::Terminal(fd)) => master = Some(fd),
            Some(Message::Born(pid)) => {
                second = Some(Child::new(pid).map_err(caller("take hold of the command"))?);
                // one that failed meanwhile has left its reason
                let _ = channel.send(&Message::Go);
                if let Some(first) = first.take() {
                    first.wait().map_err(caller("wait for a process"))?;
                }
            }
            // never said to the caller
            Some(Message::Go) => {}
            Some(Message::Failed(failure)) => return Err(failure.into()),
            // closed by the exec
            None => {
                let ended = || Error::Inside {
                    stage: Stage::Fork,
                    object: String::new(),
                    source: io::ErrorKind::UnexpectedEof.into(),
                };
                let child = second.take().ok_or_else(ended)?;
                return Ok(Launched::Running(child, master));
            }
        }
    }
}

fn wait_two(channel: &Channel, signals: &Signals) -> io::Result<()> {
    let fd = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    match poll(&mut [fd(channel.fd()), fd(signals.fd())], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
