//! Labels, addresses and hardware addresses that no other container has.
//!
//! Each begins at a candidate derived from what does not change (machine-id and name), so that
//! `plan` and the `create` after it agree, and takes the next free one. What is taken is a
//! parameter: reserving it is the store's work.

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;

use sha2::{Digest, Sha256};
use vss_model::{Category, CategorySet, Level, MacAddress, SandboxName};

use crate::facts::{HeldLevel, NetworkFacts};

/// Why a label can't be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The mcs policies know s0 only.
    #[error("the level {0} has another sensitivity than s0; give two categories, as in s0:c1,c2")]
    Sensitivity(Level),
    /// A range lets its process reach more than its files carry.
    #[error(
        "the level {0} is a range, so its processes would reach the files of others; give two categories, or allow it with --allow-shared-label"
    )]
    Range(Level),
    /// No category: every container reads it.
    #[error(
        "the level {0} has no category, so every container could read its files; give two, or allow it with --allow-shared-label"
    )]
    NoCategory(Level),
    /// More than two categories contain the pairs of others.
    #[error(
        "the level {level} has {count} categories and would contain the labels of others; give two, or allow it with --allow-shared-label"
    )]
    TooWide {
        /// The level.
        level: Level,
        /// Its categories.
        count: usize,
    },
    /// Another label equals, contains or is contained in it.
    #[error("the level {level} is within reach of {}; give another, or allow it with --allow-shared-label", held(.by))]
    InUse {
        /// The level.
        level: Level,
        /// Who is in the way.
        by: Vec<HeldLevel>,
    },
    /// Every pair is taken.
    #[error("every pair of categories is taken or within reach of one of {0} labels in use")]
    Exhausted(usize),
}

fn held(by: &[HeldLevel]) -> String {
    let shown: Vec<String> = by
        .iter()
        .map(|h| format!("{} ({})", vss_model::Sanitized::text(&h.by), h.level))
        .collect();
    shown.join(", ")
}

/// How many pairs of two different categories there are.
pub const PAIRS: u32 = Category::COUNT as u32 * (Category::COUNT as u32 - 1) / 2;

/// The first eight bytes of a SHA-256 over the parts, each ended by a NUL byte.
pub(crate) fn hash(parts: &[&str]) -> u64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest
        .finalize()
        .iter()
        .take(8)
        .fold(0, |n, &byte| n << 8 | u64::from(byte))
}

/// The pair of that number, in the order c0,c1 · c0,c2 · … · c1022,c1023.
fn pair(number: u32) -> Option<CategorySet> {
    // counted from the end, rows have 1, 2, 3, … pairs: a triangular number is found by a root
    let from_end = u64::from(PAIRS.checked_sub(1)?.checked_sub(number)?);
    let row = ((8 * from_end + 1).isqrt() - 1) / 2;
    let low = u64::from(Category::COUNT) - 2 - row;
    let high = u64::from(Category::COUNT) - 1 - (from_end - row * (row + 1) / 2);
    let category = |n: u64| u16::try_from(n).ok().and_then(Category::new);
    CategorySet::pair(category(low)?, category(high)?)
}

/// The sets of a held level that a new label must keep clear of. A level without categories, or
/// with all of them, is within everyone's reach or reaches everyone: no choice could avoid it.
fn avoidable(held: &HeldLevel) -> impl Iterator<Item = &CategorySet> {
    let (low, high) = (held.level.categories(), held.level.clearance());
    let second = (low != high).then_some(high);
    [Some(low), second]
        .into_iter()
        .flatten()
        .filter(|set| !set.is_empty() && set.len() < usize::from(Category::COUNT))
}

