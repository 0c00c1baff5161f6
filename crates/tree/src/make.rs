//! Making single nodes and changing names.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;
use vss_model::AbsPath;

use crate::error::{Error, Result};
use crate::handle;
use crate::metadata::{Kind, Metadata};
use crate::root::{self, Root};

/// How many links may stand on the way to a path, as in path_resolution(7).
const MOST_LINKS: usize = 40;

/// Owner and permissions of what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, as in 0o644, with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Attributes {
    /// What a directory gets that nothing else is known of.
    const PLAIN_DIRECTORY: Self = Self {
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
}

impl Root {
    /// Makes an empty directory.
    ///
    /// # Errors
    /// Where something stands there already, the directory above is missing or the system refuses.
    pub fn make_dir(&self, path: &Path, attributes: Attributes) -> Result<()> {
        let (parent, name) = self.parent_of(path)?;
        self.make_dir_in(&parent, &name, path, attributes).map(drop)
    }

    fn make_dir_in(
        &self,
        parent: &OwnedFd,
        name: &CString,
        path: &Path,
        attributes: Attributes,
    ) -> Result<OwnedFd> {
        rustix::fs::mkdirat(parent, name, Mode::RWXU)
            .map_err(|e| self.not_made("create the directory", path, e))?;
        let dir = handle::open_directory(parent, name)
            .map_err(|e| Error::io("open", self.on_host(path), e))?;
        drop_inherited_acl(&dir);
        self.set_attributes(&dir, path, attributes)?;
        Ok(dir)
    }

