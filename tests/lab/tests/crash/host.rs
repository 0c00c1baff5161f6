//! A host of a few files, which a thread and what it runs have for themselves.
//!
//! `/etc`, `/var`, `/run` and the directories of units are small file systems in memory, in a mount
//! namespace of the thread's own; `/usr` and libvirt are the world's. Its only package is the
//! service's, with a file of each kind that is copied: a small one and a large one, one with a
//! hole, two names of one file, a link, a directory, an attribute.

use rustix::thread::UnshareFlags;
use vss_lab::Lab;

const SMALL: &str = r#"
umask 022
for top in etc var run units; do
    mkdir -p "$1/$top"
    mount -t tmpfs -o mode=755,size=1g,nr_inodes=100000 crash "$1/$top"
done
cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/os-release /etc/machine-id /etc/hosts "$1/etc"
mkdir -p "$1/etc/systemd/system" "$1/var/lib/dpkg/info" "$1/var/lib/libvirt"
mkdir -p "$1/run/libvirt" "$1/run/libvirt-sandbox" "$1/run/mount"
ln -s /run "$1/var/run"
mount --rbind /run/libvirt "$1/run/libvirt"
for there in system system-generators; do
    mkdir "$1/units/$there"
    mount --bind "$1/units/$there" "/usr/lib/systemd/$there"
done
for there in tmpfiles.d sysusers.d; do
    mkdir "$1/units/$there"
    mount --bind "$1/units/$there" "/usr/lib/$there"
done
for top in etc var run; do
    mount --rbind "$1/$top" "/$top"
done

cat >/usr/lib/systemd/system/lab-crash.service <<'TEXT'
[Service]
ExecStart=/bin/sleep infinity
StateDirectory=lab-crash
TEXT
mkdir -p /etc/lab-crash/more /var/lib/lab-crash
echo one >/etc/lab-crash/more/one
ln /etc/lab-crash/more/one /etc/lab-crash/more/two
ln -s more/one /etc/lab-crash/link
setfattr -n trusted.lab -v value /etc/lab-crash/more/one
head -c 300000 /dev/zero | tr '\0' x >/var/lib/lab-crash/large
truncate -s 1M /var/lib/lab-crash/hole
echo end >>/var/lib/lab-crash/hole
cat >/var/lib/dpkg/status <<'TEXT'
Package: lab-crash
Status: install ok installed
Architecture: all
Version: 1
Maintainer: lab <lab@localhost>
Description: made for a test

TEXT
for path in /. /usr /usr/lib /usr/lib/systemd /usr/lib/systemd/system \
    /usr/lib/systemd/system/lab-crash.service /etc /etc/lab-crash /etc/lab-crash/more \
    /etc/lab-crash/more/one /var /var/lib /var/lib/lab-crash; do
    echo "$path"
done >/var/lib/dpkg/info/lab-crash.list
"#;

/// Gives the calling thread a small host, until it ends.
#[expect(unsafe_code, reason = "rustix calls unshare(2) unsafe")]
pub(crate) fn enter(lab: &Lab, number: usize) {
    // SAFETY: only unsharing the descriptors is unsafe, and these stay shared
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.expect("a mount namespace");
    let world = std::env::var("VSS_WORLD").expect("a world");
    let place = format!("{world}/crash.{number}");
    lab.run("sh", &["-ec", SMALL, "small", &place]).ok();
}

/// Leaves `/etc` and `/var` no more room than they take and so many pages or inodes; with `None`
/// as much as they had at first.
pub(crate) fn leave_room(lab: &Lab, what: Room, spare: Option<u64>) {
    for top in ["/etc", "/var"] {
        let there = rustix::fs::statvfs(top).expect("a file system");
        let limit = match (what, spare) {
            (Room::Pages, None) => "size=1g".to_owned(),
            (Room::Inodes, None) => "nr_inodes=100000".to_owned(),
            (Room::Pages, Some(spare)) => {
                let pages = there.f_blocks - there.f_bfree + spare;
                format!("size={}", pages * there.f_frsize)
            }
            (Room::Inodes, Some(spare)) => {
                format!("nr_inodes={}", there.f_files - there.f_ffree + spare)
            }
        };
        let options = format!("remount,{limit}");
        lab.run("mount", &["-o", &options, top]).ok();
    }
}

/// What a file system can run out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Bytes, which it gives out by the page.
    Pages,
    /// Files and directories.
    Inodes,
}
