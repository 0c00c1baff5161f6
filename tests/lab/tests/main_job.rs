//! The main job on the packaged Apache, as `make demo` shows it.

use vss_lab::snapshot::Snapshot;
use vss_lab::{Lab, client};

const APACHE: [&str; 3] = ["-C", "-u", "apache2.service"];

fn apache(verb: &[&'static str], name: &'static str) -> Vec<&'static str> {
    let mut args = verb.to_vec();
    args.extend(["--confinement", "reduced"]);
    args.extend(APACHE);
    args.push(name);
    args
}

#[test]
fn plan_and_dry_runs_change_nothing() {
    let lab = Lab::enter();
    let before = Snapshot::exact(&lab);
    let text = lab.vss(&apache(&["plan"], "web1")).ok();
    let json = lab
        .vss(&apache(&["plan", "--format", "json"], "web1"))
        .json();
    let dry = lab.vss(&apache(&["create", "--dry-run"], "web1")).ok();
    let why = ["explain", "-C", "-u", "apache2.service", "/etc/apache2"];
    lab.vss(&why).ok();
    before.assert_same(&Snapshot::exact(&lab), "plan changed something");
    // The UUID is a new one each time.
    let without_uuid = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|l| !l.to_lowercase().contains("uuid"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(
        without_uuid(&text),
        without_uuid(&dry),
        "create --dry-run shows the plan"
    );
    for path in ["/etc/apache2", "/var/www", "/usr"] {
        assert!(text.contains(path), "{path} is not in\n{text}");
        assert!(json.to_string().contains(path), "{path} is not in {json}");
    }
}

#[test]
fn apache_is_planned_made_run_asked_and_taken_away() {
    let lab = Lab::enter();
    // The first use defines the project's network, which stays for the next container.
    drop(lab.create("first", &["-u", "apache2.service"]));
    let before = Snapshot::settled(&lab);

    let _web = lab.expect("web1");
    let created = lab.vss(&apache(&["create"], "web1")).ok();
    assert_eq!(
        created,
        "Created sandbox container dir /var/lib/libvirt/filesystems/web1\n\
         Created sandbox config /etc/libvirt-sandbox/services/web1.sandbox\n\
         Created unit file /etc/systemd/system/apache2@web1.service\n"
    );
    lab.vss(&["start", "web1"]).ok();
    let status = lab.vss(&["status", "--format", "json", "web1"]).json();
    assert_eq!(status["state"], "running", "{status}");
    let address = status["address"].as_str().and_then(|a| a.parse().ok());
    let (head, body) = client::page(address.expect("an address"), "/").expect("a page");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body.contains("Apache2"), "{body}");

    let names = lab.vss(&["list", "-q"]).ok();
    assert_eq!(names, "web1\n");
    lab.vss(&["delete", "--yes", "web1"]).failed(1);

    lab.vss(&["stop", "web1"]).ok();
    assert!(client::page(address.expect("an address"), "/").is_err());
    lab.vss(&["delete", "--yes", "web1"]).ok();
    before.assert_same(&Snapshot::settled(&lab), "delete left something");
    lab.vss(&["status", "web1"]).failed(1);
}

#[test]
fn execute_ends_as_the_command_does() {
    let lab = Lab::enter();
    let web = lab.create("exec1", &["-u", "apache2.service"]);
    web.execute(&["true"]).failed(125);
    web.start();
    web.execute(&["true"]).ended(0);
    web.execute(&["sh", "-c", "exit 42"]).ended(42);
    web.execute(&["sh", "-c", "kill -9 $$"]).ended(137);
    web.execute(&["no-such-command"]).ended(127);
    web.execute(&["/etc/hostname"]).ended(126);
    let said = web.execute(&["sh", "-c", "echo out; echo err >&2; hostname"]);
    let said = said.ended(0);
    assert_eq!(said.stdout(), "out\nexec1\n");
    assert_eq!(said.stderr(), "err\n");
    let as_user = ["execute", "--user", "www-data", "exec1", "id", "-un"];
    assert_eq!(lab.vss(&as_user).ok(), "www-data\n");
    let elsewhere = ["execute", "--workdir", "/var/www", "exec1", "pwd"];
    assert_eq!(lab.vss(&elsewhere).ok(), "/var/www\n");
    let with = ["execute", "--env", "A=b c", "exec1", "printenv", "A"];
    assert_eq!(lab.vss(&with).ok(), "b c\n");
}

/// A43: nothing of the caller's environment reaches the command.
#[test]
fn a43_the_environment_is_clean() {
    let lab = Lab::enter();
    let web = lab.create("env1", &["-u", "apache2.service"]);
    web.start();
    let mut command = lab.prepare(&["execute", "env1", "env"]);
    command.env("LD_PRELOAD", "/nowhere.so").env("SECRET", "x");
    let inside = lab.output(&mut command).ended(0).stdout();
    assert!(!inside.contains("SECRET"), "{inside}");
    assert!(!inside.contains("LD_PRELOAD"), "{inside}");
    assert!(inside.contains("PATH="), "{inside}");
}

#[test]
fn two_apaches_have_pages_of_their_own() {
    let lab = Lab::enter();
    let (one, two) = (
        lab.create("one", &APACHE[..]),
        lab.create("two", &APACHE[..]),
    );
    for (name, sandbox) in [("one", &one), ("two", &two)] {
        let content = format!("/var/lib/libvirt/filesystems/{name}/var/www/html/index.html");
        std::fs::write(content, name).expect("the content is the host's to edit");
        sandbox.start();
    }
    for (name, sandbox) in [("one", &one), ("two", &two)] {
        let (_, body) = client::page(sandbox.address(), "/").expect("a page");
        assert_eq!(body, name);
    }
    assert_ne!(one.address(), two.address());
    assert_ne!(one.status()["label"], two.status()["label"]);
}
