//! The command as a process: help, usage errors, exit statuses, streams. In a clean environment,
//! without a container and without a change to the host.
//!
//! The help texts stand in `help/`; `SNAPSHOTS=overwrite cargo test -p vss-cli` writes them anew.

#![expect(clippy::disallowed_methods, reason = "the program under test is run")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use snapbox::{assert_data_eq, file};

const PROGRAM: &str = env!("CARGO_BIN_EXE_virt-sandbox-service");

const VERBS: [&str; 12] = [
    "create", "plan", "explain", "start", "stop", "restart", "execute", "connect", "status",
    "list", "inspect", "delete",
];

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a command line that makes no sense: status 2, nothing on stdout, one message in our form.
fn usage_error(args: &[&str]) -> String {
    let output = run(args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?}");
    assert!(text.starts_with("virt-sandbox-service: "), "{text}");
    text
}

/// libvirt and the fifty libraries that it brings are loaded by whoever speaks to it, and not by
/// whoever starts the command; see `library.rs` of `vss-libvirt`.
#[test]
fn the_command_is_not_linked_with_libvirt() {
    // ld.so(8): the libraries are listed and the program is not run
    let listed = command(&["list"])
        .env("LD_TRACE_LOADED_OBJECTS", "1")
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("libc.so"), "{listed}");
    assert!(!listed.contains("libvirt"), "{listed}");
}

#[test]
fn help_of_the_command() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    assert_data_eq!(output.stdout, file!["help/virt-sandbox-service.txt"].raw());
    assert_eq!(run(&["help"]).stdout, run(&["--help"]).stdout);
}

#[test]
fn help_of_each_verb() {
    for verb in VERBS {
        let output = run(&[verb, "--help"]);
        assert!(output.status.success(), "{verb}");
        let golden = snapbox::Data::read_from(
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("tests/help/{verb}.txt")),
            None,
        );
        assert_data_eq!(output.stdout, golden.raw());
    }
}

#[test]
fn aliases_are_the_verbs() {
    for (alias, verb) in [
        ("exec", "execute"),
        ("shell", "connect"),
        ("ls", "list"),
        ("rm", "delete"),
    ] {
        assert_eq!(
            run(&[alias, "--help"]).stdout,
            run(&[verb, "--help"]).stdout
        );
    }
}

