//! Values as words, and `Exec` lines as commands (systemd.syntax(7), QUOTING; systemd.service(5),
//! COMMAND LINES).

/// Splits a value into words: quotes are removed, C escapes undone. An escape that means nothing
/// stays as it is; a quote that is never closed ends with the value.
pub(crate) fn split(value: &str) -> Vec<String> {
    raw_words(value).into_iter().map(|word| word.text).collect()
}

struct Word {
    text: String,
    /// Whether the word was a lone `;`, neither quoted nor escaped.
    separator: bool,
}

fn raw_words(value: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let mut rest = value.trim_start_matches(is_space);
    while !rest.is_empty() {
        let separator = rest == ";" || rest.starts_with(';') && rest[1..].starts_with(is_space);
        let text = take_word(&mut rest);
        out.push(Word { text, separator });
        rest = rest.trim_start_matches(is_space);
    }
    out
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn take_word(rest: &mut &str) -> String {
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if is_space(c) => {
                *rest = chars.as_str();
                return word;
            }
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == '\\' => {
                let mut after = chars.as_str();
                unescape(&mut after, &mut word);
                chars = after.chars();
            }
            _ => word.push(c),
        }
    }
    *rest = "";
    word
}

/// Undoes the escape whose backslash was just read.
fn unescape(rest: &mut &str, word: &mut String) {
    let mut chars = rest.chars();
    let Some(c) = chars.next() else {
        word.push('\\');
        return;
    };
    let simple = match c {
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        's' => Some(' '),
        '\\' | '"' | '\'' | ';' => Some(c),
        _ => None,
    };
    if let Some(simple) = simple {
        word.push(simple);
        *rest = chars.as_str();
        return;
    }
    let (skip, digits, radix) = match c {
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        '0'..='7' => (0, 3, 8),
        _ => (0, 0, 10),
    };
    let decoded = rest
        .get(skip..skip + digits)
        .filter(|text| !text.is_empty() && text.chars().all(|d| d.is_digit(radix)))
        .and_then(|text| u32::from_str_radix(text, radix).ok())
        .filter(|&code| code != 0)
        .and_then(char::from_u32);
    match decoded {
        Some(decoded) => {
            word.push(decoded);
            *rest = &rest[skip + digits..];
        }
        None => word.push('\\'),
    }
}

/// A command of an `Exec` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExecCommand {
    /// The program, as it is written: mostly an absolute path.
    pub(crate) program: String,
    /// Its arguments, the zeroth left out.
    pub(crate) arguments: Vec<String>,
    /// `-`: a failure of it doesn't count.
    pub(crate) ignore_failure: bool,
}

/// The commands of an `Exec` line: oneshot services may have several, with ` ; ` between.
pub(crate) fn commands(value: &str) -> Vec<ExecCommand> {
    raw_words(value)
        .split(|word| word.separator)
        .filter_map(command)
        .collect()
}

fn command(words: &[Word]) -> Option<ExecCommand> {
    let (first, rest) = words.split_first()?;
    let program = first
        .text
        .trim_start_matches(['@', '-', ':', '+', '!', '|']);
    let prefix = &first.text[..first.text.len() - program.len()];
    if program.is_empty() {
        return None;
    }
    // With `@` the second word is what the program sees as its own name.
    let arguments = rest.iter().skip(usize::from(prefix.contains('@')));
    Some(ExecCommand {
        program: program.to_owned(),
        arguments: arguments.map(|word| word.text.clone()).collect(),
        ignore_failure: prefix.contains('-'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoting_is_systemds() {
        for (value, expected) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            (r#""a b"'c d'"#, vec!["a bc d"]),
            (r#""" ''"#, vec!["", ""]),
            (r"a\x20b \t\s", vec!["a b", "\t "]),
            (r"\101 \u00e4 \U0001f600", vec!["A", "\u{e4}", "\u{1f600}"]),
            (r"\q \x2 \", vec![r"\q", r"\x2", r"\"]),
            (r#""it's" 'a"b'"#, vec!["it's", "a\"b"]),
            (r#""open"#, vec!["open"]),
            (r#"key="a b" c"#, vec!["key=a b", "c"]),
        ] {
            assert_eq!(split(value), expected, "{value}");
        }
    }

    #[test]
    fn commands_have_prefixes_and_separators() {
        let many = commands(r#"-/bin/a b ; @/bin/c name d ";" \; e;f ; :+/bin/g"#);
        assert_eq!(many.len(), 3);
        assert!(many[0].ignore_failure && !many[1].ignore_failure);
        assert_eq!(many[1].program, "/bin/c");
        assert_eq!(many[1].arguments, ["d", ";", ";", "e;f"]);
        assert_eq!(many[2].program, "/bin/g");
        assert!(commands("").is_empty() && commands("-").is_empty() && commands(";").is_empty());
    }

    proptest! {
        #[test]
        fn a46_any_text_splits(value in "\\PC{0,60}") {
            let _ = commands(&value);
            prop_assert!(split(&value).len() <= value.len());
        }
    }
}
