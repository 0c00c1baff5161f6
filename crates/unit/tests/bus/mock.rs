//! A systemd at the other end of a socket pair.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use vss_unit::{Limits, Systemd};
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, connection::Builder, interface};

/// For what has to happen.
pub(crate) const GENEROUS: Limits = Limits {
    call: Duration::from_secs(600),
    job: None,
    until: None,
};

/// How the mock behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Sound,
    /// Ends hundreds of others' jobs before it answers.
    Busy,
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
        if self.manner == Manner::Busy {
            for number in 1000..1200 {
                let job = path(&format!("/org/freedesktop/systemd1/job/{number}"));
                Self::job_removed(emitter, number, job, "other.service", "failed").await?;
            }
        }
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
pub(crate) fn serve(manner: Manner) -> (Systemd, mpsc::Receiver<String>) {
    serve_within(manner, GENEROUS)
}

pub(crate) fn serve_within(manner: Manner, limits: Limits) -> (Systemd, mpsc::Receiver<String>) {
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
