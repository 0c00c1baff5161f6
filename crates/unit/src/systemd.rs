//! systemd over D-Bus: on the system bus, or on its private socket without a bus.
//!
//! The private socket of a container's systemd (`/run/systemd/private`) has a peer that is hostile
//! once the container has run. So every call, the handshake included, has a deadline of its own;
//! an answer of other types than systemd's is an error; texts and lists are cut to what a sane one
//! has.
//!
//! zbus runs a connection on the calling thread while a call lasts, and on a helper thread
//! between calls. Whoever is to fork from a process of one thread drops its [`Systemd`] first.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use vss_model::UnitName;
use zbus::connection::Builder;
use zbus::export::futures_core::Stream;
use zbus::{Connection, ObjectPath, OwnedObjectPath};

use crate::manager::{JobResult, ManagerError, ManagerResult, ServiceManager, UnitStatus};
use crate::private_bus;
use crate::properties::{Properties, bounded};

const DESTINATION: &str = "org.freedesktop.systemd1";

/// The most ends of jobs that are kept until the answer to a call is there. The job's own end is
/// among the last of them, as it can't come long before the answer.
const MAX_EARLY: usize = 256;

/// How often whoever waits for a job is asked whether he still does.
const LOOK: Duration = Duration::from_millis(100);

/// A line of what ListUnits answers: the unit's name first.
type Listed = (
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
);

/// The calls that are used: all of them are older than systemd 240.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reload_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn list_units_filtered(&self, states: &[&str]) -> zbus::Result<Vec<Listed>>;
    fn reload(&self) -> zbus::Result<()>;
    fn subscribe(&self) -> zbus::Result<()>;
    fn enable_unit_files(
        &self,
        files: &[&str],
        runtime: bool,
        force: bool,
    ) -> zbus::Result<(bool, Vec<(String, String, String)>)>;
    fn disable_unit_files(
        &self,
        files: &[&str],
        runtime: bool,
    ) -> zbus::Result<Vec<(String, String, String)>>;

    #[zbus(signal)]
    fn job_removed(
        &self,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the answer to a call.
    pub call: Duration,
    /// For a job to end, the call that starts it included; `None` to rely on the time-outs that
    /// systemd itself gives every job.
    pub job: Option<Duration>,
    /// For everything together: no answer and no job is waited for any longer.
    pub until: Option<Instant>,
}

impl Limits {
    fn answer_by(&self) -> Instant {
        let by = Instant::now() + self.call;
        self.until.map_or(by, |until| until.min(by))
    }

    fn end_by(&self) -> Option<Instant> {
        let by = self.job.map(|limit| Instant::now() + limit);
        [by, self.until].into_iter().flatten().min()
    }
}

/// What a job is to do.
#[derive(Debug, Clone, Copy)]
enum Job {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Job {
    fn call(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
            Self::Restart => "RestartUnit",
            Self::Reload => "ReloadUnit",
        }
    }
}

/// A systemd that answers over D-Bus.
#[derive(Debug)]
pub struct Systemd {
    connection: Connection,
    limits: Limits,
}

impl Systemd {
    /// The host's systemd, over the system bus.
    ///
    /// # Errors
    /// Where there is no bus.
    pub fn system() -> ManagerResult<Self> {
        let limits = Limits {
            // A reload of a host with thousands of units takes seconds.
            call: Duration::from_secs(90),
            job: None,
            until: None,
        };
        Self::connect(Builder::system(), limits)
    }

    /// Where a systemd listens for root, and for root only (org.freedesktop.systemd1(5)).
    pub const PRIVATE_SOCKET: &str = "/run/systemd/private";

    /// The systemd at the other end of a stream: connected to its [`Self::PRIVATE_SOCKET`].
    ///
    /// # Errors
    /// Where the peer does not shake hands in time.
    pub fn over(stream: UnixStream, limits: Limits) -> ManagerResult<Self> {
        let stream = private_bus::through(stream)
            .map_err(|source| refused("the handshake", zbus::Error::InputOutput(source.into())))?;
        Self::connect(Builder::unix_stream(stream).p2p(), limits)
    }

