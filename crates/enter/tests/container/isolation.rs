//! What the command is and has.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use vss_enter::{Command, Container, Error, Signal};
use vss_model::Confinement;
use vss_model::confinement::capability::capabilities;

use crate::fixture::{container, is_root, line, text};

#[test]
fn a42_the_command_has_what_the_first_process_has_and_no_more() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let status = fixture.script(&[], "cat /proc/self/status");
    let bounding = fixture.of_first("CapBnd");
    assert_ne!(bounding, own("CapBnd"), "the fixture has to be reduced");
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(line(&status, set), bounding, "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(line(&status, set), "0000000000000000", "{set}");
    }
    assert_eq!(line(&status, "Seccomp"), "2");
    assert_eq!(line(&status, "NoNewPrivs"), fixture.of_first("NoNewPrivs"));
    assert_eq!(line(&status, "Groups"), "");
    let blocked = line(&status, "SigBlk");
    assert_eq!(
        u64::from_str_radix(&blocked, 16).unwrap() & !(1 << 16),
        0,
        "{blocked}"
    );
    assert_eq!(line(&status, "SigIgn"), "0000000000000000");
}

#[test]
fn a42_the_command_waits_until_the_first_process_is_confined() {
    // under a filter of the host's, too
    for (confined, more) in [("late", 0), ("inherited", 1)] {
        let Some(fixture) = container(&["--confined", confined]) else {
            return;
        };
        let filters = |text: String| text.parse::<u32>().unwrap();
        let inherited = filters(fixture.of_first("Seccomp_filters"));
        assert_eq!(inherited, filters(own("Seccomp_filters")) + more);
        let mut waiting = fixture
            .command(&["--", "test", "-e", "/run/go"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // it has the time to go wrong; where it is slower than that nothing is shown
        std::thread::sleep(Duration::from_millis(200));
        fs::write(format!("/proc/{}/root/run/go", fixture.pid), "").unwrap();
        assert_eq!(waiting.wait().unwrap().code(), Some(0), "{confined}");
    }
}

#[test]
fn a42_the_command_has_no_more_than_the_confinement_leaves() {
    let Some(fixture) = container(&["--confined", "little"]) else {
        return;
    };
    let kept = format!("{:016x}", capabilities(Confinement::Reduced));
    assert_ne!(fixture.of_first("CapBnd"), kept);
    let status = fixture.script(&[], "cat /proc/self/status");
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(line(&status, set), kept, "{set}");
    }
}

#[test]
fn a42_a_container_that_ends_before_it_is_confined_is_not_waited_for() {
    let Some(fixture) = container(&["--confined", "late"]) else {
        return;
    };
    let waiting = fixture
        .command(&["--", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let held = Container::open(fixture.pid, fixture.start).unwrap();
    held.signal(Signal::KILL).unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(text(&output.stderr).contains("is gone"), "{output:?}");
}

fn own(key: &str) -> String {
    line(&fs::read_to_string("/proc/self/status").unwrap(), key)
}

#[test]
fn a42_another_user_has_no_capability_and_their_own_groups() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let status = fixture.script(&["--user", "bob"], "cat /proc/self/status");
    assert_eq!(line(&status, "Uid"), "1234\t1234\t1234\t1234");
    assert_eq!(line(&status, "Gid"), "1234\t1234\t1234\t1234");
    assert_eq!(line(&status, "Groups"), "500");
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(line(&status, set), "0000000000000000", "{set}");
    }
    assert_eq!(
        fixture.script(
            &["--user", "1234:77"],
            "id -u; id -g; id -G; echo $HOME $USER"
        ),
        "1234\n77\n77\n/home/bob bob\n"
    );
    assert_eq!(
        fixture.script(&["--user", "4000"], "id -u; pwd"),
        "4000\n/\n"
    );
    // the pair: root may, bob may not
    assert_eq!(
        fixture.script(&["--workdir", "/private"], "pwd"),
        "/private\n"
    );
    let refused = fixture.run(&["--user", "bob", "--workdir", "/private", "--", "pwd"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("/private"), "{refused:?}");
}

#[test]
fn a42_terminal_input_and_keys_are_out_of_reach() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING) by perl, which Debian always has
    let script = "perl -e 'syscall(250, 0, -3, 0) == -1 or die; exit($! + 0)'";
    let inside = fixture.run(&["--", "sh", "-c", script]);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(
            inside.status.code(),
            Some(38),
            "ENOSYS by the filter: {inside:?}"
        );
    }
}

#[test]
fn the_command_is_in_all_namespaces_of_the_first_process() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let script = "for n in mnt pid net ipc uts cgroup user; do readlink /proc/self/ns/$n; done";
    let inside = fixture.script(&[], script);
    for (ns, found) in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"]
        .iter()
        .zip(inside.lines())
    {
        let first = fs::read_link(format!("/proc/{}/ns/{ns}", fixture.pid)).unwrap();
        assert_eq!(Path::new(found), first);
        let host = fs::read_link(format!("/proc/self/ns/{ns}")).unwrap();
        assert_eq!(Path::new(found) == host, *ns == "user", "{ns}");
    }
    assert_eq!(
        fixture.script(&[], "hostname; ls /proc | grep -c '^1$'"),
        "fixture\n1\n"
    );
}

