//! From the plan's entries to what is copied, left out and made: pure.

use std::collections::BTreeSet;

use vss_model::{AbsPath, CopyScope, Disposition, Filesystem, Generated, MaskKind};
use vss_plan::SandboxPlan;
use vss_tree::CopyItem;

/// What is done to fill a container's tree.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Copied from the host.
    pub(crate) items: Vec<CopyItem>,
    /// Subtrees left out of what is copied.
    pub(crate) except: BTreeSet<AbsPath>,
    /// Made, parents first.
    pub(crate) nodes: Vec<(AbsPath, Make)>,
    /// Where something is mounted at each start: made where the copy has not brought it.
    pub(crate) mount_points: BTreeSet<AbsPath>,
    /// Bytes that the plan expects to be copied.
    pub(crate) bytes: u64,
}

/// A node that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Make {
    /// A file with this text.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A directory.
    Directory {
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A symbolic link with this target.
    Link(String),
    /// A machine-id.
    MachineId,
    /// An SSH host key; the public half goes here.
    HostKey(AbsPath),
}

/// What the plan's entries and file systems come to.
pub(crate) fn layout(plan: &SandboxPlan) -> Layout {
    let mut layout = Layout::default();
    for entry in &plan.root.entries {
        let path = entry.path.clone();
        match &entry.disposition {
            Disposition::Copy { scope } => {
                layout.bytes += entry.bytes.unwrap_or(0);
                // of a node alone, nothing below comes along with a tree above it either
                if *scope == CopyScope::Node {
                    layout.except.insert(path.clone());
                }
                layout.items.push(CopyItem {
                    path,
                    scope: *scope,
                });
            }
            Disposition::Share => {
                layout.except.insert(path);
            }
            Disposition::Mask { how } => {
                layout.except.insert(path.clone());
                if *how == MaskKind::NullLink {
                    layout
                        .nodes
                        .push((path, Make::Link("/dev/null".to_owned())));
                }
            }
            Disposition::Generate { what } => generate(&mut layout, path, what),
        }
    }
    layout.mount_points = mount_points(plan);
    layout
}

fn generate(layout: &mut Layout, path: AbsPath, what: &Generated) {
    let make = match what {
        Generated::File {
            text,
            mode,
            uid,
            gid,
        } => Make::File {
            bytes: text.clone().into_bytes(),
            mode: *mode,
            uid: *uid,
            gid: *gid,
        },
        Generated::Directory { mode, uid, gid } => Make::Directory {
            mode: *mode,
            uid: *uid,
            gid: *gid,
        },
        Generated::Link { target } => Make::Link(target.clone()),
        Generated::MachineId => Make::MachineId,
        Generated::SshHostKey { public } => {
            layout.except.insert(public.clone());
            Make::HostKey(public.clone())
        }
    };
    // a directory of ours may hold what is copied: it is no subtree to be left out
    if !matches!(make, Make::Directory { .. }) {
        layout.except.insert(path.clone());
    }
    layout.nodes.push((path, make));
}

fn mount_points(plan: &SandboxPlan) -> BTreeSet<AbsPath> {
    plan.domain
        .filesystems
        .iter()
        .map(|filesystem| match filesystem {
            Filesystem::Bind { target, .. } | Filesystem::Ram { target, .. } => target.clone(),
        })
        .filter(|target| *target != AbsPath::root())
        .collect()
}

/// Whether a file's digest is worth keeping: what is below `/var` is the service's own business.
pub(crate) fn wants_digest(path: &AbsPath) -> bool {
    !path.as_path().starts_with("/var")
}
