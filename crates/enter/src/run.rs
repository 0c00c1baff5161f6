//! A command in a container, from the caller's side.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;

use crate::Result;
use crate::channel::{Channel, Message};
use crate::child::{self, Streams, Way};
use crate::command::Command;
use crate::container::{Container, wait_readable};
use crate::error::{Error, Stage};
use crate::process::{Child, Ended};
use crate::procfs::{self, ProcessDir};
use crate::relay::{End, Flow, Moved};
use crate::signals::{Event, Signals};
use crate::sys;
use crate::target::Target;
use crate::terminal::{self, RawMode};

/// How long a session whose terminal was hung up may take to end.
const HANGUP: Duration = Duration::from_secs(1);

/// How long a terminal may take to bring out what was written before its last writer ended: the
/// kernel does that in a worker of its own.
const SETTLE: Duration = Duration::from_millis(100);

/// The most that is read after the command has ended: what fits a pipe of the greatest size.
const LEFTOVER: usize = 1024 * 1024;

/// The status of a command whose output nobody reads: 128 + SIGPIPE.
const BROKEN: u8 = 141;

fn caller<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Caller {
        action,
        source: error.into(),
    }
}

impl Container {
    /// Runs a command in the container and gives its exit status, as a shell has it: 128 and the
    /// number of the signal where one ended it. The command's standard streams are relayed from
    /// and to the caller's.
    ///
    /// With a terminal the caller's is raw meanwhile, and as it was afterwards. The escape key
    /// ends the session with status 0. Signals that would end the caller are forwarded, or with a
    /// terminal end the session.
    ///
    /// # Errors
    /// Where the command can't be run ([`Error::status`] tells the exit status that means), and
    /// [`Error::Stopped`] where the container stops meanwhile. [`Error::Threads`] where the calling
    /// process has more than one thread.
    pub fn run(&self, command: &Command) -> Result<u8> {
        command.check()?;
        let threads = procfs::threads().map_err(caller("count the threads of this process"))?;
        if threads != 1 {
            return Err(Error::Threads(threads));
        }
        let target = Target::of(self)?;
        let (streams, ends) = streams(command).map_err(caller("make pipes"))?;
        let has_terminal = command.tty && rustix::termios::isatty(rustix::stdio::stdin());
        let signals = Signals::hold(has_terminal).map_err(caller("hold signals back"))?;
        let launch = Launch {
            container: self,
            target: &target,
            command,
            streams,
        };
        let (child, master) = match launch.go(&signals)? {
            Launched::Running(child, master) => (child, master),
            Launched::Interrupted(signal) => return Ok(Ended::Killed(signal).status()),
        };
        check_label(command, &child)?;
        let raw = match &master {
            Some(_) => RawMode::enter(command.interactive).map_err(caller("set the terminal"))?,
            None => None,
        };
        let flows = flows(command, ends, master.as_ref()).map_err(caller("connect the streams"))?;
        let session = Session {
            container: self,
            child,
            flows,
            master,
            signals: &signals,
            raw,
            broken: false,
        };
        session.run()
    }
}

/// The caller's ends of the pipes: standard input (where it is read), output and error.
type Ends = Option<(Option<OwnedFd>, OwnedFd, OwnedFd)>;

fn streams(command: &Command) -> io::Result<(Streams, Ends)> {
    if command.tty {
        return Ok((Streams::Terminal(terminal::size()), None));
    }
    let (output_own, output) = own_pipe(false)?;
    let (error_own, error) = own_pipe(false)?;
    let (input_own, input) = if command.interactive {
        let (own, theirs) = own_pipe(true)?;
        (Some(own), theirs)
    } else {
        (None, null()?)
    };
    Ok((
        Streams::Pipes([input, output, error]),
        Some((input_own, output_own, error_own)),
    ))
}

/// A pipe as (own end, the command's end); only the own end is non-blocking.
fn own_pipe(own_writes: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (own, theirs) = if own_writes {
        (write, read)
    } else {
        (read, write)
    };
    rustix::io::ioctl_fionbio(&own, true)?;
    Ok((own, theirs))
}

fn null() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open("/dev/null", flags, Mode::empty())?)
}

