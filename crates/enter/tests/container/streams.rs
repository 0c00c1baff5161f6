//! Exit statuses, input, output and signals without a terminal.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{container, text};

#[test]
fn the_exit_status_is_the_command_s() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    for (script, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -15 $$", 143),
    ] {
        assert_eq!(
            fixture.status_of(&["--", "sh", "-c", script]),
            status,
            "{script}"
        );
    }
}

#[test]
fn what_can_not_be_run_is_told_by_podman_s_statuses() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    fixture.script(&[], "printf '#!/nowhere/interpreter\\n' >/tmp/bad; printf 'x' >/tmp/none; chmod +x /tmp/bad /tmp/none");
    for (arguments, status, words) in [
        (
            &["--", "no-such-program"][..],
            127,
            "no-such-program: no such program",
        ),
        (&["--", "/no/such"], 127, "/no/such: no such program"),
        (&["--", ""], 127, ": no such program"),
        (&["--", "/etc/passwd"], 126, "Permission denied"),
        (&["--", "/etc"], 126, "can't be executed"),
        (&["--", "/tmp/bad"], 126, "can't be executed"),
        (&["--", "/tmp/none"], 126, "Exec format error"),
        (
            &["--user", "nobody-here", "--", "true"],
            125,
            "no user nobody-here",
        ),
        (
            &["--user", "4294967295", "--", "true"],
            125,
            "no user 4294967295",
        ),
        (
            &["--user", "bob:nogroup-here", "--", "true"],
            125,
            "no group nogroup-here",
        ),
        (&["--workdir", "/nowhere", "--", "true"], 125, "/nowhere"),
        (&["--workdir", "etc", "--", "true"], 125, "absolute"),
        (&["--env", "=x", "--", "true"], 125, "NAME=VALUE"),
    ] {
        let output = fixture.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn arguments_are_bytes() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let odd = OsStr::from_bytes(b"\xff\xfe");
    let output = fixture
        .command(&["--", "printf", "%s"])
        .arg(odd)
        .output()
        .unwrap();
    assert_eq!(output.stdout, odd.as_bytes(), "{output:?}");
    let missing = fixture.command(&["--"]).arg(odd).output().unwrap();
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
}

#[test]
fn a40_a_name_with_escape_sequences_is_shown_and_not_obeyed() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let said = text(&fixture.run(&["--", "\u{1b}[2Jx"]).stderr);
    assert!(
        said.contains("\\x1b[2Jx") && !said.contains('\u{1b}'),
        "{said:?}"
    );
}

#[test]
fn input_is_read_only_when_asked_for() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let run = |options: &[&str]| {
        let arguments = [options, &["--", "cat"]].concat();
        let mut child = fixture
            .command(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            for n in 0..200_000_u32 {
                if input.write_all(&n.to_le_bytes()).is_err() {
                    break;
                }
            }
        });
        let mut output = Vec::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut output)
            .unwrap();
        assert!(child.wait().unwrap().success());
        drop(writer);
        output
    };
    assert!(run(&[]).is_empty());
    let expected: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    assert!(run(&["--interactive"]) == expected);
}

#[test]
fn output_and_errors_are_kept_apart_and_whole() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let output = fixture.run(&["--", "sh", "-c", "seq 1 100000; seq 1 5000 >&2; exit 3"]);
    let lines = |n: u32| (1..=n).map(|i| format!("{i}\n")).collect::<String>();
    assert!(text(&output.stdout) == lines(100_000));
    assert!(text(&output.stderr) == lines(5000));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a08_a_directory_as_input_stays_outside() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let directory = std::fs::File::open("/var").unwrap();
    let output = fixture
        .command(&[
            "--interactive",
            "--",
            "sh",
            "-c",
            "readlink /proc/self/fd/0; cat",
        ])
        .stdin(directory)
        .output()
        .unwrap();
    assert!(text(&output.stdout).starts_with("pipe:"), "{output:?}");
    assert!(output.status.success());
}

#[test]
fn a41_who_stays_behind_with_the_output_is_not_waited_for() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let output = fixture.run(&["--", "sh", "-c", "sleep 100000 & echo done"]);
    assert_eq!(text(&output.stdout), "done\n");
    assert!(output.status.success());
    let flood = fixture.run(&["--", "sh", "-c", "(while :; do echo x; done) & exit 4"]);
    assert_eq!(flood.status.code(), Some(4));
}

