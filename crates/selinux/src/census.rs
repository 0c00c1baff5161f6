//! Which nodes of a tree may be labelled: those that are nowhere else.

use std::collections::HashMap;

/// What has to be known of a node to tell whether it may be labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLinks {
    /// The device that it is on.
    pub dev: u64,
    /// Its inode number there.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u32,
    /// Whether it is a directory: those have one name, whatever `nlink` counts.
    pub is_directory: bool,
}

/// A count of the names in a tree by inode.
///
/// The root of a container could give a file of the host, on the same file system, a second name in
/// its tree; a label that is set there is set on the host's file. So what has more names than were
/// counted in the tree is not labelled. That goes for links, pipes and devices as for files.
///
/// ```
/// use vss_selinux::{LinkCensus, NodeLinks};
/// let file = |ino, nlink| NodeLinks { dev: 1, ino, nlink, is_directory: false };
/// let mut census = LinkCensus::default();
/// // the tree has one of the two names of 7, and both of 8
/// for node in [file(7, 2), file(8, 2), file(8, 2)] {
///     census.count(&node);
/// }
/// assert!(!census.may_label(&file(7, 2)));
/// assert!(census.may_label(&file(8, 2)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct LinkCensus {
    /// Only inodes of several names.
    names: HashMap<(u64, u64), u32>,
}

impl LinkCensus {
    /// Counts a name; to be called once for each node of the tree, before any is labelled.
    pub fn count(&mut self, node: &NodeLinks) {
        if node.is_directory || node.nlink <= 1 {
            return;
        }
        let names = self.names.entry((node.dev, node.ino)).or_default();
        *names = names.saturating_add(1);
    }

    /// Whether all names of a node lie in the tree. The node is to be looked at anew: one that got
    /// a name outside since it was counted has a higher `nlink` now, and is refused.
    #[must_use]
    pub fn may_label(&self, node: &NodeLinks) -> bool {
        if node.is_directory || node.nlink <= 1 {
            return true;
        }
        let counted = self.names.get(&(node.dev, node.ino));
        counted.is_some_and(|names| *names >= node.nlink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(ino: u64, nlink: u32) -> NodeLinks {
        NodeLinks {
            dev: 3,
            ino,
            nlink,
            is_directory: false,
        }
    }

    #[test]
    fn a04_a_name_outside_the_tree_forbids_a_label() {
        let mut census = LinkCensus::default();
        census.count(&file(1, 2));
        assert!(!census.may_label(&file(1, 2)));
        census.count(&file(1, 2));
        assert!(census.may_label(&file(1, 2)));
        // a name outside appeared after the count
        assert!(!census.may_label(&file(1, 3)));
        // one that was not counted at all, or is the same number of another device
        assert!(!census.may_label(&file(9, 2)));
        let elsewhere = NodeLinks {
            dev: 4,
            ..file(1, 2)
        };
        assert!(!census.may_label(&elsewhere));
    }

    #[test]
    fn a_single_name_and_a_directory_need_no_count() {
        let census = LinkCensus::default();
        assert!(census.may_label(&file(1, 1)));
        let directory = NodeLinks {
            is_directory: true,
            ..file(1, 40)
        };
        assert!(census.may_label(&directory));
    }
}
