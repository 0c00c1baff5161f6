//! Whose files a tree's are: the owners as the tree itself knows them, and as the host does.
//!
//! The content of a container with users of its own belongs to those users on the host. All that is
//! said of owners to a tree is in the container's terms; what is written to disk is shifted here,
//! and nowhere else.

use vss_model::{Acl, IdRange};

/// `nobody`, who has what a container has nobody for (systemd's `UIDS-GIDS`).
const NOBODY: u32 = 65534;

/// The attribute with the capabilities of a program.
pub(crate) const CAPABILITY: &std::ffi::CStr = c"security.capability";

// `struct vfs_ns_cap_data` of linux/capability.h
const REVISION: u32 = 0xff00_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
const LENGTH_2: usize = 20;

/// How owners are written to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Owners(Option<IdRange>);

/// An attribute as it is written to disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shifted {
    /// As it is.
    Same,
    /// With these bytes; how many entries are lost.
    To(Vec<u8>, usize),
    /// It means nothing to the container's users.
    Lost,
}

impl Owners {
    pub(crate) fn of(users: IdRange) -> Self {
        Self(Some(users))
    }

    /// A user or group of the tree as the host knows it; `nobody` for one that the container
    /// doesn't have.
    pub(crate) fn on_disk(self, id: u32) -> u32 {
        let Some(users) = self.0 else { return id };
        users
            .outside(id)
            .or_else(|| users.outside(NOBODY))
            .unwrap_or(users.base())
    }

    /// Whether the tree has that user or group.
    pub(crate) fn has(self, id: u32) -> bool {
        self.0.is_none_or(|users| users.outside(id).is_some())
    }

    /// An extended attribute that names users: access control lists, and the capabilities of a
    /// program, which count in the user namespace whose root is named in them (capabilities(7),
    /// version 3). Version 1 is of 2006, and one that names a root already is of another namespace.
    pub(crate) fn attribute(self, name: &std::ffi::CStr, value: &[u8]) -> Shifted {
        let Some(users) = self.0 else {
            return Shifted::Same;
        };
        if name == vss_model::acl::ACCESS || name == vss_model::acl::DEFAULT {
            let Some(mut list) = Acl::parse(value) else {
                return Shifted::Lost;
            };
            let lost = list.shift(users);
            return Shifted::To(list.to_bytes(), lost);
        }
        if name == CAPABILITY {
            return match capability(users, value) {
                Some(bytes) => Shifted::To(bytes, 0),
                None => Shifted::Lost,
            };
        }
        Shifted::Same
    }
}

fn capability(users: IdRange, value: &[u8]) -> Option<Vec<u8>> {
    let (magic, rest) = value.split_first_chunk::<4>()?;
    let magic = u32::from_le_bytes(*magic);
    if magic & REVISION != REVISION_2 || value.len() != LENGTH_2 {
        return None;
    }
    let magic = magic & !REVISION | REVISION_3;
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend(rest);
    bytes.extend(users.base().to_le_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners() -> Owners {
        Owners::of("100000:65536".parse().unwrap())
    }

    #[test]
    fn owners_are_shifted_and_strangers_are_nobody() {
        assert_eq!(owners().on_disk(0), 100_000);
        assert_eq!(owners().on_disk(33), 100_033);
        assert_eq!(owners().on_disk(65535), 165_535);
        assert_eq!(owners().on_disk(100_033), 165_534);
        assert!(!owners().has(100_033));
        assert_eq!(Owners::default().on_disk(100_033), 100_033);
        assert!(Owners::default().has(u32::MAX));
    }

    #[test]
    fn capabilities_get_the_root_that_they_count_for() {
        let two = [&0x0200_0001u32.to_le_bytes()[..], &[7; 16]].concat();
        let Shifted::To(three, 0) = owners().attribute(CAPABILITY, &two) else {
            panic!("not shifted");
        };
        assert_eq!(three[..4], 0x0300_0001u32.to_le_bytes());
        assert_eq!(three[4..20], [7; 16]);
        assert_eq!(three[20..], 100_000u32.to_le_bytes());
        for other in [
            &three[..],
            &[0x01, 0, 0, 0x01, 7, 7, 7, 7, 7, 7, 7, 7],
            b"",
            b"\0\0\0\x02",
        ] {
            assert_eq!(owners().attribute(CAPABILITY, other), Shifted::Lost);
        }
        assert_eq!(owners().attribute(c"user.x", b"1"), Shifted::Same);
        assert_eq!(Owners::default().attribute(CAPABILITY, &two), Shifted::Same);
        assert_eq!(
            owners().attribute(vss_model::acl::ACCESS, b"?"),
            Shifted::Lost
        );
    }
}
