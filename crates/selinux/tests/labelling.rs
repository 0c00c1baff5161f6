//! Real trees labelled on a real file system. SELinux need not be on: root may set labels anyway.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and is skipped loudly"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{CWD, RenameFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use vss_model::SecurityContext;
use vss_selinux::{Error, HostLabeller, Labeller, LinkCensus, Mode, NodeLinks};
use vss_tree::{Node, Root};

fn is_root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    eprintln!("SKIPPED: {test} needs root");
    assert!(std::env::var_os("CI").is_none(), "{test} needs root");
    false
}

fn label() -> SecurityContext {
    "system_u:object_r:container_file_t:s0:c117,c720"
        .parse()
        .unwrap()
}

#[derive(Debug)]
#[expect(dead_code, reason = "shown where a test fails")]
enum Failure {
    Tree(vss_tree::Error),
    Label(Error),
}

impl From<vss_tree::Error> for Failure {
    fn from(error: vss_tree::Error) -> Self {
        Self::Tree(error)
    }
}

fn links(node: &Node<'_>) -> NodeLinks {
    NodeLinks {
        dev: node.metadata.dev,
        ino: node.metadata.ino,
        nlink: node.metadata.nlink,
        is_directory: node.metadata.is_directory(),
    }
}

/// Labels a tree in two passes; gives back how many labels were set and what was refused.
fn label_tree(root: &Root) -> Result<(usize, Vec<String>), Failure> {
    let mut census = LinkCensus::default();
    root.walk::<Failure>("/".as_ref(), &mut |node| {
        census.count(&links(node));
        Ok(())
    })?;
    let (mut set, mut refused) = (0, vec![]);
    root.walk::<Failure>("/".as_ref(), &mut |node| {
        if !census.may_label(&links(node)) {
            refused.push(node.path.to_string());
            return Ok(());
        }
        let done = HostLabeller
            .ensure(node.fd, &label())
            .map_err(Failure::Label)?;
        set += usize::from(done);
        Ok(())
    })?;
    Ok((set, refused))
}

/// The label as it is on disk, read without this crate; of a link, the link's.
fn on_disk(path: &Path) -> Option<String> {
    let mut value = [0; 256];
    let length = rustix::fs::lgetxattr(path, "security.selinux", &mut value[..]).ok()?;
    let text = String::from_utf8_lossy(&value[..length]).into_owned();
    Some(text.trim_end_matches('\0').to_owned())
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("vss-label")
            .tempdir()
            .unwrap();
        for name in ["tree/etc/app", "host"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let place = Self { dir };
        place.write("tree/etc/app/conf");
        place.write("tree/etc/passwd");
        place.write("host/passwd");
        place
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn write(&self, below: &str) -> PathBuf {
        let path = self.path(below);
        fs::write(&path, below).unwrap();
        path
    }

    fn root(&self) -> Root {
        Root::open(&self.path("tree")).unwrap()
    }
}

#[test]
fn a_tree_is_labelled_wholly_and_once() {
    if !is_root("a_tree_is_labelled_wholly_and_once") {
        return;
    }
    let place = Place::new();
    let fifo = rustix::fs::Mode::RUSR;
    rustix::fs::mkfifoat(CWD, place.path("tree/etc/pipe"), fifo).unwrap();
    let before = on_disk(&place.path("host/passwd"));
    assert_eq!(label_tree(&place.root()).unwrap(), (6, vec![]));
    let wanted = Some(label().to_string());
    for path in [
        "",
        "etc",
        "etc/app",
        "etc/app/conf",
        "etc/passwd",
        "etc/pipe",
    ] {
        assert_eq!(on_disk(&place.path("tree").join(path)), wanted, "{path}");
    }
    assert_eq!(on_disk(&place.path("host/passwd")), before);
    assert_eq!(
        label_tree(&place.root()).unwrap(),
        (0, vec![]),
        "done twice"
    );
}

#[test]
fn a04_a_link_is_labelled_and_not_what_it_leads_to() {
    if !is_root("a04_a_link_is_labelled_and_not_what_it_leads_to") {
        return;
    }
    let place = Place::new();
    let before = on_disk(&place.path("host/passwd"));
    symlink(place.path("host/passwd"), place.path("tree/file-link")).unwrap();
    symlink(place.path("host"), place.path("tree/dir-link")).unwrap();
    label_tree(&place.root()).unwrap();
    for link in ["tree/file-link", "tree/dir-link"] {
        assert_eq!(on_disk(&place.path(link)), Some(label().to_string()));
    }
    assert_eq!(on_disk(&place.path("host/passwd")), before);
    assert_eq!(on_disk(&place.path("host")), before);
}

#[test]
fn a04_a_file_with_a_name_outside_is_refused() {
    if !is_root("a04_a_file_with_a_name_outside_is_refused") {
        return;
    }
    let place = Place::new();
    let before = on_disk(&place.path("host/passwd"));
    fs::hard_link(place.path("host/passwd"), place.path("tree/etc/stolen")).unwrap();
    fs::hard_link(
        place.path("tree/etc/passwd"),
        place.path("tree/etc/passwd-"),
    )
    .unwrap();
    let (_, refused) = label_tree(&place.root()).unwrap();
    assert_eq!(refused, ["/etc/stolen"]);
    assert_eq!(on_disk(&place.path("host/passwd")), before);
    let wanted = Some(label().to_string());
    assert_eq!(on_disk(&place.path("tree/etc/passwd-")), wanted);
    // the pair: without the name outside it is labelled
    fs::remove_file(place.path("host/passwd")).unwrap();
    assert_eq!(label_tree(&place.root()).unwrap(), (1, vec![]));
    assert_eq!(on_disk(&place.path("tree/etc/stolen")), wanted);
}

#[test]
fn a04_directories_that_are_swapped_meanwhile_lead_nowhere() {
    if !is_root("a04_directories_that_are_swapped_meanwhile_lead_nowhere") {
        return;
    }
    let place = Place::new();
    for n in 0..20 {
        place.write(&format!("tree/etc/app/{n}"));
        place.write(&format!("host/{n}"));
    }
    let (a, b) = (place.path("tree/etc/app"), place.path("tree/etc/bait"));
    symlink(place.path("host"), &b).unwrap();
    let before = on_disk(&place.path("host/0"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let labelled = (0..200).try_for_each(|_| label_tree(&place.root()).map(drop));
        over.store(true, Ordering::Relaxed);
        labelled.unwrap();
    });
    assert_eq!(on_disk(&place.path("host")), before);
    for n in 0..20 {
        assert_eq!(on_disk(&place.path(&format!("host/{n}"))), before);
    }
    assert!(a.exists() && b.exists());
}

/// Runs a test where it may mount what it likes.
fn with_private_mounts(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
            mount_change("/", private).unwrap();
            test();
        });
        thread.join().unwrap();
    });
}