#[test]
fn a43_the_environment_is_an_allow_list() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let output = fixture
        .command(&["--env", "GIVEN=a b", "--env", "LANG=x", "--", "env"])
        .env("LD_LIBRARY_PATH", "/nonexistent")
        .env("SSH_AUTH_SOCK", "/x")
        .env("XDG_RUNTIME_DIR", "/x")
        .env("SECRET", "x")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut names: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "GIVEN=a b",
            "HOME=/root",
            "LANG=x",
            "LOGNAME=root",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "SHELL=/bin/bash",
            "USER=root",
            "container=lxc-libvirt",
        ]
    );
}

#[test]
fn a43_programs_are_found_by_the_container_s_path() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let own = fixture.directory.path();
    fs::write(own.join("vss-only-outside"), "#!/bin/sh\n").unwrap();
    let missing = fixture
        .command(&["--", "vss-only-outside"])
        .env("PATH", own)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    assert_eq!(fixture.status_of(&["--", "vss-only-inside"]), 127);
    let found = fixture.run(&[
        "--env",
        "PATH=/nowhere:relative:/opt/own:/usr/bin",
        "--",
        "vss-only-inside",
    ]);
    assert_eq!(text(&found.stdout), "own /opt/own/vss-only-inside\n");
}

#[test]
fn a08_no_descriptor_and_no_directory_of_the_host_goes_along() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let program = crate::fixture::program();
    // a caller with a directory of the host as descriptor 9, and as its own directory
    let caller = |workdir: &str| {
        let line = format!(
            "cd /var && exec {} run {} {} --workdir {workdir} -- sh -c 'pwd; ls -l /proc/self/fd' 9</var",
            program.display(),
            fixture.pid,
            fixture.start
        );
        std::process::Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let output = caller("/");
    let listing = text(&output.stdout);
    let lines: Vec<&str> = listing.lines().collect();
    assert_eq!(lines[0], "/", "{listing}");
    let open: Vec<&str> = lines
        .iter()
        .filter_map(|l| l.split_once("-> "))
        .map(|(_, to)| to)
        .collect();
    assert_eq!(
        open.len(),
        4,
        "three streams and the listing itself: {listing}"
    );
    assert!(
        open[0] == "/dev/null" && open[1].starts_with("pipe:") && open[2].starts_with("pipe:"),
        "{listing}"
    );
    let of_host = fs::metadata("/dev/null").unwrap().dev().to_string();
    let look = "stat -L -c '%d %t:%T' /proc/self/fd/0";
    for options in [&[][..], &["--user", "bob"]] {
        let said = fixture.script(options, look);
        let (device, node) = said.trim().split_once(' ').unwrap();
        assert_eq!(node, "1:3");
        assert_ne!(device, of_host, "chmod would reach the host's own");
    }
    for number in 3..=15 {
        let leak = caller(&format!("/proc/self/fd/{number}"));
        let inside = text(&leak.stdout);
        assert_eq!(leak.status.code(), Some(125), "{number}: {inside}");
    }
}

#[test]
fn a08_what_stands_in_place_of_the_null_device_is_not_read() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    for hostile in [
        "rm /dev/null; mkfifo /dev/null",
        "rm /dev/null; ln -s zero /dev/null",
        "rm /dev/null; cp /etc/passwd /dev/null",
        "rm /dev/null",
    ] {
        fixture.script(&[], hostile);
        let said = fixture.script(&[], "cat; readlink /proc/self/fd/0");
        assert!(said.starts_with("pipe:"), "{hostile}: {said}");
    }
}

#[test]
fn a39_the_caller_s_terminal_is_out_of_reach() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    // a session leader of its own, without any controlling terminal
    let said = fixture.script(
        &[],
        "ps -o sid= -p $$; echo $$; (: </dev/tty) 2>/dev/null || echo none",
    );
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[0], words[1], "{said}");
    assert_eq!(words[2], "none");
}

#[test]
fn a49_another_process_with_the_same_number_is_not_entered() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    assert!(Container::open(fixture.pid, fixture.start).is_ok());
    for (pid, start) in [
        (fixture.pid, fixture.start + 1),
        (0, 0),
        (u32::MAX, 0),
        (1 << 30, 1),
    ] {
        assert!(
            matches!(Container::open(pid, start), Err(Error::Gone { .. })),
            "{pid}"
        );
    }
    // a process of the host is no container
    let own = std::process::id();
    let mut command = fixture.command(&[]);
    command.args(["--", "true"]);
    let start = vss_enter::start_time(own).unwrap();
    let refused = std::process::Command::new(crate::fixture::program())
        .args(["run", &own.to_string(), &start.to_string(), "--", "true"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("namespaces"), "{refused:?}");
}