#[test]
fn a41_a56_output_to_a_closed_pipe_ends_with_141() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    for script in [
        "yes",
        "yes || exit 0",
        "trap '' PIPE; while echo x; do :; done 2>/dev/null; exit 5",
    ] {
        let mut child = fixture
            .command(&["--", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        assert!(!first.is_empty());
        assert_eq!(child.wait().unwrap().code(), Some(141), "{script}");
    }
}

#[test]
fn a56_signals_are_the_command_s() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let script = "trap 'echo term; exit 3' TERM; trap 'echo int' INT; echo ready; while :; do sleep 0.02; done";
    let mut child = fixture
        .command(&["--", "bash", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "ready");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(lines.next().unwrap(), "int");
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(lines.next().unwrap(), "term");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a56_a_signal_that_the_caller_ignores_is_not_the_command_s() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let script = "trap 'exit 3' HUP; trap 'exit 4' TERM; echo ready; while :; do sleep 0.02; done";
    let mut child = fixture
        .command_ignoring("HUP", &["--", "bash", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::HUP).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_caller_that_ignores_the_end_of_children_hears_of_the_command_s() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let status = fixture
        .command_ignoring("CHLD", &["--", "sh", "-c", "exit 6"])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(6));
}

#[test]
fn a56_a_caller_that_is_ended_on_the_way_in_leaves_nothing_running() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    for round in 0..160_u64 {
        let mut child = fixture
            .command(&["--", "sleep", "987654"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(round * 50));
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        child.wait().unwrap();
    }
    // whoever was on the way when the last one was ended is through by now
    std::thread::sleep(Duration::from_millis(50));
    let left = fixture.script(&[], "ps -e -o args | grep -c '^sleep' || true");
    assert_eq!(left, "0\n");
}

#[test]
fn a56_a_stopped_command_is_ended_by_what_would_end_it() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let script = "sh -c 'until grep -q stopped /proc/'$$'/status; do sleep 0.02; done; echo stopped' & kill -STOP $$";
        let mut child = fixture
            .command(&["--", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "stopped");
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(status));
    }
}

#[test]
fn the_end_of_the_container_is_the_end_of_the_command() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let mut child = fixture
        .command(&["--", "sh", "-c", "echo ready; exec sleep 100000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    drop(fixture);
    assert_eq!(child.wait().unwrap().code(), Some(137));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(said.contains("the container stopped"), "{said}");
}

#[test]
fn hostile_files_of_users_are_refused_and_never_waited_for() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    for (script, ok) in [
        ("mkfifo /etc/f && mv /etc/f /etc/passwd", false),
        ("rm /etc/passwd; ln -s /dev/zero /etc/passwd", false),
        (
            "rm /etc/passwd; ln -s /proc/1/root/etc/group /etc/passwd",
            false,
        ),
        ("rm /etc/passwd; ln -s passwd /etc/passwd", false),
        ("rm /etc/passwd; truncate -s 1T /etc/passwd", false),
        ("rm -r /etc/passwd; mkdir /etc/passwd", false),
        // without any, numbers still count
        ("rm -r /etc/passwd", true),
        ("printf 'bob:x:0:0::/:/bin/sh' >/etc/passwd", true),
    ] {
        // the way in needs the files too, so the changes are made from outside
        let root = format!("/proc/{}/root", fixture.pid);
        let done = std::process::Command::new("chroot")
            .args([&root, "sh", "-c", script])
            .status()
            .unwrap();
        assert!(done.success(), "{script}");
        let output = fixture.run(&["--user", "0", "--", "true"]);
        assert_eq!(output.status.success(), ok, "{script}: {output:?}");
        assert!(
            ok || output.status.code() == Some(125),
            "{script}: {output:?}"
        );
    }
}

#[test]
fn the_command_can_open_its_streams_anew() {
    let script = "echo out >/proc/self/fd/1; echo err >/proc/self/fd/2; cat </proc/self/fd/0";
    for options in [&[][..], &["--users", "1700000"]] {
        let Some(fixture) = container(options) else {
            return;
        };
        for user in ["root", "bob"] {
            let mut child = fixture
                .command(&["--user", user, "--interactive", "--", "sh", "-c", script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(b"in\n").unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(text(&output.stdout), "out\nin\n", "{user}: {output:?}");
            assert_eq!(text(&output.stderr), "err\n", "{user}");
        }
    }
}
