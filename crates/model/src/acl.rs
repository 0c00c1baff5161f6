//! POSIX access control lists as the kernel stores them in extended attributes (acl(5)).
//!
//! `system.posix_acl_access` and `system.posix_acl_default` hold a version and then entries of a
//! tag, permission bits and an id, all little-endian. The kernel wants them in the order of their
//! tags.

use crate::id_range::IdRange;

/// The attribute with who may access a file.
pub const ACCESS: &std::ffi::CStr = c"system.posix_acl_access";
/// The attribute with what new files in a directory get.
pub const DEFAULT: &std::ffi::CStr = c"system.posix_acl_default";

const VERSION: u32 = 2;
const HEADER: usize = 4;
const ENTRY: usize = 8;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
/// What entries without an id have in its place.
const NO_ID: u32 = u32::MAX;

/// Permission to go through a directory.
pub const ENTER: u16 = 0o1;

/// An access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    tag: u16,
    id: u32,
    permissions: u16,
}

impl Entry {
    fn new(tag: u16, id: u32, permissions: u16) -> Self {
        Self {
            tag,
            id,
            permissions,
        }
    }

    /// Whether a mask, where there is one, limits it.
    fn is_masked(&self) -> bool {
        matches!(self.tag, USER | GROUP | GROUP_OBJ)
    }
}

impl Acl {
    /// The list that a mode is.
    #[must_use]
    pub fn of_mode(mode: u32) -> Self {
        let bits = |shift: u32| u16::try_from(mode >> shift & 0o7).unwrap_or(0);
        Self(vec![
            Entry::new(USER_OBJ, NO_ID, bits(6)),
            Entry::new(GROUP_OBJ, NO_ID, bits(3)),
            Entry::new(OTHER, NO_ID, bits(0)),
        ])
    }

