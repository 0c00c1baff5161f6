//! What root inside can't see or do, tried by processes that have the capabilities of the
//! container's first process and no more. Each refusal has its counterpart: the same attempt goes
//! through where that one protection is off (`--confinement none`).
//!
//! Attempts that would change the host itself belong in a virtual machine, not here.

use vss_lab::{Lab, Ran, Sandbox};

/// A container under each confinement that the lab has.
fn pair<'a>(lab: &'a Lab, names: [&'static str; 2]) -> [Sandbox<'a>; 2] {
    let unit = ["-u", "apache2.service"];
    let reduced = lab.create(names[0], &unit);
    let none = lab.create(names[1], &[&unit[..], &["--confinement", "none"]].concat());
    reduced.start();
    none.start();
    [reduced, none]
}

/// Refused under `reduced`, and not under `none`.
fn refused_by_confinement(pair: &[Sandbox<'_>; 2], attempt: &[&str]) {
    let refused = pair[0].execute(attempt);
    assert_ne!(refused.code(), Some(0), "reduced allows {attempt:?}");
    let allowed = pair[1].execute(attempt);
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

#[test]
fn what_reaches_the_host_is_refused_and_only_by_the_confinement() {
    let lab = Lab::enter();
    let pair = pair(&lab, ["iso-r", "iso-n"]);
    refused_by_confinement(&pair, &["mount", "-o", "remount,bind,rw", "/usr"]);
    refused_by_confinement(&pair, &["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    refused_by_confinement(&pair, &["dmesg"]);
    // name_to_handle_at(AT_FDCWD, "/etc", ...) and open_by_handle_at() of what it gave
    let handle = perl(
        "my $h = pack('Ii', 128, 0) . chr(0) x 128; my $m = pack('i', 0); my $p = \"/etc/hostname\\0\"; \
         syscall(303, -100, $p, $h, $m, 0) == 0 or die \"handle: $!\"; \
         open(my $d, '<', '/etc') or die; \
         my $fd = syscall(304, fileno($d), $h, 0); exit($fd < 0 ? 1 : 0)",
    );
    refused_by_confinement(&pair, &handle);
}

#[test]
fn the_host_s_keys_are_out_of_reach() {
    let lab = Lab::enter();
    let [reduced, _none] = pair(&lab, ["key-r", "key-n"]);
    // add_key("user", "lab", "x", 1, KEY_SPEC_USER_KEYRING)
    let add = "my ($t, $d, $p) = (\"user\\0\", \"lab\\0\", 'x'); \
        exit(syscall(248, $t, $d, $p, 1, -4) < 0 ? 1 : 0)";
    assert_ne!(
        reduced.execute(&perl(add)).code(),
        Some(0),
        "add_key is allowed"
    );
    let outside = lab.run("perl", &["-e", add]);
    assert_eq!(outside.code(), Some(0), "the attempt itself is wrong");
    assert_eq!(reduced.execute(&["cat", "/proc/keys"]).stdout(), "");
}

#[test]
fn nothing_of_the_host_or_of_neighbours_is_seen() {
    let lab = Lab::enter();
    std::fs::write("/etc/lab-secret", "x").expect("a file of the host");
    std::fs::create_dir_all("/var/lib/lab-secret").expect("a directory of the host");
    lab.run("usermod", &["-p", "$6$salt$hashed", "www-data"])
        .ok();
    let shm = lab.run("ipcmk", &["-M", "4096"]).ok();
    assert!(shm.contains("id"), "{shm}");
    #[expect(
        clippy::disallowed_methods,
        reason = "a process of the host to look for"
    )]
    let mut sleeper = std::process::Command::new("sleep")
        .arg("86399")
        .spawn()
        .expect("sleep");
    let neighbour = lab.create("see-2", &["-u", "apache2.service"]);
    neighbour.start();
    let sandbox = lab.create("see-1", &["-C", "-u", "apache2.service"]);
    sandbox.start();

    let absent = |path: &str| {
        sandbox.execute(&["test", "!", "-e", path]).ended(0);
    };
    absent("/etc/lab-secret");
    absent("/var/lib/lab-secret");
    absent("/var/lib/libvirt/filesystems/see-2");
    absent("/run/libvirt");
    assert_eq!(sandbox.execute(&["ls", "-A", "/home"]).ok(), "");
    let shadow = sandbox.execute(&["cat", "/etc/shadow"]).ok();
    assert!(shadow.contains("root:"), "{shadow}");
    for line in shadow.lines() {
        let password = line.split(':').nth(1).unwrap_or_default();
        assert!(matches!(password, "*" | "!" | "!*" | "!!"), "{line}");
    }
    let processes = sandbox.execute(&["ps", "-eo", "args"]).ok();
    assert!(processes.contains("apache2"), "{processes}");
    for foreign in ["sleep 86399", "libvirtd", "dbus-daemon --system"] {
        assert!(!processes.contains(foreign), "{foreign} is in {processes}");
    }
    let links = sandbox.execute(&["ls", "/sys/class/net"]).ok();
    assert_eq!(links.split_whitespace().collect::<Vec<_>>(), ["eth0", "lo"]);
    let ipc = sandbox.execute(&["cat", "/proc/sysvipc/shm"]).ok();
    assert_eq!(ipc.lines().count(), 1, "{ipc}");
    let outside = std::fs::read_to_string("/proc/sysvipc/shm").expect("the host's");
    assert!(
        outside.lines().count() > 1,
        "the attempt itself is wrong: {outside}"
    );
    assert_ne!(
        sandbox
            .execute(&["head", "-c1", "/proc/kcore"])
            .stdout()
            .len(),
        1
    );
    sleeper
        .kill()
        .and_then(|()| sleeper.wait())
        .expect("sleep ends");
}

#[test]
fn a15_trees_that_root_inside_writes_are_nosuid_and_nodev() {
    let lab = Lab::enter();
    let sandbox = lab.create("suid", &["-u", "apache2.service"]);
    sandbox.start();
    let mounts = sandbox.execute(&["cat", "/proc/self/mountinfo"]).ok();
    for target in ["/etc", "/var", "/root", "/run", "/tmp", "/dev/shm"] {
        let line = mounts.lines().find(|l| l.split(' ').nth(4) == Some(target));
        let options = line.and_then(|l| l.split(' ').nth(5)).unwrap_or_default();
        assert!(
            options.contains("nosuid") && options.contains("nodev") && options.starts_with("rw"),
            "{target}: {line:?}"
        );
    }
    for target in ["/", "/usr"] {
        let line = mounts.lines().find(|l| l.split(' ').nth(4) == Some(target));
        let options = line.and_then(|l| l.split(' ').nth(5)).unwrap_or_default();
        assert!(options.starts_with("ro"), "{target}: {line:?}");
    }
    for file in ["/x", "/usr/x", "/home/x", "/srv/x"] {
        assert_ne!(
            sandbox.execute(&["touch", file]).code(),
            Some(0),
            "{file} was made"
        );
    }
    // A program that is root's and setuid makes nobody root, neither here nor from outside.
    sandbox
        .execute(&["install", "-m", "4755", "/usr/bin/id", "/var/tmp/id"])
        .ok();
    let whoami = [
        "execute",
        "--user",
        "www-data",
        "suid",
        "--",
        "/var/tmp/id",
        "-u",
    ];
    assert_ne!(lab.vss(&whoami).ok(), "0\n");
    sandbox.stop();
    let parent = std::fs::metadata("/var/lib/libvirt/filesystems").expect("the content's parent");
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&parent) & 0o7777,
        0o700
    );
}

