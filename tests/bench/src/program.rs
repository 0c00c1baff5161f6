//! Runs programs: to their end, timed, or for the time of a measurement.

#![expect(
    clippy::disallowed_methods,
    reason = "this module owns the programs that the bench runs"
)]

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// The command that is measured.
pub(crate) const VSS: &str = "virt-sandbox-service";

/// Far beyond what any of the programs needs; one that never ends, ends the bench.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program to its end; what it wrote to stdout.
pub(crate) fn run(argv: &[&str]) -> Result<String> {
    let (program, args) = argv.split_first().context("which program?")?;
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't run {program}"))?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}\n{}",
        argv.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The milliseconds that a program takes.
pub(crate) fn time(argv: &[&str]) -> Result<f64> {
    let begin = Instant::now();
    run(argv)?;
    Ok(milliseconds(begin.elapsed()))
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A program that runs beside the measurement. What it writes goes to a file, which an error quotes.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    shown: String,
    log: PathBuf,
}

impl Running {
    pub(crate) fn start(argv: &[&str]) -> Result<Self> {
        let (program, args) = argv.split_first().context("which program?")?;
        let log = crate::state_dir().join("bench.log");
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("can't run {program}"))?;
        Ok(Self {
            child,
            shown: argv.join(" "),
            log,
        })
    }

    /// Fails where the program has ended otherwise than well.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) if !status.success() => self.failed(status),
            _ => Ok(()),
        }
    }

    /// Waits for the program's end, which has to be a good one.
    pub(crate) fn ends(mut self) -> Result<()> {
        let status = self.wait()?;
        if status.success() {
            return Ok(());
        }
        self.failed(status)
    }

    /// Sends a signal until the program ends, however.
    pub(crate) fn stop(mut self, signal: Signal) -> Result<()> {
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begin.elapsed() < PATIENCE, "`{}` does not end", self.shown);
            kill_process(Pid::from_child(&self.child), signal)?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begin.elapsed() > PATIENCE {
                self.child.kill()?;
                bail!("`{}` does not end\n{}", self.shown, self.said());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn failed(&self, status: ExitStatus) -> Result<()> {
        bail!("`{}` failed: {status}\n{}", self.shown, self.said())
    }

    fn said(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }
}
