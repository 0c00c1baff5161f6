//! A command in a container, from the caller's side.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

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

/// How often PID 1 may go to another cgroup while a command is about to join it.
const MOVES: u32 = 5;

/// The time that it may take to be there.
const PAUSE: Duration = Duration::from_millis(20);

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
        let has_terminal = command.tty && rustix::termios::isatty(rustix::stdio::stdin());
        let signals = Signals::hold(has_terminal).map_err(caller("hold signals back"))?;
        let (launched, ends) = following(|| self.launch(command, &signals))?;
        let (child, master) = match launched {
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

    /// Starts the command where PID 1 is now.
    fn launch(&self, command: &Command, signals: &Signals) -> Result<(Launched, Ends)> {
        let target = Target::of(self, command.confinement)?;
        let (streams, ends) = streams(command).map_err(caller("make pipes"))?;
        let launch = Launch {
            container: self,
            target: &target,
            command,
            streams,
        };
        Ok((launch.go(signals)?, ends))
    }
}

/// Tries again where PID 1 has gone to another cgroup since it was read: systemd begins with that.
fn following<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..MOVES {
        match attempt() {
            Err(error) if error.is_left_cgroup() => thread::sleep(PAUSE),
            done => return done,
        }
    }
    attempt()
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

#[cfg(test)]
mod tests {
    use crate::error::Stage;

    use super::*;

    fn inside(stage: Stage, errno: i32) -> Error {
        Error::Inside {
            stage,
            object: String::new(),
            source: io::Error::from_raw_os_error(errno),
        }
    }

    fn gone(errno: i32) -> Error {
        Error::Cgroup {
            path: "/x".into(),
            source: io::Error::from_raw_os_error(errno),
        }
    }

    #[test]
    fn a_first_process_that_goes_to_another_cgroup_is_followed() {
        let mut failures = vec![
            inside(Stage::Cgroup, libc::ENODEV),
            gone(libc::ENOENT),
            inside(Stage::Cgroup, libc::EBUSY),
        ];
        let outcome = following(|| failures.pop().map_or(Ok(7), Err));
        assert_eq!(outcome.unwrap(), 7);
        assert!(failures.is_empty());
    }

    #[test]
    fn what_is_no_move_or_does_not_end_fails() {
        let mut tried = 0;
        let outcome = following(|| -> Result<()> {
            tried += 1;
            Err(inside(Stage::Cgroup, libc::EBUSY))
        });
        assert!(outcome.is_err());
        assert_eq!(tried, MOVES + 1);
        for error in [
            || inside(Stage::Cgroup, libc::EACCES),
            || inside(Stage::Directory, libc::ENOENT),
            || gone(libc::EACCES),
            || Error::Gone { pid: 7 },
        ] {
            let mut tried = 0;
            let outcome = following(|| -> Result<()> {
                tried += 1;
                Err(error())
            });
            assert!(outcome.is_err());
            assert_eq!(tried, 1);
        }
    }
}
