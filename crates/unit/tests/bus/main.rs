//! The D-Bus side against a mock of systemd at the other end of a socket pair: one that behaves,
//! and ones that don't.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use vss_model::{InnerState, UnitName};
use vss_unit::{JobResult, Limits, ManagerError, ServiceManager, Systemd, is_booted};

mod mock;
use mock::{GENEROUS, Manner, serve, serve_within};

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

#[test]
fn jobs_are_waited_for_to_their_end() {
    let (systemd, called) = serve(Manner::Sound);
    assert_eq!(
        systemd.start(&unit("a"), &|| false).unwrap(),
        JobResult::Done
    );
    assert_eq!(
        systemd.stop(&unit("a"), &|| false).unwrap(),
        JobResult::Done
    );
    assert_eq!(
        systemd.start(&unit("bad"), &|| false).unwrap(),
        JobResult::Failed
    );
    systemd.enable(&unit("a")).unwrap();
    let calls: Vec<String> = called.try_iter().collect();
    assert_eq!(
        calls,
        [
            "start a.service",
            "stop a.service",
            "start bad.service",
            "enable [\"a.service\"] false false",
            "reload"
        ]
    );
}

#[test]
fn a46_ends_of_many_other_jobs_hold_up_no_answer() {
    let (systemd, _called) = serve(Manner::Busy);
    for (name, result) in [("a", JobResult::Done), ("bad", JobResult::Failed)] {
        assert_eq!(systemd.start(&unit(name), &|| false).unwrap(), result);
    }
}

#[test]
fn a56_who_waits_for_a_job_can_be_told_to_wait_no_longer() {
    let (systemd, called) = serve(Manner::EndlessJobs);
    let asked = std::cell::Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        asked.get() > 1
    };
    for error in [
        systemd.start(&unit("a"), &interrupted).unwrap_err(),
        systemd.stop(&unit("b"), &interrupted).unwrap_err(),
    ] {
        assert!(matches!(error, ManagerError::Interrupted), "{error:?}");
    }
    let calls: Vec<String> = called.try_iter().collect();
    assert_eq!(
        calls,
        ["start a.service", "stop a.service", "stop b.service"]
    );
}

#[test]
fn a_status_has_conditions_as_they_stand_in_the_file() {
    let (systemd, _called) = serve(Manner::Sound);
    let status = systemd.status(&unit("a")).unwrap();
    assert_eq!(status.active, InnerState::Failed);
    assert_eq!(status.sub.len(), 4096, "texts are cut");
    assert_eq!(
        status.failed_conditions,
        [
            "ConditionPathExists=!/etc/x",
            "ConditionHost=|web",
            "AssertPathExists=/etc/y"
        ]
    );
    assert!(!status.condition_met && status.job_pending && status.exists());
    assert!(status.has_run);
    assert_eq!((status.exec_main_code, status.exec_main_status), (1, 3));
    assert_eq!((status.result.as_str(), status.main_pid), ("exit-code", 42));
    assert_eq!(status.status_text, "ready");
    assert_eq!(
        status.since,
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
    );
    assert_eq!(status.drop_ins.len(), 1);
    assert!(status.oneshot);
    assert_eq!(status.wanted, [unit("a.socket"), unit("a@main")]);
}

#[test]
fn failed_units_are_named_once_and_none_with_escape_sequences() {
    let (systemd, _called) = serve(Manner::Sound);
    let failed = systemd.failed().unwrap();
    assert_eq!(failed.len(), 1002);
    assert_eq!(failed[..2], [unit("a@main"), unit("more-0000")]);
}

#[test]
fn a40_a_refusal_is_an_error_without_escape_sequences() {
    let (systemd, _called) = serve(Manner::Sound);
    let error = systemd.start(&unit("refused"), &|| false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "systemd refused StartUnit: no \\x1b[31mway"
    );
    assert!(!error.is_no_such_unit());
    // A call that the mock does not have: the connection goes on after it.
    assert!(systemd.disable(&unit("a")).is_err());
    systemd.reload().unwrap();
}

#[test]
fn a46_properties_of_other_types_are_an_error() {
    let (systemd, _called) = serve(Manner::WrongTypes);
    let error = systemd.status(&unit("a")).unwrap_err();
    assert!(matches!(error, ManagerError::Malformed { .. }), "{error:?}");
}

