//! The fixture program, started and asked.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A container that ends with this.
pub(crate) struct Fixture {
    outer: Child,
    pub(crate) pid: u32,
    pub(crate) start: u64,
    pub(crate) directory: TempDir,
}

pub(crate) fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/fixture");
    assert!(
        program.exists(),
        "build it: cargo build -p vss-enter --example fixture"
    );
    program
}

/// Else the test is skipped, loudly, and fails where nothing is to be skipped.
pub(crate) fn is_root(wanted: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    eprintln!("SKIPPED, needs root: {wanted}");
    assert!(std::env::var_os("CI").is_none(), "{wanted} needs root");
    false
}

/// A container, if this is root.
pub(crate) fn container(options: &[&str]) -> Option<Fixture> {
    if !is_root("a container of namespaces") {
        return None;
    }
    let directory = TempDir::new().unwrap();
    // users of a container's own go through as anybody does
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut outer = Command::new(program())
        .arg("container")
        .arg(directory.path())
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(outer.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let pid = line.trim().parse().expect("the fixture says its pid");
    // the root changes under our eyes: only its own end of the setup counts
    while !fs::exists(format!("/proc/{pid}/root/run/ready")).unwrap_or(false) {
        assert!(
            outer.try_wait().unwrap().is_none(),
            "the container could not be made"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let start = vss_enter::start_time(pid).unwrap();
    Some(Fixture {
        outer,
        pid,
        start,
        directory,
    })
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // its first process is told by the kernel
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

impl Fixture {
    /// The caller's command line: options, `--`, the command.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .arg("run")
            .arg(self.pid.to_string())
            .arg(self.start.to_string());
        command.args(arguments);
        command
    }

    /// The same for a caller that was started with a signal ignored.
    pub(crate) fn command_ignoring(&self, signal: &str, arguments: &[&str]) -> Command {
        let command = self.command(arguments);
        let mut ignoring = Command::new("env");
        ignoring
            .arg(format!("--ignore-signal={signal}"))
            .arg(command.get_program())
            .args(command.get_args());
        ignoring
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What a shell script says inside, which has to succeed.
    pub(crate) fn script(&self, options: &[&str], script: &str) -> String {
        let arguments = [options, &["--", "sh", "-c", script]].concat();
        let output = self.run(&arguments);
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn status_of(&self, arguments: &[&str]) -> i32 {
        let output = self.run(arguments);
        output
            .status
            .code()
            .unwrap_or_else(|| panic!("signal {:?}", output.status.signal()))
    }

    /// A line of the status of the first process.
    pub(crate) fn of_first(&self, key: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        line(&status, key)
    }
}

/// The value of a line `KEY:\tVALUE`.
pub(crate) fn line(status: &str, key: &str) -> String {
    let found = status
        .lines()
        .find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
    found
        .unwrap_or_else(|| panic!("no {key} in {status}"))
        .trim()
        .to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
