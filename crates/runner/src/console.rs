//! What the container prints, on its way to the journal.
//!
//! The journal inside forwards to the console, and systemd writes its own state there. Line by line
//! it goes to standard output: made harmless, cut to a length, and no more than a quiet service has
//! reason to. The last lines are kept for the report of a failure.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use vss_model::Sanitized;

/// The longest line; the rest of a longer one is left out.
const LINE_LIMIT: usize = 2048;
/// How many lines are kept.
const KEPT: usize = 200;
/// How many lines may come at once, and how many then each second.
const BURST: u32 = 2000;
const PER_SECOND: u32 = 500;

/// Cuts a stream into lines.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
    /// Bytes of the line that were left out.
    cut: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8], usize)) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    each(&self.partial, self.cut);
                    self.partial.clear();
                    self.cut = 0;
                }
                _ if self.partial.len() < LINE_LIMIT => self.partial.push(*byte),
                _ => self.cut += 1,
            }
        }
    }
}

/// Takes the console's bytes, gives lines to be written.
#[derive(Debug)]
pub struct Console {
    lines: Lines,
    kept: VecDeque<String>,
    tokens: u32,
    refilled: Instant,
    left_out: u64,
}

impl Console {
    /// A console of which nothing has been seen, at this time.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            lines: Lines::default(),
            kept: VecDeque::new(),
            tokens: BURST,
            refilled: now,
            left_out: 0,
        }
    }

    /// A console that goes on with these lines kept.
    #[must_use]
    pub fn with_kept(now: Instant, kept: impl IntoIterator<Item = String>) -> Self {
        let mut console = Self::new(now);
        for line in kept {
            console.keep(line);
        }
        console
    }

    /// Takes what was read; `write` gets each line that may pass.
    pub fn push(&mut self, bytes: &[u8], now: Instant, mut write: impl FnMut(&str)) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.push(bytes, |line, cut| {
            let mut text = Sanitized::bytes(&without_escapes(line)).to_string();
            if cut > 0 {
                text.push_str(&format!("... ({cut} more bytes)"));
            }
            if text.trim().is_empty() {
                return;
            }
            if self.may_pass(now) {
                if self.left_out > 0 {
                    write(&format!(
                        "({} lines of the container left out)",
                        self.left_out
                    ));
                    self.left_out = 0;
                }
                write(&text);
            } else {
                self.left_out += 1;
            }
            self.keep(text);
        });
        self.lines = lines;
    }

    fn may_pass(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.refilled).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds).unwrap_or(u32::MAX);
            self.tokens = self
                .tokens
                .saturating_add(more.saturating_mul(PER_SECOND))
                .min(BURST);
            self.refilled += Duration::from_secs(seconds);
        }
        let passes = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        passes
    }

    fn keep(&mut self, line: String) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }

    /// The last lines, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }

    /// Forgets the lines: they are of a boot that is over, and would be taken for the next one's
    /// last words.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// The last line that begins so.
    #[must_use]
    pub fn last_with(&self, start: &str) -> Option<String> {
        let line = self.kept.iter().rfind(|line| line.starts_with(start));
        line.cloned()
    }

    /// Of the last lines at most `count` that say why a service failed: the service's own, and
    /// systemd's about one of `units`.
    #[must_use]
    pub fn telling(&self, units: &[String], count: usize) -> Vec<String> {
        telling(self.kept(), units, count)
    }
}

/// The lines without the noise of systemd's way up and down: those that came by way of the journal,
/// less systemd's about other units and about its restarts of these. Where the journal did not come
/// up, the last of all. systemd's own get half of the room at most while others need it: they say
/// that a service failed, and it says why.
fn telling<'a>(
    lines: impl Iterator<Item = &'a str>,
    units: &[String],
    count: usize,
) -> Vec<String> {
    let all: Vec<&str> = lines.collect();
    let last = |lines: &[&str], count: usize| {
        let skipped = lines.len().saturating_sub(count);
        let kept = lines.iter().skip(skipped);
        kept.map(|line| (*line).to_owned()).collect()
    };
    let texts: Vec<(&str, &str)> = all
        .iter()
        .filter_map(|line| Some((*line, message(line)?)))
        .collect();
    if texts.is_empty() {
        return last(&all, count);
    }
    let of_units = |text: &str| units.iter().any(|unit| names(text, unit));
    let rounds = texts
        .iter()
        .any(|(_, text)| text.contains(RESTART) && of_units(text));
    let mut chosen: Vec<(&str, bool)> = Vec::new();
    let mut said = HashSet::new();
    for (line, text) in texts.into_iter().rev() {
        let of_manager = text.strip_prefix("systemd[1]: ");
        let counts = match of_manager {
            Some(text) => of_units(text) && !is_chatter(text),
            None => !NOISE.iter().any(|ident| text.starts_with(ident)),
        };
        // each round says the same, with other numbers
        if counts && (!rounds || said.insert(without_numbers(text))) {
            chosen.push((line, of_manager.is_some()));
        }
    }
    let own = chosen.iter().filter(|(_, of_manager)| !of_manager).count();
    let mut room = (count / 2).max(count.saturating_sub(own));
    chosen.retain(|(_, of_manager)| {
        let fits = !of_manager || room > 0;
        room = room.saturating_sub(usize::from(*of_manager));
        fits
    });
    let lines: Vec<&str> = chosen.iter().rev().map(|(line, _)| *line).collect();
    last(&lines, count)
}

