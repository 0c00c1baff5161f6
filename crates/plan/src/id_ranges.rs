//! Users of the host for the users inside of a container: ranges that nobody else has.
//!
//! Ranges are picked from a pool that no one else hands out from. `useradd` gives subordinate
//! users from 100000 to 600100000 (login.defs(5)), systemd-nspawn takes 524288 to 1879048191, and
//! what is above until 2147352575 is left free by <https://systemd.io/UIDS-GIDS>, save that SSSD and
//! FreeIPA map the users of a domain up to 2000200000. A range that is given by hand may be of
//! theirs; what is known to be in use there is kept clear of as well.

use vss_model::{IdRange, SandboxName};

use crate::allocator::hash;
use crate::facts::HeldRange;

/// The first number of the pool.
pub const POOL_FIRST: u32 = 0x7739_0000;
/// The size of a range, and what its first number is a multiple of.
pub const SIZE: u32 = 0x1_0000;
/// How many ranges the pool has.
pub const RANGES: u32 = (IdRange::LAST - POOL_FIRST + 1) / SIZE;

/// What systemd-nspawn picks from without asking.
const NSPAWN: (u32, u32) = (0x0008_0000, 0x6fff_ffff);

/// Why a range can't be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// A number of it is somebody's.
    #[error("the users {range} overlap with those of {}", held(.by))]
    InUse {
        /// The range.
        range: IdRange,
        /// Who is in the way.
        by: Vec<HeldRange>,
    },
    /// None is left.
    #[error("each of the {RANGES} ranges of users from {POOL_FIRST} to {last} is in use; give one with --private-users BASE:COUNT", last = IdRange::LAST)]
    Exhausted,
}

fn held(by: &[HeldRange]) -> String {
    let shown: Vec<String> = by
        .iter()
        .take(4)
        .map(|held| {
            let by = vss_model::Sanitized::text(&held.by);
            match held.last - held.first {
                0 => format!("{by} ({})", held.first),
                _ => format!("{by} ({}-{})", held.first, held.last),
            }
        })
        .collect();
    shown.join(", ")
}

/// The range of a new sandbox: the first free one from a candidate on that machine and name give.
///
/// # Errors
/// [`RangeError::Exhausted`], after each has been looked at once.
pub fn pick(
    machine_id: &str,
    name: &SandboxName,
    in_use: &[HeldRange],
) -> Result<IdRange, RangeError> {
    let first = hash(&["users", machine_id, name.as_str()]) % u64::from(RANGES);
    let first = u32::try_from(first).unwrap_or(0);
    let mut taken = [false; RANGES as usize];
    for held in in_use {
        if held.first <= IdRange::LAST && held.last >= POOL_FIRST {
            let number =
                |id: u32| ((id.clamp(POOL_FIRST, IdRange::LAST) - POOL_FIRST) / SIZE) as usize;
            taken[number(held.first)..=number(held.last)].fill(true);
        }
    }
    (first..RANGES)
        .chain(0..first)
        .filter(|number| !taken[*number as usize])
        .find_map(|number| IdRange::new(POOL_FIRST + number * SIZE, SIZE).ok())
        .ok_or(RangeError::Exhausted)
}

/// Whether a range given by hand may be a new sandbox's.
///
/// # Errors
/// [`RangeError::InUse`] where somebody has a number of it.
pub fn check(range: IdRange, in_use: &[HeldRange]) -> Result<(), RangeError> {
    let meets = |held: &&HeldRange| range.meets(held.first, held.last);
    let by: Vec<HeldRange> = in_use.iter().filter(meets).cloned().collect();
    if by.is_empty() {
        Ok(())
    } else {
        Err(RangeError::InUse { range, by })
    }
}

/// Whether systemd-nspawn may pick users of this range for a container of its own.
#[must_use]
pub fn is_of_nspawn(range: IdRange) -> bool {
    range.meets(NSPAWN.0, NSPAWN.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> SandboxName {
        text.parse().unwrap()
    }

    fn holds(first: u32, last: u32) -> HeldRange {
        HeldRange {
            first,
            last,
            by: format!("x{first}"),
        }
    }

    fn holding(range: IdRange) -> HeldRange {
        holds(range.base(), range.last())
    }

    #[test]
    fn the_pool_is_whole_ranges_apart_from_all_others() {
        assert_eq!(POOL_FIRST % SIZE, 0);
        assert_eq!(POOL_FIRST + RANGES * SIZE - 1, IdRange::LAST);
        let first = IdRange::new(POOL_FIRST, SIZE).unwrap();
        assert!(!is_of_nspawn(first));
        for others in [(100_000, 600_100_000), NSPAWN, (200_000, 2_000_200_000)] {
            assert!(!first.meets(others.0, others.1), "{others:?}");
        }
    }

    #[test]
    fn a_taken_range_leads_to_the_next_until_none_is_left() {
        let mut in_use = Vec::new();
        for _ in 0..RANGES {
            let range = pick("id", &name("same"), &in_use).unwrap();
            assert_eq!(range.base() % SIZE, 0);
            check(range, &in_use).unwrap();
            in_use.push(holding(range));
        }
        assert_eq!(
            pick("id", &name("same"), &in_use),
            Err(RangeError::Exhausted)
        );
    }

    #[test]
    fn one_user_of_the_host_keeps_a_range_from_being_given() {
        let first = pick("id", &name("a"), &[]).unwrap();
        assert_eq!(pick("id", &name("a"), &[]), Ok(first));
        let last = holds(first.last(), first.last());
        let other = pick("id", &name("a"), std::slice::from_ref(&last)).unwrap();
        assert!(!other.overlaps(first));
        let error = check(first, &[holds(1, 2), last]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(&format!("x{0} ({0})", first.last())),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_picked_range_overlaps_with_any_in_use(
            names in proptest::collection::hash_set("[a-z][a-z0-9]{0,6}", 1..30),
            others in proptest::collection::vec((any::<u32>(), 0u32..1 << 24), 0..20),
        ) {
            let mut in_use: Vec<HeldRange> = others
                .into_iter()
                .map(|(first, more)| holds(first, first.saturating_add(more)))
                .collect();
            for text in names {
                let Ok(range) = pick("machine", &name(&text), &in_use) else { return Ok(()) };
                for held in &in_use {
                    prop_assert!(range.last() < held.first || held.last < range.base());
                }
                in_use.push(holding(range));
            }
        }
    }
}
