//! Labels a container's tree, by handle, before anything of the container has run.

use std::collections::HashMap;

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
    if let Err(error) = label_top(host, root, context) {
        let optional = labeller.mode() == Mode::Disabled && error.is_unsupported();
        return if optional { Ok(()) } else { Err(error.into()) };
    }
    let names = names_of_shared_files(root)?;
    root.walk("/".as_ref(), &mut |node| {
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
