//! Labels a container's tree, by handle, before anything of the container has run.

use rustix::fd::AsFd;
use rustix::io::Errno;
use vss_model::{AbsPath, SecurityContext};
use vss_selinux::{LinkCensus, Mode, NodeLinks};
use vss_tree::{Metadata, Root};

use crate::control::Control;
use crate::error::{Error, Result};
use crate::host::Host;

/// Sets the label of every node. Where SELinux is off and the file system has no room for labels,
/// nothing is labelled.
///
/// A file with names outside the tree is refused, because the label would change what others see
/// (A04); a tree that was just copied has none.
pub(super) fn label(
    host: &Host,
    root: &Root,
    context: &SecurityContext,
    control: &Control<'_>,
) -> Result<()> {
    let labeller = host.labeller();
    if !label_top(host, root, context)? {
        return Ok(());
    }
    let mut census = LinkCensus::default();
    root.walk(top().as_path(), &mut |node| -> Result<()> {
        census.count(&links(node.metadata));
        Ok(())
    })?;
    root.walk(top().as_path(), &mut |node| {
        control.check()?;
        if !census.may_label(&links(node.metadata)) {
            return Err(Error::LinkedOutside(node.path.clone()));
        }
        Ok(labeller.set(node.fd, context)?)
    })
}

/// Sets the label of the tree's own directory, before anything is in it: what is made in it has the
/// type from its first moment, wherever the tree lies. False where labels can't be kept and none is
/// needed.
pub(super) fn label_top(host: &Host, root: &Root, context: &SecurityContext) -> Result<bool> {
    let labeller = host.labeller();
    match labeller.set(root.as_fd(), context) {
        Ok(()) => Ok(true),
        Err(error) if labeller.mode() == Mode::Disabled && is_unsupported(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn top() -> AbsPath {
    AbsPath::root()
}

fn links(metadata: &Metadata) -> NodeLinks {
    NodeLinks {
        dev: metadata.dev,
        ino: metadata.ino,
        nlink: metadata.nlink,
        is_directory: metadata.is_directory(),
    }
}

fn is_unsupported(error: &vss_selinux::Error) -> bool {
    match error {
        vss_selinux::Error::Label { source, .. } => {
            source.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error())
        }
        _ => false,
    }
}
