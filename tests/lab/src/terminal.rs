//! A command on a terminal, as an administrator has it: typed to, read from, resized.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::{Lab, PROGRAM};

/// How long a single thing may take to be said; see `client`.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command under test, with a terminal of its own as its controlling one.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    master: File,
    said: String,
    /// How much of `said` has been waited for.
    seen: usize,
}

impl Lab {
    /// Runs the command under test on a terminal of 24 lines and 80 columns.
    ///
    /// # Panics
    /// Where it can't be run.
    #[must_use]
    pub fn on_terminal(&self, args: &[&str]) -> Terminal {
        self.on_terminal_with(args, |_| {})
    }

    /// The same, with more said of the process: its environment, or streams that are no terminal.
    ///
    /// # Panics
    /// Where it can't be run.
    #[must_use]
    pub fn on_terminal_with(&self, args: &[&str], more: impl FnOnce(&mut Command)) -> Terminal {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let flags = flags | rustix::fs::OFlags::CLOEXEC;
        let slave = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap();
        resize(&master, 24, 80);
        let end = || Stdio::from(slave.try_clone().unwrap());
        // A session of its own, with its stdin as the controlling terminal; who runs tests in the
        // background may have SIGINT ignored, which programs keep to, and nobody at a terminal has.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,QUIT", "setsid", "--ctty", PROGRAM]);
        command.args(args);
        command.stdin(end()).stdout(end()).stderr(end());
        command.env("TERM", "xterm");
        more(&mut command);
        let child = command.spawn().unwrap();
        Terminal {
            child,
            master: File::from(master),
            said: String::new(),
            seen: 0,
        }
    }
}

fn resize(master: &impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(master, size).unwrap();
}

impl Terminal {
    /// Types.
    ///
    /// # Panics
    /// Where nobody has the terminal open.
    pub fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Gives the terminal another size.
    ///
    /// # Panics
    /// Where the terminal can't be resized.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        resize(&self.master, rows, columns);
    }

    /// Waits until this was said since the last time; returns what was said up to there.
    ///
    /// # Panics
    /// Where it never is.
    pub fn until(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.said[self.seen..].find(wanted) {
                let end = self.seen + at + wanted.len();
                let text = self.said[self.seen..end].to_owned();
                self.seen = end;
                return text;
            }
            assert!(
                self.read_more(),
                "{wanted:?} was not said in {:?}",
                self.said
            );
        }
    }

    /// Waits for the end; returns the exit status and all that was said from the beginning on.
    ///
    /// # Panics
    /// Where it never ends.
    #[must_use]
    pub fn end(mut self) -> (Option<i32>, String) {
        while self.read_more() {}
        let status = self.child.wait().unwrap();
        (status.code(), std::mem::take(&mut self.said))
    }

    /// Whether there was more.
    fn read_more(&mut self) -> bool {
        let limit = Timespec::try_from(PATIENCE).unwrap();
        let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
        assert_ne!(
            poll(&mut fds, Some(&limit)).unwrap(),
            0,
            "nothing more is said after {:?}",
            self.said
        );
        let mut bytes = [0; 4096];
        // EIO is the end of a terminal that nobody has open any more
        match self.master.read(&mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.said
                    .push_str(&String::from_utf8_lossy(&bytes[..count]));
                true
            }
        }
    }

    /// The host's number of the process, which is a signal's to take.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}
