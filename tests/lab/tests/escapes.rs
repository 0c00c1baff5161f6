//! What root inside does to get at the host's files through what the host does for the container:
//! by what is mounted at its next start, and by the program that enters it.
//!
//! The host's files are the world's, which are overlays.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use vss_lab::{Lab, Sandbox};

const CONTENT: &str = "/var/lib/libvirt/filesystems";

fn content(name: &str, path: &str) -> String {
    format!("{CONTENT}/{name}{path}")
}

/// A container that sees a directory of the host in the middle of its own `/var`.
fn with_share<'a>(lab: &'a Lab, name: &'static str, options: &[&str]) -> Sandbox<'a> {
    fs::create_dir_all("/var/lib/lab-a07/shared").expect("a directory of the host");
    fs::write("/var/lib/lab-a07/shared/file", "shared\n").expect("a file of the host");
    let mut all = vec!["-u", "apache2.service", "-N", "none"];
    all.extend(["--share", "/var/lib/lab-a07/shared"]);
    all.extend(options);
    let sandbox = lab.create(name, &all);
    sandbox.start();
    let shared = sandbox.execute(&["cat", "/var/lib/lab-a07/shared/file"]);
    assert_eq!(shared.ok(), "shared\n");
    sandbox
}

/// libvirt makes a mount point that is missing while the host's own root is still mounted at
/// `/.oldroot`: through a link there it would make one on the host.
#[test]
fn a07_the_way_to_a_mount_can_not_be_bent_from_inside() {
    let lab = Lab::enter();
    let bend = "mv /var/lib/lab-a07 /var/lib/aside && ln -s /.oldroot/etc /var/lib/lab-a07";
    let reduced = with_share(&lab, "bend-r", &[]);
    for attempt in [
        bend,
        "mv /var/lib /var/aside",
        "umount -l /var/lib/lab-a07",
        "rmdir /var/lib/lab-a07/shared",
    ] {
        let ran = reduced.execute(&["sh", "-c", attempt]);
        assert_ne!(ran.code(), Some(0), "{attempt}");
    }
    // libvirt starts a container that reboots without asking anybody.
    let before = reduced.first_process();
    let _ = reduced.execute(&["systemctl", "reboot"]).code();
    wait_until(|| {
        let status = reduced.status();
        status["state"] == "running" && status["init_pid"] != before
    });
    reduced.stop();
    reduced.start();
    assert!(!Path::new("/etc/shared").exists(), "made on the host");

    // The pair: who may unmount what holds the directory bends the way, and then nothing starts.
    let none = with_share(&lab, "bend-n", &["--confinement", "none"]);
    let free = "while umount -l /var/lib/lab-a07 2>/dev/null; do :; done; \
        while umount -l /var/lib 2>/dev/null; do :; done";
    none.execute(&["sh", "-c", &format!("{free}; {bend}")]).ok();
    none.stop();
    let text = lab.vss(&["start", "bend-n"]).failed(1);
    let link = content("bend-n", "/var/lib/lab-a07");
    assert!(text.contains(&format!("{link} is a link")), "{text}");
    assert!(text.contains("hint: "), "{text}");
    assert!(!Path::new("/etc/shared").exists(), "made on the host");
    // Put back, it starts.
    fs::remove_file(&link).expect("the link");
    fs::rename(content("bend-n", "/var/lib/aside"), &link).expect("the directory");
    none.start();
}

#[test]
fn a07_a_content_that_was_bent_while_it_was_stopped_is_not_started() {
    let lab = Lab::enter();
    let sandbox = lab.create("bent", &["-u", "apache2.service", "-N", "none"]);
    sandbox.start();
    sandbox.stop();
    fs::create_dir_all("/srv/lab-a07").expect("a directory of the host");
    fs::write("/srv/lab-a07/secret", "the host's\n").expect("a file of the host");
    for tree in ["/etc", "/var", "/run", "/tmp", "/usr", "/proc", "/dev"] {
        let place = content("bent", tree);
        let aside = content("bent", "/aside");
        fs::rename(&place, &aside).expect("moved aside");
        for target in ["/srv/lab-a07", "../../../../../srv/lab-a07"] {
            symlink(target, &place).expect("a link");
            let text = lab.vss(&["start", "bent"]).failed(1);
            assert!(text.contains(&format!("{place} is a link")), "{text}");
            sandbox.settles("failed");
            fs::remove_file(&place).expect("the link");
        }
        fs::rename(&aside, &place).expect("put back");
    }
    let left: Vec<_> = fs::read_dir("/srv/lab-a07").expect("there").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    sandbox.start();
}

