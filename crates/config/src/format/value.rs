//! Sizes, durations, paths and networks as they are written.

use std::net::Ipv4Addr;

use vss_model::AbsPath;
use vss_model::path::{escape_bytes, unescape_bytes};

use super::section::{Item, Outcome};

const UNITS: [(&str, u64); 4] = [
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
];

/// Ten years in seconds: whoever adds a limit to a time must not get out of its range.
const LONGEST: u64 = 10 * 365 * 24 * 60 * 60;

/// `"64M"`, with the largest unit that needs no fraction.
pub(super) fn render_size(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(
        || bytes.to_string(),
        |(letter, unit)| format!("{}{letter}", bytes / unit),
    )
}

/// A number of bytes, or a text with one of the units K, M, G and T, which are powers of 1024.
pub(super) fn size(item: &Item<'_>) -> Outcome<u64> {
    let bytes = match item.value().as_str() {
        None => item.require_number()?,
        Some(text) => parse_size(text).ok_or_else(|| {
            item.problem(format!(
                "{text:?} is no size; write it as \"64M\" or \"1G\""
            ))
        })?,
    };
    if bytes < 4096 {
        return Err(item.problem(format!(
            "{bytes} bytes are less than a page; give at least \"4K\""
        )));
    }
    Ok(bytes)
}

fn parse_size(text: &str) -> Option<u64> {
    let unit = UNITS.iter().find(|(letter, _)| text.ends_with(letter));
    let (digits, factor) = unit.map_or((text, 1), |(_, unit)| (&text[..text.len() - 1], *unit));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// Seconds, or `"infinity"`.
pub(super) fn timeout(item: &Item<'_>) -> Outcome<Option<u64>> {
    match item.value().as_str() {
        Some("infinity") => Ok(None),
        Some(text) => {
            let problem = format!("{text:?} is no time; give seconds as a number, or \"infinity\"");
            Err(item.problem(problem))
        }
        None => match item.require_number()? {
            seconds if seconds > LONGEST => Err(item.problem(format!(
                "{seconds} s are more than ten years; write \"infinity\" for no limit"
            ))),
            seconds => Ok(Some(seconds)),
        },
    }
}

/// A unit may have a limit that is none to speak of.
pub(super) fn render_timeout(limit: Option<u64>) -> String {
    limit
        .filter(|seconds| *seconds <= LONGEST)
        .map_or_else(|| "\"infinity\"".to_owned(), |seconds| seconds.to_string())
}

/// How a path is written: bytes that are not UTF-8 as `\xNN`, a backslash doubled.
pub(super) fn render_path(path: &AbsPath) -> String {
    use std::os::unix::ffi::OsStrExt;
    escape_bytes(path.as_path().as_os_str().as_bytes())
}

pub(super) fn path(item: &Item<'_>) -> Outcome<AbsPath> {
    use std::os::unix::ffi::OsStringExt;
    let text = item.text()?;
    let bytes = unescape_bytes(text).ok_or_else(|| {
        item.problem("the path has a backslash that is neither doubled nor followed by xNN")
    })?;
    AbsPath::new(std::path::PathBuf::from(std::ffi::OsString::from_vec(
        bytes,
    )))
    .map_err(|error| item.problem(error.to_string()))
}

/// `"192.168.155.2/24"`.
pub(super) fn address(item: &Item<'_>) -> Outcome<(Ipv4Addr, u8)> {
    let text = item.text()?;
    let problem = || {
        item.problem(format!(
            "{text:?} is no address with a prefix; write it as \"192.168.155.2/24\""
        ))
    };
    let (address, prefix) = text.split_once('/').ok_or_else(problem)?;
    let address = address.parse().map_err(|_| problem())?;
    let prefix = prefix
        .parse()
        .ok()
        .filter(|p| (1..=31).contains(p))
        .ok_or_else(problem)?;
    Ok((address, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_beyond_all_bounds_is_written_as_none() {
        assert_eq!(render_timeout(None), "\"infinity\"");
        assert_eq!(render_timeout(Some(LONGEST)), LONGEST.to_string());
        assert_eq!(render_timeout(Some(LONGEST + 1)), "\"infinity\"");
        assert_eq!(render_timeout(Some(u64::MAX)), "\"infinity\"");
    }
}
