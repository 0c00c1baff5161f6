//! What bad input gets: one message with the object, the cause and what to run next, and nothing
//! changed.

use vss_lab::snapshot::Snapshot;
use vss_lab::{Lab, PROGRAM, fixture};

const REDUCED: [&str; 2] = ["--confinement", "reduced"];

fn create(lab: &Lab, options: &[&str]) -> vss_lab::Ran {
    let mut args = vec!["create"];
    args.extend(options);
    lab.vss(&args)
}

#[test]
fn a_request_that_does_not_fit_the_host_changes_nothing() {
    let lab = Lab::enter();
    let before = Snapshot::settled(&lab);
    let refused = |options: &[&str], named: &[&str]| {
        let text = create(&lab, options).failed(1);
        for word in named {
            assert!(text.contains(word), "{options:?}: {word} is not in {text}");
        }
    };
    refused(
        &["--confinement", "reduced", "-u", "apache.service", "x1"],
        &["apache.service", "apache2.service"],
    );
    refused(
        &["--confinement", "reduced", "-u", "lab-nowhere-near", "x1"],
        &[
            "no unit lab-nowhere-near.service",
            "systemctl list-unit-files",
        ],
    );
    // SELinux and user namespaces are not to be had in the lab.
    refused(
        &["-u", "apache2.service", "x1"],
        &[
            "SELinux is off",
            "cgroup v1",
            "--confinement reduced",
            "--confinement none",
        ],
    );
    for (options, reason) in [
        (["--confinement", "userns"], "cgroup v1"),
        (
            ["--private-users=pick", "--confinement=reduced"],
            "cgroup v1",
        ),
        (["--confinement", "selinux"], "SELinux is off"),
    ] {
        let args = [&options[..], &["-u", "apache2.service", "x1"]].concat();
        refused(&args, &["is not to be had on this host", reason]);
    }
    refused(
        &[
            "--confinement",
            "reduced",
            "-u",
            "apache2",
            "-N",
            "source=nowhere",
            "x1",
        ],
        &["nowhere"],
    );
    refused(
        &[
            "--confinement",
            "reduced",
            "-u",
            "apache2",
            "--copy",
            "/no/such",
            "x1",
        ],
        &["/no/such"],
    );
    before.assert_same(&Snapshot::settled(&lab), "a refused create left something");
}

#[test]
fn a16_a_name_outside_the_rule_is_a_usage_error() {
    let lab = Lab::enter();
    let before = Snapshot::settled(&lab);
    let long = "x".repeat(64);
    for name in [
        "../x", ".", "", "Web", "a b", "a\nb", "%i", "-x", "ä", &long,
    ] {
        let args = [
            "create",
            "--confinement",
            "reduced",
            "-u",
            "apache2",
            "--",
            name,
        ];
        let text = lab.vss(&args).failed(2);
        assert!(text.contains("hint: "), "{name:?}: {text}");
        let _ = lab.vss(&["delete", "--yes", "--", name]).ended(2);
    }
    before.assert_same(&Snapshot::settled(&lab), "a bad name left something");
}

#[test]
fn a_unit_that_no_package_owns_is_told_how_to_go_on() {
    let lab = Lab::enter();
    let unit = "/etc/systemd/system/lab-unowned.service";
    std::fs::write(unit, "[Service]\nExecStart=/bin/sleep infinity\n").expect("a unit");
    let mut args = vec!["-u", "lab-unowned.service", "unowned"];
    args.extend(REDUCED);
    let _sandbox = lab.expect("unowned");
    let ran = create(&lab, &args);
    let said = ran.stderr();
    assert!(said.contains("lab-unowned.service"), "{said}");
    assert!(
        said.contains("package") && said.contains("--copy"),
        "{said}"
    );
    std::fs::remove_file(unit).expect("the unit is still there");
}

