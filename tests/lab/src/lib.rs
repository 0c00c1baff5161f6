//! The lab: the installed release binaries against a real libvirtd, LXC, systemd and packaged
//! services.
//!
//! `make check-lab` runs each test file in a private world of its own (`tests/lab/world`, which
//! cargo uses as the runner of the test binaries), with the release build installed there. The
//! tests of a file run one after the other. Outside of a world every test fails and says so:
//! nothing is skipped in silence, and nothing touches the machine itself.
//!
//! - [`Lab`] runs the command and other programs.
//! - [`Sandbox`] is a container that is deleted when the test ends, however it ends.
//! - [`snapshot::Snapshot`] is the machine's state, to prove that nothing changed or nothing is
//!   left.
//! - [`terminal::Terminal`] is the command on a terminal.
//! - [`client`] asks services in their own protocols.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test harness: it runs programs, and fails by panicking"
)]

pub mod client;
pub mod fixture;
pub mod snapshot;
pub mod terminal;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command under test.
pub const PROGRAM: &str = "/usr/bin/virt-sandbox-service";

/// A world to run commands in.
#[derive(Debug)]
pub struct Lab(());

impl Lab {
    /// The world that this test runs in.
    ///
    /// # Panics
    /// Outside of one.
    #[must_use]
    pub fn enter() -> Self {
        assert!(
            std::env::var_os("VSS_WORLD").is_some(),
            "this is a test of the lab tier: it runs in a private world only, by `make check-lab`"
        );
        assert!(
            rustix::process::geteuid().is_root(),
            "the lab tier needs root"
        );
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is not installed");
        // The first command of a boot makes it; no test is about that.
        std::fs::create_dir_all("/run/libvirt-sandbox").unwrap();
        Self(())
    }

    /// Runs the command under test, with nothing on stdin.
    #[must_use = "assert its exit status"]
    pub fn vss<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        self.run(PROGRAM, args)
    }

    /// Runs any program, with nothing on stdin.
    ///
    /// # Panics
    /// Where it can't be run.
    #[must_use = "assert its exit status"]
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Ran {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null());
        self.output(&mut command)
    }

    /// Runs a prepared command.
    ///
    /// # Panics
    /// Where it can't be run.
    #[must_use = "assert its exit status"]
    pub fn output(&self, command: &mut Command) -> Ran {
        let shown = format!("{command:?}");
        match command.output() {
            Ok(output) => Ran { shown, output },
            Err(error) => panic!("{shown}: {error}"),
        }
    }

    /// The command under test, to be prepared further: started, fed, killed.
    #[must_use]
    pub fn prepare<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Makes a container, confined as the lab can (`reduced`, unless `options` say otherwise).
    ///
    /// # Panics
    /// Where that fails.
    #[must_use]
    pub fn create<'a>(&'a self, name: &'a str, options: &[&str]) -> Sandbox<'a> {
        let mut args = vec!["create"];
        if !options.contains(&"--confinement") {
            args.extend(["--confinement", "reduced"]);
        }
        args.extend(options);
        args.push(name);
        let sandbox = self.expect(name);
        self.vss(&args).ok();
        sandbox
    }

    /// A container that the test itself is going to make.
    #[must_use]
    pub fn expect<'a>(&'a self, name: &'a str) -> Sandbox<'a> {
        Sandbox { lab: self, name }
    }
}

/// Whether something comes to be so, within a minute: time is no part of what is tested, and a busy
/// machine may take long.
pub fn happens(mut is_so: impl FnMut() -> bool) -> bool {
    (0..600).any(|_| {
        is_so() || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            false
        }
    })
}

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    shown: String,
    output: Output,
}

impl Ran {
    /// Its exit status.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// What it wrote to stdout.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// What it wrote to stderr.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Asserts that it ended with this status; returns it for more.
    ///
    /// # Panics
    /// Where it did not.
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "{}\n--- stdout\n{}--- stderr\n{}",
            self.shown,
            self.stdout(),
            self.stderr()
        );
        self
    }

    /// Asserts that it went well; returns what it wrote to stdout.
    ///
    /// # Panics
    /// Where it did not.
    pub fn ok(self) -> String {
        self.ended(0).stdout()
    }

    /// Asserts that it failed with this status and said so; returns what it wrote to stderr.
    ///
    /// # Panics
    /// Where it did not, or what it said is not in the form of a message.
    pub fn failed(self, code: i32) -> String {
        let text = self.ended(code).stderr();
        assert!(text.starts_with("virt-sandbox-service: "), "{text}");
        text
    }

    /// Asserts that it went well and wrote JSON; returns that.
    ///
    /// # Panics
    /// Where it did not.
    #[must_use]
    pub fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }
}

/// A container of a test; deleted at the test's end.
#[derive(Debug)]
pub struct Sandbox<'a> {
    lab: &'a Lab,
    name: &'a str,
}

impl Sandbox<'_> {
    /// Starts it.
    ///
    /// # Panics
    /// Where that fails.
    pub fn start(&self) {
        self.lab.vss(&["start", self.name]).ok();
    }

    /// Stops it.
    ///
    /// # Panics
    /// Where that fails.
    pub fn stop(&self) {
        self.lab.vss(&["stop", self.name]).ok();
    }

    /// What `status --format json` says.
    ///
    /// # Panics
    /// Where that is no JSON.
    #[must_use]
    pub fn status(&self) -> serde_json::Value {
        let text = self
            .lab
            .vss(&["status", "--format", "json", self.name])
            .stdout();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Its address.
    ///
    /// # Panics
    /// Where it has none.
    #[must_use]
    pub fn address(&self) -> std::net::Ipv4Addr {
        let status = self.status();
        let address = status["address"].as_str().unwrap_or_default();
        address
            .parse()
            .unwrap_or_else(|_| panic!("no address in {status}"))
    }

    /// The host's number of its first process.
    ///
    /// # Panics
    /// Where it doesn't run.
    #[must_use]
    pub fn first_process(&self) -> u64 {
        let status = self.status();
        status["init_pid"]
            .as_u64()
            .unwrap_or_else(|| panic!("it doesn't run: {status}"))
    }

    /// Waits for a state, a minute at the most; returns the status.
    ///
    /// # Panics
    /// Where it never comes.
    pub fn settles(&self, state: &str) -> serde_json::Value {
        self.comes(state, |status| status["state"] == state)
    }

    /// Waits until it runs with another first process than this, a minute at the most.
    ///
    /// # Panics
    /// Where it never does.
    pub fn runs_anew(&self, before: u64) {
        self.comes("running anew", |status| {
            status["state"] == "running" && status["init_pid"] != before
        });
    }

    fn comes(&self, what: &str, is_it: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let mut status = serde_json::Value::Null;
        let came = happens(|| {
            status = self.status();
            is_it(&status)
        });
        assert!(came, "not {what}: {status}");
        status
    }

    /// Runs a command inside.
    #[must_use = "assert its exit status"]
    pub fn execute(&self, command: &[&str]) -> Ran {
        let mut args = vec!["execute", self.name, "--"];
        args.extend(command);
        self.lab.vss(&args)
    }
}

impl Drop for Sandbox<'_> {
    fn drop(&mut self) {
        let ran = self.lab.vss(&["delete", "--force", "--yes", self.name]);
        let gone = ran.code() == Some(0) || ran.stderr().contains("there is no sandbox");
        assert!(
            gone || std::thread::panicking(),
            "{} could not be deleted: {}",
            self.name,
            ran.stderr()
        );
    }
}
