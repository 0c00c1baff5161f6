//! The commands as an administrator has them: on a terminal, with their options.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use vss_lab::snapshot::Snapshot;
use vss_lab::{Lab, happens};

const APACHE: [&str; 4] = ["-u", "apache2.service", "-N", "none"];

#[test]
fn connect_is_a_shell_whose_size_follows_and_that_ends_with_its_escape() {
    let lab = Lab::enter();
    let sandbox = lab.create("con", &APACHE);
    let (status, said) = lab.on_terminal(&["connect", "con"]).end();
    assert_eq!(status, Some(125), "{said}");
    assert!(said.contains("sandbox con is not running"), "{said}");
    sandbox.start();
    let mut shell = lab.on_terminal(&["connect", "con"]);
    shell.type_in("stty size; tty; echo $HOME\n");
    shell.until("24 80");
    shell.until("/dev/pts/");
    shell.resize(50, 132);
    shell.type_in("stty size\n");
    shell.until("50 132");
    shell.type_in("hostname; id -u; echo is-$((40 + 2))\n");
    let said = shell.until("is-42");
    assert!(said.contains("con"), "{said}");
    // control and the closing bracket
    shell.type_in("\x1d");
    let (status, said) = shell.end();
    assert!(matches!(status, Some(0 | 129)), "{status:?}: {said}");
    // The shell's own end is another way out, and its status comes along.
    let mut shell = lab.on_terminal(&["shell", "con"]);
    shell.type_in("exit 7\n");
    assert_eq!(shell.end().0, Some(7));
    // Without a terminal there is nothing to connect.
    let text = lab.vss(&["connect", "con"]).failed(1);
    assert!(
        text.contains("terminal") && text.contains("execute -i con"),
        "{text}"
    );
}

#[test]
fn execute_has_a_terminal_where_the_caller_has_one() {
    let lab = Lab::enter();
    let sandbox = lab.create("exe-t", &APACHE);
    sandbox.start();
    let (status, said) = lab
        .on_terminal(&["execute", "exe-t", "sh", "-c", "tty; exit 3"])
        .end();
    assert_eq!(status, Some(3), "{said}");
    assert!(said.starts_with("/dev/pts/"), "{said}");
    // Options of the command are the command's, with -- and without.
    for args in [
        &["execute", "exe-t", "ls", "-d", "/etc"][..],
        &["exec", "exe-t", "--", "ls", "-d", "/etc"],
    ] {
        assert_eq!(lab.vss(args).ok(), "/etc\n");
    }
    assert_eq!(
        lab.vss(&["execute", "exe-t", "tty"]).ended(1).stdout(),
        "not a tty\n"
    );
    let asked = lab.vss(&["execute", "-t", "exe-t", "tty"]).ok();
    assert!(asked.starts_with("/dev/pts/"), "{asked}");
}

#[test]
fn a_unit_that_failed_inside_is_told() {
    let lab = Lab::enter();
    let sandbox = lab.create("fails-inside", &APACHE);
    sandbox.start();
    assert_eq!(sandbox.status()["state"], "running");
    sandbox
        .execute(&["systemd-run", "--quiet", "--unit=side", "false"])
        .ok();
    let status = loop {
        let status = sandbox.status();
        if status["state"] == "degraded" {
            break status;
        }
    };
    let inner = status["inner"].as_array().expect("the units inside");
    let units: Vec<_> = inner.iter().map(|unit| &unit["unit"]).collect();
    assert_eq!(units, ["apache2.service", "side.service"]);
    assert_eq!(inner[1]["result"], "exit-code");
    let text = lab.vss(&["status", "fails-inside"]).ok();
    assert!(
        text.contains("side.service failed (failed), exit-code"),
        "{text}"
    );
}

