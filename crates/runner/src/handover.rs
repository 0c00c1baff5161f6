//! What one program hands to the next through an exec: descriptors by their numbers, and facts.
//!
//! The command line of a process can be read by all, and holds nothing secret here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;

use crate::sys;

/// The most that is kept of the log over an exec.
const LOG_LIMIT: u64 = 512 * 1024;

/// Options of the form `--key=value`, besides a verb and a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

/// Why a command line can't be understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Misunderstood(String);

impl Misunderstood {
    /// With this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Misunderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misunderstood {}

impl Options {
    /// Splits a command line into its words and its options, which have to be among `known`.
    ///
    /// # Errors
    /// Where an option isn't known or has another form.
    pub fn parse(
        args: impl Iterator<Item = String>,
        known: &[&str],
    ) -> Result<(Vec<String>, Self), Misunderstood> {
        let mut words = Vec::new();
        let mut options = BTreeMap::new();
        for arg in args {
            match arg.strip_prefix("--") {
                None => words.push(arg),
                Some(option) => {
                    let (key, value) = option.split_once('=').unwrap_or((option, ""));
                    if !known.contains(&key) {
                        return Err(Misunderstood(format!("there is no option --{key}")));
                    }
                    options.insert(key.to_owned(), value.to_owned());
                }
            }
        }
        Ok((words, Self(options)))
    }

    /// Adds an option.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.0.insert(key.to_owned(), value.to_string());
        self
    }

    /// Whether an option is given.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value of an option, if it is given.
    ///
    /// # Errors
    /// Where it isn't what it has to be.
    pub fn get<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Misunderstood> {
        let Some(text) = self.0.get(key) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| Misunderstood(format!("--{key}={text} is none")))
    }

    /// The value of an option that has to be given.
    ///
    /// # Errors
    /// Where it is missing or isn't what it has to be.
    pub fn need<T: std::str::FromStr>(&self, key: &str) -> Result<T, Misunderstood> {
        self.get(key)?
            .ok_or_else(|| Misunderstood(format!("--{key} is missing")))
    }

    /// The descriptor of an option that has to be given, to own.
    ///
    /// # Errors
    /// Where it is missing or no descriptor.
    pub fn take(&self, key: &str) -> Result<OwnedFd, Misunderstood> {
        let fd: RawFd = self.need(key)?;
        sys::adopt(fd).map_err(|error| Misunderstood(format!("--{key}={fd}: {error}")))
    }

    /// The same as a command line.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(key, value)| {
                if value.is_empty() {
                    format!("--{key}")
                } else {
                    format!("--{key}={value}")
                }
            })
            .collect()
    }
}

/// The program of this name that lies beside this one.
///
/// # Errors
/// Where the kernel doesn't tell where this one lies.
pub fn beside(name: &str) -> io::Result<PathBuf> {
    let own = std::fs::read_link("/proc/self/exe")?;
    Ok(own.with_file_name(name))
}

/// Puts lines where the next program finds them: a file in memory. Where they are more than is kept,
/// the oldest are left out: the last ones tell how the container ended.
///
/// # Errors
/// Where there is no memory.
pub fn write_log<'a>(lines: impl Iterator<Item = &'a str>) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("virt-sandbox-log", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(fd);
    let lines: Vec<&str> = lines.collect();
    for line in newest(&lines) {
        writeln!(file, "{line}")?;
    }
    Ok(file.into())
}

/// The last lines that fit the limit together.
fn newest<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
    let mut left = LOG_LIMIT;
    let fits = |line: &&&str| {
        let rest = left.checked_sub(line.len() as u64 + 1);
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    let count = lines.iter().rev().take_while(fits).count();
    &lines[lines.len() - count..]
}

/// Reads what [`write_log`] wrote. A descriptor of anything else has no lines: the log helps to
/// tell why a container ended, and what is to be done about the end doesn't depend on it.
#[must_use]
pub fn read_log(fd: OwnedFd) -> Vec<String> {
    let mut file = File::from(fd);
    let mut bytes = Vec::new();
    if file.rewind().is_ok() {
        // What was read before an error counts.
        let _ = file.take(LOG_LIMIT).read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_back_as_they_went() {
        let options = Options::default().with("init", 7).with("stopped", "");
        let args = options.to_args();
        assert_eq!(args, ["--init=7", "--stopped"]);
        let (words, back) = Options::parse(
            ["ended".to_owned(), "web1".to_owned()]
                .into_iter()
                .chain(args),
            &["init", "stopped"],
        )
        .unwrap();
        assert_eq!(words, ["ended", "web1"]);
        assert_eq!(back, options);
        assert_eq!(back.need::<u32>("init"), Ok(7));
        assert_eq!(back.get::<u32>("lock"), Ok(None));
        assert!(back.need::<u32>("lock").is_err());
        assert!(Options::parse(std::iter::once("--other=1".to_owned()), &["init"]).is_err());
    }

    #[test]
    fn the_log_comes_back_as_it_went() {
        let log = write_log(["one", "two"].into_iter()).unwrap();
        assert_eq!(read_log(log), ["one", "two"]);
    }

    #[test]
    fn a41_of_a_log_that_is_too_long_the_newest_lines_come_back() {
        let long = "\u{e9}".repeat(4096);
        let mut lines = vec![long.as_str(); 200];
        lines.push("Rebooting.");
        let back = read_log(write_log(lines.iter().copied()).unwrap());
        assert_eq!(back.last().map(String::as_str), Some("Rebooting."));
        assert!(back.len() > 50, "{}", back.len());
        assert!(back[..back.len() - 1].iter().all(|line| *line == long));
        let endless = "x".repeat(1 << 20);
        let back = read_log(write_log([endless.as_str(), "last"].into_iter()).unwrap());
        assert_eq!(back, ["last"]);
    }

    #[test]
    fn a_log_that_is_none_has_no_lines_and_one_in_pieces_has_what_is_left() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        assert!(read_log(reader).is_empty());
        let mut broken = tempfile::tempfile().unwrap();
        broken.write_all(b"one\nt\xc3\nlast\n").unwrap();
        assert_eq!(read_log(broken.into()), ["one", "t\u{fffd}", "last"]);
    }
}
