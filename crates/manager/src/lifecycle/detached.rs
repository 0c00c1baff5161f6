//! The runner where no systemd starts it: spawned detached, waited for until it says that the
//! service is up (the protocol of sd_notify(3)) or until it ends.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use vss_model::SandboxName;

use super::said::Said;

/// What the name of a socket begins with; the process that it is of follows.
const SOCKET: &str = "started.";
/// What a runner sends that finds another one at work (`ERRNO=` of sd_notify(3), EBUSY).
const BUSY: &[u8] = b"ERRNO=16";

/// How a start through a detached runner ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Started {
    /// The service is up; the runner stays with the container.
    Ready,
    /// Another runner was faster.
    Busy,
    /// The runner ended with success, as it does when it is told to stop, before the service was
    /// up.
    Stopped,
    /// The runner failed.
    Ended(Said),
    /// Told to stop, the runner was ended.
    Cancelled,
}

/// Runs `RUNNER start NAME`, in a process group of its own so that a key pressed in the terminal
/// is not meant for it, and waits. `directory` is one that only root can enter.
pub(crate) fn start(
    runner: &Path,
    name: &SandboxName,
    directory: &Path,
    cancelled: &dyn Fn() -> bool,
) -> io::Result<Started> {
    let listener = Listener::bind(directory)?;
    let mut child = spawn(runner, name, &listener.path)?;
    let mut stderr = child.stderr.take().map(nonblocking).transpose()?;
    let mut said = Said::default();
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut busy = false;
    loop {
        // the order matters: what a runner sent before it ended has been read by then
        let ended = child.try_wait()?;
        let heard = listener.hear()?;
        busy |= heard.busy;
        if let Some(stderr) = &mut stderr {
            // else a full pipe would stop it
            take(stderr, &mut said)?;
        }
        if heard.ready {
            return Ok(Started::Ready);
        }
        if let Some(status) = ended {
            return Ok(end(busy, status, said));
        }
        if cancelled() {
            pidfd_send_signal(&pidfd, Signal::TERM)?;
            // it may have much to say, and nobody reads it any more
            drop(stderr);
            child.wait()?;
            return Ok(Started::Cancelled);
        }
        wait_for_either(&listener, &pidfd)?;
    }
}

fn end(busy: bool, status: ExitStatus, said: Said) -> Started {
    match status.success() {
        _ if busy => Started::Busy,
        true => Started::Stopped,
        false => Started::Ended(said),
    }
}

fn nonblocking(stderr: ChildStderr) -> io::Result<ChildStderr> {
    let flags = rustix::fs::fcntl_getfl(&stderr)?;
    rustix::fs::fcntl_setfl(&stderr, flags | OFlags::NONBLOCK)?;
    Ok(stderr)
}

