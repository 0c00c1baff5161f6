//! The text of a unit file, taken apart without loss (systemd.syntax(7)).
//!
//! The rules are those of systemd's own reader: a backslash at the end of a line joins the next,
//! comments between joined lines are passed over, what can't be understood is ignored with a
//! note, and some of it ends the reading. Every byte belongs to exactly one [`Item`], so the text can
//! be put together again.

/// The longest line, joined lines included (`LONG_LINE_MAX` of systemd).
const MAX_LINE: usize = 1 << 20;

/// The text of a unit file as items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitText {
    /// The items, in order.
    pub items: Vec<Item>,
}

/// A piece of a unit file: one line, or several that are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The number of its first line, from 1.
    pub line: usize,
    /// The bytes as they stand in the file, line ends included.
    pub raw: Vec<u8>,
    /// What they say.
    pub content: Content,
}

/// What a piece of a unit file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An empty line, or a byte order mark.
    Blank,
    /// A comment, or the comments between joined lines.
    Comment,
    /// `[Name]`.
    Section(String),
    /// `Key=Value`, joined and stripped.
    Assignment {
        /// What stands before the first `=`.
        key: String,
        /// What stands behind it.
        value: String,
    },
    /// What systemd ignores, and why.
    Ignored(&'static str),
    /// What systemd reads no further at (`config_parse()`), and why.
    Unreadable(&'static str),
}

/// Takes a unit file apart. There is no text that fails: what systemd would ignore is
/// [`Content::Ignored`], and what it would stop at [`Content::Unreadable`].
///
/// ```
/// use vss_unit::text::parse;
/// let text = parse(b"[Service]\nExecStart=/bin/a \\\n# why\n  -b\n");
/// let assignments: Vec<_> = text.assignments().collect();
/// assert_eq!(assignments[0].value, "/bin/a    -b");
/// assert_eq!(text.to_bytes(), b"[Service]\nExecStart=/bin/a \\\n# why\n  -b\n");
/// ```
#[must_use]
pub fn parse(bytes: &[u8]) -> UnitText {
    let mut items = Vec::new();
    let mut rest = bytes;
    if let Some(behind) = rest.strip_prefix(b"\xef\xbb\xbf") {
        items.push(Item {
            line: 1,
            raw: rest[..3].to_vec(),
            content: Content::Blank,
        });
        rest = behind;
    }
    let mut number = 1;
    let mut pending: Option<Pending> = None;
    while !rest.is_empty() {
        let (line, raw) = take_line(&mut rest);
        let comment = matches!(line.trim_ascii_start().first(), Some(b'#' | b';'));
        match (&mut pending, comment) {
            (Some(open), true) => open.raw.extend_from_slice(raw),
            (None, true) => items.push(Item {
                line: number,
                raw: raw.to_vec(),
                content: Content::Comment,
            }),
            (open, false) => {
                let joined = open.get_or_insert_with(|| Pending::new(number));
                if !joined.add(line, raw) {
                    items.extend(pending.take().map(Pending::finish));
                }
            }
        }
        number += 1;
    }
    items.extend(pending.map(Pending::finish));
    UnitText { items }
}

/// Lines that are being joined.
struct Pending {
    line: usize,
    raw: Vec<u8>,
    text: Vec<u8>,
}

impl Pending {
    fn new(line: usize) -> Self {
        Self {
            line,
            raw: Vec::new(),
            text: Vec::new(),
        }
    }

    /// Adds a line; `true` where the next one is to be joined to it.
    fn add(&mut self, line: &[u8], raw: &[u8]) -> bool {
        self.raw.extend_from_slice(raw);
        self.text.extend_from_slice(line);
        let backslashes = self.text.iter().rev().take_while(|&&c| c == b'\\').count();
        if backslashes % 2 == 1 {
            self.text.pop();
            self.text.push(b' ');
            true
        } else {
            false
        }
    }

    fn finish(self) -> Item {
        Item {
            line: self.line,
            content: understand(&self.text),
            raw: self.raw,
        }
    }
}

/// What a whole line says.
fn understand(text: &[u8]) -> Content {
    if text.len() > MAX_LINE {
        return Content::Unreadable("a line longer than systemd reads");
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return Content::Unreadable("a line that is not UTF-8");
    };
    let text = trim(text);
    if text.is_empty() {
        return Content::Blank;
    }
    if let Some(inside) = text.strip_prefix('[') {
        return match inside.strip_suffix(']') {
            Some(name) if is_safe(name) => Content::Section(name.to_owned()),
            Some(_) => Content::Unreadable("a section name with characters that none may have"),
            None => Content::Unreadable("a section header without its end"),
        };
    }
    match text.split_once('=') {
        None => Content::Ignored("a line without \"=\""),
        Some((key, _)) if trim(key).is_empty() => Content::Ignored("a value without a key"),
        Some((key, value)) => Content::Assignment {
            key: trim(key).to_owned(),
            value: trim(value).to_owned(),
        },
    }
}

/// Whether a section may be called so (`string_is_safe()` of systemd).
fn is_safe(name: &str) -> bool {
    !name.contains(|c: char| c.is_ascii_control() || matches!(c, '"' | '\'' | '\\'))
}

/// Strips what systemd counts as white space, which is ASCII's only.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// Cuts the first line off: without its end, and with it. A line ends with any one or any two
/// different ones of line feed, carriage return and NUL, as systemd reads files.
fn take_line<'a>(rest: &mut &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let is_end = |c: u8| matches!(c, b'\n' | b'\r' | 0);
    let all = *rest;
    let length = all.iter().position(|&c| is_end(c)).unwrap_or(all.len());
    let mut end = length;
    while end < all.len() && is_end(all[end]) && !all[length..end].contains(&all[end]) {
        end += 1;
    }
    *rest = &all[end..];
    (&all[..length], &all[..end])
}

