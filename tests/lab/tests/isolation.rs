//! What root inside can't see or do, tried by processes that have the capabilities of the
//! container's first process and no more. Each refusal has its counterpart: the same attempt goes
//! through where that one protection is off. There are three ways to have it off:
//!
//! - `--confinement none`, by which root inside may undo what the init did;
//! - [`joined`] with the one namespace left out that is under test;
//! - an option that asks for what is refused otherwise.
//!
//! Attempts that would change the host itself belong in a virtual machine, not here. The devices
//! that are made are `null`, `zero` and the kernel's log, and nothing is written to any.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use vss_lab::{Lab, Ran, Sandbox};

const CONTENT: &str = "/var/lib/libvirt/filesystems";
/// The passwords that the host's users get.
const HASH: &str = "$6$labsalt$labhash";
/// What is only the host's, or another container's.
const SECRETS: [&str; 4] = [
    "/etc/lab-secret",
    "/var/lib/lab-secret",
    "/home/lab-secret",
    "/root/lab-secret",
];

/// A container under each confinement that the lab has, with the host's data. They are there for
/// all tests, and end with the world.
struct Pair {
    lab: &'static Lab,
    reduced: Sandbox<'static>,
    none: Sandbox<'static>,
}

static PAIR: LazyLock<Pair> = LazyLock::new(|| {
    let lab: &'static Lab = Box::leak(Box::new(Lab::enter()));
    for user in ["root", "www-data"] {
        lab.run("usermod", &["-p", HASH, user]).ok();
    }
    // These two are the machine's own, not the world's.
    for top in ["/home", "/root"] {
        lab.run("mount", &["-t", "tmpfs", "lab", top]).ok();
    }
    for secret in SECRETS {
        fs::write(secret, "x").expect("a file of the host");
    }
    let apache = ["-C", "-u", "apache2.service"];
    let reduced = lab.create("iso-r", &apache);
    let none = lab.create("iso-n", &[&apache[..], &["--confinement", "none"]].concat());
    reduced.start();
    none.start();
    Pair { lab, reduced, none }
});

/// Refused under `reduced`, and not under `none`.
fn refused_by_confinement(attempt: &[&str]) {
    let refused = PAIR.reduced.execute(attempt);
    assert_ne!(refused.code(), Some(0), "reduced allows {attempt:?}");
    let allowed = PAIR.none.execute(attempt);
    assert_eq!(
        allowed.code(),
        Some(0),
        "none: {attempt:?}: {}",
        allowed.stderr()
    );
}

fn perl(program: &str) -> [&str; 3] {
    ["perl", "-e", program]
}

fn joining(sandbox: &Sandbox<'_>, left_out: &str) -> Vec<String> {
    let kinds = ["mount", "net", "pid", "ipc", "uts", "cgroup"];
    let joined = kinds.into_iter().filter(|kind| *kind != left_out);
    let target = format!("--target={}", sandbox.first_process());
    let mut args = vec![target];
    args.extend(joined.map(|kind| format!("--{kind}")));
    args.push("--".to_owned());
    args
}

/// Runs a command in the namespaces of a container, but not in the one that is left out, with all
/// that the host's root has otherwise: every capability, no filter, the host's cgroups.
fn joined(sandbox: &Sandbox<'_>, left_out: &str, command: &[&str]) -> Ran {
    let mut args = joining(sandbox, left_out);
    args.extend(command.iter().map(|&arg| arg.to_owned()));
    PAIR.lab.run("nsenter", &args)
}

/// Not seen by root inside, nor by the host's root in the container's namespaces, but as soon as
/// he leaves that one out.
fn hidden_by(namespace: &str, sandbox: &Sandbox<'_>, look: &[&str], wanted: &str) {
    let seen = sandbox.execute(look).ok();
    assert!(!seen.contains(wanted), "inside: {wanted} is in {seen}");
    let seen = joined(sandbox, "", look).ok();
    assert!(!seen.contains(wanted), "{look:?}: {wanted} is in {seen}");
    let seen = joined(sandbox, namespace, look).ok();
    assert!(seen.contains(wanted), "{look:?}: no {wanted} in {seen}");
}

