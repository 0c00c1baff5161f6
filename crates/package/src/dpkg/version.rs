//! Comparing versions, and what a relation says of them (deb-version(7)).

use std::cmp::Ordering;

/// How a relation compares the version that is there with the one it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

impl Operator {
    /// Reads `>=` and its kin; the old `<` and `>` mean "or equal", as dpkg reads them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "<<" => Self::Earlier,
            "<=" | "<" => Self::EarlierOrEqual,
            "=" => Self::Equal,
            ">=" | ">" => Self::LaterOrEqual,
            ">>" => Self::Later,
            _ => return None,
        })
    }

    /// Whether `have` satisfies "operator `want`".
    pub(crate) fn holds(self, have: &str, want: &str) -> bool {
        let order = compare(have, want);
        match self {
            Self::Earlier => order.is_lt(),
            Self::EarlierOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::LaterOrEqual => order.is_ge(),
            Self::Later => order.is_gt(),
        }
    }
}

/// Orders two versions: epoch, upstream version, revision.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (epoch_a, rest_a) = split_epoch(a);
    let (epoch_b, rest_b) = split_epoch(b);
    let (upstream_a, revision_a) = rest_a.rsplit_once('-').unwrap_or((rest_a, ""));
    let (upstream_b, revision_b) = rest_b.rsplit_once('-').unwrap_or((rest_b, ""));
    compare_numbers(epoch_a, epoch_b)
        .then_with(|| compare_part(upstream_a.as_bytes(), upstream_b.as_bytes()))
        .then_with(|| compare_part(revision_a.as_bytes(), revision_b.as_bytes()))
}

fn split_epoch(version: &str) -> (&[u8], &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.as_bytes(), rest),
        None => (b"", version),
    }
}

/// Text and numbers in turn, as deb-version(7) has it.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let order = compare_text(&mut a, &mut b);
        if order.is_ne() || (a.is_empty() && b.is_empty()) {
            return order;
        }
        let order = compare_numbers(take_digits(&mut a), take_digits(&mut b));
        if order.is_ne() {
            return order;
        }
    }
}

/// Compares what stands before the next digit: `~` before the end, the end before letters,
/// letters before all else.
fn compare_text(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_digit() => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    };
    let is_text = |s: &[u8]| s.first().is_some_and(|c| !c.is_ascii_digit());
    while is_text(a) || is_text(b) {
        let order = weight(a.first()).cmp(&weight(b.first()));
        if order.is_ne() {
            return order;
        }
        *a = a.get(1..).unwrap_or_default();
        *b = b.get(1..).unwrap_or_default();
    }
    Ordering::Equal
}

fn take_digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text
        .iter()
        .position(|c| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits
}

/// Compares numbers of any length.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |s: &'_ [u8]| s.iter().position(|&c| c != b'0').unwrap_or(s.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_ordered_as_deb_version_says() {
        for (low, high) in [
            ("1.0", "1.1"),
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0~~", "1.0~"),
            ("1.0", "1.0a"),
            ("1.0a", "1.0+b"),
            ("2.0", "1:0.1"),
            ("1.0-1", "1.0-2"),
            ("1.0", "1.0-1"),
            ("1.0-1~deb12u1", "1.0-1"),
            ("99999999999999999999", "100000000000000000000"),
        ] {
            assert_eq!(compare(low, high), Ordering::Less, "{low} {high}");
            assert_eq!(compare(high, low), Ordering::Greater, "{high} {low}");
        }
        for (a, b) in [("1.0", "1.00"), ("0:1", "1"), ("1.0-0", "1.0"), ("", "0")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn a46_any_two_texts_compare_and_mirror(a in "[0-9a-z.~+:-]{0,12}", b in "[0-9a-z.~+:-]{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
