//! In a container with users of its own, whoever came in is nobody until he says who he is.

use rustix::fs::{Gid, Uid};

use crate::Result;
use crate::container::Container;
use crate::procfs::ProcessDir;

impl Container {
    /// Whether it is in a user namespace that the caller is not in.
    pub(crate) fn has_own_users(&self) -> Result<bool> {
        let own = ProcessDir::open(std::process::id())?;
        Ok(self.directory.namespace("user")? != own.namespace("user")?)
    }
}

/// Becomes root of the user namespace that was joined, and leaves the groups of the host. The joining
/// gave every capability in it, and this takes none. Makes system calls only.
pub(crate) fn become_root() -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}