    /// Reads an attribute; `None` where it is of another form.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        if header != VERSION.to_le_bytes() || rest.len() % ENTRY != 0 {
            return None;
        }
        let entry = |bytes: &[u8]| {
            let [a, b, c, d, id @ ..] = <[u8; ENTRY]>::try_from(bytes).ok()?;
            Some(Entry {
                tag: u16::from_le_bytes([a, b]),
                permissions: u16::from_le_bytes([c, d]),
                id: u32::from_le_bytes(id),
            })
        };
        rest.chunks_exact(ENTRY)
            .map(entry)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The attribute.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut entries = self.0.clone();
        entries.sort_unstable();
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for entry in entries {
            bytes.extend(entry.tag.to_le_bytes());
            bytes.extend(entry.permissions.to_le_bytes());
            bytes.extend(entry.id.to_le_bytes());
        }
        bytes
    }

    /// Puts the same users and groups of a container in the place of those named; how many of them
    /// a container doesn't have, whose entries are left out.
    pub fn shift(&mut self, users: IdRange) -> usize {
        let before = self.0.len();
        self.0.retain_mut(|entry| {
            if !matches!(entry.tag, USER | GROUP) {
                return true;
            }
            let outside = users.outside(entry.id);
            entry.id = outside.unwrap_or(entry.id);
            outside.is_some()
        });
        before - self.0.len()
    }

    /// Lets a user through a directory. Nobody else may do more or less than before.
    pub fn admit(&mut self, user: u32) {
        let mask = self.permissions_or(MASK, self.permissions(GROUP_OBJ));
        self.0
            .retain(|e| e.tag != MASK && !(e.tag == USER && e.id == user));
        self.hold_back(mask);
        self.0.push(Entry::new(USER, user, ENTER));
        self.0.push(Entry::new(MASK, NO_ID, mask | ENTER));
    }

    /// Whether a user who is named gets through a directory: a mode that is set takes the mask's place.
    #[must_use]
    pub fn admits(&self, user: u32) -> bool {
        let mask = self.permissions_or(MASK, 0o7);
        let named = |e: &&Entry| e.tag == USER && e.id == user;
        let found = self.0.iter().find(named);
        found.is_some_and(|e| e.permissions & mask & ENTER != 0)
    }

    /// Takes a user out; whether he was named. Nobody else may do more or less than before.
    pub fn dismiss(&mut self, user: u32) -> bool {
        let before = self.0.len();
        self.0.retain(|e| !(e.tag == USER && e.id == user));
        if self.0.len() == before {
            return false;
        }
        self.hold_back(self.permissions_or(MASK, 0o7));
        let mask = self
            .0
            .iter()
            .filter(|e| e.is_masked())
            .fold(0, |all, e| all | e.permissions);
        self.0.retain(|e| e.tag != MASK);
        if self.0.iter().any(|e| matches!(e.tag, USER | GROUP)) {
            self.0.push(Entry::new(MASK, NO_ID, mask));
        }
        true
    }

    /// Takes from each entry what a mask holds back: another mask is to give nobody what he did
    /// not have.
    fn hold_back(&mut self, mask: u16) {
        for entry in self.0.iter_mut().filter(|e| e.is_masked()) {
            entry.permissions &= mask;
        }
    }

    /// The users and groups other than the owner that may do anything, apart from `known` users
    /// who may go through and no more.
    pub fn strangers<'a>(
        &'a self,
        known: &'a dyn Fn(u32) -> bool,
    ) -> impl Iterator<Item = String> + 'a {
        let mask = self.permissions_or(MASK, 0o7);
        self.0.iter().filter_map(move |entry| {
            let may = entry.permissions & mask;
            let who = match entry.tag {
                USER if may & !ENTER == 0 && known(entry.id) => return None,
                USER => format!("user {}", entry.id),
                GROUP => format!("group {}", entry.id),
                GROUP_OBJ => "the group".to_owned(),
                OTHER if entry.permissions != 0 => return Some("others".to_owned()),
                _ => return None,
            };
            (may != 0).then_some(who)
        })
    }

    fn permissions(&self, tag: u16) -> u16 {
        self.permissions_or(tag, 0)
    }

    fn permissions_or(&self, tag: u16, otherwise: u16) -> u16 {
        let found = self.0.iter().find(|e| e.tag == tag);
        found.map_or(otherwise, |e| e.permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UID: u32 = 2_000_224_256;

    impl Acl {
        fn set(&mut self, tag: u16, permissions: u16) {
            let entry = self.0.iter_mut().find(|e| e.tag == tag);
            entry.unwrap().permissions = permissions;
        }
    }

    /// What all but `UID` may do in effect.
    fn others(acl: &Acl) -> Vec<Entry> {
        let mask = acl.permissions_or(MASK, 0o7);
        let is_other = |e: &&Entry| e.tag != MASK && e.id != UID;
        let in_effect = |e: &Entry| match e.tag {
            USER | GROUP | GROUP_OBJ => Entry::new(e.tag, e.id, e.permissions & mask),
            _ => *e,
        };
        let mut all: Vec<Entry> = acl.0.iter().filter(is_other).map(in_effect).collect();
        all.sort_unstable();
        all
    }

    fn strangers(acl: &Acl) -> Vec<String> {
        acl.strangers(&|user| user == UID).collect()
    }

    #[test]
    fn who_is_admitted_goes_through_and_nobody_else_does() {
        let mut acl = Acl::of_mode(0o700);
        acl.admit(UID);
        acl.admit(UID);
        let entries = [
            (USER_OBJ, NO_ID, 7),
            (USER, UID, 1),
            (GROUP_OBJ, NO_ID, 0),
            (MASK, NO_ID, 1),
            (OTHER, NO_ID, 0),
        ];
        let expected = entries.map(|(tag, id, may)| Entry::new(tag, id, may));
        assert_eq!(Acl::parse(&acl.to_bytes()).unwrap().0, expected);
        assert_eq!(strangers(&acl), Vec::<String>::new());
        assert!(acl.admits(UID));
        assert!(!acl.admits(7));
        assert!(acl.dismiss(UID));
        assert!(!acl.dismiss(UID));
        assert!(!acl.admits(UID));
        assert_eq!(acl.to_bytes(), Acl::of_mode(0o700).to_bytes());
    }

    #[test]
    fn a_group_gains_nothing_by_another_entry() {
        let mut acl = Acl::of_mode(0o750);
        acl.admit(UID);
        acl.admit(7);
        assert_eq!(acl.permissions(GROUP_OBJ), 0o5);
        assert_eq!(strangers(&acl), ["the group", "user 7"]);
        assert!(acl.dismiss(7));
        assert_eq!(acl.permissions(MASK), 0o5);
        // a mask that held the group back goes on doing so
        let mut masked = Acl::of_mode(0o700);
        masked.set(GROUP_OBJ, 0o7);
        masked.0.push(Entry::new(MASK, NO_ID, 0));
        masked.admit(UID);
        assert_eq!(masked.permissions(GROUP_OBJ), 0);
    }

    #[test]
    fn whom_a_mask_keeps_out_another_entry_does_not_let_in() {
        let mut acl = Acl::of_mode(0o700);
        acl.0.push(Entry::new(USER, 5, 0o5));
        acl.0.push(Entry::new(MASK, NO_ID, 0));
        acl.admit(UID);
        assert!(acl.admits(UID) && !acl.admits(5));
        assert_eq!(strangers(&acl), Vec::<String>::new());
        assert!(acl.dismiss(UID));
        assert!(!acl.admits(5));
        assert_eq!(strangers(&acl), Vec::<String>::new());
        // nor does it let the group in when it goes with the last of those who are named
        let mut masked = Acl::of_mode(0o770);
        masked.admit(UID);
        masked.set(MASK, ENTER);
        assert!(masked.dismiss(UID));
        assert_eq!(masked.to_bytes(), Acl::of_mode(0o710).to_bytes());
    }

    #[test]
    fn a_mask_keeps_out_who_is_named_until_he_is_admitted_anew() {
        let mut acl = Acl::of_mode(0o700);
        acl.admit(UID);
        acl.set(MASK, 0);
        assert!(!acl.admits(UID));
        acl.admit(UID);
        assert!(acl.admits(UID));
        assert_eq!(strangers(&acl), Vec::<String>::new());
    }

    #[test]
    fn strangers_are_named() {
        let mut acl = Acl::of_mode(0o705);
        acl.0.push(Entry::new(GROUP, 5, 0o4));
        acl.0.push(Entry::new(USER, UID, 0o5));
        acl.0.push(Entry::new(MASK, NO_ID, 0o7));
        assert_eq!(
            strangers(&acl),
            ["others", "group 5", &format!("user {UID}")]
        );
    }

    #[test]
    fn named_users_and_groups_are_shifted() {
        let users: IdRange = "100000:65536".parse().unwrap();
        let mut acl = Acl::of_mode(0o640);
        acl.0.push(Entry::new(USER, 33, 0o6));
        acl.0.push(Entry::new(GROUP, 4, 0o4));
        acl.0.push(Entry::new(GROUP, 70_000, 0o4));
        acl.0.push(Entry::new(MASK, NO_ID, 0o6));
        assert_eq!(acl.shift(users), 1);
        let ids: Vec<u32> = acl
            .0
            .iter()
            .map(|e| e.id)
            .filter(|id| *id != NO_ID)
            .collect();
        assert_eq!(ids, [100_033, 100_004]);
    }

    #[test]
    fn what_is_no_list_is_none() {
        for bad in [
            &b""[..],
            b"\x02\0\0",
            b"\x01\0\0\0",
            b"\x02\0\0\0\x01\0\x07\0\xff\xff\xff",
        ] {
            assert_eq!(Acl::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn nobody_else_may_do_more_or_less(
            group in 0..8u16,
            mask in 0..8u16,
            named in prop::collection::vec((prop::sample::select(vec![USER, GROUP]), 0..4u32, 0..8u16), 0..5),
        ) {
            let mut acl = Acl::of_mode(0o700 | u32::from(group) << 3);
            let mut named = named;
            named.sort_unstable();
            named.dedup_by_key(|(tag, id, _)| (*tag, *id));
            acl.0.extend(named.iter().map(|&(tag, id, may)| Entry::new(tag, id, may)));
            if !named.is_empty() {
                acl.0.push(Entry::new(MASK, NO_ID, mask));
            }
            let before = others(&acl);
            acl.admit(UID);
            prop_assert!(acl.admits(UID));
            prop_assert_eq!(others(&acl), before.clone());
            acl.dismiss(UID);
            prop_assert_eq!(others(&acl), before);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(acl) = Acl::parse(&bytes) {
                prop_assert_eq!(acl.to_bytes().len(), bytes.len());
            }
        }
    }
}