#[test]
fn a35_a_package_database_that_is_missing_or_corrupt_is_named() {
    let lab = Lab::enter();
    let status = "/var/lib/dpkg/status";
    let sound = std::fs::read(status).expect("the database");
    let mut args = vec!["-u", "apache2.service", "nodb"];
    args.extend(REDUCED);
    let mut corrupt = sound.clone();
    corrupt.splice(sound.len() / 2..sound.len() / 2, *b"\n\x00:garbage\n");
    for broken in [None, Some(&b""[..]), Some(&corrupt[..])] {
        match broken {
            None => std::fs::remove_file(status).expect("removed"),
            Some(bytes) => std::fs::write(status, bytes).expect("written"),
        }
        let before = Snapshot::settled(&lab);
        let text = create(&lab, &args).failed(1);
        assert!(text.contains("/var/lib/dpkg"), "{text}");
        before.assert_same(&Snapshot::settled(&lab), "a refused create left something");
    }
    std::fs::write(status, sound).expect("put back");
    drop(lab.create("nodb", &["-u", "apache2.service"]));
}

#[test]
fn a51_a_full_disk_is_named_and_nothing_is_left() {
    let lab = Lab::enter();
    let disk = "/srv/lab-full";
    std::fs::create_dir_all(disk).expect("a mount point");
    let before = Snapshot::settled(&lab);
    for limit in [
        "mode=0700,size=64k",
        "mode=0700,size=1m",
        "mode=0700,nr_inodes=40",
    ] {
        lab.run("mount", &["-t", "tmpfs", "-o", limit, "lab-full", disk])
            .ok();
        let mut args = vec!["-C", "-u", "apache2.service", "-p", disk, "full"];
        args.extend(REDUCED);
        let text = create(&lab, &args).failed(1);
        assert!(text.contains("No space left on device"), "{limit}: {text}");
        assert!(text.contains(disk), "{limit}: {text}");
        let left: Vec<_> = std::fs::read_dir(disk).expect("the disk").collect();
        assert!(left.is_empty(), "{limit}: {left:?}");
        lab.run("umount", &[disk]).ok();
    }
    before.assert_same(&Snapshot::settled(&lab), "a refused create left something");
}

#[test]
fn a51_output_that_goes_nowhere_does_not_hide_what_was_made() {
    let lab = Lab::enter();
    let _deleted = lab.expect("x8");
    let script = format!("exec {PROGRAM} create --confinement reduced -u apache2 x8 >/dev/full");
    let text = lab.run("/bin/sh", &["-c", &script]).failed(1);
    assert!(text.contains("sandbox x8 is created"), "{text}");
    lab.vss(&["inspect", "x8"]).ok();
}

#[test]
fn a22_a_name_that_is_taken_and_a_unit_of_the_administrator_are_left_alone() {
    let lab = Lab::enter();
    let sandbox = lab.create("taken", &["-u", "apache2.service"]);
    let before = Snapshot::exact(&lab);
    let mut again = vec!["-u", "apache2.service", "taken"];
    again.extend(REDUCED);
    assert!(create(&lab, &again).failed(1).contains("taken"));
    before.assert_same(&Snapshot::exact(&lab), "a refused create changed something");
    drop(sandbox);

    let unit = "/etc/systemd/system/apache2@admin.service";
    std::fs::write(unit, "[Service]\nExecStart=/bin/true\n").expect("a unit of the administrator");
    let before = Snapshot::exact(&lab);
    let mut over = vec!["-u", "apache2.service", "admin"];
    over.extend(REDUCED);
    let text = create(&lab, &over).failed(1);
    assert!(text.contains("apache2@admin.service"), "{text}");
    before.assert_same(&Snapshot::exact(&lab), "a refused create changed something");
    std::fs::remove_file(unit).expect("the unit is still there");
}

