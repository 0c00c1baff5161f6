//! Specifiers, and the escaping of instances (systemd.unit(5), SPECIFIERS and STRING ESCAPING).

use std::collections::BTreeMap;

use vss_model::{AbsPath, UnitName};

use crate::error::{Error, Result};

/// What specifiers stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecifierContext {
    /// The unit.
    pub unit: UnitName,
    /// Its file, for `%y` and `%Y`.
    pub fragment: Option<AbsPath>,
    /// Facts about the host, by letter: `H` and `l` the host's name, `m` its machine id, `v` its
    /// kernel, and so on. A value that needs one that isn't here is an error.
    pub host: BTreeMap<char, String>,
}

impl SpecifierContext {
    /// The specifiers of a unit of the system manager, without facts about the host.
    #[must_use]
    pub fn new(unit: &UnitName) -> Self {
        Self {
            unit: unit.clone(),
            fragment: None,
            host: BTreeMap::new(),
        }
    }

    /// Adds the host's name (`%H`, `%l`) and machine id (`%m`).
    #[must_use]
    pub fn with_host(mut self, hostname: &str, machine_id: &str) -> Self {
        let short = hostname.split('.').next().unwrap_or_default();
        self.host.insert('H', hostname.to_owned());
        self.host.insert('l', short.to_owned());
        self.host.insert('m', machine_id.to_owned());
        self
    }

    /// The value of a specifier; `None` where systemd knows none of that letter.
    fn value(&self, letter: char, whole: &str) -> Result<Option<String>> {
        let unit = &self.unit;
        let instance = unit.instance().unwrap_or_default();
        let last = |text: &str| text.rsplit('-').next().unwrap_or_default().to_owned();
        let unescaped = |text: &str| unescape(text);
        Ok(Some(match letter {
            '%' => "%".to_owned(),
            'i' => instance.to_owned(),
            'I' => unescaped(instance)?,
            'n' => unit.as_str().to_owned(),
            'N' => without_suffix(unit).to_owned(),
            'p' => unit.prefix().to_owned(),
            'P' => unescaped(unit.prefix())?,
            'j' => last(unit.prefix()),
            'J' => unescaped(&last(unit.prefix()))?,
            'f' => format!("/{}", unescaped(unit.instance().unwrap_or(unit.prefix()))?),
            't' => "/run".to_owned(),
            'S' => "/var/lib".to_owned(),
            'C' => "/var/cache".to_owned(),
            'L' => "/var/log".to_owned(),
            'E' => "/etc".to_owned(),
            'T' => "/tmp".to_owned(),
            'V' => "/var/tmp".to_owned(),
            'd' => format!("/run/credentials/{unit}"),
            // %u and its kin are of the manager, not of User=.
            'u' | 'g' => "root".to_owned(),
            'U' | 'G' => "0".to_owned(),
            'h' => "/root".to_owned(),
            's' => "/bin/sh".to_owned(),
            'y' | 'Y' => self.fragment_part(letter, whole)?,
            'H' | 'l' | 'q' | 'm' | 'b' | 'v' | 'a' | 'o' | 'w' | 'W' | 'B' | 'M' | 'A' => self
                .host
                .get(&letter)
                .cloned()
                .ok_or_else(|| unknown(letter, whole))?,
            _ => return Ok(None),
        }))
    }

    fn fragment_part(&self, letter: char, whole: &str) -> Result<String> {
        let path = self
            .fragment
            .as_ref()
            .ok_or_else(|| unknown(letter, whole))?;
        let path = if letter == 'y' {
            Some(path.clone())
        } else {
            path.parent()
        };
        Ok(path.map(|p| p.to_string()).unwrap_or_default())
    }
}

fn unknown(specifier: char, value: &str) -> Error {
    Error::UnknownSpecifier {
        value: value.to_owned(),
        specifier,
    }
}

fn without_suffix(unit: &UnitName) -> &str {
    unit.as_str()
        .rsplit_once('.')
        .map_or(unit.as_str(), |(stem, _)| stem)
}

/// Replaces the specifiers of a value. A letter that systemd doesn't know stays as it is.
///
/// ```
/// use vss_unit::{SpecifierContext, expand};
/// let context = SpecifierContext::new(&"postgresql@15-main".parse().unwrap());
/// assert_eq!(expand("/etc/%p/%I/%i.conf", &context).unwrap(), "/etc/postgresql/15/main/15-main.conf");
/// ```
///
/// # Errors
/// Where a specifier stands for a fact that the context doesn't have, or for an instance with a
/// malformed escape.
pub fn expand(value: &str, context: &SpecifierContext) -> Result<String> {
    replace(value, |letter| context.value(letter, value))
}