#[test]
fn what_reaches_the_host_is_refused_and_only_by_the_confinement() {
    refused_by_confinement(&["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    refused_by_confinement(&["umount", "/mnt"]);
    refused_by_confinement(&["dmesg"]);
    // name_to_handle_at(AT_FDCWD, "/etc", ...) and open_by_handle_at() of what it gave
    let handle = perl(
        "my $h = pack('Ii', 128, 0) . chr(0) x 128; my $m = pack('i', 0); my $p = \"/etc/hostname\\0\"; \
         syscall(303, -100, $p, $h, $m, 0) == 0 or die \"handle: $!\"; \
         open(my $d, '<', '/etc') or die; \
         my $fd = syscall(304, fileno($d), $h, 0); exit($fd < 0 ? 1 : 0)",
    );
    refused_by_confinement(&handle);
}

#[test]
fn a_raw_device_can_be_neither_made_nor_opened() {
    let Pair { lab, none, .. } = &*PAIR;
    // Made: the capability is gone.
    for (sandbox, device) in [(&PAIR.reduced, "/dev/lab-null"), (none, "/dev/lab-null")] {
        let make = ["mknod", device, "c", "1", "3"];
        assert_ne!(sandbox.execute(&make).code(), Some(0), "{device} was made");
        joined(sandbox, "", &make).ok();
    }
    // Opened: the cgroup of devices holds whoever is in it, whatever else they have.
    let kmsg = "/dev/lab-kmsg";
    joined(none, "", &["mknod", kmsg, "c", "1", "11"]).ok();
    let open = ["head", "-c0", kmsg];
    assert_ne!(none.execute(&open).code(), Some(0), "{kmsg} was opened");
    let pid = none.first_process();
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its cgroups");
    let own = cgroups.lines().find_map(|l| l.split_once(":devices:"));
    let (top, path) = match own {
        Some((_, path)) => ("/sys/fs/cgroup/devices", path),
        None => (
            "/sys/fs/cgroup",
            cgroups.trim_end().trim_start_matches("0::"),
        ),
    };
    let enter = "echo $$ >\"$0\" && exec nsenter \"$@\"";
    let place = format!("{top}{path}/cgroup.procs");
    let mut args = vec!["-c".to_owned(), enter.to_owned(), place];
    args.extend(joining(none, ""));
    args.extend(open.iter().map(|&arg| arg.to_owned()));
    let refused = lab.run("sh", &args);
    assert!(
        refused.code() == Some(1) && refused.stderr().contains(kmsg),
        "{refused:?}"
    );
    joined(none, "", &open).ok();
}

#[test]
fn the_host_s_keys_are_out_of_reach() {
    let Pair { lab, reduced, .. } = &*PAIR;
    // add_key("user", "lab", "x", 1, KEY_SPEC_USER_KEYRING)
    let add = "my ($t, $d, $p) = (\"user\\0\", \"lab\\0\", 'x'); \
        exit(syscall(248, $t, $d, $p, 1, -4) < 0 ? 1 : 0)";
    // keyctl(KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", "lab", 0)
    let search = "my ($t, $d) = (\"user\\0\", \"lab\\0\"); \
        exit(syscall(250, 10, -4, $t, $d, 0) < 0 ? 1 : 0)";
    lab.run("perl", &["-e", add]).ok();
    for attempt in [add, search] {
        let attempt = perl(attempt);
        assert_ne!(reduced.execute(&attempt).code(), Some(0), "{attempt:?}");
        // The pair: there is no namespace for keys, only the filter.
        joined(reduced, "", &attempt).ok();
    }
    assert_eq!(reduced.execute(&["cat", "/proc/keys"]).ok(), "");
    refused_by_confinement(&["umount", "/proc/keys"]);
    let keys = PAIR.none.execute(&["cat", "/proc/keys"]).ok();
    assert!(keys.contains(": "), "the attempt itself is wrong: {keys}");
}

#[test]
fn no_process_of_the_host_is_seen() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a process of the host to look for"
    )]
    let mut sleeper = std::process::Command::new("sleep")
        .arg("86399")
        .spawn()
        .expect("sleep");
    let processes = PAIR.reduced.execute(&["ps", "-eo", "args"]).ok();
    assert!(processes.contains("apache2"), "{processes}");
    for foreign in ["sleep 86399", "libvirtd", "dbus-daemon --system"] {
        assert!(!processes.contains(foreign), "{foreign} is in {processes}");
    }
    // A /proc of its own shows the processes of the namespace of whoever mounts it.
    let all = "mount -t proc proc /mnt && cat /mnt/[0-9]*/cmdline | tr '\\0' ' '";
    let look = ["unshare", "--mount", "sh", "-c", all];
    hidden_by("pid", &PAIR.none, &look, "sleep 86399");
    sleeper
        .kill()
        .and_then(|()| sleeper.wait())
        .expect("sleep ends");
}

