//! stdout and stderr: the only place that owns them.
//!
//! Results go to stdout; messages, questions and progress to stderr. What is written may carry
//! colours: they are taken out where the stream is no terminal, and where `NO_COLOR`, `TERM=dumb`
//! or `CLICOLOR` say so (`anstream`).

use std::io::{self, BufRead, BufWriter, IsTerminal, LineWriter, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::CommandFactory;
use clap::error::ErrorKind;
use vss_model::Sanitized;

use crate::failure::{Failure, Status};

/// The name that every message begins with, whatever the program file is called.
pub(crate) const PROGRAM: &str = "virt-sandbox-service";

const ERROR: Style = Style::new().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();

/// The two streams.
pub(crate) struct Ui {
    out: BufWriter<AutoStream<io::Stdout>>,
    /// A line at a time: the stream below writes piece by piece.
    err: LineWriter<AutoStream<io::Stderr>>,
    quiet: bool,
}

impl Ui {
    /// Takes the process's streams.
    pub(crate) fn new() -> Self {
        Self {
            out: BufWriter::new(AutoStream::auto(io::stdout())),
            err: LineWriter::new(AutoStream::auto(io::stderr())),
            quiet: false,
        }
    }

    /// Leaves out what is only good to know (`-q`).
    pub(crate) fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// Where results go.
    pub(crate) fn out(&mut self) -> &mut impl Write {
        &mut self.out
    }

    /// Writes out what is buffered, so that the reader has it before something slow begins.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// A result of one line that is only good to know: nothing under `-q`.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        if !self.quiet {
            writeln!(self.out, "{}", Sanitized::text(text))?;
        }
        Ok(())
    }

    /// Something that the administrator should know although it is no failure.
    pub(crate) fn warning(&mut self, text: &str) {
        let _ = self.out.flush();
        let text = Sanitized::text(text);
        let _ = writeln!(self.err, "{PROGRAM}: {WARNING}warning{WARNING:#}: {text}");
    }

    /// Tells a failure. A failure to tell it has nobody to be told to.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let _ = self.out.flush();
        let mut lines = failure.message.lines();
        if let Some(first) = lines.next() {
            let first = Sanitized::text(first);
            let _ = writeln!(self.err, "{ERROR}{PROGRAM}{ERROR:#}: {first}");
        }
        for line in lines {
            let _ = writeln!(self.err, "  {}", Sanitized::text(line));
        }
        for hint in &failure.hints {
            let hint = Sanitized::text(hint);
            let _ = writeln!(self.err, "{HINT}hint{HINT:#}: {hint}");
        }
    }

    /// Whether somebody is there to be asked; an error where somebody is who would not see it.
    pub(crate) fn can_ask(&self) -> Result<bool, Failure> {
        match (io::stdin().is_terminal(), io::stderr().is_terminal()) {
            (true, false) => Err(Failure::new("stderr is no terminal to ask on")
                .hint("--yes goes on without asking")),
            (asked, _) => Ok(asked),
        }
    }

    /// Shows lines on stderr, before a question.
    pub(crate) fn show(&mut self, text: &str) -> Result<(), Failure> {
        for line in text.lines() {
            writeln!(self.err, "{}", Sanitized::text(line))?;
        }
        Ok(())
    }

    /// Asks a question; no answer is a no.
    pub(crate) fn ask(&mut self, question: &str) -> Result<bool, Failure> {
        self.flush()?;
        write!(self.err, "{} [y/N] ", Sanitized::text(question))?;
        self.err.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// What clap has to say: help and version on stdout, a usage error as one of ours.
    pub(crate) fn clap(&mut self, error: &clap::Error) -> Status {
        if error.use_stderr() {
            let failure = match error.kind() {
                ErrorKind::MissingSubcommand => {
                    Failure::usage("no verb given").hint(format!("{PROGRAM} --help"))
                }
                _ => usage_failure(&error.render().to_string()),
            };
            // of a value that makes no sense clap doesn't tell the usage
            let failure = match failure.hints.as_slice() {
                [] => failure.hint(help_of(std::env::args().nth(1).as_deref())),
                _ => failure,
            };
            self.failure(&failure);
            return failure.status;
        }
        let text = error.render();
        match write!(self.out, "{}", text.ansi()).and_then(|()| self.out.flush()) {
            Ok(()) => Status::OK,
            Err(error) => Failure::from(error).status,
        }
    }
}

/// Messages of a verb that is at work, possibly from several threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Messages(());

impl Messages {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Says it on stderr at once. A failure to say it has nobody to be told to.
    pub(crate) fn message(self, text: &str) {
        let mut err = LineWriter::new(AutoStream::auto(io::stderr()));
        let _ = writeln!(err, "{PROGRAM}: {}", Sanitized::text(text));
    }
}

/// The help that is nearest to what was typed first.
fn help_of(first: Option<&str>) -> String {
    let command = crate::args::Cli::command();
    match first.and_then(|word| command.find_subcommand(word)) {
        Some(verb) => format!("{PROGRAM} {} --help", verb.get_name()),
        None => format!("{PROGRAM} --help"),
    }
}

/// A usage error in the words of clap, told in the form of all others.
fn usage_failure(rendered: &str) -> Failure {
    let mut message = Vec::new();
    let mut hints = Vec::new();
    for line in rendered.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            hints.push(tip.to_owned());
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            let words = usage
                .split(' ')
                .take_while(|w| !w.starts_with(['[', '<', '-']));
            let verb: Vec<&str> = words.filter(|w| !w.contains(char::is_uppercase)).collect();
            hints.push(format!("{} --help", verb.join(" ")));
        } else if line.starts_with("For more information") || line.starts_with(PROGRAM) {
            // The hint says it, or it is the usage's second line.
        } else {
            message.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    let mut failure = Failure::usage(message.join("\n"));
    failure.hints = hints;
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_told_like_any_other() {
        let failure = usage_failure(
            "error: unexpected argument '--al' found\n\n  tip: a similar argument exists: '--all'\n\n\
             Usage: x list [OPTIONS]\n\nFor more information, try '--help'.\n",
        );
        assert_eq!(failure.message, "unexpected argument '--al' found");
        assert_eq!(
            failure.hints,
            ["a similar argument exists: '--all'", "x list --help"]
        );
        assert_eq!(failure.status, Status::USAGE);
    }
}
