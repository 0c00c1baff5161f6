//! Absolute paths that a configuration file names.
//!
//! Nobody knows the syntax of every configuration file, but paths look alike in all of them. What
//! is found is a hint, checked against the host before it counts, so that a wrong one costs a
//! look and a missed one costs a file.

use std::collections::BTreeSet;

use vss_model::AbsPath;

/// Where a path has to lie to be of interest: the rest is shared or made at run time.
const BASES: [&[u8]; 4] = [b"/etc/", b"/var/", b"/srv/", b"/opt/"];
/// The most paths that count of one file.
pub const MAX_PATHS: usize = 4096;

/// The paths below `/etc`, `/var`, `/srv` and `/opt` that a text names outside its comments, in
/// order. A binary file (one with a NUL byte) names none. A pattern (`/etc/x/*.conf`) counts as
/// the directory that it is in. Where there are more than [`MAX_PATHS`], one more is found than
/// that, to say so.
#[must_use]
pub fn scan(bytes: &[u8]) -> Vec<AbsPath> {
    let mut found = BTreeSet::new();
    if bytes.contains(&0) {
        return Vec::new();
    }
    let mut in_block = false;
    for line in bytes.split(|&b| b == b'\n') {
        let Some(code) = without_comments(line, &mut in_block) else {
            continue;
        };
        paths_of_line(&code, &mut found);
        if found.len() > MAX_PATHS {
            break;
        }
    }
    found.into_iter().take(MAX_PATHS + 1).collect()
}

/// The part of a line that is no comment; `None` where nothing is left. Only comments that begin a
/// line or follow white space count: `http://` and `a#b` are no comments.
fn without_comments(line: &[u8], in_block: &mut bool) -> Option<Vec<u8>> {
    let mut line = line.trim_ascii();
    if *in_block {
        let end = find(line, b"*/")?;
        *in_block = false;
        line = line[end + 2..].trim_ascii_start();
    }
    if line.is_empty() || is_comment(line) {
        return None;
    }
    let mut code = line.to_vec();
    while let Some(start) = block_start(&code) {
        if let Some(length) = find(&code[start + 2..], b"*/") {
            code.drain(start..start + 2 + length + 2);
        } else {
            *in_block = true;
            code.truncate(start);
        }
    }
    for n in 1..code.len() {
        let comment = code[n] == b'#' || code[n..].starts_with(b"//");
        if code[n - 1].is_ascii_whitespace() && comment {
            code.truncate(n);
            break;
        }
    }
    Some(code)
}

/// Whether a line is a comment. Two dashes are one in SQL and Lua where white space follows; an
/// option else, of arguments on lines of their own.
fn is_comment(line: &[u8]) -> bool {
    let starts: [&[u8]; 3] = [b"#", b";", b"//"];
    let is_dashed = line
        .strip_prefix(b"--")
        .is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace));
    is_dashed || starts.iter().any(|s| line.starts_with(s))
}

