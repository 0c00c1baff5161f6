//! The D-Bus side against a mock of systemd at the other end of a socket pair: one that behaves,
//! and ones that don't.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use vss_model::{InnerState, UnitName};
use vss_unit::{JobResult, Limits, ManagerError, ServiceManager, Systemd, is_booted};
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, connection::Builder, interface};

/// How the mock behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Sound,
    /// Starts jobs and never ends them.
    EndlessJobs,
    /// Has properties of other types than systemd's.
    WrongTypes,
}

/// What systemd says to a client that asks for its signals twice.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum Refusal {
    #[zbus(error)]
    Bus(zbus::Error),
    AlreadySubscribed(String),
}

struct MockManager {
    subscribed: bool,
    manner: Manner,
    calls: mpsc::Sender<String>,
}

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text.to_owned()).unwrap()
}

impl MockManager {
    async fn job(
        &self,
        call: &str,
        unit: &str,
        emitter: &SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        self.calls.send(format!("{call} {unit}")).unwrap();
        if unit == "refused.service" {
            return Err(zbus::fdo::Error::Failed("no \u{1b}[31mway".to_owned()));
        }
        let job = path("/org/freedesktop/systemd1/job/7");
        let result = if unit.starts_with("bad") {
            "failed"
        } else {
            "done"
        };
        if self.manner != Manner::EndlessJobs {
            // Another job's end first, and this one's before the call is even answered.
            Self::job_removed(
                emitter,
                6,
                path("/org/freedesktop/systemd1/job/6"),
                unit,
                "failed",
            )
            .await?;
            Self::job_removed(emitter, 7, job.clone(), unit, result).await?;
        }
        Ok(job)
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl MockManager {
    fn subscribe(&mut self) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.subscribed, true) {
            let text = "Client is already subscribed.";
            return Err(Refusal::AlreadySubscribed(text.to_owned()));
        }
        Ok(())
    }

    async fn start_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        assert_eq!(mode, "replace");
        self.job("start", name, &emitter).await
    }

    async fn stop_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        self.job("stop", name, &emitter).await
    }

    fn load_unit(&self, _name: &str) -> OwnedObjectPath {
        path("/org/freedesktop/systemd1/unit/a")
    }

    #[expect(
        clippy::needless_pass_by_value,
        clippy::type_complexity,
        reason = "what a method of the bus takes is owned, and what it answers is systemd's"
    )]
    fn list_units_filtered(
        &self,
        states: Vec<String>,
    ) -> Vec<(
        String,
        String,
        String,
        String,
        String,
        String,
        OwnedObjectPath,
        u32,
        String,
        OwnedObjectPath,
    )> {
        assert_eq!(states, ["failed"]);
        let line = |name: String| {
            (
                name,
                String::new(),
                "loaded".to_owned(),
                "failed".to_owned(),
                "failed".to_owned(),
                String::new(),
                path("/org/freedesktop/systemd1/unit/a"),
                0,
                String::new(),
                path("/"),
            )
        };
        [
            "z.mount",
            "no\u{1b}[31mname.service",
            "a@main.service",
            "a@main.service",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain((0..1000).map(|number| format!("more-{number:04}.service")))
        .map(line)
        .collect()
    }

    fn reload(&self) {
        self.calls.send("reload".to_owned()).unwrap();
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "what a method of the bus takes is owned"
    )]
    fn enable_unit_files(
        &self,
        files: Vec<String>,
        runtime: bool,
        force: bool,
    ) -> (bool, Vec<(String, String, String)>) {
        self.calls
            .send(format!("enable {files:?} {runtime} {force}"))
            .unwrap();
        (true, vec![("symlink".into(), "/a".into(), "/b".into())])
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

struct MockUnit;

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl MockUnit {
    #[zbus(property)]
    fn load_state(&self) -> String {
        "loaded".to_owned()
    }
    #[zbus(property)]
    fn active_state(&self) -> String {
        "failed".to_owned()
    }
    #[zbus(property)]
    fn sub_state(&self) -> String {
        "x".repeat(100_000)
    }
    #[zbus(property)]
    fn fragment_path(&self) -> String {
        "/usr/lib/systemd/system/a.service".to_owned()
    }
    #[zbus(property)]
    fn wants(&self) -> Vec<String> {
        vec!["a@main.service".to_owned(), "network.target".to_owned()]
    }
    #[zbus(property)]
    fn requires(&self) -> Vec<String> {
        vec!["system.slice".to_owned(), "a.socket".to_owned()]
    }
    #[zbus(property)]
    fn drop_in_paths(&self) -> Vec<String> {
        vec!["/etc/systemd/system/a.service.d/x.conf".to_owned()]
    }
    #[zbus(property)]
    fn state_change_timestamp(&self) -> u64 {
        1_000_000
    }
    #[zbus(property)]
    fn condition_timestamp(&self) -> u64 {
        1_000_000
    }
    #[zbus(property)]
    fn condition_result(&self) -> bool {
        false
    }
    #[zbus(property)]
    fn assert_timestamp(&self) -> u64 {
        1_000_000
    }
    #[zbus(property)]
    fn assert_result(&self) -> bool {
        false
    }
    #[zbus(property)]
    fn asserts(&self) -> Vec<(String, bool, bool, String, i32)> {
        vec![("AssertPathExists".into(), false, false, "/etc/y".into(), -1)]
    }
    #[zbus(property)]
    fn inactive_exit_timestamp(&self) -> u64 {
        1_000_000
    }
    #[zbus(property)]
    fn job(&self) -> (u32, OwnedObjectPath) {
        (9, path("/org/freedesktop/systemd1/job/9"))
    }
    #[zbus(property)]
    fn conditions(&self) -> Vec<(String, bool, bool, String, i32)> {
        vec![
            (
                "ConditionPathExists".into(),
                false,
                true,
                "/etc/x".into(),
                -1,
            ),
            ("ConditionHost".into(), true, false, "web".into(), -1),
            ("ConditionUser".into(), false, false, "root".into(), 1),
            (
                "ConditionArchitecture".into(),
                false,
                false,
                "arm".into(),
                0,
            ),
        ]
    }
}

struct MockService;

#[interface(name = "org.freedesktop.systemd1.Service")]
impl MockService {
    #[zbus(property, name = "Type")]
    fn kind(&self) -> String {
        "oneshot".to_owned()
    }
    #[zbus(property)]
    fn result(&self) -> String {
        "exit-code".to_owned()
    }
    #[zbus(property)]
    fn status_text(&self) -> String {
        "ready".to_owned()
    }
    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        3
    }
    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        1
    }
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        42
    }
}

