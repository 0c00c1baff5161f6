//! Comparing versions, and whether what is provided is what is asked for.
//!
//! `compare_part` is rpm's `rpmvercmp` (`rpmio/rpmvercmp.c`), and `Capability::meets` its
//! `rpmdsCompare` (`lib/rpmds.c`): the words of the algorithm are in rpm's manual, "Dependencies".

use std::cmp::Ordering;

/// Bits of a relation's flags (`rpmsenseFlags`).
pub(super) const LESS: u32 = 1 << 1;
pub(super) const GREATER: u32 = 1 << 2;
pub(super) const EQUAL: u32 = 1 << 3;
const SENSE: u32 = LESS | GREATER | EQUAL;

/// Epoch, version and release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Evr<'a> {
    epoch: &'a str,
    version: &'a str,
    release: Option<&'a str>,
}

impl<'a> Evr<'a> {
    /// Takes `[EPOCH:]VERSION[-RELEASE]` apart.
    fn parse(text: &'a str) -> Self {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (epoch, rest) = match text[digits..].strip_prefix(':') {
            Some(rest) => (&text[..digits], rest),
            None => ("", text),
        };
        let (version, release) = match rest.rsplit_once('-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        Self {
            epoch: if epoch.is_empty() { "0" } else { epoch },
            version,
            release: release.filter(|r| !r.is_empty()),
        }
    }

    /// A release that one of them doesn't name doesn't count.
    fn compare(&self, other: &Self) -> Ordering {
        compare_part(self.epoch, other.epoch)
            .then_with(|| compare_part(self.version, other.version))
            .then_with(|| match (self.release, other.release) {
                (Some(a), Some(b)) => compare_part(a, b),
                _ => Ordering::Equal,
            })
    }
}

/// Orders two whole versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    Evr::parse(a).compare(&Evr::parse(b))
}

/// Whether two ranges of versions meet, each given by flags and a version; one without either is
/// every version.
pub(super) fn ranges_meet(a: (u32, &str), b: (u32, &str)) -> bool {
    let ((a, a_version), (b, b_version)) = (a, b);
    let open = |flags: u32, version: &str| flags & SENSE == 0 || version.is_empty();
    if open(a, a_version) || open(b, b_version) {
        return true;
    }
    match compare(a_version, b_version) {
        Ordering::Less => a & GREATER != 0 || b & LESS != 0,
        Ordering::Greater => a & LESS != 0 || b & GREATER != 0,
        Ordering::Equal => a & b & SENSE != 0,
    }
}

/// Runs of letters and of digits in turn; `~` is before the end, `^` behind it but before all else.
fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = skip_separators(a);
        b = skip_separators(b);
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'~'), _) | (None, Some(b'^')) => return Ordering::Less,
            (_, Some(b'~')) | (Some(b'^'), None) => return Ordering::Greater,
            (Some(b'^'), _) => return Ordering::Less,
            (_, Some(b'^')) => return Ordering::Greater,
            (None, rest) => {
                return if rest.is_none() {
                    Ordering::Equal
                } else {
                    Ordering::Less
                };
            }
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let order = match (x.is_ascii_digit(), y.is_ascii_digit()) {
                    (true, true) => {
                        let (x, y) = (
                            take(&mut a, u8::is_ascii_digit),
                            take(&mut b, u8::is_ascii_digit),
                        );
                        compare_numbers(x, y)
                    }
                    (false, false) => take(&mut a, u8::is_ascii_alphabetic)
                        .cmp(take(&mut b, u8::is_ascii_alphabetic)),
                    // a number is newer than letters
                    (digit, _) => {
                        return if digit {
                            Ordering::Greater
                        } else {
                            Ordering::Less
                        };
                    }
                };
                if order.is_ne() {
                    return order;
                }
            }
        }
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let counts = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'~' | b'^');
    let start = text.iter().position(counts).unwrap_or(text.len());
    &text[start..]
}

fn take<'a>(text: &mut &'a [u8], of: impl Fn(&u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|c| !of(c)).unwrap_or(text.len());
    let (front, rest) = text.split_at(end);
    *text = rest;
    front
}

/// Compares numbers of any length.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |s: &[u8]| s.iter().position(|&c| c != b'0').unwrap_or(s.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pairs of rpm's own tests (`tests/rpmvercmp.at`).
    #[test]
    fn versions_are_ordered_as_rpm_orders_them() {
        for (low, high) in [
            ("1.0", "2.0"),
            ("2.0", "2.0.1"),
            ("5.5p1", "5.5p2"),
            ("5.5p1", "5.5p10"),
            ("10xyz", "10.1xyz"),
            ("xyz.4", "8"),
            ("xyz.4", "2"),
            ("5.5p2", "5.6p1"),
            ("5.6p1", "6.5p1"),
            ("6.0", "6.0.rc1"),
            ("10a2", "10b2"),
            ("1.0a", "1.0aa"),
            ("10.0001", "10.0039"),
            ("4.999.9", "5.0"),
            ("20101121", "20101122"),
            ("1.0~rc1", "1.0"),
            ("1.0~rc1", "1.0~rc2"),
            ("1.0~rc1~git123", "1.0~rc1"),
            ("1.0", "1.0^"),
            ("1.0", "1.0^git1"),
            ("1.0^git1", "1.0^git2"),
            ("1.0^git1", "1.01"),
            ("1.0^20160101", "1.0.1"),
            ("1.0^20160101", "1.0^20160101^git1"),
            ("1.0~rc1", "1.0~rc1^git1"),
            ("1.0^git1~pre", "1.0^git1"),
            ("9", "1:1"),
            ("1.0-9", "1.0-10.fc40"),
        ] {
            assert_eq!(compare(low, high), Ordering::Less, "{low} {high}");
            assert_eq!(compare(high, low), Ordering::Greater, "{high} {low}");
        }
        for (a, b) in [
            ("2_0", "2.0"),
            ("a+", "a_"),
            ("+a", "_a"),
            ("10.0001", "10.1"),
            ("0:1", "1"),
            ("1-3", "1"),
            ("1.0", "1.0-5"),
        ] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn ranges_meet_where_a_version_is_in_both() {
        let exactly = |version| (EQUAL, version);
        for (wanted, given, meets) in [
            ((GREATER | EQUAL, "2.4"), exactly("2.4.58-1"), true),
            ((GREATER, "2.4"), exactly("2.4-1"), false),
            ((LESS, "2.4"), exactly("2.4.58-1"), false),
            ((LESS | EQUAL, "2.4"), exactly("2.4-7"), true),
            ((EQUAL, "2.4-7"), exactly("2.4-8"), false),
            ((EQUAL, "1:2.4"), exactly("2.4"), false),
            ((GREATER, "3"), (LESS, "2"), false),
            ((GREATER, "2"), (LESS, "3"), true),
            // what is provided without a version is provided in any
            ((EQUAL, "9"), (0, ""), true),
            ((0, ""), exactly("1"), true),
        ] {
            assert_eq!(ranges_meet(wanted, given), meets, "{wanted:?} {given:?}");
            assert_eq!(ranges_meet(given, wanted), meets, "{given:?} {wanted:?}");
        }
    }

    proptest! {
        #[test]
        fn a46_any_two_texts_compare_and_mirror(a in "[0-9a-z.~^:-]{0,12}", b in "[0-9a-z.~^:-]{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