#[test]
fn a49_signals_go_to_the_container_that_was_opened() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let held = Container::open(fixture.pid, fixture.start).unwrap();
    assert!(!held.wait(Some(Duration::ZERO)).unwrap());
    held.signal(Signal::KILL).unwrap();
    assert!(held.wait(None).unwrap());
    assert!(matches!(held.signal(Signal::KILL), Err(Error::Gone { .. })));
    let command = Command::new(vec!["true".to_owned()], Confinement::Reduced);
    assert!(held.run(&command).is_err());
    assert!(Signal::from_number(0).is_none() && Signal::from_number(65).is_none());
    assert_eq!(Signal::POWER_OFF.number(), libc::SIGRTMIN() + 4);
}

#[test]
fn a_process_with_threads_does_not_fork_into_a_container() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let held = Container::open(fixture.pid, fixture.start).unwrap();
    let command = Command::new(vec!["true".to_owned()], Confinement::Reduced);
    assert!(matches!(held.run(&command), Err(Error::Threads(n)) if n > 1));
}

#[test]
fn a10_a_socket_inside_is_reached_and_none_of_the_host() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let held = Container::open(fixture.pid, fixture.start).unwrap();
    let mut stream = held.connect(Path::new("/run/echo")).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, "inside hello");

    let outside = fixture.directory.path().join("host");
    let _listener = UnixListener::bind(&outside).unwrap();
    std::os::unix::net::UnixStream::connect(&outside).unwrap();
    let link = format!(
        "ln -s {} /run/link; ln -s /run/echo /run/good",
        outside.display()
    );
    fixture.script(&[], &link);
    for refused in [
        outside.to_str().unwrap(),
        "/run/link",
        "/run/nothing",
        "/etc/passwd",
    ] {
        let error = held.connect(Path::new(refused)).unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{refused}");
    }
    held.connect(Path::new("/run/good")).unwrap();
}

#[test]
fn a10_a_socket_that_nobody_serves_does_not_hold_the_caller() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let held = Container::open(fixture.pid, fixture.start).unwrap();
    let mut open = Vec::new();
    let error = loop {
        match held.connect_within(Path::new("/run/busy"), Duration::from_millis(500)) {
            Ok(stream) => open.push(stream),
            Err(error) => break error,
        }
        assert!(open.len() < 100_000, "the backlog has no end");
    };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("timed out"), "{source}");
}

#[test]
fn a10_who_is_stopped_on_the_way_to_a_socket_is_not_left_behind() {
    let Some(fixture) = container(&[]) else {
        return;
    };
    let held = Container::open(fixture.pid, fixture.start).unwrap();
    // whoever gets one of the next numbers is stopped before it has done a thing
    let script = "$| = 1; print qq(up\\n); for (;;) { kill STOP => $$ + 1 .. $$ + 20 }";
    let mut hostile = fixture
        .command(&["--", "perl", "-e", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    let mut said = hostile.stdout.take().unwrap();
    said.read_exact(&mut up).unwrap();
    for _ in 0..20 {
        let _ = held.connect_within(Path::new("/run/echo"), Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_child(&hostile);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    hostile.wait().unwrap();
    let left = fixture.script(&[], "ps -e -o stat= | grep -c ^T || true");
    assert_eq!(left, "0\n");
}

#[test]
fn the_command_is_in_the_cgroups_of_the_first_process() {
    if !is_root("cgroups") {
        return;
    }
    let candidates = [
        "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup",
    ];
    let made = candidates.iter().find_map(|hierarchy| {
        let group = Path::new(hierarchy).join(format!("vss-enter-test-{}", std::process::id()));
        fs::create_dir(&group)
            .ok()
            .filter(|()| group.join("cgroup.procs").exists())
            .map(|()| group)
    });
    let Some(group) = made else {
        eprintln!("SKIPPED, needs a cgroup hierarchy that can be written to");
        assert!(std::env::var_os("CI").is_none(), "no cgroup can be made");
        return;
    };
    let fixture = container(&["--cgroup", group.to_str().unwrap()]).unwrap();
    // inside, the cgroup namespace shows the first process's cgroup as the root
    let inside = fixture.script(&[], "cat /proc/self/cgroup; sleep 0.1");
    let outside = fs::read_to_string(format!("/proc/{}/cgroup", fixture.pid)).unwrap();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    assert_ne!(outside, own);
    assert!(inside.lines().all(|l| l.ends_with(":/")), "{inside}");
    drop(fixture);
    // its processes are gone with the next look, not at once
    while fs::remove_dir(&group).is_err_and(|e| e.kind() == std::io::ErrorKind::ResourceBusy) {
        std::thread::sleep(Duration::from_millis(10));
    }
}
