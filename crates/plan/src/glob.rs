//! Path patterns of the deny list and of rules.

use std::str::Split;

/// Whether a path matches a pattern. `*` and `?` stay within a component, `**` as a component of
/// its own stands for any number of components, none included.
///
/// ```
/// use vss_plan::glob::matches;
/// assert!(matches("/etc/ssl/private/**", "/etc/ssl/private/a/b.key"));
/// assert!(matches("/etc/**/*.keytab", "/etc/krb5.keytab"));
/// assert!(!matches("/etc/*.key", "/etc/a/b.key"));
/// ```
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    // most patterns differ from most paths before their first star
    let literal = pattern.split(['*', '?']).next().unwrap_or_default();
    if !path.starts_with(literal.trim_end_matches('/')) {
        return false;
    }
    components(pattern.split('/'), path.split('/'))
}

/// Without memory of its own: a plan asks some hundred thousand times.
fn components(mut pattern: Split<'_, char>, mut path: Split<'_, char>) -> bool {
    loop {
        match pattern.next() {
            None => return path.next().is_none(),
            Some("**") => loop {
                if components(pattern.clone(), path.clone()) {
                    return true;
                }
                if path.next().is_none() {
                    return false;
                }
            },
            Some(first) => match path.next() {
                Some(name) if component(first.as_bytes(), name.as_bytes()) => {}
                _ => return false,
            },
        }
    }
}

/// One component against one, in time linear in the length of the name for each star.
fn component(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_in_their_component() {
        for (pattern, path, expected) in [
            ("/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_rsa_key", true),
            (
                "/etc/ssh/ssh_host_*_key",
                "/etc/ssh/ssh_host_rsa_key.pub",
                false,
            ),
            ("/etc/ssl/private/**", "/etc/ssl/private", true),
            ("/etc/ssl/private/**", "/etc/ssl/privateer", false),
            ("/**/.ssh/**", "/home/a/.ssh/id", true),
            ("/**/.ssh/**", "/home/a/ssh/id", false),
            ("postgresql@*.service", "postgresql@15-main.service", true),
            ("*a*b*c", "xaxbxc", true),
            ("*a*b*c", "xaxcxb", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