/// Reads what has come.
fn take(stderr: &mut ChildStderr, said: &mut Said) -> io::Result<()> {
    let mut buffer = [0u8; 4096];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => said.push(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn wait_for_either(listener: &Listener, pidfd: &impl AsFd) -> io::Result<()> {
    let mut fds = [
        PollFd::new(&listener.socket, PollFlags::IN),
        PollFd::new(pidfd, PollFlags::IN),
    ];
    // a signal that sets the flag between its check and the poll is seen after this
    let pause = Timespec {
        tv_sec: 0,
        tv_nsec: 200_000_000,
    };
    match poll(&mut fds, Some(&pause)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module owns the runner where systemd doesn't"
)]
fn spawn(runner: &Path, name: &SandboxName, socket: &Path) -> io::Result<Child> {
    std::process::Command::new(runner)
        .arg("start")
        .arg(name.as_str())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("NOTIFY_SOCKET", socket)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// A datagram socket of this process's own: several commands may start one sandbox at once. Gone
/// when dropped.
struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
}

/// What came to a listener.
#[derive(Default)]
struct Heard {
    ready: bool,
    busy: bool,
}

impl Listener {
    fn bind(directory: &Path) -> io::Result<Self> {
        sweep(directory)?;
        let path = directory.join(format!("{SOCKET}{}", std::process::id()));
        let socket = UnixDatagram::bind(&path)?;
        let listener = Self { socket, path };
        listener.socket.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Reads all messages that have come.
    fn hear(&self) -> io::Result<Heard> {
        let mut buffer = [0u8; 4096];
        let mut heard = Heard::default();
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let message = buffer.get(..length).unwrap_or_default();
                    for line in message.split(|&b| b == b'\n') {
                        heard.ready |= line == b"READY=1";
                        heard.busy |= line == BUSY;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // the runner has its own answer by now; a socket left behind is swept by the next start
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes the sockets of commands that were killed, and of an earlier process of this one's
/// number.
fn sweep(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(SOCKET));
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else {
            continue;
        };
        let lives = owner != std::process::id() && Path::new(&format!("/proc/{owner}")).exists();
        if !lives {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn runner(script: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let runner = dir.path().join("runner");
        crate::testing::script(&runner, script);
        (dir, runner)
    }

    fn outcome(script: &str, cancelled: bool) -> Started {
        let (dir, runner) = runner(script);
        let name = "web1".parse().unwrap();
        start(&runner, &name, dir.path(), &|| cancelled).unwrap()
    }

    fn own_socket(directory: &Path) -> PathBuf {
        directory.join(format!("{SOCKET}{}", std::process::id()))
    }

    /// Starts a runner that goes on when it was heard, and sends these messages in its place.
    fn told(messages: &[&[u8]], script: &str) -> (Started, tempfile::TempDir) {
        let (dir, runner) = runner(&format!(
            // a test that has heard enough takes its directory away
            "touch \"$0.started\"; until [ -e \"$0.sent\" ] || [ ! -e \"$0\" ]; do sleep 0.01; done; {script}"
        ));
        let name = "web1".parse().unwrap();
        let [started, sent] = ["started", "sent"].map(|end| runner.with_extension(end));
        let failed = AtomicBool::new(false);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !started.exists() && !failed.load(Ordering::SeqCst) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                let ours = UnixDatagram::unbound().unwrap();
                for message in messages {
                    ours.send_to(message, own_socket(dir.path())).unwrap();
                }
                std::fs::write(sent, "").unwrap();
            });
            let outcome = start(&runner, &name, dir.path(), &|| false);
            failed.store(outcome.is_err(), Ordering::SeqCst);
            outcome.unwrap()
        });
        (outcome, dir)
    }

    #[test]
    fn a_runner_that_says_ready_is_left_running() {
        let messages: [&[u8]; 2] = [b"STATUS=nearly", b"STATUS=up\nREADY=1\n"];
        let (started, dir) = told(&messages, "exec sleep 5");
        assert_eq!(started, Started::Ready);
        assert!(!own_socket(dir.path()).exists());
    }

    #[test]
    fn a_runner_that_finds_another_at_work_has_not_failed() {
        assert_eq!(told(&[b"ERRNO=16"], "exit 1").0, Started::Busy);
    }

    #[test]
    fn the_socket_of_another_command_stays_and_that_of_a_dead_one_goes() {
        let dir = tempfile::tempdir().unwrap();
        let [other, dead] = [1, u32::MAX].map(|pid| dir.path().join(format!("{SOCKET}{pid}")));
        for path in [&other, &dead, &own_socket(dir.path())] {
            drop(UnixDatagram::bind(path).unwrap());
        }
        drop(Listener::bind(dir.path()).unwrap());
        assert!(other.exists());
        assert!(!dead.exists() && !own_socket(dir.path()).exists());
    }

    #[test]
    fn a_runner_that_fails_has_its_last_words_told() {
        let Started::Ended(said) = outcome(
            "echo one >&2; echo 'virt-sandbox-run: no room' >&2; echo 'hint: make some' >&2; exit 1",
            false,
        ) else {
            panic!("it has not failed");
        };
        assert_eq!(said.message().as_deref(), Some("no room"));
        assert_eq!(said.hint().as_deref(), Some("make some"));
    }

    #[test]
    fn a_runner_that_was_told_to_stop_has_not_failed() {
        assert_eq!(outcome("exit 0", false), Started::Stopped);
    }

    #[test]
    fn a56_an_interrupted_start_ends_the_runner() {
        assert_eq!(outcome("exec sleep 60", true), Started::Cancelled);
    }
}
