//! Sessions at a terminal: the caller's is a pty of the test.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::fixture::{Fixture, container, text};

/// A caller at a terminal.
struct Caller {
    child: Child,
    master: File,
    slave: OwnedFd,
    seen: String,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Caller {
    fn start(fixture: &Fixture, arguments: &[&str]) -> Self {
        Self::at_terminal(fixture.command(arguments))
    }

    fn at_terminal(mut command: Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        tcsetwinsize(&slave, size(33, 101)).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Self {
            child,
            master: File::from(master),
            slave,
            seen: String::new(),
        }
    }

    /// Reads until a text was seen, and forgets what came up to its end.
    fn until(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(wanted) {
                let rest = self.seen.split_off(at + wanted.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut bytes = [0; 4096];
            let count = self.master.read(&mut bytes).unwrap();
            assert!(count > 0, "no {wanted:?} in {:?}", self.seen);
            self.seen.push_str(&text(&bytes[..count]));
        }
    }

    fn type_in(&mut self, bytes: &str) {
        self.master.write_all(bytes.as_bytes()).unwrap();
    }

    fn modes(&self) -> Termios {
        tcgetattr(&self.slave).unwrap()
    }

    fn is_raw(&self) -> bool {
        !self.modes().local_modes.contains(LocalModes::ICANON)
    }

    fn end(&mut self) -> Option<i32> {
        let status = self.child.wait().unwrap().code();
        assert!(!self.is_raw(), "the terminal is as it was");
        status
    }
}

/// The status of a caller that has to end by itself, however busy the machine is.
fn ends_by_itself(child: &mut Child) -> Option<i32> {
    for _ in 0..1200 {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    panic!("still there after a minute");
}

const SHELL: [&str; 6] = [
    "--tty",
    "--interactive",
    "--escape",
    "--env",
    "PS1=$ ",
    "--",
];

/// A shell that says when it is ready.
fn shell(fixture: &Fixture) -> Caller {
    let arguments = [
        &SHELL[..],
        &["bash", "--norc", "-i", "-c", "echo up; exec bash --norc -i"],
    ]
    .concat();
    let mut caller = Caller::start(fixture, &arguments);
    caller.until("up");
    caller.until("$ ");
    caller
}

#[test]
fn a39_a_session_has_a_terminal_of_the_container() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let mut caller = shell(&fixture);
    assert!(caller.is_raw());
    caller.type_in("tty; stty size; echo $TERM; ls -l /proc/$$/fd | grep -c /dev/pts/; : </dev/tty && echo has-$((1 + 0))\n");
    let said = caller.until("has-1\r\n").replace('\r', "");
    let said: Vec<&str> = said.lines().collect();
    assert!(
        said.iter().any(|line| line.ends_with("/dev/pts/0")),
        "the container's own devpts counts from 0: {said:?}"
    );
    assert!(
        said.contains(&"33 101") && said.contains(&"xterm"),
        "{said:?}"
    );
    caller.type_in("exit 9\n");
    assert_eq!(caller.end(), Some(9));
}

#[test]
fn the_size_follows() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let arguments = [
        &SHELL[..],
        &[
            "bash",
            "-c",
            "trap 'stty size' WINCH; echo up; while :; do read -t 0.05 line && exit 0; done",
        ],
    ]
    .concat();
    let mut caller = Caller::start(&fixture, &arguments);
    caller.until("up");
    tcsetwinsize(&caller.slave, size(50, 132)).unwrap();
    // the test's pty is not the caller's controlling terminal, so the kernel doesn't tell it
    kill_process(Pid::from_child(&caller.child), Signal::WINCH).unwrap();
    caller.until("50 132");
    caller.type_in("\n");
    assert_eq!(caller.end(), Some(0));
}

#[test]
fn the_escape_key_ends_a_session() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let mut caller = shell(&fixture);
    caller.type_in("echo typed > /tmp/typed; echo do''ne\n");
    caller.until("done");
    caller.type_in("\u{1d}never");
    assert_eq!(caller.end(), Some(0));
    assert_eq!(fixture.script(&[], "cat /tmp/typed"), "typed\n");
    // who leaves has hung up, and does not wait for the shell's end
    let left = || fixture.script(&[], "ps -e | grep -c bash || true");
    let ended = (0..600).any(|_| {
        left() == "0\n" || {
            std::thread::sleep(Duration::from_millis(100));
            false
        }
    });
    assert!(ended, "left: {}", left());
}

#[test]
fn a41_a_session_that_ignores_the_hangup_does_not_hold_the_caller() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let arguments = [
        &SHELL[..],
        &["bash", "-c", "trap '' HUP; echo up; exec sleep 100000"],
    ]
    .concat();
    let mut caller = Caller::start(&fixture, &arguments);
    caller.until("up");
    caller.type_in("\u{1d}");
    assert_eq!(caller.end(), Some(0));
}