#[test]
fn no_interface_of_the_host_is_seen() {
    let sandbox = &PAIR.reduced;
    let links = sandbox.execute(&["ls", "/sys/class/net"]).ok();
    assert_eq!(links.split_whitespace().collect::<Vec<_>>(), ["eth0", "lo"]);
    hidden_by("net", sandbox, &["ip", "-o", "link"], "virbr-sandbox");
}

#[test]
fn no_ipc_object_of_the_host_is_seen() {
    let made = PAIR.lab.run("ipcmk", &["-M", "4321"]).ok();
    let id = made.split_whitespace().last().expect("its number");
    let look = ["cat", "/proc/sysvipc/shm"];
    hidden_by("ipc", &PAIR.reduced, &look, " 4321 ");
    PAIR.lab.run("ipcrm", &["-m", id]).ok();
}

#[test]
fn no_file_of_the_host_or_of_another_container_is_seen() {
    let sandbox = &PAIR.reduced;
    let neighbour = format!("{CONTENT}/iso-n/etc");
    let mut paths = SECRETS.to_vec();
    paths.extend([neighbour.as_str(), "/run/libvirt", "/etc/libvirt-sandbox"]);
    for path in paths {
        let look = ["sh", "-c", "test ! -e \"$0\" || echo seen", path];
        hidden_by("mount", sandbox, &look, "seen");
    }
    assert_eq!(sandbox.execute(&["ls", "-A", "/home"]).ok(), "");
    let memory = sandbox.execute(&["head", "-c1", "/proc/kcore"]);
    assert_ne!(memory.stdout().len(), 1);
}

#[test]
fn no_password_hash_and_no_host_key_gets_inside_unless_it_is_asked_for() {
    let shadow = PAIR.reduced.execute(&["cat", "/etc/shadow"]).ok();
    assert!(shadow.contains("root:"), "{shadow}");
    for line in shadow.lines() {
        let password = line.split(':').nth(1).unwrap_or_default();
        assert!(matches!(password, "*" | "!" | "!*" | "!!"), "{line}");
    }
    // The pair: the administrator's word for these very paths, and for no other.
    let shadow = "/etc/shadow";
    let key = |kind: &str| format!("/etc/ssh/ssh_host_{kind}_key");
    let wanted = key("ed25519");
    let asked = [
        "-u",
        "ssh.service",
        "--copy",
        shadow,
        "--copy",
        wanted.as_str(),
    ];
    let _asked = PAIR.lab.create("iso-a", &asked);
    let both = |path: &str| {
        let host = fs::read(path).expect("the host has it");
        let inside = fs::read(format!("{CONTENT}/iso-a{path}")).expect("it is inside");
        (host, inside)
    };
    let (host, inside) = both(shadow);
    assert!(String::from_utf8_lossy(&host).contains(HASH));
    assert_eq!(host, inside);
    let (host, inside) = both(&wanted);
    assert_eq!(host, inside);
    for kind in ["rsa", "ecdsa"] {
        let (host, inside) = both(&key(kind));
        assert_ne!(host, inside, "{kind}");
        assert!(String::from_utf8_lossy(&inside).contains("PRIVATE KEY"));
    }
}

