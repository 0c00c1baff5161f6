//! Directory trees that may be hostile: read, walked, copied, changed and deleted by handles.
//!
//! A container that has run owns its tree. Any component of any path in it may be a symbolic link
//! to the host, and may be swapped for one between two system calls. So nothing here acts on a
//! path string that the kernel would resolve against the host's root:
//!
//! 1. A tree is opened once, as a [`Root`]. Every path given to it is resolved by openat2(2)
//!    inside it, links included: an absolute link starts over at the tree's top, `..` stops
//!    there, and magic links (`/proc/PID/root`) are refused.
//! 2. Below that, a walk goes from handle to handle, one name at a time, never following a link.
//!    What a name stands for is asked of the handle, never of the name a second time. Ancestors
//!    beyond a small window are closed, and found again through `..` with their identity checked,
//!    so a tree of any depth takes a bounded number of descriptors.
//! 3. [`copy()`] brings files from one tree to the same paths of another with all that belongs to
//!    them; [`Root::remove_tree`] deletes; [`Root::walk`] hands out each node's handle, which is
//!    how labels are set; [`Root::summary`] counts.
//! 4. A tree of a container with users of its own ([`Root::owned_by`]) is told of owners in that
//!    container's terms, and shifts what it writes to disk.
//!
//! The crate knows no policy: what is to be copied, left out or labelled is told to it.
//!
//! Key types: [`Root`], [`Metadata`], [`CopyItem`], [`CopyOptions`], [`CopyReport`], [`Error`].

pub mod copy;
mod descent;
mod error;
mod handle;
mod make;
mod metadata;
mod owners;
mod remove;
mod root;
mod walk;

pub use copy::{CopyItem, CopyOptions, CopyReport, Progress, SkipReason, copy, copy_threads};
pub use error::{Error, Result};
pub use make::Attributes;
pub use metadata::{Kind, Metadata};
pub use remove::Removed;
pub use root::{Root, mark_of};
pub use walk::{Node, Summary};
