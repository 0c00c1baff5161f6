//! The machine's state, to be compared: files, mounts, links, cgroups, libvirt's objects.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Lab;

/// What is compared. A thing is named by a line, its state is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, String>);

/// Directories of the machine that a command could leave something in.
const TREES: [&str; 4] = ["/etc", "/usr", "/var", "/run"];

/// What daemons write of their own accord, whether a container exists or not: logs, and the
/// sockets and states of libvirtd and dbus; and the files in memory that commands lock, which say
/// no more than which process did.
const NOISE: [&str; 5] = [
    "/var/log",
    "/run/libvirt",
    "/run/dbus",
    "/var/cache/libvirt",
    "/run/libvirt-sandbox/.locks",
];

impl Snapshot {
    /// The state now. Of a file that is its whole inode with the time of its last change, which
    /// no program can set: an unchanged file was not even touched.
    ///
    /// # Panics
    /// Where the state can't be read.
    #[must_use]
    pub fn exact(lab: &Lab) -> Self {
        Self::take(lab, &TREES, true)
    }

    /// The state now, without the times of directories and without inode numbers: what was made
    /// and taken away again leaves no difference.
    ///
    /// # Panics
    /// Where the state can't be read.
    #[must_use]
    pub fn settled(lab: &Lab) -> Self {
        Self::take(lab, &TREES, false)
    }

    /// As [`Snapshot::settled`] without `/usr`, which holds most of the files: for a test that
    /// compares hundreds of times, and all of it once.
    ///
    /// # Panics
    /// Where the state can't be read.
    #[must_use]
    pub fn settled_outside_usr(lab: &Lab) -> Self {
        Self::take(lab, &["/etc", "/var", "/run"], false)
    }

    fn take(lab: &Lab, trees: &[&str], exact: bool) -> Self {
        let mut found = BTreeMap::new();
        for tree in trees {
            files(Path::new(tree), exact, &mut found);
        }
        directories(Path::new("/sys/fs/cgroup"), &mut found);
        for link in std::fs::read_dir("/sys/class/net").unwrap() {
            let name = link.unwrap().file_name();
            found.insert(format!("link {}", name.display()), String::new());
        }
        // of this thread: it may have mounts of its own
        let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        for line in mounts.lines() {
            found.insert(format!("mount {line}"), String::new());
        }
        let both = "list --all --name; net-list --all --name";
        let names = lab.run("virsh", &["-q", "-c", "lxc:///system", both]).ok();
        for name in names.lines() {
            found.insert(format!("libvirt {name}"), String::new());
        }
        Self(found)
    }

    /// Asserts that nothing differs, and names what does.
    ///
    /// # Panics
    /// Where something differs.
    pub fn assert_same(&self, later: &Self, what: &str) {
        let lines = self.differences(later);
        assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
    }

    /// What differs, a line each.
    #[must_use]
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let gone = self.0.iter().filter(|(k, v)| later.0.get(*k) != Some(v));
        let new = later.0.iter().filter(|(k, v)| self.0.get(*k) != Some(v));
        let mut lines: Vec<String> = gone.map(|(k, v)| format!("- {k} {v}")).collect();
        lines.extend(new.map(|(k, v)| format!("+ {k} {v}")));
        lines
    }
}

fn files(top: &Path, exact: bool, found: &mut BTreeMap<String, String>) {
    let mut todo = vec![top.to_owned()];
    while let Some(path) = todo.pop() {
        if NOISE.iter().any(|n| path == Path::new(n)) {
            continue;
        }
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        found.insert(
            format!("file {}", path.display()),
            state(&path, &meta, exact),
        );
        if meta.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|e| e.path()));
        }
    }
}

fn state(path: &Path, meta: &std::fs::Metadata, exact: bool) -> String {
    let (mode, uid, gid) = (meta.mode(), meta.uid(), meta.gid());
    let target = std::fs::read_link(path).unwrap_or_default();
    let mut state = format!("{mode:o} {uid}:{gid} {}", target.display());
    if exact {
        let (ino, ctime, nsec) = (meta.ino(), meta.ctime(), meta.ctime_nsec());
        state.push_str(&format!(" {ino} {ctime}.{nsec}"));
    }
    if meta.is_file() {
        let (size, mtime, nsec) = (meta.size(), meta.mtime(), meta.mtime_nsec());
        state.push_str(&format!(" {size} {mtime}.{nsec}"));
    }
    state
}

fn directories(top: &Path, found: &mut BTreeMap<String, String>) {
    let mut todo: Vec<PathBuf> = vec![top.to_owned()];
    while let Some(path) = todo.pop() {
        let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
        let inner = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        todo.extend(inner.map(|e| e.path()));
        found.insert(format!("cgroup {}", path.display()), String::new());
    }
}