#[test]
fn a56_a_signal_ends_a_session_and_restores_the_terminal() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut caller = shell(&fixture);
        assert!(caller.is_raw());
        kill_process(Pid::from_child(&caller.child), signal).unwrap();
        assert_eq!(caller.end(), Some(status));
    }
}

#[test]
fn in_the_background_the_terminal_is_another_s() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let script = r#"
        set -m
        "$@" &
        until grep -q '^State:.T' /proc/$!/status || stty -a | grep -q -e '-icanon'; do
            sleep 0.02
        done
        stty -a | grep -q -e '-icanon' && echo spoiled || echo untouched
        kill -KILL $!
    "#;
    let session = fixture.command(&["--tty", "--interactive", "--", "sleep", "100000"]);
    let mut shell = Command::new("setsid");
    shell
        .args(["--ctty", "--wait", "sh", "-c", script, "sh"])
        .arg(session.get_program())
        .args(session.get_args());
    let mut caller = Caller::at_terminal(shell);
    let said = caller.until("\n");
    assert!(said.contains("untouched"), "{said}");
    assert_eq!(caller.end(), Some(0));
}

#[test]
fn control_c_is_typed_and_not_obeyed() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let mut caller = shell(&fixture);
    // the prompt may be the first one, from before the shell has read this
    caller.type_in("trap 'echo caught' INT; echo ar''med\n");
    caller.until("armed");
    caller.type_in("\u{3}");
    caller.until("caught");
    caller.type_in("exit 0\n");
    assert_eq!(caller.end(), Some(0));
}

#[test]
fn all_that_was_written_before_the_end_is_seen() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    for _ in 0..10 {
        let mut caller = Caller::start(&fixture, &["--tty", "--", "seq", "1", "2000"]);
        caller.until("1999\r\n2000\r\n");
        assert_eq!(caller.end(), Some(0));
    }
}

#[test]
fn a41_who_stays_behind_and_writes_now_and_then_is_not_waited_for() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let script = "trap '' HUP; (while :; do printf .; sleep 0.01; done) & exit 4";
    let mut caller = Caller::start(&fixture, &["--tty", "--", "sh", "-c", script]);
    assert_eq!(ends_by_itself(&mut caller.child), Some(4));
}

#[test]
fn the_end_of_the_container_is_the_end_of_the_session() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let mut caller = shell(&fixture);
    drop(fixture);
    caller.until("the container stopped");
    assert_eq!(caller.end(), Some(137));
}

#[test]
fn without_a_command_it_is_the_login_shell() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let run = |user: &str| {
        let mut child = fixture
            .command(&["--interactive", "--user", user, "--"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(b"echo $0; pwd; exit 6\n")
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(6));
        text(&output.stdout)
    };
    assert_eq!(run("root"), "-bash\n/root\n");
    assert_eq!(run("bob"), "-sh\n/home/bob\n");
}

#[test]
fn a_terminal_without_one_outside_has_an_end_of_input() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let mut child = fixture
        .command(&[
            "--tty",
            "--interactive",
            "--",
            "sh",
            "-c",
            "stty -echo; echo up; cat; echo over",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut first = [0; 4];
    output.read_exact(&mut first).unwrap();
    child.stdin.take().unwrap().write_all(b"line\n").unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.replace('\r', ""), "line\nover\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_terminal_that_nobody_has_open_for_a_while_is_not_at_its_end() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let script =
        "exec <&- >&- 2>&-; sleep 0.3; echo back >/dev/tty; sleep 0.3; echo last >/dev/tty";
    let said = fixture.script(&["--tty"], script);
    assert_eq!(said, "back\r\nlast\r\n");
}

#[test]
fn an_unfinished_line_is_no_hindrance_to_the_end_of_input() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let mut child = fixture
        .command(&["--tty", "--interactive", "--", "sh"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"exit 3").unwrap();
    assert_eq!(ends_by_itself(&mut child), Some(3));
}

#[test]
fn a06_a_terminal_comes_out_of_the_container_s_devpts_or_not_at_all() {
    for hostile in ["link", "directory", "covered"] {
        let Some(fixture) = container(&["--pts", hostile]) else {
            return;
        };
        let refused = fixture.run(&["--tty", "--", "true"]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(125), "{hostile}: {said}");
        assert!(
            said.contains("terminal") && said.contains("/dev/pts"),
            "{hostile}: {said}"
        );
        // the pair: all else works there
        assert_eq!(fixture.status_of(&["--", "true"]), 0, "{hostile}");
    }
    // what stands at /dev/ptmx is never looked at
    let fixture = container(&[]).unwrap();
    fixture.script(&[], "ln -s /etc/passwd /dev/ptmx");
    assert_eq!(fixture.status_of(&["--tty", "--", "true"]), 0);
}