#[test]
fn a_level_that_is_malformed_or_too_wide_is_named() {
    let lab = Lab::enter();
    let before = Snapshot::settled(&lab);
    let all = "s0:c0.c1023";
    for (level, status, wanted) in [
        ("nonsense", 2, "as in s0:c1,c2"),
        ("s0:", 2, "s0:"),
        ("s0:c1,c1024", 2, "c0 to c1023"),
        ("s0:c5.c1", 2, "c5.c1"),
        ("s0:c5,c5", 2, "category twice"),
        ("s1:c1,c2", 2, "another sensitivity"),
        (all, 2, "has 1024 categories"),
        ("s0:c1,c2,c3", 2, "s0:c1.c3 has 3 categories"),
        ("s0-s0:c1,c2", 2, "is a range"),
        ("s0", 2, "has no category"),
    ] {
        let mut args = vec!["-u", "apache2.service", "-l", level, "lev0"];
        args.extend(REDUCED);
        let text = create(&lab, &args).failed(status);
        assert!(text.contains(wanted), "{level}: {text}");
        assert!(text.len() < 300, "{level}: {text}");
        let next = ["--help", "--allow-shared-label", "as in s0:c1,c2"];
        assert!(next.iter().any(|n| text.contains(n)), "{level}: {text}");
    }
    before.assert_same(&Snapshot::settled(&lab), "a refused create left something");
    // The pair: one that is well-formed, as wide as a container's own.
    drop(lab.create("lev0", &["-u", "apache2.service", "-l", "s0:c5,c1"]));
}

#[test]
fn a34_a_share_that_shows_a_secret_or_undoes_a_mask_is_refused() {
    let lab = Lab::enter();
    std::fs::create_dir_all("/srv/lab-share/kept-out").expect("a directory");
    let before = Snapshot::settled(&lab);
    for (options, wanted) in [
        (&["--share", "/etc/shadow"] as &[&str], "/etc/shadow"),
        (&["--share", "/etc/ssh"], "/etc/ssh/ssh_host_"),
        (&["--share", "/var/run"], "it is /run"),
        (&["--share", "/var/lib/libvirt"], "/var/lib/libvirt"),
        (
            &[
                "--share",
                "/srv/lab-share",
                "--mask",
                "/srv/lab-share/kept-out",
            ],
            "/srv/lab-share/kept-out",
        ),
    ] {
        let mut args = vec!["-u", "apache2.service", "shown"];
        args.extend(options);
        args.extend(REDUCED);
        let text = create(&lab, &args).failed(1);
        assert!(text.contains(wanted), "{options:?}: {text}");
    }
    before.assert_same(&Snapshot::settled(&lab), "a refused create left something");
}

#[test]
fn a27_a_level_in_use_needs_to_be_allowed() {
    let lab = Lab::enter();
    let _one = lab.create("lev1", &["-u", "apache2.service", "-l", "s0:c1,c2"]);
    for (level, status) in [
        ("s0:c1,c2", 1),
        ("s0:c1", 1),
        // wrong whoever has what
        ("s0:c1,c2,c3", 2),
        ("s0:c0.c1023", 2),
    ] {
        let mut args = vec!["-u", "apache2.service", "-l", level, "lev2"];
        args.extend(REDUCED);
        let text = create(&lab, &args).failed(status);
        assert!(text.contains("s0:c"), "{level}: {text}");
    }
    let shared = [
        "-u",
        "apache2.service",
        "-l",
        "s0:c1,c2",
        "--allow-shared-label",
    ];
    let _two = lab.create("lev2", &shared);
}

