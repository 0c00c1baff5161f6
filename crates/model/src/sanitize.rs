//! Text from a container or a file, made harmless for a terminal or a log line.

use std::fmt;

/// Shows text with every control character and every byte that is not UTF-8 made visible.
///
/// Nothing that came out of a container reaches a terminal in another way: an escape sequence in
/// a log line could otherwise retitle, redraw or type into the administrator's terminal. Line
/// breaks count as control characters too; print lines one by one.
///
/// ```
/// use vss_model::Sanitized;
/// assert_eq!(Sanitized::text("a\u{1b}[2Jb").to_string(), "a\\x1b[2Jb");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Sanitized<'a>(&'a [u8]);

impl<'a> Sanitized<'a> {
    /// Wraps text.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Wraps bytes, which need not be UTF-8.
    #[must_use]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

/// Whether a character may change how the text around it is shown: controls (C0, DEL, C1), line
/// and paragraph separators, and the invisible formatting and bidirectional marks.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for Sanitized<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c == '\t' {
                    f.write_char(' ')?;
                } else if !is_unsafe(c) {
                    f.write_char(c)?;
                } else if c.is_ascii() {
                    write!(f, "\\x{:02x}", u32::from(c))?;
                } else {
                    write!(f, "\\u{{{:x}}}", u32::from(c))?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a40_escape_sequences_are_shown_and_not_obeyed() {
        assert_eq!(
            Sanitized::text("x\u{1b}]0;t\u{7}").to_string(),
            "x\\x1b]0;t\\x07"
        );
        assert_eq!(
            Sanitized::text("a\u{9b}31m\u{202e}b").to_string(),
            "a\\u{9b}31m\\u{202e}b"
        );
        assert_eq!(
            Sanitized::bytes(b"a\xffb\r\n").to_string(),
            "a\\xffb\\x0d\\x0a"
        );
        assert_eq!(Sanitized::text("grün 漢").to_string(), "grün 漢");
    }

    proptest! {
        #[test]
        fn a40_no_control_character_survives(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let shown = Sanitized::bytes(&bytes).to_string();
            prop_assert!(!shown.chars().any(is_unsafe));
        }
    }
}
