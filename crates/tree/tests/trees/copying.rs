//! What a copy keeps, leaves out and reports.

use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use vss_tree::{CopyOptions, Error, Kind, Progress, SkipReason};

use crate::support::*;

/// A file capability of the second revision: cap_net_bind_service, effective and permitted.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// `user::rw-,user:4321:r--,group::r--,mask::r--,other::---`, as the kernel keeps it.
const ACL: [u8; 44] = [
    2, 0, 0, 0, // version
    1, 0, 6, 0, 255, 255, 255, 255, // owner
    2, 0, 4, 0, 0xe1, 0x10, 0, 0, // user 4321
    4, 0, 4, 0, 255, 255, 255, 255, // group
    16, 0, 4, 0, 255, 255, 255, 255, // mask
    32, 0, 0, 0, 255, 255, 255, 255, // others
];

fn date(path: &std::path::Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

/// One of everything that a copy keeps.
fn furnish(trees: &Trees) {
    let file = trees.write("source/dir/plain", "plain\n");
    date(&file, 1_000_000_000);
    let setuid = trees.write("source/dir/setuid", "#!/bin/false\n");
    chown(&setuid, Some(1234), Some(5678)).unwrap();
    fs::set_permissions(&setuid, Permissions::from_mode(0o6755)).unwrap();
    set_xattr(&setuid, "security.capability", &CAPABILITY);
    let listed = trees.write("source/dir/listed", "acl");
    fs::set_permissions(&listed, Permissions::from_mode(0o640)).unwrap();
    set_xattr(&listed, "system.posix_acl_access", &ACL);
    set_xattr(&listed, "user.note", b"\0bytes\xff");
    set_xattr(&trees.path("source/dir"), "system.posix_acl_default", &ACL);
    trees.write("source/dir/empty", "");
    trees.write("source/other/deeper/twin", "twins");
    let twin = trees.path("source/other/deeper/twin");
    fs::hard_link(&twin, trees.path("source/dir/twin")).unwrap();
    fs::hard_link(&twin, trees.path("source/a-twin")).unwrap();
    trees.link("source/dangling", "/no/such/place");
    trees.link("source/dir/up", "../../../../../../etc/shadow");
    lchown(trees.path("source/dangling"), Some(77), Some(88)).unwrap();
    set_xattr(&trees.path("source/dangling"), "trusted.on-a-link", b"kept");
    let odd = std::ffi::OsString::from_vec(b"\xff\xfe new\nline".to_vec());
    fs::write(trees.path("source").join(odd), "odd name").unwrap();
    trees.write(&format!("source/{}", "n".repeat(255)), "long name");
    let closed = trees.path("source/closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("inside"), "x").unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(trees.path("source/sticky")).unwrap();
    fs::set_permissions(trees.path("source/sticky"), Permissions::from_mode(0o3777)).unwrap();
    for dir in ["dir", "other/deeper", "other", "closed", "sticky", ""] {
        date(&trees.path("source").join(dir), 1_234_567_890);
    }
}

#[test]
fn a_copy_has_all_that_the_source_has() {
    if !is_root("a_copy_has_all_that_the_source_has") {
        return;
    }
    for threads in [1, 4] {
        let trees = Trees::new();
        furnish(&trees);
        let before = portrait(&trees.path("source"));
        let report = trees.copy_all(threads).unwrap();
        assert_eq!(portrait(&trees.path("target")), before, "{threads} threads");
        assert_eq!(
            portrait(&trees.path("source")),
            before,
            "the source changed"
        );
        assert_eq!(report.skipped, []);
        assert_eq!(report.files.len(), 12);
        let twin = |path: &str| {
            let found = report.files.iter().find(|file| file.path == abs(path));
            found.unwrap().digest.clone().unwrap()
        };
        // printf twins | sha256sum
        let digest = "97590a84e25762db1d92ddc33fe73adb67b94f610f39082219e0b95c799af5e0";
        for name in ["/a-twin", "/dir/twin", "/other/deeper/twin"] {
            assert_eq!(twin(name), digest);
        }
    }
}

#[test]
fn digests_are_sha256_of_content_and_of_link_targets() {
    let trees = Trees::new();
    trees.write("source/abc", "abc");
    trees.write("source/empty", "");
    trees.link("source/link", "abc");
    let report = trees.copy_all(1).unwrap();
    let digests: Vec<_> = report.files.iter().map(|f| f.digest.as_deref()).collect();
    let abc = Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let empty = Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(digests, [abc, empty, abc]);
}

#[test]
fn labels_and_marks_stay_behind() {
    if !is_root("labels_and_marks_stay_behind") {
        return;
    }
    let trees = Trees::new();
    let file = trees.write("source/file", "x");
    set_xattr(&file, "security.selinux", b"system_u:object_r:etc_t:s0\0");
    trees
        .root("source")
        .set_mark(vss_model::Uuid::from_u128(7))
        .unwrap();
    trees.copy_all(1).unwrap();
    assert_eq!(xattrs(&trees.path("target/file")), Default::default());
    assert_eq!(trees.root("target").mark().unwrap(), None);
    assert_eq!(
        trees.root("source").mark().unwrap(),
        Some(vss_model::Uuid::from_u128(7))
    );
}

#[test]
fn a14_pipes_sockets_and_devices_are_reported_and_not_waited_for() {
    let trees = Trees::new();
    mkfifo(&trees.path("source/pipe"));
    let _listening = UnixListener::bind(trees.path("source/socket")).unwrap();
    trees.write("source/file", "x");
    let mut expected = vec![
        (abs("/pipe"), SkipReason::Special(Kind::Fifo)),
        (abs("/socket"), SkipReason::Special(Kind::Socket)),
    ];
    if is_root("the device of a14") {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            trees.path("source/null"),
            rustix::fs::FileType::CharacterDevice,
            rustix::fs::Mode::RUSR,
            rustix::fs::makedev(1, 3),
        )
        .unwrap();
        expected.insert(0, (abs("/null"), SkipReason::Special(Kind::CharDevice)));
    }
    let report = trees.copy_all(2).unwrap();
    assert_eq!(report.skipped, expected);
    assert_eq!(fs::read_dir(trees.path("target")).unwrap().count(), 1);
    let single = [node("/pipe"), node("/none")];
    let (source, target) = (trees.root("source"), trees.root("target"));
    let report = copy(&source, &target, &single, &[], 1).unwrap();
    assert_eq!(report.skipped[0], (abs("/none"), SkipReason::Missing));
    assert_eq!(report.skipped[1], expected[expected.len() - 2]);
}

#[test]
fn a14_a_huge_sparse_file_stays_sparse() {
    let trees = Trees::new();
    let mut file = File::create(trees.path("source/huge")).unwrap();
    for at in [1 << 20, 1 << 38] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[7; 5000]).unwrap();
    }
    file.set_len(1 << 40).unwrap();
    File::create(trees.path("source/hollow"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    // its digest alone would take an hour
    let (source, target) = (trees.root("source"), trees.root("target"));
    let options = CopyOptions {
        except: &Default::default(),
        digests: &|_| false,
        progress: &(),
        cancelled: &AtomicBool::new(false),
        threads: 1,
    };
    let report = vss_tree::copy(&source, &target, &[tree("/")], &options).unwrap();
    assert_eq!(report.bytes, 2 << 40);
    for name in ["huge", "hollow"] {
        let copy = fs::metadata(trees.path("target").join(name)).unwrap();
        assert_eq!(copy.len(), 1 << 40);
        assert!(copy.blocks() * 512 < 1 << 20, "{} blocks", copy.blocks());
    }
    use std::os::unix::fs::FileExt;
    let copy = File::open(trees.path("target/huge")).unwrap();
    let mut data = [0; 5002];
    copy.read_exact_at(&mut data, (1 << 38) - 1).unwrap();
    assert_eq!((data[0], data[1], data[5000], data[5001]), (0, 7, 7, 0));
}

#[test]
fn holes_count_in_a_digest() {
    let trees = Trees::new();
    let mut file = File::create(trees.path("source/sparse")).unwrap();
    file.seek(SeekFrom::Start(3 << 20)).unwrap();
    file.write_all(b"data").unwrap();
    file.set_len(5 << 20).unwrap();
    trees.write(
        "source/full",
        fs::read(trees.path("source/sparse")).unwrap(),
    );
    let report = trees.copy_all(1).unwrap();
    assert_eq!(report.files[0].digest, report.files[1].digest);
    let read = |name| fs::read(trees.path(name)).unwrap();
    assert_eq!(read("target/sparse"), read("source/full"));
}

#[test]
fn a_long_file_is_copied_whole() {
    let trees = Trees::new();
    let bytes: Vec<u8> = (0..3_000_001_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    trees.write("source/long", &bytes);
    let (source, target) = (trees.root("source"), trees.root("target"));
    let options = CopyOptions {
        except: &Default::default(),
        digests: &|_| false,
        progress: &(),
        cancelled: &AtomicBool::new(false),
        threads: 1,
    };
    vss_tree::copy(&source, &target, &[tree("/")], &options).unwrap();
    assert!(fs::read(trees.path("target/long")).unwrap() == bytes);
}

#[test]
fn a14_a_file_of_very_many_names_keeps_them() {
    let trees = Trees::new();
    let first = trees.write("source/0", "one");
    for n in 1..5000 {
        fs::hard_link(&first, trees.path(&format!("source/{n}"))).unwrap();
    }
    trees.copy_all(2).unwrap();
    assert_eq!(fs::metadata(trees.path("target/77")).unwrap().nlink(), 5000);
}

#[test]
fn items_bring_what_they_name_and_no_more() {
    let trees = Trees::new();
    for file in [
        "etc/a/x",
        "etc/a/b/y",
        "etc/a/b/c/z",
        "etc/q",
        "var/lib/d/f",
        "var/n",
    ] {
        trees.write(&format!("source/{file}"), file);
    }
    fs::set_permissions(trees.path("source/var/lib"), Permissions::from_mode(0o711)).unwrap();
    date(&trees.path("source/var"), 1_111_111_111);
    let items = [
        tree("/etc/a"),
        node("/etc/a/b/c/z"),
        node("/var/lib/d"),
        node("/gone"),
    ];
    let (source, target) = (trees.root("source"), trees.root("target"));
    let report = copy(&source, &target, &items, &["/etc/a/b"], 2).unwrap();
    let placed: Vec<_> = report.files.iter().map(|f| f.path.to_string()).collect();
    assert_eq!(placed, ["/etc/a/b/c/z", "/etc/a/x"]);
    assert_eq!(report.skipped, [(abs("/gone"), SkipReason::Missing)]);
    assert_eq!(
        fs::read_dir(trees.path("target/var/lib/d"))
            .unwrap()
            .count(),
        0
    );
    let lib = fs::metadata(trees.path("target/var/lib")).unwrap();
    assert_eq!(lib.mode() & 0o7777, 0o711);
    assert_eq!(
        fs::metadata(trees.path("target/var")).unwrap().mtime(),
        1_111_111_111
    );
    assert!(!trees.path("target/etc/q").exists());
}

#[test]
fn a33_a_link_on_the_way_is_copied_as_the_link() {
    let trees = Trees::new();
    trees.write("source/run/app/socket.conf", "x");
    fs::create_dir(trees.path("source/var")).unwrap();
    trees.link("source/var/run", "/run");
    let (source, target) = (trees.root("source"), trees.root("target"));
    copy(&source, &target, &[tree("/var/run/app")], &[], 1).unwrap();
    let link = fs::read_link(trees.path("target/var/run")).unwrap();
    assert_eq!(link.to_str(), Some("/run"));
    assert!(trees.path("target/run/app/socket.conf").exists());
}

#[test]
fn nothing_is_overwritten() {
    let trees = Trees::new();
    trees.write("source/dir/file", "new");
    trees.write("target/dir/file", "old");
    let error = trees.copy_all(1).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert!(error.to_string().contains("target/dir/file"), "{error}");
    assert_eq!(fs::read(trees.path("target/dir/file")).unwrap(), b"old");
}

#[test]
fn the_target_is_not_copied_into_itself() {
    let trees = Trees::new();
    trees.write("source/file", "x");
    fs::create_dir(trees.path("source/into")).unwrap();
    let (source, target) = (trees.root("source"), trees.root("source/into"));
    let report = copy(&source, &target, &[tree("/")], &[], 2).unwrap();
    assert_eq!(report.skipped, [(abs("/into"), SkipReason::Target)]);
    assert_eq!(fs::read_dir(trees.path("source/into")).unwrap().count(), 1);
}

#[derive(Default)]
struct Count {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Progress for Count {
    fn advanced(&self, files: u64, bytes: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[test]
fn progress_adds_up_to_the_summary() {
    let trees = Trees::new();
    for n in 0..40 {
        trees.write(&format!("source/{}/{n}", n % 7), vec![1; n * 40_000]);
    }
    File::create(trees.path("source/hole"))
        .unwrap()
        .set_len(123_456)
        .unwrap();
    let (source, target) = (trees.root("source"), trees.root("target"));
    let summary = source.summary("/".as_ref(), &|_| false).unwrap();
    let count = Count::default();
    let options = CopyOptions {
        except: &Default::default(),
        digests: &|path| path.depth() == 1,
        progress: &count,
        cancelled: &AtomicBool::new(false),
        threads: 3,
    };
    let report = vss_tree::copy(&source, &target, &[tree("/")], &options).unwrap();
    assert_eq!(report.bytes, summary.bytes);
    assert_eq!(count.bytes.into_inner(), summary.bytes);
    assert_eq!(count.files.into_inner(), summary.files);
    assert_eq!(
        report.files.iter().filter(|f| f.digest.is_some()).count(),
        1
    );
}

/// Calls the copy off as soon as it is told of anything.
struct CallOff<'a>(&'a AtomicBool);

impl Progress for CallOff<'_> {
    fn advanced(&self, _files: u64, _bytes: u64) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a56_a_copy_can_be_called_off() {
    let trees = Trees::new();
    for n in 0..200 {
        trees.write(&format!("source/{n}/file"), "x");
    }
    let (source, target) = (trees.root("source"), trees.root("target"));
    let cancelled = AtomicBool::new(false);
    let options = CopyOptions {
        except: &Default::default(),
        digests: &|_| false,
        progress: &CallOff(&cancelled),
        cancelled: &cancelled,
        threads: 1,
    };
    let error = vss_tree::copy(&source, &target, &[tree("/")], &options).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    let found = target.summary("/".as_ref(), &|_| false).unwrap();
    assert_eq!(found.files, 1);
}