#[test]
fn a_config_edited_into_nonsense_is_named_and_keeps_no_stop_and_no_delete() {
    let lab = Lab::enter();
    let local = ["-u", "apache2.service", "-N", "none"];
    // The first start makes what stays: libvirt's cgroups.
    let warm = lab.create("warm", &local);
    warm.start();
    warm.stop();
    let before = Snapshot::settled(&lab);
    let sandbox = lab.create("nonsense", &local);
    let config = "/etc/libvirt-sandbox/services/nonsense.sandbox";
    let sound = std::fs::read_to_string(config).expect("the config");
    let edited = |from: &str, to: &str| {
        let at = sound.find(from).expect("what is edited");
        let line = sound[..at].matches('\n').count() + 1;
        (sound.replacen(from, to, 1), line)
    };
    // the edit, and how it is told: by the line, the key and what is wrong
    for ((text, line), wanted) in [
        (edited("version = 1", "version = \"x\""), &["version"][..]),
        (edited("[sandbox]", "[[["), &["TOML"]),
        (edited("uuid = ", "uuid = 7 # "), &["sandbox.uuid", "text"]),
        (
            edited("confinement = ", "confinement = \"iron\" # "),
            &["security.confinement", "iron", "reduced"],
        ),
        (
            edited("label = ", "colour = \"red\"\nlabel = "),
            &["security.colour", "no such key"],
        ),
    ] {
        std::fs::write(config, &text).expect("an edit");
        let told = |said: &str| {
            let place = format!("{config}, line {line}");
            for word in [place.as_str(), "delete --force nonsense"]
                .iter()
                .chain(wanted)
            {
                assert!(said.contains(word), "{word} is not in {said}");
            }
        };
        for verb in ["start", "stop", "restart", "status"] {
            told(&lab.vss(&[verb, "nonsense"]).failed(1));
        }
        told(&lab.vss(&["list"]).ended(0).stderr());
        let list = lab.vss(&["list", "--format", "json"]).json();
        assert_eq!(list[0]["state"], "broken", "{list}");
        told(list[0]["problem"].as_str().unwrap_or_default());
        assert_eq!(list[1]["state"], "stopped", "{list}");
        let now = std::fs::read_to_string(config).expect("the config");
        assert_eq!(now, text, "a hand edit was changed");
    }
    std::fs::write(config, sound.replace("version = 1", "version = 99")).expect("an edit");
    let text = lab.vss(&["start", "nonsense"]).failed(1);
    for word in [config, "version 99", "use the program that wrote it"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    // What the host does not bear out is not started, and no longer claimed.
    for (confinement, reason) in [
        ("\"selinux\"", "SELinux is off"),
        ("\"userns\"\nprivate-users = \"100000:65536\"", "cgroup v1"),
    ] {
        let text = sound.replace("\"reduced\"", confinement);
        std::fs::write(config, text).expect("an edit");
        let said = lab.vss(&["start", "nonsense"]).failed(1);
        assert!(said.contains(reason), "{reason} is not in {said}");
        let list = lab.vss(&["list", "--format", "json"]).json();
        let claimed = list[0]["as_planned"].as_bool();
        assert_eq!(claimed, Some(reason == "cgroup v1"), "{list}");
    }
    // Corrected, it is as it was.
    std::fs::write(config, &sound).expect("an edit");
    sandbox.start();
    // What runs is stopped all the same, by the name of its domain.
    std::fs::write(config, "").expect("an edit");
    let said = lab.vss(&["stop", "nonsense"]).ok();
    assert_eq!(said, "Stopped nonsense\n");
    // and not with the words of a stop where nothing runs
    let text = lab.vss(&["stop", "nonsense"]).failed(1);
    assert!(text.contains(config), "{text}");
    std::fs::write(config, &sound).expect("an edit");
    sandbox.start();
    // A running one too is refused unless forced, and is gone when it is.
    std::fs::write(config, "[[[\n").expect("an edit");
    let text = lab.vss(&["delete", "--yes", "nonsense"]).failed(1);
    assert!(text.contains("--force"), "{text}");
    lab.vss(&["delete", "--yes", "--force", "nonsense"]).ok();
    before.assert_same(&Snapshot::settled(&lab), "a broken one left something");

    let _again = lab.create("nonsense", &local);
    // As long as it tells whose it is, no force is needed.
    let sound = std::fs::read_to_string(config).expect("the config");
    std::fs::write(config, format!("[[[\n{sound}")).expect("an edit");
    lab.vss(&["delete", "--yes", "nonsense"]).ok();
    before.assert_same(&Snapshot::settled(&lab), "a broken one left something");
}

#[test]
fn one_that_fails_does_not_keep_the_others() {
    let lab = Lab::enter();
    let _one = lab.create("bulk1", &["-u", "apache2.service"]);
    let _two = lab.create("bulk2", &["-u", "apache2.service"]);
    let text = lab.vss(&["start", "bulk1", "no-such", "bulk2"]).failed(1);
    assert!(text.ends_with("1 of 3 failed: no-such\n"), "{text}");
    let list = lab.vss(&["list", "--format", "json"]).json();
    let states: Vec<_> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| &e["state"])
        .collect();
    assert_eq!(states, ["running", "running"], "{list}");
}