/// The label of a new sandbox: two different categories that neither equal, contain nor are
/// contained in a set in use.
///
/// # Errors
/// [`LabelError::Exhausted`], after each pair has been looked at once.
pub fn next_label(
    machine_id: &str,
    name: &SandboxName,
    in_use: &[HeldLevel],
) -> Result<CategorySet, LabelError> {
    let mut pairs: HashSet<CategorySet> = HashSet::new();
    let mut lone: BTreeSet<Category> = BTreeSet::new();
    let mut wide: Vec<&CategorySet> = Vec::new();
    for set in in_use.iter().flat_map(avoidable) {
        match set.len() {
            1 => lone.extend(set.iter()),
            2 => drop(pairs.insert(set.clone())),
            _ => wide.push(set),
        }
    }
    let first = u32::try_from(hash(&[machine_id, name.as_str()]) % u64::from(PAIRS)).unwrap_or(0);
    (first..PAIRS)
        .chain(0..first)
        .filter_map(pair)
        .find(|candidate| {
            !pairs.contains(candidate)
                && !candidate.iter().any(|c| lone.contains(&c))
                && !wide.iter().any(|set| set.relates_to(candidate))
        })
        .ok_or(LabelError::Exhausted(in_use.len()))
}

/// Those whose label equals, contains or is contained in a level.
#[must_use]
pub fn related(level: &Level, in_use: &[HeldLevel]) -> Vec<HeldLevel> {
    let sets = [level.categories(), level.clearance()];
    in_use
        .iter()
        .filter(|held| avoidable(held).any(|set| sets.iter().any(|mine| mine.relates_to(set))))
        .cloned()
        .collect()
}

/// Whether a level given by hand may be a new sandbox's; what others it touches where
/// `allow_shared` lets it.
///
/// # Errors
/// Where the level is of another sensitivity; and, unless `allow_shared`, where it is a range, has
/// no category or more than two, or relates to one in use.
pub fn check_level(
    level: &Level,
    in_use: &[HeldLevel],
    allow_shared: bool,
) -> Result<Vec<HeldLevel>, LabelError> {
    if level.sensitivity() != 0 {
        return Err(LabelError::Sensitivity(level.clone()));
    }
    let by = related(level, in_use);
    if allow_shared {
        return Ok(by);
    }
    let level = level.clone();
    match level.categories().len() {
        _ if level.is_range() => Err(LabelError::Range(level)),
        0 => Err(LabelError::NoCategory(level)),
        1 | 2 if by.is_empty() => Ok(by),
        1 | 2 => Err(LabelError::InUse { level, by }),
        count => Err(LabelError::TooWide { level, count }),
    }
}

/// An address of the network for a new sandbox; `None` where none is left. The network's own
/// address, its broadcast address and the gateway are never given.
#[must_use]
pub fn next_address(
    network: &NetworkFacts,
    name: &SandboxName,
    reserved: &[Ipv4Addr],
) -> Option<Ipv4Addr> {
    let host_bits = 32u32.checked_sub(u32::from(network.prefix))?;
    let size = 1u64.checked_shl(host_bits)?;
    let usable = size.checked_sub(2).filter(|&n| n > 0)?;
    let base = u64::from(u32::from(network.gateway)) / size * size;
    let taken: HashSet<Ipv4Addr> = network
        .in_use
        .iter()
        .chain(reserved)
        .copied()
        .chain([network.gateway])
        .collect();
    let first = hash(&["address", name.as_str()]) % usable;
    // one more address than is taken can't be taken: the search ends there at the latest
    (0..usable.min(taken.len() as u64 + 1))
        .filter_map(|step| u32::try_from(base + 1 + (first + step) % usable).ok())
        .map(Ipv4Addr::from)
        .find(|address| !taken.contains(address))
}

