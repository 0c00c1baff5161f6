//! A container with users of its own: who comes in is one of them, and nobody to the host.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use vss_enter::Container;

use crate::fixture::{Fixture, container, line};

const BASE: u32 = 1_700_000;

fn private() -> Option<Fixture> {
    container(&["--users", &BASE.to_string()])
}

#[test]
fn root_inside_is_nobody_outside_with_what_the_first_process_has() {
    let Some(fixture) = private() else {
        return;
    };
    let status = fixture.script(&[], "cat /proc/self/status");
    assert_eq!(line(&status, "Uid"), "0\t0\t0\t0");
    assert_eq!(line(&status, "Gid"), "0\t0\t0\t0");
    assert_eq!(line(&status, "Groups"), "");
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(line(&status, set), fixture.of_first("CapBnd"), "{set}");
    }
    assert_eq!(line(&status, "Seccomp"), "2");
    fixture.script(&[], "touch /root/made");
    fixture.script(&["--user", "bob"], "touch /tmp/made");
    let root = PathBuf::from(format!("/proc/{}/root", fixture.pid));
    assert_eq!(fs::metadata(root.join("root/made")).unwrap().uid(), BASE);
    let of_bob = fs::metadata(root.join("tmp/made")).unwrap();
    assert_eq!((of_bob.uid(), of_bob.gid()), (BASE + 1234, BASE + 1234));
    // what is the host's is nobody's
    let usr = fixture.script(&[], "stat -c %u /usr/bin/env; touch /usr/x 2>&1 || true");
    assert!(
        usr.starts_with("65534\n") && usr.contains("denied"),
        "{usr}"
    );
}

#[test]
fn another_user_has_no_capability_and_their_own_groups() {
    let Some(fixture) = private() else {
        return;
    };
    let status = fixture.script(&["--user", "bob"], "cat /proc/self/status");
    assert_eq!(line(&status, "Uid"), "1234\t1234\t1234\t1234");
    assert_eq!(line(&status, "Groups"), "500");
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(line(&status, set), "0000000000000000", "{set}");
    }
}

#[test]
fn the_command_is_in_all_namespaces_the_users_own_among_them() {
    let Some(fixture) = private() else {
        return;
    };
    let names = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];
    let script = format!(
        "for n in {}; do readlink /proc/self/ns/$n; done",
        names.join(" ")
    );
    let inside = fixture.script(&[], &script);
    for (ns, found) in names.iter().zip(inside.lines()) {
        let first = fs::read_link(format!("/proc/{}/ns/{ns}", fixture.pid)).unwrap();
        assert_eq!(Path::new(found), first);
        let host = fs::read_link(format!("/proc/self/ns/{ns}")).unwrap();
        assert_ne!(Path::new(found), host, "{ns}");
    }
}

#[test]
fn statuses_and_terminals_are_as_elsewhere() {
    let Some(fixture) = private() else {
        return;
    };
    assert_eq!(fixture.status_of(&["--", "sh", "-c", "exit 7"]), 7);
    assert_eq!(fixture.status_of(&["--", "sh", "-c", "kill -9 $$"]), 137);
    assert_eq!(fixture.status_of(&["--", "/no/such/thing"]), 127);
    assert_eq!(fixture.status_of(&["--", "/etc/passwd"]), 126);
    assert_eq!(fixture.status_of(&["--user", "nosuch", "--", "true"]), 125);
    let terminal = fixture.script(&["--tty"], "tty; stat -c %u $(tty); id -u");
    let lines: Vec<&str> = terminal.split_whitespace().collect();
    assert_eq!(lines, ["/dev/pts/0", "0", "0"]);
}

#[test]
fn a_socket_inside_is_reached_as_root_of_the_users() {
    let Some(fixture) = private() else {
        return;
    };
    let held = Container::open(fixture.pid, fixture.start).unwrap();
    let mut stream = held.connect(Path::new("/run/echo")).unwrap();
    stream.write_all(b"who").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, "0");
}