/// Waits inside for a process that runs a program of a name, and writes to that program.
const OVERWRITE: &str = include_str!("../../attacks/overwrite.pl");

/// Has root inside lie in wait for a program; `enter` then runs it. What came of it.
fn overwrite(sandbox: &Sandbox<'_>, name: &str, program: &str, enter: impl FnOnce()) -> String {
    let inside = |path: &str| content(name, path);
    fs::write(inside("/var/tmp/attack.pl"), OVERWRITE).expect("the attack");
    // What is entered for has the kernel run, inside, the program that entered.
    fs::write(inside("/var/tmp/sh"), "#!/proc/self/exe -e1\n").expect("the bait");
    fs::set_permissions(inside("/var/tmp/sh"), PermissionsExt::from_mode(0o755)).expect("its mode");
    let lie_in_wait =
        format!("setsid perl /var/tmp/attack.pl {program} </dev/null >/dev/null 2>&1 &");
    sandbox.execute(&["sh", "-c", &lie_in_wait]).ok();
    let log = || fs::read_to_string(inside("/var/tmp/log")).unwrap_or_default();
    wait_until(|| log().contains("ready"));
    enter();
    let over = || log().contains("written") || log().contains("refused");
    assert!(waited_for(over), "{program}: {}", log());
    let said = log();
    for file in ["hold", "log", "attack.pl", "sh"] {
        fs::remove_file(inside(&format!("/var/tmp/{file}"))).expect("what the attack made");
    }
    said
}

fn wait_until(done: impl Fn() -> bool) {
    assert!(waited_for(done), "it never came to that");
}