/// An assignment with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The section it stands in.
    pub section: &'a str,
    /// The key.
    pub key: &'a str,
    /// The value.
    pub value: &'a str,
    /// The number of its first line.
    pub line: usize,
}

impl UnitText {
    /// The bytes of the file, exactly as they were.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.items
            .iter()
            .flat_map(|item| &item.raw)
            .copied()
            .collect()
    }

    /// What systemd reads of the file: all before what it can't.
    fn read(&self) -> impl Iterator<Item = &Item> {
        let is_readable = |item: &&Item| !matches!(item.content, Content::Unreadable(_));
        self.items.iter().take_while(is_readable)
    }

    /// Where systemd reads no further, and why. It does not load a unit whose own file has such a
    /// line, and takes of a drop-in what stands before it.
    #[must_use]
    pub fn unreadable(&self) -> Option<(usize, &'static str)> {
        self.items.iter().find_map(|item| match item.content {
            Content::Unreadable(reason) => Some((item.line, reason)),
            _ => None,
        })
    }

    /// The assignments, each with its section. Those outside any section don't count, nor does
    /// what systemd doesn't read.
    pub fn assignments(&self) -> impl Iterator<Item = Assignment<'_>> {
        let mut section = None;
        self.read().filter_map(move |item| {
            match &item.content {
                Content::Section(name) => section = Some(name.as_str()),
                Content::Assignment { key, value } => {
                    return section.map(|section| Assignment {
                        section,
                        key,
                        value,
                        line: item.line,
                    });
                }
                _ => {}
            }
            None
        })
    }

    /// The lines that systemd ignores, with reasons; assignments outside any section among them,
    /// and the one that it reads no further at.
    #[must_use]
    pub fn ignored(&self) -> Vec<(usize, &'static str)> {
        let mut in_section = false;
        let mut out = Vec::new();
        for item in self.read() {
            match &item.content {
                Content::Section(_) => in_section = true,
                Content::Ignored(reason) => out.push((item.line, *reason)),
                Content::Assignment { .. } if !in_section => {
                    out.push((item.line, "an assignment outside of any section"));
                }
                _ => {}
            }
        }
        out.extend(self.unreadable());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Vec<(String, String, String)> {
        let parsed = parse(text);
        assert_eq!(parsed.to_bytes(), text);
        parsed
            .assignments()
            .map(|a| (a.section.to_owned(), a.key.to_owned(), a.value.to_owned()))
            .collect()
    }

    fn values(text: &[u8]) -> Vec<String> {
        read(text).into_iter().map(|(_, _, value)| value).collect()
    }

    #[test]
    fn lines_are_joined_as_systemd_does() {
        assert_eq!(values(b"[A]\nk=a\\\nb"), ["a b"]);
        assert_eq!(values(b"[A]\nk=a \\\n# c\n ; d\n  b\nl=c"), ["a    b", "c"]);
        assert_eq!(values(b"[A]\nk=a\\\\\nl=b"), ["a\\\\", "b"]);
        assert_eq!(values(b"[A]\nk=a\\ \nl=b"), ["a\\", "b"]);
        assert_eq!(values(b"[A]\nk=a\\\n\nl=b"), ["a", "b"]);
        assert_eq!(values(b"[A]\nk=a\\"), ["a"]);
        // A section header inside joined lines is text.
        assert_eq!(values(b"[A]\nk=a\\\n[B]\nl=b"), ["a [B]", "b"]);
    }

    #[test]
    fn line_ends_and_marks_of_other_systems_are_understood() {
        assert_eq!(
            values(b"\xef\xbb\xbf[A]\r\nk=a\r\nl=b \\\r\n c\r\n"),
            ["a", "b   c"]
        );
        assert_eq!(values(b"[A]\rk=a\r\rl=b"), ["a", "b"]);
        assert_eq!(values(b"[A]\0k=a\0l=b"), ["a", "b"]);
    }

    #[test]
    fn what_systemd_ignores_is_noted() {
        let text = parse(b"early=1\n[A]\nno equals\n=x\nk=v=w\n[B\nlost=1\n[C]\nk=lost\n");
        let kept: Vec<_> = text
            .assignments()
            .map(|a| (a.section, a.key, a.value))
            .collect();
        assert_eq!(kept, [("A", "k", "v=w")]);
        let lines: Vec<_> = text.ignored().into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 3, 4, 6]);
    }

    #[test]
    fn what_systemd_can_not_read_ends_the_file() {
        for line in [&b"[B"[..], b"[", b"[B\"]", b"[B\\x]", b"[\x01]", b"k=\xff"] {
            let text = [b"[A]\nk=a\n", line, b"\n[C]\nk=c\n"].concat();
            assert_eq!(values(&text), ["a"], "{}", line.escape_ascii());
            assert_eq!(parse(&text).unreadable().unwrap().0, 3);
        }
        assert_eq!(values(b"[\xc3\xa4 \xc2\x85]\nk=a\n"), ["a"]);
        let mut text = b"[A]\nk=a\nl=".to_vec();
        text.resize(MAX_LINE + 100, b'x');
        text.extend_from_slice(b"\nl=b\n");
        assert_eq!(values(&text), ["a"]);
    }

    #[test]
    fn repeats_and_spaces() {
        let text = b"[A]\n k = a \nk=b\n[ B ]\nk=\n";
        let flat: Vec<_> = read(text)
            .into_iter()
            .map(|(s, k, v)| format!("{s}/{k}/{v}"))
            .collect();
        assert_eq!(flat, ["A/k/a", "A/k/b", " B /k/"]);
    }

    proptest! {
        #[test]
        fn a46_any_bytes_are_taken_apart_and_put_together_again(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\n'), Just(b'\\'), Just(b'#'), Just(b'='), Just(b'['), Just(b']'),
                Just(b'\r'), Just(b' '), any::<u8>(),
            ], 0..200)
        ) {
            let text = parse(&bytes);
            prop_assert_eq!(text.to_bytes(), bytes);
            let _ = text.ignored();
        }
    }
}
