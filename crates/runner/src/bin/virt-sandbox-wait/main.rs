//! Waits on a running container: what `virt-sandbox-run` becomes once the service is up.
//!
//! It forwards the console, passes on what PID 1 says of itself, stops the container gracefully
//! when it is told to stop, and hands over to `virt-sandbox-run ended` when it is gone. It has
//! no libvirt in it and stays small, since there is one for each container.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vss_runner::console::Console;
use vss_runner::handover::{self, Misunderstood, Options};
use vss_runner::notify::Inbox;
use vss_runner::upstream::Upstream;
use vss_runner::watch::{Allowance, Event, LastWords, Watch, after};
use vss_runner::{say, sys};

/// What is understood; all but `console`, `log`, `stop-after` and `root` has to be there.
const OPTIONS: [&str; 9] = [
    "init",
    "start",
    "pidfd",
    "inbox",
    "console",
    "lock",
    "log",
    "stop-after",
    "root",
];

fn main() -> ExitCode {
    let error = match run() {
        Ok(never) => match never {},
        Err(error) => error,
    };
    say(&format!("virt-sandbox-wait: {error}"));
    ExitCode::FAILURE
}

/// How a stop goes.
#[derive(Default)]
struct Stopping {
    asked: bool,
    killed: bool,
    deadline: Option<Instant>,
}

fn run() -> Result<std::convert::Infallible, Box<dyn std::error::Error>> {
    let (words, options) = Options::parse(std::env::args().skip(1), &OPTIONS)?;
    let [name] = words.as_slice() else {
        return Err("this is started by virt-sandbox-run; see virt-sandbox-service(1)".into());
    };
    let mut watch = watch(&options)?;
    let lock: i32 = options.need("lock")?;
    let mut stopping = Stopping::default();
    loop {
        match watch.next(stopping.deadline)? {
            Event::Gone => break,
            Event::Ready => {}
            Event::Stop => stop(&watch, &options, &mut stopping)?,
            Event::Deadline => {
                say("the container did not stop in time: killing it");
                stopping.killed = true;
                stopping.deadline = None;
                let _ = sys::send_signal(watch.process.as_fd(), libc::SIGKILL);
            }
        }
    }
    Err(hand_over(name, &watch, lock, &options, &stopping)?.into())
}

fn watch(options: &Options) -> Result<Watch, Misunderstood> {
    let now = Instant::now();
    let failed = |what: &str, error: io::Error| -> Misunderstood {
        Misunderstood::new(format!("{what}: {error}"))
    };
    let log = options.take("log").map(handover::read_log);
    Ok(Watch {
        init: options.need("init")?,
        process: options.take("pidfd")?,
        inbox: Inbox::adopt(options.take("inbox")?),
        terminal: if options.has("console") {
            Some(options.take("console")?)
        } else {
            None
        },
        signals: sys::signals().map_err(|e| failed("the signals", e))?,
        console: Console::with_kept(now, log.unwrap_or_default()),
        words: LastWords::default(),
        upstream: Upstream::from_environment(),
        allowance: Allowance::new(now),
    })
}

/// Asks systemd inside to power off. Who asks twice doesn't get it twice.
fn stop(watch: &Watch, options: &Options, stopping: &mut Stopping) -> Result<(), Misunderstood> {
    if stopping.asked {
        return Ok(());
    }
    stopping.asked = true;
    stopping.deadline = options
        .get("stop-after")?
        .and_then(|seconds| after(Duration::from_secs(seconds)));
    // It may be gone already, which is the next event.
    let _ = sys::send_signal(watch.process.as_fd(), sys::POWER_OFF);
    watch.upstream.send("STOPPING=1\nSTATUS=Stopping");
    Ok(())
}

fn hand_over(
    name: &str,
    watch: &Watch,
    lock: i32,
    options: &Options,
    stopping: &Stopping,
) -> io::Result<io::Error> {
    let log = handover::write_log(watch.console.kept()).ok();
    let mut next = Options::default()
        .with("init", watch.init)
        .with("lock", lock)
        .with("inbox", sys::pass_on(&watch.inbox)?);
    if let Some(log) = &log {
        next = next.with("log", sys::pass_on(log)?);
    }
    for key in ["start", "root"] {
        if let Ok(Some(value)) = options.get::<String>(key) {
            next = next.with(key, value);
        }
    }
    if stopping.asked {
        next = next.with("stopped", "");
    }
    if stopping.killed {
        next = next.with("killed", "");
    }
    if let Some(claim) = watch.words.claim {
        next = next.with("shutdown", claim);
    }
    if let Some(status) = sys::wait_status(watch.process.as_fd()) {
        next = next.with("wait-status", status);
    }
    let program = handover::beside("virt-sandbox-run")?;
    let args = ["ended".to_owned(), name.to_owned()];
    let args: Vec<String> = args.into_iter().chain(next.to_args()).collect();
    Ok(sys::exec(program.as_os_str(), &args))
}
