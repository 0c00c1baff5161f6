//! Time spans (systemd.time(7)).

use std::time::Duration;

/// A time span of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimeSpan {
    /// So long.
    Finite(Duration),
    /// Without end: `infinity`.
    Infinite,
}

/// The units, longest first where one begins another, in microseconds.
const UNITS: [(&[&str], u64); 9] = [
    (&["years", "year", "y"], 31_557_600_000_000),
    (&["months", "month", "M"], 2_629_800_000_000),
    (&["weeks", "week", "w"], 604_800_000_000),
    (&["days", "day", "d"], 86_400_000_000),
    (&["hours", "hour", "hr", "h"], 3_600_000_000),
    (&["minutes", "minute", "min", "m"], 60_000_000),
    (&["seconds", "second", "sec", "s"], 1_000_000),
    (&["msec", "ms"], 1_000),
    (&["usec", "us", "\u{b5}s", "\u{3bc}s"], 1),
];

/// Reads a time span: `5min 20s`, `1h30m`, `1.5s`, `90` (seconds), `infinity`. `None` where it is
/// none, and systemd would ignore the setting.
pub(crate) fn parse(text: &str) -> Option<TimeSpan> {
    let mut rest = text.trim();
    if rest == "infinity" {
        return Some(TimeSpan::Infinite);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, fraction) = take_number(&mut rest)?;
        rest = rest.trim_start();
        let unit = take_unit(&mut rest)?;
        rest = rest.trim_start();
        let part = whole
            .checked_mul(unit)?
            .checked_add(scale(fraction, unit))?;
        total = total.checked_add(part)?;
    }
    Some(TimeSpan::Finite(Duration::from_micros(total)))
}

/// The digits before and behind the point.
fn take_number<'a>(rest: &mut &'a str) -> Option<(u64, &'a str)> {
    let end = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    let (whole, after) = rest.split_at(end(rest));
    let (fraction, after) = match after.strip_prefix('.') {
        Some(behind) => behind.split_at(end(behind)),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    *rest = after;
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    Some((whole, fraction))
}

/// The unit that follows, in microseconds; seconds where a number or nothing follows.
fn take_unit(rest: &mut &str) -> Option<u64> {
    let end = rest
        .find(|c: char| c.is_ascii_digit() || c.is_whitespace() || c == '.')
        .unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    if word.is_empty() {
        return Some(1_000_000);
    }
    UNITS
        .iter()
        .find(|(names, _)| names.contains(&word))
        .map(|&(_, micros)| micros)
}

fn scale(fraction: &str, unit: u64) -> u64 {
    let mut value = unit;
    let mut out = 0;
    for digit in fraction.bytes() {
        value /= 10;
        out += value * u64::from(digit - b'0');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_are_systemds() {
        let millis = |n| Some(TimeSpan::Finite(Duration::from_millis(n)));
        for (text, expected) in [
            ("90", millis(90_000)),
            ("0", millis(0)),
            ("2 h", millis(7_200_000)),
            ("1h30m", millis(5_400_000)),
            ("5min 20s", millis(320_000)),
            ("1.5s", millis(1_500)),
            (".5", millis(500)),
            ("200ms", millis(200)),
            ("1d 1w", millis(8 * 86_400_000)),
            ("1min 30", millis(90_000)),
            ("infinity", Some(TimeSpan::Infinite)),
            ("", None),
            ("-1", None),
            ("1 parsec", None),
            ("s", None),
            ("99999999999999999999", None),
            ("99999999999999999y", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a46_any_text_is_read_or_refused(text in "[0-9a-zM. ]{0,20}") {
            let _ = parse(&text);
        }
    }
}