#[test]
fn options_of_create_do_what_they_say() {
    let lab = Lab::enter();
    for (file, text) in [("copied", "c"), ("shown", "s"), ("kept-out", "k")] {
        fs::create_dir_all("/srv/lab-opt").expect("a directory");
        fs::create_dir_all(format!("/srv/lab-opt/{file}")).expect("a directory");
        fs::write(format!("/srv/lab-opt/{file}/f"), text).expect("a file");
    }
    let mut options = APACHE.to_vec();
    options.extend(["-l", "s0:c5,c9", "-p", "/srv/lab-place", "--now"]);
    options.extend([
        "--copy",
        "/srv/lab-opt/copied",
        "--share",
        "/srv/lab-opt/shown",
    ]);
    options.extend(["--mask", "/etc/apache2/sites-available"]);
    let sandbox = lab.create("opt", &options);
    // --now
    let status = sandbox.status();
    assert_eq!(status["state"], "running", "{status}");
    // -l
    let label = status["label"].as_str().unwrap_or_default();
    assert!(label.ends_with(":s0:c5,c9"), "{label}");
    // -p, which is root's alone, and which no other verb has to be told
    assert_eq!(status["content"], "/srv/lab-place/opt");
    let place = fs::metadata("/srv/lab-place").expect("the place");
    assert_eq!(place.mode() & 0o7777, 0o700);
    // --copy is the container's own, --share is the host's
    fs::write("/srv/lab-opt/copied/f", "changed").expect("a change");
    fs::write("/srv/lab-opt/shown/f", "changed").expect("a change");
    assert_eq!(sandbox.execute(&["cat", "/srv/lab-opt/copied/f"]).ok(), "c");
    assert_eq!(
        sandbox.execute(&["cat", "/srv/lab-opt/shown/f"]).ok(),
        "changed"
    );
    assert_ne!(
        sandbox.execute(&["touch", "/srv/lab-opt/shown/f"]).code(),
        Some(0)
    );
    let others = [
        "sh",
        "-c",
        "! test -e /srv/lab-opt/kept-out && ! ls /etc/apache2/sites-available/*",
    ];
    sandbox.execute(&others).ok();
    // Why, in both forms.
    let made = lab.vss(&["explain", "opt", "/srv/lab-opt/copied"]).ok();
    let planned = [
        "explain",
        "-u",
        "apache2",
        "--copy",
        "/srv/lab-opt/copied",
        "/srv/lab-opt/copied",
    ];
    let planned = lab.vss(&planned).ok();
    for text in [&made, &planned] {
        assert!(
            text.contains("is private") && text.contains("--copy"),
            "{text}"
        );
    }
    // All that is known.
    let all = lab.vss(&["inspect", "opt"]).json();
    assert_eq!(all[0]["config"]["content"], "/srv/lab-place/opt", "{all}");
    assert!(
        all[0]["domain_xml"]
            .as_str()
            .is_some_and(|x| x.contains("<domain")),
        "{all}"
    );
    drop(sandbox);
    assert!(!fs::exists("/srv/lab-place/opt").expect("looked at"));
}

#[test]
fn enable_without_systemd_is_refused_before_anything_is_made() {
    let lab = Lab::enter();
    let before = Snapshot::settled(&lab);
    let mut args = vec!["create", "--enable", "--confinement", "reduced"];
    args.extend(APACHE);
    args.push("boot");
    let ran = lab.vss(&args);
    assert_ne!(ran.code(), Some(0));
    let text = ran.stderr();
    assert!(text.contains("systemd does not run"), "{text}");
    assert!(text.contains("hint: leave --enable away"), "{text}");
    before.assert_same(&Snapshot::settled(&lab), "a refused create left something");
}

/// So many files take a while to copy.
const MANY: usize = 8000;

