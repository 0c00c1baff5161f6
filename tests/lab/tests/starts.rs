//! Many containers started side by side, again and again: libvirt's start race, and whatever else
//! a crowd brings to light, must never be seen as a failure.
//!
//! `VSS_ROUNDS` says how often; `docs/design/libvirt-race.md` has what the race is.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests, which fail by panicking and say what they did"
)]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vss_lab::snapshot::Snapshot;
use vss_lab::{Lab, fixture, happens};

const CONTAINERS: usize = 50;
const WIDE: usize = 8;

/// So many of them run all the time: it is the running ones that disturb a start. All fifty would
/// need more inotify instances than a machine has by default (3 for each systemd, 128 for a user).
const RUNNING: usize = 8;

/// How often all are started, unless `VSS_ROUNDS` says.
const ROUNDS: usize = 3;

#[test]
fn fifty_starts_eight_at_a_time_never_fail() {
    let lab = Lab::enter();
    fixture::service(&lab, "lab-many", "", "ExecStart=/bin/sleep infinity");
    let rounds = std::env::var("VSS_ROUNDS").map_or(ROUNDS, |rounds| {
        rounds.parse().expect("VSS_ROUNDS is a number")
    });
    // the first start of all makes directories of libvirt's own
    let first = lab.create("many", &["-u", "lab-many.service"]);
    first.start();
    drop(first);
    // libvirt does not wait for the end of a network's dnsmasq
    let is_dnsmasq = |process: &String| process.ends_with(" dnsmasq");
    assert!(
        happens(|| !processes().iter().any(is_dnsmasq)),
        "dnsmasq stays"
    );
    let (before, processes_before) = (Snapshot::settled(&lab), processes());

    let names: Vec<String> = (0..CONTAINERS).map(|n| format!("many{n}")).collect();
    let _sandboxes: Vec<_> = names.iter().map(|name| lab.expect(name)).collect();
    let create = |name: &str| {
        let verb = [
            "create",
            "--confinement",
            "reduced",
            "-u",
            "lab-many.service",
        ];
        said(&lab, &verb, name)
    };
    each(&names, create);
    let neighbours: Vec<String> = (0..RUNNING).map(|n| format!("neighbour{n}")).collect();
    let _neighbours: Vec<_> = neighbours.iter().map(|name| lab.expect(name)).collect();
    each(&neighbours, create);
    each(&neighbours, |name| said(&lab, &["start"], name));
    let total = || names.iter().map(|name| attempts(name)).sum::<usize>();
    let logged = total();
    for round in 1..=rounds {
        each(&names, |name| {
            said(&lab, &["start"], name)?;
            said(&lab, &["stop"], name)
        });
        let again = total() - logged - round * CONTAINERS;
        println!("round {round} of {rounds}: {again} attempts were repeated so far");
    }
    each(&neighbours, |name| said(&lab, &["stop"], name));
    each(&neighbours, |name| said(&lab, &["delete", "--yes"], name));
    each(&names, |name| said(&lab, &["delete", "--yes"], name));
    before.assert_same(&Snapshot::settled(&lab), "something is left");
    let mut left = processes();
    happens(|| {
        left = processes();
        left == processes_before
    });
    assert_eq!(left, processes_before, "processes are left");
}

/// Does something with each, so many at a time; fails with all that went wrong.
fn each(names: &[String], run: impl Fn(&str) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WIDE {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(text) = run(name) {
                        wrong.lock().expect("the list").push(text);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("the list");
    let (count, texts) = (wrong.len(), wrong.join("\n"));
    assert!(count == 0, "{count} of {} failed:\n{texts}", names.len());
}

fn said(lab: &Lab, verb: &[&str], name: &str) -> Result<(), String> {
    let ran = lab.vss(&[verb, &[name]].concat());
    match ran.code() {
        Some(0) => Ok(()),
        code => Err(format!("{verb:?} {name}: {code:?}: {}", ran.stderr())),
    }
}

/// How often libvirt was asked to start it: a line each in the domain's log, which is there from
/// the first time on.
fn attempts(name: &str) -> usize {
    let log = format!("/var/log/libvirt/lxc/{name}.log");
    let log = std::fs::read(&log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    log.lines().filter(|l| l.ends_with(": starting up")).count()
}

/// The processes of the world, but this one's own.
fn processes() -> BTreeSet<String> {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").expect("the processes");
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().into_string().ok()?;
            pid.parse::<u32>().ok()?;
            let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
            (pid != own).then(|| format!("{pid} {}", name.trim_end()))
        })
        .collect()
}