#[test]
fn a31_what_is_mounted_inside_is_not_labelled() {
    if !is_root("a31_what_is_mounted_inside_is_not_labelled") {
        return;
    }
    with_private_mounts(|| {
        let place = Place::new();
        let before = on_disk(&place.path("host/passwd"));
        mount_bind(place.path("host"), place.path("tree/etc/app")).unwrap();
        mount_bind(place.path("host/passwd"), place.path("tree/etc/passwd")).unwrap();
        assert_eq!(label_tree(&place.root()).unwrap(), (2, vec![]));
        assert_eq!(on_disk(&place.path("host")), before);
        assert_eq!(on_disk(&place.path("host/passwd")), before);
    });
}

#[test]
fn a05_a_label_never_goes_to_a_false_proc() {
    if !is_root("a05_a_label_never_goes_to_a_false_proc") {
        return;
    }
    with_private_mounts(|| {
        let place = Place::new();
        let file = fs::File::open(place.path("tree/etc/passwd")).unwrap();
        // the pair: with the true one it is set
        HostLabeller.set(file.as_fd(), &label()).unwrap();
        mount("tmpfs", "/proc", "tmpfs", MountFlags::empty(), c"").unwrap();
        fs::create_dir_all("/proc/self/fd").unwrap();
        let fake = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        fs::write(&fake, "").unwrap();
        let before = on_disk(&fake);
        let set = HostLabeller.set(file.as_fd(), &label());
        assert!(matches!(set, Err(Error::Proc { .. })), "{set:?}");
        let get = HostLabeller.get(file.as_fd());
        assert!(matches!(get, Err(Error::Proc { .. })), "{get:?}");
        assert_eq!(on_disk(&fake), before);
    });
}

#[test]
fn a_label_that_is_no_context_is_told_and_replaced() {
    if !is_root("a_label_that_is_no_context_is_told_and_replaced") {
        return;
    }
    let place = Place::new();
    let path = place.path("tree/etc/passwd");
    let file = fs::File::open(&path).unwrap();
    assert_eq!(HostLabeller.get(file.as_fd()).unwrap(), None);
    if HostLabeller.mode().is_enabled() {
        return;
    }
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::fsetxattr(&file, "security.selinux", b"no\x1bnsense", flags).unwrap();
    let get = HostLabeller.get(file.as_fd());
    assert!(matches!(get, Err(Error::Malformed { .. })), "{get:?}");
    assert!(HostLabeller.ensure(file.as_fd(), &label()).unwrap());
    assert_eq!(HostLabeller.get(file.as_fd()).unwrap(), Some(label()));
}

#[test]
fn a29_without_selinux_nothing_is_claimed() {
    if HostLabeller.mode() != Mode::Disabled {
        eprintln!("SKIPPED: a29_without_selinux_nothing_is_claimed: SELinux is on");
        return;
    }
    assert!(!HostLabeller.mode().is_enforcing());
    assert_eq!(HostLabeller.live().unwrap(), []);
    assert_eq!(HostLabeller.of_process(1).unwrap(), None);
    HostLabeller.check(&label()).unwrap();
    let types = HostLabeller.types().unwrap();
    assert_eq!(types.file_at(label().level()).level(), label().level());
}