/// How the lines begin of those that only attend a service.
const NOISE: [&str; 4] = ["systemd", "umount[", "mount[", "virt-sandbox-init["];
const RESTART: &str = "Scheduled restart job";

/// Whether a line of systemd's tells of its restarts, or of nothing but that there was a start.
fn is_chatter(text: &str) -> bool {
    let begins = [
        "Starting ",
        "Started ",
        "Stopping ",
        "Stopped ",
        "Failed to start ",
    ];
    let has = [
        RESTART,
        ": Triggering On",
        "Start request repeated too quickly",
        "virt-sandbox-ended",
        ": Consumed ",
    ];
    begins.iter().any(|begin| text.starts_with(begin)) || has.iter().any(|part| text.contains(part))
}

fn without_numbers(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Whether the unit's name stands in the text, and not as the end of a longer one.
fn names(text: &str, unit: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || "-_.@:\\".contains(c);
    text.match_indices(unit)
        .any(|(at, _)| !text[..at].ends_with(of_name))
}

/// The line without the time that journald puts before it, `[ 3631.571951] `, if it does.
pub(crate) fn message(line: &str) -> Option<&str> {
    let (time, text) = line.strip_prefix('[')?.split_once("] ")?;
    time.trim().parse::<f64>().is_ok().then_some(text)
}

/// Without the carriage returns around a terminal's line, and without the sequences that colour,
/// move or set up (`ESC [ … letter`, `ESC M`, `ESC ] … BEL`): those would only be shown as such.
fn without_escapes(line: &[u8]) -> Vec<u8> {
    let is_return = |byte: &u8| *byte == b'\r';
    let end = line
        .iter()
        .rposition(|byte| !is_return(byte))
        .map_or(0, |last| last + 1);
    let line = &line[..end];
    let start = line.iter().position(|byte| !is_return(byte)).unwrap_or(0);
    let line = &line[start..];
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (0x1b, [b'[', sequence @ ..]) => {
                match sequence
                    .iter()
                    .position(|byte| (0x40..=0x7e).contains(byte))
                {
                    Some(end) => &sequence[end + 1..],
                    None => &[],
                }
            }
            (0x1b, [b']', command @ ..]) if command.contains(&0x07) => {
                let end = command.iter().position(|byte| *byte == 0x07);
                end.map_or(&[], |end| &command[end + 1..])
            }
            (0x1b, [b'M', b'\r', after @ ..] | [b'M', after @ ..]) => after,
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(console: &mut Console, bytes: &[u8], now: Instant) -> Vec<String> {
        let mut out = Vec::new();
        console.push(bytes, now, |line| out.push(line.to_owned()));
        out
    }

    #[test]
    fn a40_lines_are_whole_and_harmless() {
        let now = Instant::now();
        let mut console = Console::new(now);
        assert_eq!(written(&mut console, b"one\r\ntw", now), ["one"]);
        assert_eq!(
            written(&mut console, b"o\x1b]0;t\x07\n\n\xff\n", now),
            ["two", "\\xff"]
        );
        assert_eq!(
            written(
                &mut console,
                b"\x1b[!p\x1b]104\x07systemd\n\x1b]0;open\n",
                now
            ),
            ["systemd", "\\x1b]0;open"]
        );
        assert_eq!(
            written(
                &mut console,
                b"\r\x1bM\r[\x1b[0;32m  OK  \x1b[0m] x\r\r\n",
                now
            ),
            ["[  OK  ] x"]
        );
    }

    #[test]
    fn a41_a_flood_is_cut_and_counted() {
        let now = Instant::now();
        let mut console = Console::new(now);
        let flood = b"x\n".repeat(BURST as usize + 10);
        assert_eq!(written(&mut console, &flood, now).len(), BURST as usize);
        let later = now + Duration::from_secs(2);
        let after = written(&mut console, b"y\n", later);
        assert_eq!(after, ["(10 lines of the container left out)", "y"]);
        assert_eq!(console.kept().count(), KEPT);
    }

    #[test]
    fn the_last_words_of_one_boot_are_not_the_next_ones() {
        let now = Instant::now();
        let mut console = Console::with_kept(now, ["Rebooting.".to_owned()]);
        console.forget();
        written(&mut console, b"systemd 257 running\n", now);
        assert_eq!(crate::outcome::Claim::read(console.kept()), None);
    }

    #[test]
    fn a41_a_line_without_end_takes_no_memory() {
        let now = Instant::now();
        let mut console = Console::new(now);
        for _ in 0..100 {
            assert!(written(&mut console, &[b'x'; 4096], now).is_empty());
        }
        assert!(console.lines.partial.capacity() <= 2 * LINE_LIMIT);
        let line = written(&mut console, b"\n", now).remove(0);
        assert!(line.ends_with("... (407552 more bytes)"));
    }

    #[test]
    fn what_a_failed_service_said_is_told_and_the_way_down_is_not() {
        let lines = [
            "[    1.0] systemd[1]: Starting a.service - A...",
            "[    1.1] ad[12]: cannot bind to port 80",
            "[FAILED] Failed to start a.service - A.",
            "[    1.2] systemd[1]: a.service: Main process exited, code=exited, status=1/FAILURE",
            "[    1.2] systemd[1]: virt-sandbox-ended.service: multiple (a.service, a.service)",
            "[    1.2] systemd[1]: extra.service: Deactivated successfully.",
            "[    1.3] systemd[1]: Stopped target basic.target - Basic System.",
            "[    1.4] umount[73]: umount: /root: must be superuser to unmount.",
            "         Unmounting tmp.mount...",
        ];
        let units = ["a.service".to_owned()];
        let told = telling(lines.into_iter(), &units, 2);
        assert_eq!(told, [lines[1], lines[3]]);
        let early = [
            "systemd 252 running",
            "Failed to mount /x",
            "Freezing execution.",
        ];
        assert_eq!(telling(early.into_iter(), &units, 2), early[1..]);
    }
    #[test]
    fn a_service_that_was_restarted_in_vain_has_its_own_words_told() {
        let mut lines = Vec::new();
        for round in 1..=5 {
            lines.extend([
                format!("[    1.{round}] systemd[1]: Starting a.service - A..."),
                format!("[    1.{round}] ad[1{round}]: [1{round}:0] error: no root.key"),
                format!("[    1.{round}] ad[1{round}]: [1{round}:0] fatal error: gives up"),
                format!("[    1.{round}] systemd[1]: a.service: Main process exited, code=exited, status=1/FAILURE"),
                format!("[    1.{round}] systemd[1]: a.service: Failed with result 'exit-code'."),
                format!("[    1.{round}] systemd[1]: Failed to start a.service - A."),
                format!("[    1.{round}] systemd[1]: a.service: Scheduled restart job, restart counter is at {round}."),
                format!("[    1.{round}] systemd[1]: Stopped a.service - A."),
                format!("[    1.{round}] systemd[1]: a.service: Triggering OnSuccess= dependencies."),
            ]);
        }
        lines.push(
            "[    2.0] systemd[1]: a.service: Start request repeated too quickly.".to_owned(),
        );
        lines.push("[    2.0] systemd[1]: a.service: Failed with result 'exit-code'.".to_owned());
        let units = ["a.service".to_owned()];
        let told = telling(lines.iter().map(String::as_str), &units, 10);
        let last = 4 * 9;
        let wanted = [
            &lines[last + 1],
            &lines[last + 2],
            &lines[last + 3],
            &lines[46],
        ];
        assert_eq!(told.iter().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_systemd_says_leaves_room_for_the_service() {
        let mut lines = vec!["[ 1.0] ad[9]: the cause".to_owned()];
        lines.extend((0..9).map(|n| format!("[ 1.{n}] systemd[1]: a.service: word {n}")));
        let units = ["a.service".to_owned()];
        let told = telling(lines.iter().map(String::as_str), &units, 4);
        let wanted = [&lines[0], &lines[7], &lines[8], &lines[9]];
        assert_eq!(told.iter().collect::<Vec<_>>(), wanted);
    }
}