/// What a value may be for any instance of the same template: a pattern in which `*` stands for
/// what depends on the instance, one for each component. `None` where nothing does, or where the
/// value itself has characters of patterns.
///
/// ```
/// use vss_unit::{SpecifierContext, for_any_instance};
/// let context = SpecifierContext::new(&"postgresql@15-main.service".parse().unwrap());
/// let pattern = |value| for_any_instance(value, &context);
/// assert_eq!(pattern("/etc/%p/%I/%i.conf").as_deref(), Some("/etc/postgresql/*/*/*.conf"));
/// assert_eq!(pattern("/etc/%p"), None);
/// ```
#[must_use]
pub fn for_any_instance(value: &str, context: &SpecifierContext) -> Option<String> {
    let instance = context.unit.instance().filter(|i| !i.is_empty())?;
    if value.contains(['*', '?', '[']) {
        return None;
    }
    let components = unescape(instance).ok()?.split('/').count();
    let unescaped = vec!["*"; components].join("/");
    let (stem, suffix) = context.unit.as_str().split_once('@')?;
    let suffix = suffix.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    let mut depends = false;
    let pattern = replace(value, |letter| {
        let any = match letter {
            'i' => "*".to_owned(),
            'I' => unescaped.clone(),
            'f' => format!("/{unescaped}"),
            'n' => format!("{stem}@*.{suffix}"),
            'N' => format!("{stem}@*"),
            _ => return context.value(letter, value),
        };
        depends = true;
        Ok(Some(any))
    });
    pattern.ok().filter(|_| depends)
}

/// The text with each specifier replaced by what it stands for, if it stands for anything.
fn replace(
    value: &str,
    mut stands_for: impl FnMut(char) -> Result<Option<String>>,
) -> Result<String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(letter) = chars.next() else {
            out.push('%');
            break;
        };
        match stands_for(letter)? {
            Some(text) => out.push_str(&text),
            None => out.extend(['%', letter]),
        }
    }
    Ok(out)
}

/// Undoes the escaping of systemd-escape(1): `-` is `/`, `\xNN` a byte.
///
/// # Errors
/// Where a backslash begins anything else, or the result is not UTF-8.
pub fn unescape(text: &str) -> Result<String> {
    let bad = || Error::BadEscape(text.to_owned());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'-' => out.push(b'/'),
            b'\\' => {
                let hex = tail
                    .strip_prefix(b"x")
                    .and_then(|t| t.get(..2))
                    .ok_or_else(bad)?;
                if !hex.iter().all(u8::is_ascii_hexdigit) {
                    return Err(bad());
                }
                let hex = std::str::from_utf8(hex).map_err(|_| bad())?;
                out.push(u8::from_str_radix(hex, 16).map_err(|_| bad())?);
                rest = &tail[3..];
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|_| bad())
}

/// Escapes text for an instance, as systemd-escape(1) does.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, byte) in text.bytes().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if n == 0 => out.push_str("\\x2e"),
            b':' | b'_' | b'.' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context(unit: &str) -> SpecifierContext {
        SpecifierContext::new(&unit.parse().unwrap())
    }

    #[test]
    fn specifiers_are_those_of_the_unit() {
        let context = context("foo-bar-baz@a\\x2db-c.service");
        for (value, expected) in [
            ("%n", "foo-bar-baz@a\\x2db-c.service"),
            ("%N", "foo-bar-baz@a\\x2db-c"),
            ("%p %P", "foo-bar-baz foo/bar/baz"),
            ("%j", "baz"),
            ("%i %I %f", "a\\x2db-c a-b/c /a-b/c"),
            ("%t%S%C%L%E", "/run/var/lib/var/cache/var/log/etc"),
            ("%u %U %h", "root 0 /root"),
            ("100%% %z %", "100% %z %"),
        ] {
            assert_eq!(expand(value, &context).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn facts_about_the_host_are_asked_for_and_not_guessed() {
        let context = context("a.service");
        assert!(matches!(
            expand("/x/%H", &context),
            Err(Error::UnknownSpecifier { specifier: 'H', .. })
        ));
        let context = context.with_host("web.example.org", "0123");
        assert_eq!(
            expand("%H %l %m", &context).unwrap(),
            "web.example.org web 0123"
        );
    }

    #[test]
    fn a46_malformed_escapes_are_errors() {
        for bad in ["\\", "\\x", "\\x2", "\\xzz", "\\n", "\\xff", "\\x+1"] {
            assert!(unescape(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in "\\PC{0,40}") {
            prop_assert_eq!(unescape(&escape(&text)).unwrap(), text);
        }
    }
}
