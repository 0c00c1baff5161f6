//! Labels a container's tree, by handle, before anything of the container has run.

use std::collections::HashMap;

use rustix::fd::AsFd;
use vss_model::SecurityContext;
use vss_selinux::Mode;
use vss_tree::{Kind, Root};

use crate::control::Control;
use crate::error::{Error, Result};
use crate::host::Host;

/// Sets the label of every node. Where SELinux is off and the file system has no room for labels,
/// nothing is labelled.
///
/// A file with names outside the tree is refused, because the label would change what others see
/// (A04); a tree that was just copied has none.
pub(crate) fn label(
    host: &Host,
    root: &Root,
    context: &SecurityContext,
    control: &Control<'_>,
) -> Result<()> {
    let labeller = host.labeller();
    if let Err(error) = labeller.set(root.as_fd(), context) {
        return if labeller.mode() == Mode::Disabled {
            Ok(())
        } else {
            Err(error.into())
        };
    }
    let names = names_of_shared_files(root)?;
    root.walk("/".as_ref(), &mut |node| -> Result<()> {
        control.check()?;
        let metadata = node.metadata;
        if metadata.kind == Kind::File && metadata.nlink > 1 {
            let inside = names.get(&(metadata.dev, metadata.ino));
            if inside.copied().unwrap_or(0) < metadata.nlink {
                return Err(Error::LinkedOutside(node.path.clone()));
            }
        }
        labeller.set(node.fd, context)?;
        Ok(())
    })
}

/// How many names of each file with several are in the tree, by device and inode number.
fn names_of_shared_files(root: &Root) -> Result<HashMap<(u64, u64), u32>> {
    let mut names = HashMap::new();
    root.walk("/".as_ref(), &mut |node| -> Result<()> {
        if node.metadata.kind == Kind::File && node.metadata.nlink > 1 {
            *names
                .entry((node.metadata.dev, node.metadata.ino))
                .or_insert(0) += 1;
        }
        Ok(())
    })?;
    Ok(names)
}