    /// Makes a regular file with this content.
    ///
    /// # Errors
    /// Where something stands there already, even a link that leads nowhere, or the content cannot
    /// be written; then the file is removed again.
    pub fn make_file(&self, path: &Path, content: &[u8], attributes: Attributes) -> Result<()> {
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, &name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| self.not_made("create", path, e))?;
        drop_inherited_acl(&file);
        let written = write_all(&file, content)
            .map_err(|e| Error::io("write", self.on_host(path), e))
            .and_then(|()| self.set_attributes(&file, path, attributes));
        if written.is_err() {
            // the first error is the one that is told
            let _ = rustix::fs::unlinkat(&parent, &name, AtFlags::empty());
        }
        written
    }

    /// Makes a symbolic link with this target, which is not looked at.
    ///
    /// # Errors
    /// Where something stands there already or the system refuses.
    pub fn make_link(&self, path: &Path, target: &Path, uid: u32, gid: u32) -> Result<()> {
        let (parent, name) = self.parent_of(path)?;
        rustix::fs::symlinkat(target, &parent, &name)
            .map_err(|e| self.not_made("create the link", path, e))?;
        let (link, metadata) = handle::open_node(&parent, &name)
            .map_err(|e| Error::io("look at", self.on_host(path), e))?;
        self.expect(path, &metadata, Kind::Link)?;
        self.own(&link, uid, gid)
            .map_err(|e| Error::io("change the owner of", self.on_host(path), e))
    }

    /// Makes the missing directories above a path, each with the owner and permissions that the
    /// same directory has in `like`, else those of root and 0755. Where `like` has a link in a
    /// directory's place (`/var/run`), the same link is made and what it leads to.
    ///
    /// # Errors
    /// Where something else than a directory stands on the way or the system refuses.
    pub fn make_parents(&self, path: &Path, like: Option<&Self>) -> Result<()> {
        self.ensure_parents(path, like).map(drop)
    }

    /// Gives a name to what has another one, where nothing stands yet.
    ///
    /// # Errors
    /// Where something stands at the new path or the system refuses.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename_with(from, to, RenameFlags::NOREPLACE)
    }

    /// Puts one thing in another's place, at once and whole: who looks sees the old or the new.
    ///
    /// # Errors
    /// Where a directory would be replaced that is not empty, or the system refuses.
    pub fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename_with(from, to, RenameFlags::empty())
    }

    fn rename_with(&self, from: &Path, to: &Path, flags: RenameFlags) -> Result<()> {
        let (old_parent, old_name) = self.parent_of(from)?;
        let (new_parent, new_name) = self.parent_of(to)?;
        rustix::fs::renameat_with(&old_parent, &old_name, &new_parent, &new_name, flags).map_err(
            |e| match e {
                Errno::EXIST => self.not_made("rename", to, e),
                e => Error::io("rename", self.on_host(from), e),
            },
        )
    }

    /// The directory that a path is in, and its name there.
    pub(crate) fn parent_of(&self, path: &Path) -> Result<(OwnedFd, CString)> {
        let whole = root::inside(path)?;
        let (Some(above), Some(name)) = (whole.parent(), whole.file_name()) else {
            let path = self.on_host(path);
            return Err(Error::Top { path });
        };
        let flags = handle::DIRECTORY.difference(OFlags::NOFOLLOW);
        let parent = self
            .open_at(above.as_path(), flags)
            .map_err(|e| self.at("open the directory", &above, e))?;
        let name = root::c_name(name).map_err(|e| self.at("name", &whole, e))?;
        Ok((parent, name))
    }

    /// Makes the missing directories above a path; gives back where it made some.
    pub(crate) fn ensure_parents(&self, path: &Path, like: Option<&Self>) -> Result<Vec<AbsPath>> {
        let whole = root::inside(path)?;
        let Some(wanted) = whole.parent() else {
            return Ok(vec![]);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if self.open_at(wanted.as_path(), flags).is_ok() {
            return Ok(vec![]);
        }
        let mut making = Making {
            root: self,
            like,
            here: AbsPath::root(),
            dir: self
                .open_at(Path::new("/"), handle::DIRECTORY)
                .map_err(|e| self.at("open", &AbsPath::root(), e))?,
            made: vec![],
        };
        let mut links = 0;
        let mut ahead = components_reversed(wanted.as_path());
        while let Some(component) = ahead.pop() {
            if let Some(target) = making.step(component)? {
                links += 1;
                if links > MOST_LINKS {
                    return Err(self.at("follow the links to", &wanted, Errno::LOOP));
                }
                if target.is_absolute() {
                    making.go_to(AbsPath::root())?;
                }
                ahead.extend(components_reversed(&target));
            }
        }
        Ok(making.made)
    }

    pub(crate) fn set_attributes(
        &self,
        fd: impl AsFd,
        path: &Path,
        attributes: Attributes,
    ) -> Result<()> {
        // changing the owner clears the set-id bits, so the mode comes second
        self.own(&fd, attributes.uid, attributes.gid)
            .map_err(|e| Error::io("change the owner of", self.on_host(path), e))?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(attributes.mode & 0o7777))
            .map_err(|e| Error::io("change the mode of", self.on_host(path), e))
    }

    /// Gives a node of the tree its owner, said in the tree's terms.
    pub(crate) fn own(&self, fd: impl AsFd, uid: u32, gid: u32) -> rustix::io::Result<()> {
        set_owner(fd, self.owners.on_disk(uid), self.owners.on_disk(gid))
    }

    pub(crate) fn not_made(&self, action: &'static str, path: &Path, error: Errno) -> Error {
        let path = self.on_host(path);
        match error {
            Errno::EXIST => Error::Exists { path },
            e => Error::io(action, path, e),
        }
    }
}

/// A way down that makes what is missing. It resolves links itself, one component at a time from
/// a handle, because the kernel cannot resolve what is yet to be made.
struct Making<'a> {
    root: &'a Root,
    like: Option<&'a Root>,
    /// Where it is, without links.
    here: AbsPath,
    dir: OwnedFd,
    made: Vec<AbsPath>,
}