    /// The units that failed and were not started anew since, by name.
    ///
    /// # Errors
    /// As [`ServiceManager::reload`].
    pub fn failed(&self) -> ManagerResult<Vec<UnitName>> {
        let listed = self.call("ListUnitsFiltered", async |manager| {
            manager.list_units_filtered(&["failed"]).await
        })?;
        let mut names: Vec<UnitName> = listed
            .iter()
            .filter_map(|(name, ..)| name.parse().ok())
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn connect(builder: Builder<'static>, limits: Limits) -> ManagerResult<Self> {
        let deadline = Some(limits.answer_by());
        let connection = zbus::block_on(within(deadline, "the handshake", async {
            builder
                .build()
                .await
                .map_err(|e| refused("the handshake", e))
        }))?;
        Ok(Self { connection, limits })
    }

    /// Runs a call to its end or its deadline.
    fn call<T>(
        &self,
        name: &'static str,
        call: impl AsyncFnOnce(ManagerProxy<'_>) -> zbus::Result<T>,
    ) -> ManagerResult<T> {
        let deadline = Some(self.limits.answer_by());
        zbus::block_on(within(deadline, name, async {
            let answer = async { call(self.proxy().await?).await };
            answer.await.map_err(|e| refused(name, e))
        }))
    }

    async fn proxy(&self) -> zbus::Result<ManagerProxy<'_>> {
        ManagerProxy::builder(&self.connection)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
    }

    /// Starts a job and waits for its end. The signals are listened to before the job exists, so
    /// none is missed.
    fn run_job(
        &self,
        job: Job,
        unit: &UnitName,
        interrupted: &dyn Fn() -> bool,
    ) -> ManagerResult<JobResult> {
        let name = job.call();
        let answer_by = Some(self.limits.answer_by());
        let end_by = self.limits.end_by();
        zbus::block_on(async {
            let (mut ends, early, path) = within(answer_by, name, async {
                self.begin_job(job, unit)
                    .await
                    .map_err(|e| refused(name, e))
            })
            .await?;
            let mut end = std::pin::pin!(wait_for_end(&mut ends, early, &path));
            loop {
                let look = Instant::now() + LOOK;
                let until = end_by.map_or(look, |end| end.min(look));
                match within(Some(until), name, end.as_mut()).await {
                    Err(ManagerError::TimedOut { .. }) if interrupted() => {
                        return Err(ManagerError::Interrupted);
                    }
                    Err(ManagerError::TimedOut { .. }) if end_by.is_none_or(|end| until < end) => {}
                    other => return other,
                }
            }
        })
    }

    /// The signals, those that came before the answer, and the answer: the job.
    async fn begin_job(
        &self,
        job: Job,
        unit: &UnitName,
    ) -> zbus::Result<(JobRemovedStream, VecDeque<JobRemoved>, OwnedObjectPath)> {
        let proxy = self.proxy().await?;
        let mut ends = proxy.receive_job_removed().await?;
        let mut early = VecDeque::new();
        let name = unit.as_str();
        let call = async {
            subscribe(&proxy).await?;
            match job {
                Job::Start => proxy.start_unit(name, "replace").await,
                Job::Stop => proxy.stop_unit(name, "replace").await,
                Job::Restart => proxy.restart_unit(name, "replace").await,
                Job::Reload => proxy.reload_unit(name, "replace").await,
            }
        };
        let path = alongside(&mut ends, &mut early, call).await?;
        Ok((ends, early, path))
    }

    async fn properties(&self, unit: &UnitName) -> zbus::Result<(Properties, Properties)> {
        let path = self.proxy().await?.load_unit(unit.as_str()).await?;
        let common = self
            .all(path.as_ref(), "org.freedesktop.systemd1.Unit")
            .await?;
        // Other types than services have no more that is wanted.
        let own = if unit.suffix() == "service" {
            self.all(path.as_ref(), "org.freedesktop.systemd1.Service")
                .await?
        } else {
            Properties::default()
        };
        Ok((common, own))
    }

    async fn all(&self, path: ObjectPath<'_>, interface: &'static str) -> zbus::Result<Properties> {
        let proxy = zbus::fdo::PropertiesProxy::builder(&self.connection)
            .destination(DESTINATION)
            .path(path)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await?;
        let interface = zbus::names::InterfaceName::try_from(interface)?;
        Ok(Properties::new(proxy.get_all(interface).await?))
    }
}

impl ServiceManager for Systemd {
    fn reload(&self) -> ManagerResult<()> {
        self.call("Reload", async |manager| manager.reload().await)
    }

    fn start(&self, unit: &UnitName, interrupted: &dyn Fn() -> bool) -> ManagerResult<JobResult> {
        let result = self.run_job(Job::Start, unit, interrupted);
        if matches!(result, Err(ManagerError::Interrupted)) {
            self.call("StopUnit", async |manager| {
                manager.stop_unit(unit.as_str(), "replace").await
            })?;
        }
        result
    }

    fn stop(&self, unit: &UnitName, interrupted: &dyn Fn() -> bool) -> ManagerResult<JobResult> {
        self.run_job(Job::Stop, unit, interrupted)
    }

    fn restart(&self, unit: &UnitName) -> ManagerResult<JobResult> {
        self.run_job(Job::Restart, unit, &|| false)
    }

    fn reload_unit(&self, unit: &UnitName) -> ManagerResult<JobResult> {
        self.run_job(Job::Reload, unit, &|| false)
    }

