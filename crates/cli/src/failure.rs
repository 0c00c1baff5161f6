//! What failed, as an administrator is told: one message, hints, an exit status.

use std::error::Error;
use std::io;

use vss_manager::Kind;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(u8);

impl Status {
    /// All went well.
    pub(crate) const OK: Self = Self(0);
    /// Something failed.
    pub(crate) const FAILURE: Self = Self(1);
    /// The command line makes no sense.
    pub(crate) const USAGE: Self = Self(2);
    /// `status` of a container that does not run, as `systemctl status` has it.
    pub(crate) const NOT_RUNNING: Self = Self(3);
    /// `execute` failed before there was a command to speak of (podman-exec(1)).
    pub(crate) const EXECUTE: Self = Self(125);
    /// The reader of our output went away: 128 + SIGPIPE.
    pub(crate) const PIPE: Self = Self(141);

    /// The status of a command that was run for the caller.
    pub(crate) fn of_command(code: u8) -> Self {
        Self(code)
    }

    /// Ended by a signal: 128 and its number, as shells have it.
    pub(crate) fn of_signal(signal: i32) -> Self {
        Self(u8::try_from(128 + signal).unwrap_or(u8::MAX))
    }

    /// The number for `exit(3)`.
    pub(crate) fn code(self) -> u8 {
        self.0
    }
}

/// What failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Lower case, without a full stop; the first line says it all. Empty where everything has
    /// been said, or nobody is there to read it.
    pub(crate) message: String,
    /// What to run next.
    pub(crate) hints: Vec<String>,
    /// How the process ends.
    pub(crate) status: Status,
}

impl Failure {
    /// A failure with status 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            status: Status::FAILURE,
        }
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            status: Status::USAGE,
            ..Self::new(message)
        }
    }

    /// An error and its causes in one line, each cause once.
    pub(crate) fn from_error(error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        Self::new(message)
    }

    /// Adds what to run next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Ends the process with another status.
    pub(crate) fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// A failure after a signal is an interruption, whatever it was that noticed it first.
    pub(crate) fn or_interrupted(self, signal: Option<i32>) -> Self {
        match signal {
            Some(signal) if self.status != Status::PIPE => self.status(Status::of_signal(signal)),
            _ => self,
        }
    }
}

impl From<vss_manager::Error> for Failure {
    fn from(error: vss_manager::Error) -> Self {
        let mut failure = Self::from_error(&error);
        if let vss_manager::Error::StartFailed { log, .. } = &error {
            for line in log {
                failure.message.push('\n');
                failure.message.push_str(line);
            }
        }
        failure.hints.extend(error.hint());
        failure.status(match error.kind() {
            Kind::Usage => Status::USAGE,
            Kind::Cancelled => Status::of_signal(2),
            Kind::Conflict | Kind::NotFound | Kind::Service | Kind::System => Status::FAILURE,
        })
    }
}

impl From<io::Error> for Failure {
    /// An error of writing to stdout or stderr: the only input or output that this crate does.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new("").status(Status::PIPE)
        } else {
            Self::new(format!("can't write the output: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);
    impl std::fmt::Display for Layer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|e| e as _)
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || Some(Box::new(Layer("no space left", None)));
        let error = Layer("can't write /etc/x", cause());
        assert_eq!(
            Failure::from_error(&error).message,
            "can't write /etc/x: no space left"
        );
        let repeats = Layer("can't write /etc/x: no space left", cause());
        assert_eq!(
            Failure::from_error(&repeats).message,
            "can't write /etc/x: no space left"
        );
    }

    #[test]
    fn a56_a_signal_and_a_closed_pipe_have_their_own_statuses() {
        let pipe = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((pipe.message.as_str(), pipe.status.code()), ("", 141));
        let failed = Failure::new("x").or_interrupted(Some(2));
        assert_eq!(failed.status.code(), 130);
        assert_eq!(Failure::new("x").or_interrupted(None).status.code(), 1);
    }
}