impl Making<'_> {
    /// Goes on by one component; gives back the target where that is a link.
    fn step(&mut self, component: Step) -> Result<Option<PathBuf>> {
        let name = match component {
            Step::Up => {
                let above = self.here.parent().unwrap_or_else(AbsPath::root);
                return self.go_to(above).map(|()| None);
            }
            Step::Down(name) => name,
        };
        let path = root::child(&self.here, &name)?;
        let found = match handle::open_node(&self.dir, &name) {
            Ok(found) => Some(found),
            Err(Errno::NOENT) => None,
            Err(e) => return Err(self.root.at("look at", &path, e)),
        };
        let Some((node, metadata)) = found else {
            return self.make(&name, path);
        };
        match metadata.kind {
            Kind::Link => root::link_target(&node)
                .map(Some)
                .map_err(|e| self.root.at("read the link", &path, e)),
            Kind::Directory => {
                self.dir = handle::open_directory(&node, c".")
                    .map_err(|e| self.root.at("open", &path, e))?;
                self.here = path;
                Ok(None)
            }
            _ => Err(self
                .root
                .expect(path.as_path(), &metadata, Kind::Directory)
                .err()
                .unwrap_or_else(|| self.root.at("enter", &path, Errno::NOTDIR))),
        }
    }

    fn make(&mut self, name: &CString, path: AbsPath) -> Result<Option<PathBuf>> {
        let model = match self.like {
            Some(like) => like.node(path.as_path())?,
            None => None,
        };
        let attributes = match &model {
            Some((link, metadata)) if metadata.kind == Kind::Link => {
                let target = root::link_target(link)
                    .map_err(|e| self.root.at("read the model of the link", &path, e))?;
                self.root
                    .make_link(path.as_path(), &target, metadata.uid, metadata.gid)?;
                return Ok(Some(target));
            }
            Some((_, metadata)) if metadata.is_directory() => Attributes {
                mode: metadata.permissions(),
                uid: metadata.uid,
                gid: metadata.gid,
            },
            _ => Attributes::PLAIN_DIRECTORY,
        };
        self.dir = self
            .root
            .make_dir_in(&self.dir, name, path.as_path(), attributes)?;
        self.here = path.clone();
        self.made.push(path);
        Ok(None)
    }

    fn go_to(&mut self, path: AbsPath) -> Result<()> {
        self.dir = self
            .root
            .open_at(path.as_path(), handle::DIRECTORY)
            .map_err(|e| self.root.at("open", &path, e))?;
        self.here = path;
        Ok(())
    }
}

/// A component of a path that is still to be gone.
enum Step {
    Up,
    Down(CString),
}

fn components_reversed(path: &Path) -> Vec<Step> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::ParentDir => Some(Step::Up),
            // a path of the kernel's has no NUL
            Component::Normal(name) => CString::new(name.as_bytes()).ok().map(Step::Down),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// Changes the owner of the very node that a handle names, `O_PATH` ones and links included.
fn set_owner(fd: impl AsFd, uid: u32, gid: u32) -> rustix::io::Result<()> {
    // chown(2) takes this for "leave as it is"
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    rustix::fs::chownat(fd, c"", uid, gid, AtFlags::EMPTY_PATH)
}

/// Takes away what a default ACL of the directory above left on a new node.
pub(crate) fn drop_inherited_acl(fd: impl AsFd) {
    for name in [c"system.posix_acl_access", c"system.posix_acl_default"] {
        // ENODATA where there is none, EOPNOTSUPP where there cannot be one
        let _ = rustix::fs::fremovexattr(&fd, name);
    }
}

fn write_all(file: &OwnedFd, mut content: &[u8]) -> rustix::io::Result<()> {
    while !content.is_empty() {
        match rustix::io::write(file, content) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => content = &content[count..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Whether two nodes are the same inode; used where a name is looked at twice.
pub(crate) fn is_inode(fd: impl AsFd, dev: u64, ino: u64) -> rustix::io::Result<bool> {
    let found = Metadata::of(fd)?;
    Ok((found.dev, found.ino) == (dev, ino))
}