    fn enable(&self, unit: &UnitName) -> ManagerResult<()> {
        self.call("EnableUnitFiles", async |manager| {
            manager
                .enable_unit_files(&[unit.as_str()], false, false)
                .await
        })?;
        self.reload()
    }

    fn disable(&self, unit: &UnitName) -> ManagerResult<()> {
        self.call("DisableUnitFiles", async |manager| {
            manager.disable_unit_files(&[unit.as_str()], false).await
        })?;
        self.reload()
    }

    fn reset_failed(&self, unit: &UnitName) -> ManagerResult<()> {
        self.call("ResetFailedUnit", async |manager| {
            manager.reset_failed_unit(unit.as_str()).await
        })
    }

    fn status(&self, unit: &UnitName) -> ManagerResult<UnitStatus> {
        let name = "GetAll";
        let deadline = Some(self.limits.answer_by());
        let (common, own) = zbus::block_on(within(deadline, name, async {
            self.properties(unit).await.map_err(|e| refused(name, e))
        }))?;
        common.status(&own)
    }
}

/// Waits for an answer and takes the signals meanwhile, as zbus reads no further where nobody takes
/// them. The latest [`MAX_EARLY`] are kept.
async fn alongside<T>(
    ends: &mut JobRemovedStream,
    early: &mut VecDeque<JobRemoved>,
    call: impl Future<Output = T>,
) -> T {
    let mut call = std::pin::pin!(call);
    poll_fn(|context| {
        while let Poll::Ready(Some(end)) = Pin::new(&mut *ends).poll_next(context) {
            if early.len() == MAX_EARLY {
                early.pop_front();
            }
            early.push_back(end);
        }
        call.as_mut().poll(context)
    })
    .await
}

/// Waits for the end of one job among all, those that came early first.
async fn wait_for_end(
    ends: &mut JobRemovedStream,
    early: VecDeque<JobRemoved>,
    path: &OwnedObjectPath,
) -> ManagerResult<JobResult> {
    for signal in early {
        if let Some(result) = result_of(&signal, path)? {
            return Ok(result);
        }
    }
    loop {
        let next = poll_fn(|context| Pin::new(&mut *ends).poll_next(context)).await;
        let Some(signal) = next else {
            return Err(ManagerError::Connection {
                source: std::io::Error::from(std::io::ErrorKind::ConnectionReset).into(),
            });
        };
        if let Some(result) = result_of(&signal, path)? {
            return Ok(result);
        }
    }
}

/// How a job ended, if the signal is of its end.
fn result_of(signal: &JobRemoved, job: &OwnedObjectPath) -> ManagerResult<Option<JobResult>> {
    let malformed = |_| ManagerError::Malformed {
        what: "the signal JobRemoved",
    };
    let end = signal.args().map_err(malformed)?;
    Ok((end.job() == job).then(|| JobResult::from_word(&bounded(end.result()))))
}

/// Runs something to its end, or to the deadline.
async fn within<T>(
    deadline: Option<Instant>,
    call: &'static str,
    work: impl Future<Output = ManagerResult<T>>,
) -> ManagerResult<T> {
    let Some(deadline) = deadline else {
        return work.await;
    };
    let runtime = zruntime::SharedRuntime::current().map_err(|error| ManagerError::Connection {
        source: error.into(),
    })?;
    match runtime.timeout_at(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(ManagerError::TimedOut { call }),
    }
}

/// On the bus systemd sends signals to subscribers only; on its private socket to all, and answers
/// this too. A subscription lasts as long as the connection, and a second one is refused.
async fn subscribe(proxy: &ManagerProxy<'_>) -> zbus::Result<()> {
    match proxy.subscribe().await {
        Err(zbus::Error::MethodError(name, ..))
            if name.as_str() == "org.freedesktop.systemd1.AlreadySubscribed" =>
        {
            Ok(())
        }
        other => other,
    }
}

/// What an error of zbus means.
fn refused(call: &str, error: zbus::Error) -> ManagerError {
    let answered = |name: &str, message: Option<&str>| ManagerError::Refused {
        call: call.to_owned(),
        name: bounded(name),
        message: bounded(message.unwrap_or(name)),
    };
    match error {
        zbus::Error::MethodError(name, message, _) => answered(name.as_str(), message.as_deref()),
        zbus::Error::FDO(error) => {
            use zbus::DBusError;
            answered(error.name().as_str(), error.description())
        }
        zbus::Error::IncorrectType
        | zbus::Error::SignatureMismatch(..)
        | zbus::Error::OutOfBounds
        | zbus::Error::InvalidReply => ManagerError::Malformed {
            what: "a reply of another type",
        },
        source => ManagerError::Connection { source },
    }
}
