//! Temp trees, how they are compared, and private mounts. Looks at files by other means than the
//! crate under test does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rustix::fs::{Mode, XattrFlags};
use vss_model::{AbsPath, CopyScope};
use vss_tree::{CopyItem, CopyOptions, CopyReport, Error, Root};

/// Whether the test can do its work; where not, it is skipped, loudly, and on a build server it
/// fails.
pub(crate) fn is_root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    eprintln!("SKIPPED: {test} needs root");
    assert!(std::env::var_os("CI").is_none(), "{test} needs root");
    false
}

pub(crate) struct Trees {
    pub(crate) dir: tempfile::TempDir,
}

impl Trees {
    /// An empty `source`, `target` and `outside` beside each other.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("vss-tree")
            .tempdir()
            .unwrap();
        for name in ["source", "target", "outside"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub(crate) fn root(&self, below: &str) -> Root {
        Root::open(&self.path(below)).unwrap()
    }

    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn link(&self, below: &str, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.path(below)).unwrap();
    }

    /// Copies the whole of `source` to `target`.
    pub(crate) fn copy_all(&self, threads: usize) -> Result<CopyReport, Error> {
        copy(
            &self.root("source"),
            &self.root("target"),
            &[tree("/")],
            &[],
            threads,
        )
    }
}

pub(crate) fn abs(path: &str) -> AbsPath {
    path.parse().unwrap()
}

pub(crate) fn tree(path: &str) -> CopyItem {
    CopyItem {
        path: abs(path),
        scope: CopyScope::Tree,
    }
}

pub(crate) fn node(path: &str) -> CopyItem {
    CopyItem {
        path: abs(path),
        scope: CopyScope::Node,
    }
}

pub(crate) fn copy(
    source: &Root,
    target: &Root,
    items: &[CopyItem],
    except: &[&str],
    threads: usize,
) -> Result<CopyReport, Error> {
    let except: BTreeSet<_> = except.iter().map(|path| abs(path)).collect();
    let options = CopyOptions {
        except: &except,
        digests: &|_| true,
        progress: &(),
        cancelled: &AtomicBool::new(false),
        threads,
    };
    vss_tree::copy(source, target, items, &options)
}

pub(crate) fn mkfifo(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

pub(crate) fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

pub(crate) fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut list[..]).unwrap();
    list[..length]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65536];
            let c_name = CString::new(name).unwrap();
            let length = rustix::fs::lgetxattr(path, c_name, &mut value[..]).unwrap();
            value.truncate(length);
            (String::from_utf8(name.to_vec()).unwrap(), value)
        })
        .collect()
}

/// All that a tree is, as one line for each node: what a faithful copy has in common with it, but
/// for access times, which looking changes.
pub(crate) fn portrait(top: &Path) -> Vec<String> {
    let mut lines = vec![];
    let mut inodes = BTreeMap::new();
    let mut ahead = vec![top.to_owned()];
    while let Some(path) = ahead.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let below = path.strip_prefix(top).unwrap().to_owned();
        let first = inodes
            .entry(meta.ino())
            .or_insert_with(|| below.clone())
            .clone();
        let kind = meta.file_type();
        let content = if kind.is_symlink() {
            format!("{:?}", fs::read_link(&path).unwrap())
        } else if kind.is_file() && meta.size() < 1 << 20 {
            format!("{:?}", fs::read(&path).unwrap())
        } else {
            String::new()
        };
        let size = if kind.is_dir() { 0 } else { meta.size() };
        lines.push(format!(
            "{} {:o} {}:{} {size} {:?} {:?} {:?} {content}",
            below.as_os_str().as_bytes().escape_ascii(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            (meta.mtime(), meta.mtime_nsec()),
            xattrs(&path),
            (!kind.is_dir()).then_some(first),
        ));
        if kind.is_dir() {
            let mut entries: Vec<_> = fs::read_dir(&path)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            entries.sort_by(|a, b| b.cmp(a));
            ahead.extend(entries);
        } else {
            assert!(!kind.is_char_device() && !kind.is_block_device());
        }
    }
    lines
}

/// Runs a test where it may mount what it likes: a thread of its own in a mount namespace that ends
/// with it.
pub(crate) fn with_private_mounts(test: impl FnOnce() + Send) {
    use nix::sched::{CloneFlags, unshare};
    use rustix::mount::{MountPropagationFlags, mount_change};
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                unshare(CloneFlags::CLONE_NEWNS).unwrap();
                let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
                mount_change("/", private).unwrap();
                test();
            })
            .join()
            .unwrap();
    });
}

pub(crate) fn mount_tmpfs(path: &Path, options: &str) {
    use rustix::mount::{MountFlags, mount};
    let options = CString::new(options).unwrap();
    mount(
        "tmpfs",
        path,
        "tmpfs",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .unwrap();
}