/// A56: a signal in the middle rolls back, whenever it comes.
/// Calls of a create, in their order, with which of the name: at the first copies, amid them, at the
/// labels, at the unit and the config.
const MOMENTS: [(&str, usize); 8] = [
    ("mkdirat", 1),
    ("symlinkat", 1),
    ("fchownat", 8),
    ("pwrite64", 4),
    ("setxattr", 1),
    ("syncfs", 1),
    ("renameat2", 1),
    ("unlinkat", 1),
];

#[test]
fn a56_an_interrupted_create_leaves_nothing() {
    let lab = Lab::enter();
    drop(lab.create("warm", &["-C", "-u", "apache2.service"]));
    let before = Snapshot::settled(&lab);
    let _sandbox = lab.expect("sig1");
    let create: Vec<_> = "create -C -u apache2.service --confinement reduced sig1"
        .split(' ')
        .collect();
    for (call, number) in MOMENTS {
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:signal=INT:when={number}");
        // who runs tests in the background may have SIGINT ignored, which programs keep to
        let env = ["--default-signal=INT", "strace"];
        let strace = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let args = [&env[..], &strace, &[PROGRAM], &create].concat();
        let text = lab.run("env", &args).failed(130);
        let last = text.lines().last();
        let said = "virt-sandbox-service: interrupted, nothing is left behind";
        assert_eq!(last, Some(said), "{call} {number}");
        before.assert_same(&Snapshot::settled(&lab), &format!("at {call} {number}"));
    }
}

/// A service that neither starts nor stops before it may: a command that comes to see its signal late
/// finds nothing done.
#[test]
fn a56_what_undoes_nothing_says_what_may_be_so() {
    let lab = Lab::enter();
    let held = "/bin/sh -c 'until [ -e /etc/lab-go ]; do sleep 0.1; done'";
    let service = format!("ExecStartPre={held}\nExecStart=/bin/sleep infinity\nExecStop={held}");
    fixture::service(&lab, "lab-held", "", &service);
    let go = "/var/lib/libvirt/filesystems/sig2/etc/lab-go";
    let sandbox = lab.expect("sig2");
    let interrupted = |call: &str, signal: &str, status: i32, line: &str| {
        let (trace, inject) = (
            format!("trace={call}"),
            format!("inject={call}:signal={signal}:when=1"),
        );
        let default = format!("--default-signal={signal}");
        let strace = [
            "strace",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &trace,
            "-e",
            &inject,
        ];
        let words: Vec<_> = line.split(' ').collect();
        let args = [&[default.as_str()][..], &strace, &[PROGRAM], &words].concat();
        lab.run("env", &args).failed(status)
    };
    let state = || lab.vss(&["list", "--format", "json"]).json()[0]["state"].clone();
    let create = "create -u lab-held.service --confinement reduced --now sig2";
    let text = interrupted("pidfd_open", "INT", 130, create);
    assert!(text.contains("is created, and not started"), "{text}");
    assert_eq!(state(), "stopped");
    std::fs::write(go, "").expect("a file inside");
    sandbox.start();
    std::fs::remove_file(go).expect("no file inside");
    let text = interrupted("pidfd_send_signal", "TERM", 143, "stop sig2");
    assert!(text.contains("before sig2 was down; it may stop"), "{text}");
    assert!(text.contains("status sig2"), "{text}");
    std::fs::write(go, "").expect("a file inside");
    lab.vss(&["stop", "sig2"]).ok();
}