#[test]
fn version_says_the_name() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    assert_data_eq!(
        output.stdout,
        concat!("virt-sandbox-service ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn usage_errors_name_the_problem() {
    for (args, named) in [
        (&[] as &[&str], "no verb given"),
        (&["frobnicate"], "'frobnicate'"),
        (&["list", "--nonsense"], "'--nonsense'"),
        (&["create", "web1"], "-u UNIT"),
        (&["plan", "web1"], "-u UNIT"),
        (&["create", "-u", "a.service"], "<NAME>"),
        (&["create", "-u", "a b", "web1"], "' '"),
        (&["create", "-u", "a", "-l", "s0:c1024", "web1"], "c1024"),
        (&["create", "-u", "a", "-l", "c1,c2", "web1"], "c1,c2"),
        (
            &["create", "-u", "a", "-l", "s0:c5,c5", "web1"],
            "category twice",
        ),
        (
            &["create", "-u", "a", "--share", "/srv/a\nb", "web1"],
            "control character",
        ),
        (
            &["create", "-u", "a", "-N", "bridge=x", "web1"],
            "source=NET",
        ),
        (&["create", "-u", "a", "-p", "dir", "web1"], "not absolute"),
        (
            &["create", "-u", "a", "--copy", "/etc/../x", "web1"],
            "\"..\"",
        ),
        (
            &["create", "-u", "a", "--confinement", "strong", "web1"],
            "auto, selinux, userns, reduced and none",
        ),
        (
            &["create", "-u", "a", "--private-users=0:65536", "web1"],
            "host's own users",
        ),
        (
            &["create", "-u", "a", "--private-users=100000:-1", "web1"],
            "BASE:COUNT",
        ),
        (
            &["create", "-u", "a", "--private-users=100000:1", "web1"],
            "too few",
        ),
        (&["list", "--format", "yaml"], "yaml"),
        (&["start"], "<NAME>"),
        (&["execute", "web1"], "<COMMAND>"),
        (&["execute", "--env", "X", "web1", "true"], "NAME=VALUE"),
        (&["execute", "-w", "tmp", "web1", "true"], "absolute path"),
        (&["inspect", "--format", "table", "web1"], "json"),
        (&["explain", "web1"], "PATH"),
        (&["explain", "web1", "etc"], "not absolute"),
        (&["explain", "-C", "web1", "/etc"], "need -u UNIT"),
        (&["explain", "--mask", "/x", "web1", "/etc"], "need -u UNIT"),
        (&["-c", "qemu:///system", "list"], "only lxc"),
        (&["list", "-c", "lxc+ssh://h/system"], "on this host"),
    ] {
        let text = usage_error(args);
        assert!(text.contains(named), "{args:?}: {text}");
        assert!(text.contains("\nhint: "), "{args:?}: {text}");
    }
}

/// The names themselves are tried in `vss-model`; here that every verb asks it.
#[test]
fn a16_no_verb_takes_a_bad_name() {
    let long = "x".repeat(64);
    for name in ["../x", "", "-x", "a\nb", &long] {
        usage_error(&["start", "--", name]);
    }
    for verb in ["stop", "restart", "status", "connect", "inspect", "delete"] {
        usage_error(&[verb, "../x"]);
    }
    usage_error(&["create", "-u", "a.service", "../x"]);
    usage_error(&["plan", "-u", "a.service", "../x"]);
    usage_error(&["execute", "../x", "true"]);
    usage_error(&["explain", "../x", "/etc"]);
}

#[test]
fn a40_what_was_typed_is_shown_harmless() {
    let text = usage_error(&["start", "a\u{1b}[2J"]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_unit_error_hints_at_the_verbs_help() {
    assert_data_eq!(
        usage_error(&["list", "--nonsense"]),
        "virt-sandbox-service: unexpected argument '--nonsense' found\n\
         hint: virt-sandbox-service list --help\n"
    );
}

/// With another command in the place of ours.
#[test]
fn many_at_once_end_with_1_where_one_fails() {
    let ended = |instead: &str, args: &[&str]| {
        let place = tempfile::tempdir().unwrap();
        let ours = place.path().join("virt-sandbox-service");
        std::os::unix::fs::symlink(instead, ours).unwrap();
        let path = format!("{}:/usr/bin:/bin", place.path().display());
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../containers.sh"))
            .args(args)
            .env_clear()
            .env("PATH", path)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let three = ["stop", "web", "3"];
    assert_eq!(ended("/bin/true", &three).status.code(), Some(0));
    assert_eq!(ended("/bin/false", &three).status.code(), Some(1));
    let usage = ended("/bin/true", &["stop"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(stderr(&usage).contains("delete removes running ones too"));
}

/// As another user, from a place that such a user can read.
#[test]
fn only_root_gets_further_than_help() {
    let place = tempfile::tempdir_in("/tmp").unwrap();
    let program = place.path().join("virt-sandbox-service");
    // by a process of its own: a child that another test forks meanwhile would hold what is written
    // here open for an instant, and a program that is can't be executed (ETXTBSY)
    let copied = Command::new("cp").arg(PROGRAM).arg(&program).status();
    assert!(copied.unwrap().success());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path(), mode).unwrap();
    let as_other = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).env_clear().stdin(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        command.output().unwrap()
    };
    assert!(as_other(&["--help"]).status.success());
    assert!(as_other(&["--version"]).status.success());
    assert_eq!(as_other(&["list", "--nonsense"]).status.code(), Some(2));
    let output = as_other(&["list"]);
    assert_eq!(output.status.code(), Some(1));
    assert_data_eq!(
        output.stderr,
        "virt-sandbox-service: only root can do this\n\
         hint: run it with sudo or from a root shell\n"
    );
    assert_eq!(as_other(&["execute", "x", "true"]).status.code(), Some(125));
    assert_eq!(as_other(&["connect", "x"]).status.code(), Some(125));
}

#[test]
fn a56_a_closed_pipe_ends_with_141() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command(&["--help"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(stderr(&output), "");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let plain = command(&["list", "--nonsense"]).output().unwrap();
    assert!(!plain.stderr.contains(&0x1b));
    let forced = |no_color: bool| {
        let mut command = command(&["list", "--nonsense"]);
        command.env("CLICOLOR_FORCE", "1").env("TERM", "xterm");
        if no_color {
            command.env_remove("CLICOLOR_FORCE").env("NO_COLOR", "1");
        }
        command.output().unwrap().stderr.contains(&0x1b)
    };
    assert!(forced(false));
    assert!(!forced(true));
}

/// What needs root and changes nothing; as another user, that it is refused.
fn as_root(args: &[&str]) -> Option<Output> {
    let output = run(args);
    if rustix::process::geteuid().is_root() {
        return Some(output);
    }
    assert!(stderr(&output).contains("only root can do this"));
    None
}

#[test]
fn a_list_is_an_array_in_json() {
    for args in [["list", "--format", "json"], ["ls", "--output", "json"]] {
        if let Some(output) = as_root(&args) {
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(list.is_array(), "{list}");
        }
    }
}

#[test]
fn a_table_has_a_legend_unless_told_otherwise() {
    let heading = "NAME  ";
    let first = |args: &[&str]| as_root(args).map(|o| String::from_utf8(o.stdout).unwrap());
    if let Some(text) = first(&["list"]) {
        assert!(text.starts_with(heading), "{text}");
        assert!(!first(&["list", "--no-legend"]).unwrap().contains(heading));
        assert!(!first(&["list", "-q"]).unwrap().contains(heading));
    }
}

#[test]
fn what_does_not_exist_is_named_with_what_to_run_next() {
    for args in [
        &["status", "no-such-1"][..],
        &["inspect", "no-such-1"],
        &["inspect", "--format", "json", "no-such-1"],
        &["stop", "--dry-run", "no-such-1"],
        &["delete", "--dry-run", "no-such-1"],
        &["explain", "no-such-1", "/etc"],
    ] {
        let Some(output) = as_root(args) else { return };
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert!(text.starts_with("virt-sandbox-service: there is no sandbox no-such-1\n"));
        assert!(text.contains("\nhint: "), "{text}");
    }
    let output = as_root(&["execute", "no-such-1", "true"]).unwrap();
    assert_eq!(output.status.code(), Some(125));
}

#[test]
fn a_bulk_verb_goes_on_and_sums_up_last() {
    let args = [
        "stop",
        "--dry-run",
        "--format",
        "json",
        "no-such-1",
        "no-such-2",
    ];
    let Some(output) = as_root(&args) else { return };
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "virt-sandbox-service: 2 of 2 failed: no-such-1, no-such-2"
    );
    let items: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[1]["name"], "no-such-2");
    assert_eq!(items[1]["error"], "there is no sandbox no-such-2");
}