#[test]
fn a42_a_command_has_the_bounding_set_of_the_first_process() {
    let lab = Lab::enter();
    for sandbox in &pair(&lab, ["cap-r", "cap-n"]) {
        let caps = |ran: Ran| -> Vec<String> {
            let text = ran.ok();
            let lines = text
                .lines()
                .filter(|l| l.starts_with("CapBnd") || l.starts_with("Seccomp:"));
            lines.map(str::to_owned).collect()
        };
        let first = caps(sandbox.execute(&["cat", "/proc/1/status"]));
        let own = caps(sandbox.execute(&["cat", "/proc/self/status"]));
        assert_eq!(first.len(), 2);
        assert_eq!(first, own);
    }
}

#[test]
fn two_containers_do_not_share_cgroups() {
    let lab = Lab::enter();
    let one = lab.create("cg-1", &["-u", "apache2.service"]);
    let two = lab.create("cg-2", &["-u", "apache2.service"]);
    one.start();
    two.start();
    one.execute(&["systemctl", "stop", "virt-sandbox-ended.service"])
        .ok();
    let tree = one
        .execute(&["find", "/sys/fs/cgroup/systemd", "-type", "d"])
        .ok();
    assert!(tree.contains("apache2.service"), "{tree}");
    assert!(!tree.contains("cg-2"), "{tree}");
    let mark = "/sys/fs/cgroup/systemd/lab-mark";
    one.execute(&["mkdir", mark]).ok();
    two.execute(&["test", "!", "-e", mark]).ok();
    one.execute(&["rmdir", mark]).ok();
}