#[test]
fn the_root_and_usr_are_read_only() {
    let Pair { reduced, none, .. } = &*PAIR;
    for file in ["/x", "/usr/x", "/home/x", "/srv/x"] {
        for sandbox in [reduced, none] {
            let made = sandbox.execute(&["touch", file]);
            assert_ne!(made.code(), Some(0), "{file} was made");
        }
    }
    for (tree, file) in [("/", "/lab-x"), ("/usr", "/usr/lab-x")] {
        refused_by_confinement(&["mount", "-o", "remount,bind,rw", tree]);
        refused_by_confinement(&["touch", file]);
        none.execute(&["rm", file]).ok();
        none.execute(&["mount", "-o", "remount,bind,ro", tree]).ok();
    }
}

#[test]
fn a15_trees_that_root_inside_writes_are_nosuid_and_nodev() {
    let Pair { lab, none, .. } = &*PAIR;
    let mounts = PAIR.reduced.execute(&["cat", "/proc/self/mountinfo"]).ok();
    let options = |target: &str| {
        let line = mounts.lines().find(|l| l.split(' ').nth(4) == Some(target));
        let options = line.and_then(|l| l.split(' ').nth(5)).unwrap_or_default();
        options.split(',').collect::<BTreeSet<_>>()
    };
    for target in ["/etc", "/var", "/root", "/run", "/tmp", "/dev/shm"] {
        let has = options(target);
        assert!(
            has.is_superset(&["rw", "nosuid", "nodev"].into()),
            "{target}: {has:?}"
        );
    }
    for target in ["/", "/usr"] {
        let has = options(target);
        assert!(has.contains("ro"), "{target}: {has:?}");
    }

    // A program that is root's and setuid makes nobody root, a device is none. The pair: the
    // mount without the two.
    let make = ["install", "-m", "4755", "/usr/bin/id", "/var/tmp/id"];
    none.execute(&make).ok();
    joined(none, "", &["mknod", "/var/tmp/zero", "c", "1", "5"]).ok();
    let whoami = [
        "execute",
        "--user",
        "www-data",
        "iso-n",
        "--",
        "/var/tmp/id",
        "-u",
    ];
    let device = ["head", "-c1", "/var/tmp/zero"];
    let remount = |flags: &str| ["mount", "-o", flags, "/var"].map(str::to_owned);
    let remount = |flags: &str| {
        let command = remount(flags);
        none.execute(&command.each_ref().map(String::as_str)).ok();
    };
    assert_eq!(lab.vss(&whoami).ok(), "33\n");
    assert_ne!(none.execute(&device).code(), Some(0), "a device was opened");
    remount("remount,bind,rw,suid,dev");
    assert_eq!(lab.vss(&whoami).ok(), "0\n");
    assert_eq!(none.execute(&device).ok(), "\0");
    remount("remount,bind,rw,nosuid,nodev");

    // Nor from outside: no user of the host gets there.
    let parent = fs::metadata(CONTENT).expect("the content's parent");
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&parent) & 0o7777,
        0o700
    );
}

#[test]
fn only_root_makes_files_where_sockets_are_looked_for() {
    let attempt = |file: &'static str| {
        let touch = [
            "execute", "--user", "www-data", "iso-r", "--", "touch", file,
        ];
        PAIR.lab.vss(&touch).code()
    };
    for file in ["/run/lab.sock", "/etc/lab", "/var/lib/lab"] {
        assert_eq!(attempt(file), Some(1), "{file}");
    }
    // The pair: a directory that is for everybody.
    assert_eq!(attempt("/tmp/lab.sock"), Some(0));
}

/// The capability sets and the filter in the text of a `/proc/PID/status`.
fn privileges(text: &str) -> Vec<[&str; 2]> {
    let fields = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        ["CapPrm", "CapEff", "CapBnd", "Seccomp"]
            .contains(&name)
            .then_some([name, value.trim()])
    });
    fields.collect()
}