/// A copy that takes longer than half a second is shown on a terminal, and only there. It is
/// stopped in the middle for that long.
#[test]
fn a_long_copy_shows_how_far_it_is_on_a_terminal_only() {
    let lab = Lab::enter();
    for directory in 0..MANY / 200 {
        let path = format!("/srv/lab-many/{directory}");
        fs::create_dir_all(&path).expect("a directory");
        for file in 0..200 {
            fs::write(format!("{path}/{file}"), "some text").expect("a file");
        }
    }
    let mut args = vec![
        "create",
        "--confinement",
        "reduced",
        "--copy",
        "/srv/lab-many",
    ];
    args.extend(APACHE);
    let stopped = [&args[..], &["bar-t"]].concat();
    let said = (0..20).find_map(|_| stopped_amid_the_copy(&lab, &stopped));
    let said = said.expect("one of them is stopped before it is over");
    assert!(said.contains("copying "), "{said}");
    let _two = lab.expect("bar-p");
    let ran = lab.vss(&[&args[..], &["bar-p"]].concat()).ended(0);
    assert!(!ran.stderr().contains("copying "), "{}", ran.stderr());
}

/// What a create of `bar-t` says that stands still amid its copy; `None` where it came to stand too late.
fn stopped_amid_the_copy(lab: &Lab, create: &[&str]) -> Option<String> {
    let _sandbox = lab.expect("bar-t");
    let terminal = lab.on_terminal(create);
    while copied("bar-t").is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let pid = terminal.pid().to_string();
    lab.run("kill", &["-STOP", &pid]).ok();
    // a thread may go on for a while
    assert!(happens(|| stands_still(&pid)), "{pid} goes on");
    let amid = copied(".bar-t.").iter().any(|path| files_in(path) < MANY);
    if amid {
        std::thread::sleep(std::time::Duration::from_millis(700));
    }
    lab.run("kill", &["-CONT", &pid]).ok();
    let (status, said) = terminal.end();
    assert_eq!(status, Some(0), "{said}");
    amid.then_some(said)
}

/// Where the copy is in contents whose names have this in them, if it has begun.
fn copied(name: &str) -> Vec<PathBuf> {
    entries("/var/lib/libvirt/filesystems")
        .filter(|content| content.to_string_lossy().contains(name))
        .map(|content| content.join("srv/lab-many"))
        .filter(|place| place.exists())
        .collect()
}

fn files_in(place: &Path) -> usize {
    entries(place)
        .map(|directory| entries(directory).count())
        .sum()
}

/// Whether all threads of a process are stopped, or it has ended.
fn stands_still(pid: &str) -> bool {
    entries(format!("/proc/{pid}/task")).all(|thread| {
        let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
        status.contains("\nState:\tT") || status.contains("\nState:\tZ")
    })
}

/// Nothing, of a directory that is gone.
fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

#[test]
fn delete_asks_on_a_terminal() {
    let lab = Lab::enter();
    let _sandbox = lab.create("ask", &APACHE);
    let before = Snapshot::exact(&lab);
    // no, anything else, nothing, and the end of the input
    for answer in ["n\n", "what\n", "\n", "\x04"] {
        let mut delete = lab.on_terminal(&["delete", "ask"]);
        let shown = delete.until("[y/N] ");
        for what in [
            "/var/lib/libvirt/filesystems/ask",
            "ask.sandbox",
            "apache2@ask.service",
        ] {
            assert!(shown.contains(what), "{what} is not in {shown}");
        }
        delete.type_in(answer);
        let (status, said) = delete.end();
        assert_eq!(status, Some(1), "{answer:?}: {said}");
        assert!(said.contains("nothing was removed"), "{answer:?}: {said}");
    }
    // whoever sees the wrong list presses ^C
    let mut delete = lab.on_terminal(&["delete", "ask"]);
    delete.until("[y/N] ");
    delete.type_in("\x03");
    let (status, said) = delete.end();
    assert_ne!(status, Some(0), "{said}");
    // one who would not see the question is not taken for one who said yes
    let elsewhere = lab.on_terminal_with(&["delete", "ask"], |command| {
        command.stderr(std::process::Stdio::null());
    });
    assert_eq!(elsewhere.end().0, Some(1));
    before.assert_same(&Snapshot::exact(&lab), "something was changed");
    let mut delete = lab.on_terminal(&["delete", "--keep-content", "ask"]);
    delete.until("[y/N] ");
    delete.type_in("yes\n");
    let (status, said) = delete.end();
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("Kept /var/lib/libvirt/filesystems/ask"),
        "{said}"
    );
    // What was kept is in nobody's way but that of the same name.
    let mut again = vec!["create", "--confinement", "reduced"];
    again.extend(APACHE);
    again.push("ask");
    let text = lab.vss(&again).failed(1);
    assert!(text.contains("/var/lib/libvirt/filesystems/ask"), "{text}");
    // Where nothing would go there is nothing to ask.
    let (status, said) = lab.on_terminal(&["delete", "ask"]).end();
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("delete --force ask") && !said.contains("[y/N]"),
        "{said}"
    );
    lab.vss(&["delete", "--force", "ask"]).ok();
    assert!(!std::path::Path::new("/var/lib/libvirt/filesystems/ask").exists());
}

