//! Names that match a pattern, as glob(7) has it.

/// Whether a name matches a pattern of one component: `*`, `?`, `[a-z]` and `[!a-z]`. A dot at the
/// begin of a name is matched by a dot alone.
///
/// ```
/// use vss_unit::pattern::matches;
/// assert!(matches("foo-*", "foo-a.conf") && matches("[!a-c]?", "dx"));
/// assert!(!matches("*", ".hidden"));
/// ```
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    if name.first() == Some(&'.') && pattern.first() != Some(&'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // where the last star is, and what it has to take next
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
        } else if let Some(length) = one(&pattern[p..], name[n]) {
            p += length;
            n += 1;
        } else if let Some((after, taken)) = star {
            star = Some((after, taken + 1));
            (p, n) = (after, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// The length of what a pattern begins with, if that matches a character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(pattern, c) {
            Some((length, holds)) => holds.then_some(length),
            None => (c == '[').then_some(1),
        },
        first => (*first == c).then_some(1),
    }
}

/// The length of a class and whether it holds a character; `None` where it is not closed.
fn class(pattern: &[char], c: char) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let first = 1 + usize::from(negated);
    let close = first + 1 + pattern.get(first + 1..)?.iter().position(|&c| c == ']')?;
    let members = &pattern[first..close];
    let mut holds = false;
    let mut at = 0;
    while at < members.len() {
        let is_range = members.get(at + 1) == Some(&'-') && at + 2 < members.len();
        let last = if is_range { at + 2 } else { at };
        holds |= (members[at]..=members[last]).contains(&c);
        at = last + 1;
    }
    Some((close + 1, holds != negated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, name) in [
            ("*", "a"),
            ("a*b*c", "axbxbxc"),
            ("*.conf", "a.conf"),
            ("[a-cx]?", "xy"),
            ("[!a]", "b"),
            ("[]a]", "]"),
            ("a[", "a["),
            (".*", ".a"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.conf.bak"),
            ("[a-c]", "d"),
            ("[!a]", "a"),
            ("?", ""),
            ("*a", ".a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_is_survived(pattern in "[a\\[\\]!*?-]{0,12}", name in "[a\\[\\]!-]{0,12}") {
            let _ = matches(&pattern, &name);
            prop_assert!(matches("*", &name));
        }
    }
}