fn flows(command: &Command, ends: Ends, master: Option<&OwnedFd>) -> io::Result<Vec<Flow>> {
    let input = || End::Caller(rustix::stdio::stdin());
    let output = || End::Caller(rustix::stdio::stdout());
    let mut flows = Vec::new();
    if let Some(master) = master {
        flows.push(Flow::new(End::Own(master.try_clone()?), output()));
        if command.interactive {
            flows.push(Flow::typed(
                input(),
                End::Own(master.try_clone()?),
                command.escape,
            ));
        }
    }
    if let Some((stdin, stdout, stderr)) = ends {
        flows.push(Flow::new(End::Own(stdout), output()));
        flows.push(Flow::new(
            End::Own(stderr),
            End::Caller(rustix::stdio::stderr()),
        ));
        flows.extend(stdin.map(|stdin| Flow::new(input(), End::Own(stdin))));
    }
    Ok(flows)
}

/// Reads the label of the program back, through the host's procfs (A05, A42).
fn check_label(command: &Command, child: &Child) -> Result<()> {
    let Some(wanted) = &command.label else {
        return Ok(());
    };
    let read = ProcessDir::open(child.pid()).and_then(|process| process.read("attr/current"));
    // a program that has ended already has no label to read
    let Ok(found) = read else {
        return Ok(());
    };
    let found = found.trim_end_matches(['\0', '\n']);
    if found.is_empty() || found == wanted.to_string() {
        return Ok(());
    }
    Err(Error::Label {
        found: found.to_owned(),
        wanted: wanted.to_string(),
    })
}

/// All that the fork needs.
struct Launch<'a> {
    container: &'a Container,
    target: &'a Target,
    command: &'a Command,
    streams: Streams,
}

enum Launched {
    /// The command is executed; its terminal's master end, if it has one.
    Running(Child, Option<OwnedFd>),
    /// A signal came first.
    Interrupted(i32),
}

impl Launch<'_> {
    fn go(self, signals: &Signals) -> Result<Launched> {
        let (here, there) = Channel::pair().map_err(caller("make a channel"))?;
        let null = null().map_err(caller("open /dev/null"))?;
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
                if let Some(first) = first.take() {
                    first.wait().map_err(caller("wait for a process"))?;
                }
            }
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

/// A command that runs.
struct Session<'a> {
    container: &'a Container,
    child: Child,
    flows: Vec<Flow>,
    master: Option<OwnedFd>,
    signals: &'a Signals,
    /// The caller's terminal, where the session has it.
    raw: Option<RawMode>,
    /// Whether somebody who read the output is gone.
    broken: bool,
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
    fn run(mut self) -> Result<u8> {
        loop {
            match self.turn().map_err(caller("relay"))? {
                Next::GoOn => {}
                Next::Ended => break,
                Next::HangUp(status) => return self.hang_up(status),
            }
        }
        for flow in &mut self.flows {
            let settle = if self.master.is_some() {
                SETTLE
            } else {
                Duration::ZERO
            };
            drain(flow, self.signals, settle).map_err(caller("relay"))?;
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
        match poll(&mut fds, None) {
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
fn drain(flow: &mut Flow, signals: &Signals, settle: Duration) -> io::Result<()> {
    if !flow.is_output() {
        return Ok(());
    }
    let mut left = LEFTOVER;
    loop {
        while flow.has_pending() {
            if !wait_writable(flow, signals)? {
                return Ok(());
            }
            flow.flush()?;
        }
        let [from, _] = flow.interests();
        let Some((fd, _)) = from.filter(|_| left > 0) else {
            return Ok(());
        };
        if !wait_readable(fd, Some(settle))? {
            return Ok(());
        }
        flow.fill()?;
        left = left.saturating_sub(flow.pending());
    }
}

/// Waits for a reader who takes time; `false` where a signal says not to.
fn wait_writable(flow: &Flow, signals: &Signals) -> io::Result<bool> {
    let [_, Some((to, _))] = flow.interests() else {
        return Ok(false);
    };
    let mut fds = [
        PollFd::from_borrowed_fd(to, PollFlags::OUT),
        PollFd::from_borrowed_fd(signals.fd(), PollFlags::IN),
    ];
    match poll(&mut fds, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if fds[1].revents().is_empty() {
        return Ok(true);
    }
    loop {
        match signals.next()? {
            Some(Event::Forward(_)) => return Ok(false),
            Some(_) => {}
            None => return Ok(true),
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