/// A unit whose properties are of the wrong types.
struct WrongUnit;

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl WrongUnit {
    #[zbus(property)]
    fn load_state(&self) -> u32 {
        1
    }
    #[zbus(property)]
    fn conditions(&self) -> HashMap<String, String> {
        HashMap::new()
    }
}

/// Serves a mock on a thread of its own, which ends when the connection does.
fn serve(manner: Manner) -> (Systemd, mpsc::Receiver<String>) {
    serve_within(manner, GENEROUS)
}

fn serve_within(manner: Manner, limits: Limits) -> (Systemd, mpsc::Receiver<String>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (calls, called) = mpsc::channel();
    thread::spawn(move || {
        zbus::block_on(async {
            let unit = "/org/freedesktop/systemd1/unit/a";
            let builder = Builder::unix_stream(theirs)
                .server(zbus::Guid::generate())
                .p2p()
                .serve_at(
                    "/org/freedesktop/systemd1",
                    MockManager {
                        subscribed: false,
                        manner,
                        calls,
                    },
                );
            let builder = if manner == Manner::WrongTypes {
                builder.serve_at(unit, WrongUnit)
            } else {
                builder.serve_at(unit, MockUnit)
            };
            let connection = builder.serve_at(unit, MockService).build().await.unwrap();
            connection.closed().await;
        });
    });
    (Systemd::over(ours, limits).unwrap(), called)
}

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

#[test]
fn jobs_are_waited_for_to_their_end() {
    let (systemd, called) = serve(Manner::Sound);
    assert_eq!(systemd.start(&unit("a")).unwrap(), JobResult::Done);
    assert_eq!(systemd.stop(&unit("a")).unwrap(), JobResult::Done);
    assert_eq!(systemd.start(&unit("bad")).unwrap(), JobResult::Failed);
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
    let error = systemd.start(&unit("refused")).unwrap_err();
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

/// For what has to happen.
const GENEROUS: Limits = Limits {
    call: Duration::from_secs(600),
    job: None,
    until: None,
};

#[test]
fn a46_a_job_that_never_ends_is_given_up() {
    let limits = Limits {
        job: SHORT.job,
        ..GENEROUS
    };
    let (systemd, _called) = serve_within(Manner::EndlessJobs, limits);
    let error = systemd.start(&unit("a")).unwrap_err();
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
        systemd.start(&unit("a")).unwrap_err(),
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
    let error = systemd.start(&unit("a")).unwrap_err();
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
        let asked = Systemd::over(ours, GENEROUS).and_then(|systemd| systemd.start(&unit("a")));
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