#[test]
fn a_list_is_for_people_and_for_programs() {
    let lab = Lab::enter();
    let _one = lab.create("li-1", &APACHE);
    let two = lab.create("li-2", &APACHE);
    two.start();
    let json = lab.vss(&["list", "--format", "json"]).json();
    assert_eq!(
        (&json[0]["name"], &json[0]["state"]),
        (&"li-1".into(), &"stopped".into())
    );
    assert_eq!(
        (&json[1]["name"], &json[1]["state"]),
        (&"li-2".into(), &"running".into())
    );
    assert_eq!(lab.vss(&["list", "-q"]).ok(), "li-1\nli-2\n");
    let table = lab.vss(&["ls"]).ok();
    let heading: Vec<_> = table
        .lines()
        .take(1)
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(
        heading,
        ["NAME", "UNIT", "STATE", "CONFINED", "ADDRESS", "SINCE"]
    );
    let bare = lab.vss(&["list", "--no-legend"]).ok();
    assert_eq!(table.lines().skip(1).count(), bare.lines().count());
    assert!(bare.starts_with("li-1 "), "{bare}");
    // Colours on a terminal, unless they are not wanted.
    let (_, coloured) = lab.on_terminal(&["list"]).end();
    assert!(coloured.contains("\x1b["), "{coloured:?}");
    let plain = lab.on_terminal_with(&["list"], |c| {
        c.env("NO_COLOR", "1");
    });
    assert!(!plain.end().1.contains('\x1b'));
    assert!(!table.contains('\x1b'));
    // One that fails does not keep the others, for each verb, and what failed comes last.
    for verb in ["stop", "restart", "start"] {
        let ran = lab.vss(&[verb, "li-2", "no-such", "li-1"]).ended(1);
        assert!(
            ran.stdout().contains("li-1") && ran.stdout().contains("li-2"),
            "{verb}"
        );
        let last = "virt-sandbox-service: 1 of 3 failed: no-such\n";
        assert!(ran.stderr().ends_with(last), "{verb}: {}", ran.stderr());
        let quiet = lab.vss(&[verb, "-q", "li-1", "li-2"]).ended(0);
        assert_eq!(quiet.stdout(), "", "{verb}");
    }
}

#[test]
fn the_host_unit_is_what_systemd_wants() {
    let lab = Lab::enter();
    let _sandbox = lab.create("ana", &APACHE);
    let unit = "/etc/systemd/system/apache2@ana.service";
    let ran = lab.run("systemd-analyze", &["verify", "--man=no", unit]);
    // The host's own units may have theirs.
    let said = ran.stderr();
    assert!(ran.code() == Some(0) && !said.contains("ana"), "{said}");
    // The pair: it does find fault with a unit that has one.
    let text = fs::read_to_string(unit).expect("the unit");
    let faulty = "/run/lab-faulty.service";
    fs::write(faulty, text.replace("Type=notify", "Type=nonsense")).expect("a unit");
    let ran = lab.run("systemd-analyze", &["verify", "--man=no", faulty]);
    assert!(ran.stderr().contains("nonsense"), "{}", ran.stderr());
}