/// Short, so that a test that waits for it is quick; nothing has to happen within it.
const SHORT: Limits = Limits {
    call: Duration::from_millis(100),
    job: Some(Duration::from_millis(100)),
    until: None,
};

#[test]
fn a46_a_job_that_never_ends_is_given_up() {
    let limits = Limits {
        job: SHORT.job,
        ..GENEROUS
    };
    let (systemd, _called) = serve_within(Manner::EndlessJobs, limits);
    let error = systemd.start(&unit("a"), &|| false).unwrap_err();
    assert!(
        matches!(error, ManagerError::TimedOut { call: "StartUnit" }),
        "{error:?}"
    );
}

#[test]
fn a46_a_peer_that_never_answers_the_handshake_is_given_up() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let error = Systemd::over(ours, SHORT).unwrap_err();
    assert!(
        matches!(
            error,
            ManagerError::TimedOut {
                call: "the handshake"
            }
        ),
        "{error:?}"
    );
}

/// Shakes hands as a server and returns the stream behind that.
fn shake_hands(mut theirs: UnixStream) -> UnixStream {
    let mut seen = Vec::new();
    let mut byte = [0];
    let mut answered = 0;
    while !seen.ends_with(b"BEGIN\r\n") && theirs.read(&mut byte).unwrap_or(0) == 1 {
        seen.push(byte[0]);
        let lines = seen.iter().filter(|&&c| c == b'\n').count();
        if lines > answered && !seen.ends_with(b"BEGIN\r\n") {
            answered = lines;
            let last = String::from_utf8_lossy(&seen)
                .lines()
                .last()
                .unwrap_or_default()
                .to_owned();
            let answer: &[u8] = if last.contains("NEGOTIATE_UNIX_FD") {
                b"AGREE_UNIX_FD\r\n"
            } else {
                b"OK 0123456789abcdef0123456789abcdef\r\n"
            };
            theirs.write_all(answer).unwrap();
        }
    }
    theirs
}

/// A peer that falls silent once it has shaken hands; a machine that was too busy for that in time
/// is asked again.
fn silent(limits: impl Fn() -> Limits) -> (Systemd, UnixStream) {
    loop {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || shake_hands(theirs));
        match Systemd::over(ours, limits()) {
            Ok(systemd) => return (systemd, server.join().unwrap()),
            Err(error) => {
                assert!(matches!(error, ManagerError::TimedOut { .. }), "{error:?}");
            }
        }
    }
}

#[test]
fn a46_a_peer_that_shakes_hands_and_falls_silent_is_given_up() {
    let (systemd, _theirs) = silent(|| SHORT);
    for error in [
        systemd.reload().unwrap_err(),
        systemd.start(&unit("a"), &|| false).unwrap_err(),
        systemd.status(&unit("a")).unwrap_err(),
    ] {
        assert!(matches!(error, ManagerError::TimedOut { .. }), "{error:?}");
    }
}

#[test]
fn a46_all_questions_together_have_an_end() {
    let (systemd, _theirs) = silent(|| Limits {
        until: Some(Instant::now() + SHORT.call),
        ..GENEROUS
    });
    for _ in 0..3 {
        let error = systemd.status(&unit("a")).unwrap_err();
        assert!(matches!(error, ManagerError::TimedOut { .. }), "{error:?}");
    }
    let error = systemd.start(&unit("a"), &|| false).unwrap_err();
    assert!(matches!(error, ManagerError::TimedOut { .. }), "{error:?}");
}

#[test]
fn a46_garbage_and_a_hang_up_are_errors() {
    for garbage in [
        &b"l\x02\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"nonsense that is no message",
        b"",
    ] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || {
            let mut theirs = shake_hands(theirs);
            let _ = theirs.write_all(garbage);
        });
        // The hang-up may come before or after the handshake is done with on this side.
        let asked =
            Systemd::over(ours, GENEROUS).and_then(|systemd| systemd.start(&unit("a"), &|| false));
        server.join().unwrap();
        assert!(
            matches!(asked, Err(ManagerError::Connection { .. })),
            "{asked:?}"
        );
    }
}

#[test]
fn a_host_is_booted_with_systemd_where_its_directory_is() {
    let root = tempfile::tempdir().unwrap();
    assert!(!is_booted(root.path()));
    std::fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    assert!(is_booted(root.path()));
}