#[test]
fn a42_a_command_and_a_shell_have_what_the_first_process_has() {
    let Pair { lab, reduced, none } = &*PAIR;
    for (name, sandbox) in [("iso-r", reduced), ("iso-n", none)] {
        let first = sandbox.execute(&["cat", "/proc/1/status"]).ok();
        let first = privileges(&first);
        assert_eq!(first.len(), 4);
        let own = sandbox.execute(&["cat", "/proc/self/status"]).ok();
        assert_eq!(first, privileges(&own), "{name}");
        let mut shell = lab.on_terminal(&["connect", name]);
        shell.type_in("cat /proc/self/status; echo all-$((40 + 2))\n");
        let own = shell.until("all-42");
        assert_eq!(first, privileges(&own), "{name}");
        shell.type_in("exit\n");
        assert_eq!(shell.end().0, Some(0));
        // The pair: who enters in another way has more.
        let other = joined(sandbox, "", &["cat", "/proc/self/status"]).ok();
        for (field, has) in first.iter().zip(privileges(&other)) {
            assert_ne!(*field, has, "{name}");
        }
    }
}

#[test]
fn two_containers_do_not_see_each_other_s_cgroups() {
    let Pair { reduced, none, .. } = &*PAIR;
    let pid = reduced.first_process();
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its cgroups");
    let payload = cgroups
        .split('/')
        .find(|part| part.starts_with("virt-sandbox-"))
        .and_then(|part| part.split_whitespace().next())
        .expect("a cgroup of its own");
    let tree = none.execute(&["find", "/sys/fs/cgroup", "-type", "d"]).ok();
    assert!(tree.contains("apache2.service"), "{tree}");
    assert!(!tree.contains(payload), "{tree}");
    let all = "mount -t cgroup2 cgroup2 /mnt && find /mnt -type d";
    let look = ["unshare", "--mount", "sh", "-c", all];
    hidden_by("cgroup", none, &look, payload);

    // Each has its own place for what it makes there.
    let mark = "/sys/fs/cgroup/systemd/lab-mark";
    reduced.execute(&["mkdir", mark]).ok();
    none.execute(&["test", "!", "-e", mark]).ok();
    reduced.execute(&["rmdir", mark]).ok();
}

/// Every cgroup of the world.
fn cgroups() -> BTreeSet<String> {
    let all = PAIR.lab.run("find", &["/sys/fs/cgroup", "-type", "d"]);
    all.stdout().lines().map(str::to_owned).collect()
}

/// The pair is the same container with systemd as its first process, which libvirt gives no cgroup
/// namespace.
#[test]
fn a_stop_leaves_no_cgroup_because_of_the_namespace() {
    let lab = PAIR.lab;
    let before = cgroups();
    let sandbox = lab.create("iso-o", &["-u", "apache2.service", "-N", "none"]);
    sandbox.start();
    let uri = ["-q", "-c", "lxc:///system"];
    let virsh = |args: &[&str]| lab.run("virsh", &[&uri[..], args].concat());
    let xml = virsh(&["dumpxml", "iso-o"]).ok();
    sandbox.stop();
    assert_eq!(cgroups(), before);
    PAIR.none
        .execute(&["systemctl", "is-active", "apache2"])
        .ok();

    let bare: String = xml
        .lines()
        .filter(|line| !line.contains("<initarg>") && !line.contains("<initenv"))
        .map(|line| line.replace("/usr/libexec/virt-sandbox-init", "/usr/lib/systemd/systemd"))
        .collect();
    let file = "/run/lab-bare.xml";
    fs::write(file, bare).expect("the domain");
    fs::create_dir_all("/run/libvirt-sandbox/iso-o/host").expect("a source of its mounts");
    virsh(&["create", file]).ok();
    let served = |all: &BTreeSet<String>| {
        let mut new = all.difference(&before);
        new.any(|path| path.ends_with("/apache2.service") && !path.contains("virt-sandbox-"))
    };
    for _ in 0..600 {
        if served(&cgroups()) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    virsh(&["destroy", "iso-o"]).ok();
    let after = cgroups();
    assert!(served(&after), "no orphan: {after:?}");
    let orphans: Vec<_> = after.difference(&before).collect();
    for orphan in orphans.into_iter().rev() {
        fs::remove_dir(Path::new(orphan)).expect("nobody is in it");
    }
}