/// Where a block comment begins: not the `/*` of a pattern like `/etc/x/*.conf`.
fn block_start(code: &[u8]) -> Option<usize> {
    (0..code.len().saturating_sub(1)).find(|&n| {
        &code[n..n + 2] == b"/*"
            && (n == 0 || code[n - 1].is_ascii_whitespace() || code[n - 1] == b';')
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// Whether a byte can be part of a path in a configuration file.
fn is_path_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'/' | b'.' | b'_' | b'-' | b'+' | b'@' | b'%' | b'~' | b'*' | b'?'
        )
}

/// Whether a path can begin after this part of a line: not within a word, but for the default of a
/// variable (`${CONF:-/etc/x}`) and the argument of a short option (`-c/etc/x`).
fn may_begin_after(before: &[u8]) -> bool {
    let in_word = |b: &u8| is_path_byte(*b) || *b == b'}';
    match before {
        [.., b':', b'-'] => true,
        [start @ .., b'-', option] if option.is_ascii_alphanumeric() => {
            !start.last().is_some_and(in_word)
        }
        _ => !before.last().is_some_and(in_word),
    }
}

fn paths_of_line(code: &[u8], found: &mut BTreeSet<AbsPath>) {
    let mut n = 0;
    while n < code.len() {
        if code[n] != b'/' || !may_begin_after(&code[..n]) {
            n += 1;
            continue;
        }
        let length = code[n..].iter().take_while(|&&b| is_path_byte(b)).count();
        let cut_by_variable = matches!(code.get(n + length), Some(b'$' | b'{' | b'\\'));
        if let Some(path) = as_path(&code[n..n + length], cut_by_variable) {
            found.insert(path);
        }
        n += length.max(1);
    }
}

/// A candidate as a path: of a pattern, and of one that a variable cuts short, the directory.
fn as_path(text: &[u8], cut: bool) -> Option<AbsPath> {
    if !BASES.iter().any(|base| text.starts_with(base)) {
        return None;
    }
    let special = text.iter().position(|b| matches!(b, b'*' | b'?' | b'%'));
    let mut text = &text[..special.unwrap_or(text.len())];
    if (special.is_some() || cut) && !text.ends_with(b"/") {
        text = &text[..text.iter().rposition(|&b| b == b'/')?];
    }
    let trimmed = std::str::from_utf8(text).ok()?.trim_end_matches(['.', '/']);
    let path = AbsPath::new(trimmed).ok()?;
    (path.depth() >= 2).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<String> {
        scan(text.as_bytes())
            .iter()
            .map(AbsPath::to_string)
            .collect()
    }

    #[test]
    fn paths_are_found_in_the_syntaxes_that_services_have() {
        assert_eq!(
            found(
                "SSLCertificateFile\t/etc/ssl/certs/ssl-cert-snakeoil.pem\n\
                 alias_maps = hash:/etc/aliases, hash:/etc/mail/x\n\
                 ssl_cert = </etc/dovecot/private/dovecot.pem\n\
                 include \"/etc/bind/named.conf.options\";\n\
                 root /srv/www/site;\n\
                 url = http://example.org/etc/passwd\n"
            ),
            [
                "/etc/aliases",
                "/etc/bind/named.conf.options",
                "/etc/dovecot/private/dovecot.pem",
                "/etc/mail/x",
                "/etc/ssl/certs/ssl-cert-snakeoil.pem",
                "/srv/www/site",
            ]
        );
    }

    #[test]
    fn comments_name_nothing() {
        let text = "# /etc/a/b\n ; /etc/a/c\n// /etc/a/d\n/* /etc/a/e\n /etc/a/f */ /etc/a/g\n\
                    x /etc/a/h # /etc/a/i\nx; /* /etc/a/j */ /etc/a/k\n-- /etc/a/l\n";
        assert_eq!(found(text), ["/etc/a/g", "/etc/a/h", "/etc/a/k"]);
    }

    #[test]
    fn defaults_of_variables_and_arguments_of_options_are_found() {
        let text = "CONF=${CONF:-/etc/x/a.conf}\nARGS=-c/etc/x/b -D \"-I/etc/x/c\" \\\n\
                    --config /etc/x/d \\\n  --data=/etc/x/e\n--\n--\t/etc/x/f\n\
                    a-b/etc/x/g a--b/etc/x/h ${A}-b/etc/x/i x:-c/etc/x/j\n";
        let expected = ["a.conf", "b", "c", "d", "e", "j"];
        assert_eq!(found(text), expected.map(|n| format!("/etc/x/{n}")));
    }

    #[test]
    fn a_pattern_counts_as_its_directory() {
        assert_eq!(
            found("IncludeOptional /etc/x/conf.d/*.conf\nd /var/lib/x/%d/y\nv=/etc/y/a${B}/c\n"),
            ["/etc/x/conf.d", "/etc/y", "/var/lib/x"]
        );
    }

    proptest! {
        #[test]
        fn a14_any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = scan(&bytes);
        }
    }
}
