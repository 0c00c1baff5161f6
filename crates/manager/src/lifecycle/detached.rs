//! The runner where no systemd starts it: spawned detached, waited for until it says that the
//! service is up (the protocol of sd_notify(3)) or until it ends.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use vss_model::SandboxName;

/// How a start through a detached runner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// The service is up; the runner stays with the container.
    Ready,
    /// The runner ended without saying so.
    Ended,
    /// Told to stop, the runner was ended.
    Cancelled,
}

/// Runs `RUNNER start NAME`, in a process group of its own so that a key pressed in the terminal
/// is not meant for it, and waits.
pub(crate) fn start(
    runner: &Path,
    name: &SandboxName,
    socket: &Path,
    cancelled: &dyn Fn() -> bool,
) -> io::Result<Started> {
    let listener = Listener::bind(socket)?;
    let mut child = spawn(runner, name, socket)?;
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        if listener.ready()? {
            return Ok(Started::Ready);
        }
        // the order matters: what a runner said before it ended has been read by now
        if child.try_wait()?.is_some() {
            return Ok(if listener.ready()? {
                Started::Ready
            } else {
                Started::Ended
            });
        }
        if cancelled() {
            pidfd_send_signal(&pidfd, Signal::TERM)?;
            child.wait()?;
            return Ok(Started::Cancelled);
        }
        wait_for_either(&listener, &pidfd)?;
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
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// A datagram socket in a directory that only root can enter; gone when dropped.
struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Listener {
    fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// Reads all messages that have come; whether one of them says that the service is up.
    fn ready(&self) -> io::Result<bool> {
        let mut buffer = [0u8; 4096];
        let mut ready = false;
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    ready |= buffer
                        .get(..length)
                        .unwrap_or_default()
                        .split(|&b| b == b'\n')
                        .any(|line| line == b"READY=1");
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(ready),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // the runner has its own answer by now; a socket left behind is replaced by the next start
        let _ = std::fs::remove_file(&self.path);
    }
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
        start(&runner, &name, &dir.path().join("socket"), &|| cancelled).unwrap()
    }

    #[test]
    fn a_runner_that_says_ready_is_left_running() {
        let (dir, runner) = runner("touch \"$0.started\"; exec sleep 5");
        let socket = dir.path().join("socket");
        let (name, marker) = ("web1".parse().unwrap(), dir.path().join("runner.started"));
        let failed = AtomicBool::new(false);
        let started = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !marker.exists() && !failed.load(Ordering::SeqCst) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                let ours = UnixDatagram::unbound().unwrap();
                ours.send_to(b"STATUS=nearly", &socket).unwrap();
                ours.send_to(b"STATUS=up\nREADY=1\n", &socket).unwrap();
            });
            let started = start(&runner, &name, &socket, &|| false);
            failed.store(started.is_err(), Ordering::SeqCst);
            started.unwrap()
        });
        assert_eq!(started, Started::Ready);
        assert!(!socket.exists());
    }

    #[test]
    fn a_runner_that_ends_has_failed() {
        assert_eq!(outcome("exit 1", false), Started::Ended);
    }

    #[test]
    fn a56_an_interrupted_start_ends_the_runner() {
        assert_eq!(outcome("exec sleep 60", true), Started::Cancelled);
    }
}
