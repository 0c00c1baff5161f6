//! A command in a container, from the caller's side.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::Mode;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::Result;
use crate::child::Streams;
use crate::command::Command;
use crate::confined;
use crate::container::Container;
use crate::error::{Error, caller};
use crate::label;
use crate::launch::{Launch, Launched};
use crate::level;
use crate::process::Ended;
use crate::procfs;
use crate::relay::{End, Flow};
use crate::session::Session;
use crate::signals::Signals;
use crate::target::{self, Target};
use crate::terminal::{self, RawMode};

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
    /// Where the command can't be run ([`Error::status`] tells the exit status that means), with
    /// [`Error::NotConfined`] where that is too early in the start of the container, and
    /// [`Error::Stopped`] where the container stops meanwhile. [`Error::Threads`] where the calling
    /// process has more than one thread.
    pub fn run(&self, command: &Command) -> Result<u8> {
        command.check()?;
        let threads = procfs::threads().map_err(caller("count the threads of this process"))?;
        if threads != 1 {
            return Err(Error::Threads(threads));
        }
        target::check(self)?;
        // before signals are held back: whoever waits can be interrupted
        confined::wait(self)?;
        let target = Target::of(self, command.confinement)?;
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
        label::check(command.label.as_ref(), &child)?;
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
    let context = command.label.as_ref().and_then(level::at_level_of);
    let pipe = |own_writes| -> io::Result<_> {
        let (own, theirs) = own_pipe(own_writes)?;
        // any user may open it anew by /dev/stdout; others than the command don't reach it
        let _ = rustix::fs::fchmod(&theirs, Mode::from_raw_mode(0o666));
        if let Some(context) = &context {
            level::label_pipe(&theirs, context);
        }
        Ok((own, theirs))
    };
    let (output_own, output) = pipe(false)?;
    let (error_own, error) = pipe(false)?;
    let (input_own, input) = pipe(true)?;
    // without a writer it is empty
    let input_own = Some(input_own).filter(|_| command.interactive);
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