/// A hardware address for a new sandbox's interface.
#[must_use]
pub fn next_mac(machine_id: &str, name: &SandboxName, taken: &[MacAddress]) -> MacAddress {
    let first = hash(&["mac", machine_id, name.as_str()]);
    let mac = |n: u64| {
        let [.., a, b, c] = first.wrapping_add(n).to_be_bytes();
        MacAddress::libvirt([a, b, c])
    };
    (0..=taken.len() as u64)
        .map(mac)
        .find(|m| !taken.contains(m))
        .unwrap_or_else(|| mac(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> SandboxName {
        text.parse().unwrap()
    }

    fn holds(level: &str) -> HeldLevel {
        HeldLevel {
            level: level.parse().unwrap(),
            by: format!("sandbox {level}"),
        }
    }

    #[test]
    fn every_number_is_a_pair_of_its_own() {
        assert_eq!(pair(0).unwrap().to_string(), "c0,c1");
        assert_eq!(pair(PAIRS - 1).unwrap().to_string(), "c1022,c1023");
        assert_eq!(pair(PAIRS), None);
        let some: HashSet<_> = (0..PAIRS).step_by(97).filter_map(pair).collect();
        assert_eq!(some.len() as u32, PAIRS.div_ceil(97));
    }

    #[test]
    fn a24_a_chosen_label_is_clear_of_lone_and_wide_ones() {
        let first = next_label("id", &name("a"), &[]).unwrap();
        assert_eq!(first.len(), 2);
        let low = first.iter().next().unwrap();
        let wide = format!("s0:{low}.c1023");
        for held in [format!("s0:{first}"), format!("s0:{low}"), wide] {
            let other = next_label("id", &name("a"), &[holds(&held)]).unwrap();
            assert!(
                !other.relates_to(holds(&held).level.categories()),
                "{held} {other}"
            );
        }
        // host daemons run with these, and would block everything
        let host = [holds("s0"), holds("s0-s0:c0.c1023")];
        assert_eq!(next_label("id", &name("a"), &host).unwrap(), first);
    }

    #[test]
    fn a25_the_next_free_label_is_taken_after_a_collision() {
        let mut in_use = Vec::new();
        for _ in 0..300 {
            let set = next_label("id", &name("same"), &in_use).unwrap();
            in_use.push(holds(&format!("s0:{set}")));
        }
        let distinct: HashSet<_> = in_use.iter().map(|h| h.level.clone()).collect();
        assert_eq!(distinct.len(), 300);
    }

    #[test]
    fn a28_an_exhausted_pool_is_reported() {
        let all: Vec<_> = (0..1023).map(|c| holds(&format!("s0:c{c}"))).collect();
        assert_eq!(
            next_label("id", &name("a"), &all),
            Err(LabelError::Exhausted(1023))
        );
    }

    #[test]
    fn a27_a_typed_level_is_refused_unless_it_is_its_own() {
        let in_use = [holds("s0:c1,c2")];
        let check = |level: &str, allow| check_level(&level.parse().unwrap(), &in_use, allow);
        assert_eq!(check("s0:c1,c3", false), Ok(vec![]));
        assert_eq!(check("s0:c7", false), Ok(vec![]));
        for bad in [
            "s0",
            "s0:c1",
            "s0:c1,c2",
            "s0:c1,c2,c3",
            "s0:c0.c1023",
            "s0-s0:c5,c6",
        ] {
            assert!(check(bad, false).is_err(), "{bad} passed");
            assert!(check(bad, true).is_ok(), "{bad} was refused");
        }
        assert!(check("s1:c4,c5", true).is_err());
        assert_eq!(check("s0:c2", true).unwrap().len(), 1);
    }

    #[test]
    fn addresses_are_found_until_none_is_left() {
        let network = NetworkFacts {
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            prefix: 29,
            in_use: vec![Ipv4Addr::new(10, 0, 0, 4)],
        };
        let mut reserved = Vec::new();
        while let Some(address) = next_address(&network, &name("a"), &reserved) {
            assert!(!reserved.contains(&address));
            reserved.push(address);
        }
        reserved.sort();
        let last: Vec<u8> = reserved.iter().map(|a| a.octets()[3]).collect();
        assert_eq!(last, [2, 3, 5, 6]);
    }

    #[test]
    fn hardware_addresses_differ() {
        let first = next_mac("id", &name("a"), &[]);
        assert_ne!(next_mac("id", &name("a"), &[first]), first);
    }

    proptest! {
        #[test]
        fn a24_no_two_chosen_labels_relate(names in proptest::collection::hash_set("[a-z][a-z0-9]{0,6}", 1..40)) {
            let mut in_use: Vec<HeldLevel> = Vec::new();
            for text in names {
                let set = next_label("machine", &name(&text), &in_use).unwrap();
                prop_assert!(in_use.iter().all(|h| !h.level.categories().relates_to(&set)));
                in_use.push(holds(&format!("s0:{set}")));
            }
        }
    }
}