fn waited_for(done: impl Fn() -> bool) -> bool {
    for _ in 0..600 {
        if done() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    false
}

#[test]
fn a09_the_program_that_enters_is_out_of_reach() {
    let lab = Lab::enter();
    let sandbox = lab.create("exe", &["-u", "apache2.service", "-N", "none"]);
    sandbox.start();
    let before = fs::read(vss_lab::PROGRAM).expect("the program");

    // The name is that of the copy, too.
    let said = overwrite(&sandbox, "exe", "virt-sandbox-se", || {
        let _ = lab.vss(&["execute", "exe", "/var/tmp/sh"]).ended(2);
    });
    assert!(said.contains("refused"), "{said}");
    assert!(
        fs::read(vss_lab::PROGRAM).expect("the program") == before,
        "execute: overwritten"
    );

    // connect runs what the container says that root's shell is.
    let passwd = content("exe", "/etc/passwd");
    let sound = fs::read_to_string(&passwd).expect("accounts");
    let root = sound
        .lines()
        .find(|l| l.starts_with("root:"))
        .expect("root");
    let bait = root.rsplit_once(':').expect("a shell").0.to_owned() + ":/var/tmp/sh";
    fs::write(&passwd, sound.replace(root, &bait)).expect("accounts");
    let said = overwrite(&sandbox, "exe", "virt-sandbox-se", || {
        let (status, said) = lab.on_terminal(&["connect", "exe"]).end();
        assert_eq!(status, Some(2), "{said}");
    });
    assert!(said.contains("refused"), "{said}");
    assert!(
        fs::read(vss_lab::PROGRAM).expect("the program") == before,
        "connect: overwritten"
    );

    // The pair: a program that enters without that precaution is overwritten on the host.
    let careless = "/usr/local/bin/lab-perl";
    fs::copy("/usr/bin/perl", careless).expect("a copy of perl");
    let pid = sandbox.first_process().to_string();
    let said = overwrite(&sandbox, "exe", "lab-perl", || {
        lab.run(careless, &["-e", ENTER, &pid]).ok();
    });
    assert!(said.contains("written"), "{said}");
    let now = fs::read(careless).expect("what it is now");
    assert!(
        now.starts_with(b"overwritten\n"),
        "it says so, and it is not"
    );
    fs::remove_file(careless).expect("the copy");
}

/// Enters a container without the precaution, and runs the bait there.
const ENTER: &str = include_str!("../../attacks/enter.pl");

/// Opens for writing and writes nothing.
const OPEN: &str = "open(my $f, '+<', $ARGV[0]) or die qq($!\\n)";

#[test]
fn a09_the_programs_of_the_host_are_read_only_inside() {
    let lab = Lab::enter();
    let unit = ["-u", "apache2.service", "-N", "none"];
    let reduced = lab.create("ro-r", &unit);
    let none = lab.create("ro-n", &[&unit[..], &["--confinement", "none"]].concat());
    reduced.start();
    none.start();
    none.execute(&["mount", "-o", "remount,bind,rw", "/usr"])
        .ok();
    for program in [
        "/usr/libexec/virt-sandbox-init",
        "/usr/libexec/virt-sandbox-run",
        "/usr/bin/virt-sandbox-service",
        "/usr/bin/perl",
    ] {
        let attempt = ["perl", "-e", OPEN, program];
        let refused = reduced.execute(&attempt);
        assert_ne!(refused.code(), Some(0), "{program}");
        assert!(
            refused.stderr().contains("Read-only file system")
                || refused.stderr().contains("Text file busy"),
            "{program}: {}",
            refused.stderr()
        );
    }
    // What runs as PID 1 can't be written for that alone; that its mount is read-only comes first.
    let first = ["perl", "-e", OPEN, "/proc/1/exe"];
    assert_ne!(reduced.execute(&first).code(), Some(0));
    let quiet = ["perl", "-e", OPEN, "/usr/bin/apt-get"];
    assert_ne!(reduced.execute(&quiet).code(), Some(0));
    none.execute(&quiet).ok();
}

/// A library whose constructor notes which program it was loaded into, and with what capabilities.
const LIBRARY: &str = r#"
#include <stdio.h>
#include <string.h>
__attribute__((constructor)) static void note(void) {
    char name[32] = "", line[256], path[128];
    FILE *comm = fopen("/proc/self/comm", "r");
    if (!comm || !fgets(name, sizeof name, comm)) return;
    fclose(comm);
    name[strcspn(name, "\n")] = 0;
    snprintf(path, sizeof path, "/var/tmp/loaded/%s", name);
    FILE *status = fopen("/proc/self/status", "r"), *out = fopen(path, "w");
    if (!status || !out) return;
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "Cap", 3)) fputs(line, out);
    fclose(out);
    fclose(status);
}
"#;

#[test]
fn a09_no_library_of_the_container_is_loaded_before_it_is_confined() {
    let lab = Lab::enter();
    let sandbox = lab.create("preload", &["-u", "apache2.service", "-N", "none"]);
    let loaded = content("preload", "/var/tmp/loaded");
    fs::create_dir(&loaded).expect("a directory in the content");
    fs::set_permissions(&loaded, PermissionsExt::from_mode(0o777)).expect("its mode");
    fs::write("/run/lab-note.c", LIBRARY).expect("the source");
    let library = content("preload", "/var/tmp/note.so");
    lab.run(
        "cc",
        &["-shared", "-fPIC", "-o", &library, "/run/lab-note.c"],
    )
    .ok();
    fs::write(
        content("preload", "/etc/ld.so.preload"),
        "/var/tmp/note.so\n",
    )
    .expect("the preload");
    sandbox.start();
    let capabilities = |program: &str| fs::read_to_string(format!("{loaded}/{program}"));
    assert!(
        capabilities("virt-sandbox-in").is_err(),
        "loaded into the init: {:?}",
        capabilities("virt-sandbox-in")
    );
    // The pair: it is loaded into what comes after, which is confined.
    let systemd = capabilities("systemd").expect("loaded into systemd");
    let bounding = systemd
        .lines()
        .find(|l| l.starts_with("CapBnd"))
        .expect("its bounding set");
    let first = sandbox.execute(&["grep", "^CapBnd", "/proc/1/status"]).ok();
    assert_eq!(bounding, first.trim_end());
    let outside = fs::read_to_string("/proc/self/status").expect("the test's own");
    assert!(
        !outside.contains(bounding),
        "systemd inside has all capabilities"
    );
}
