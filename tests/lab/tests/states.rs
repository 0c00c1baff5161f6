//! What the host sees of what happens inside: each row of the design's table of states that a
//! machine without systemd as its first process can show.

use std::time::Duration;

use vss_lab::{Lab, Ran, fixture, happens};

#[test]
fn a_service_that_fails_at_its_start_fails_the_start_with_its_result_and_its_words() {
    let lab = Lab::enter();
    let service = "Type=oneshot\nExecStart=/bin/sh -c 'echo no such luck; exit 7'";
    fixture::service(&lab, "lab-fails", "", service);
    let sandbox = lab.create("fails", &["-u", "lab-fails.service"]);
    let text = lab.vss(&["start", "fails"]).failed(1);
    for wanted in ["lab-fails.service", "exit-code", "7", "no such luck"] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    sandbox.settles("failed");
}

#[test]
fn starts_of_one_sandbox_at_once_come_to_the_same_end() {
    let lab = Lab::enter();
    fixture::service(&lab, "lab-twice", "", "ExecStart=/bin/sleep infinity");
    let sandbox = lab.create("twice", &["-u", "lab-twice.service"]);
    for _ in 0..8 {
        for ran in at_once(&lab, &[["start", "twice"]; 3]) {
            ran.ok();
        }
        sandbox.settles("running");
        sandbox.stop();
    }
    // whichever is first: none hangs, and none leaves anything in between
    at_once(
        &lab,
        &["start", "stop", "restart"].map(|verb| [verb, "twice"]),
    );
    sandbox.stop();
    sandbox.start();
}

#[test]
fn one_that_stops_is_not_up() {
    let lab = Lab::enter();
    let service = "ExecStart=/bin/sleep infinity\nExecStop=/bin/sh -c 'until [ -e /var/tmp/lab-go ]; do sleep 0.1; done'\nTimeoutStopSec=300";
    fixture::service(&lab, "lab-slow", "", service);
    let sandbox = lab.create("slow", &["-u", "lab-slow.service"]);
    sandbox.start();
    let first = sandbox.first_process();
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| lab.vss(&["stop", "slow"]).ok());
        sandbox.settles("stopping");
        let start = scope.spawn(|| lab.vss(&["start", "slow"]).ok());
        // what takes it for one that is up has said so by then
        std::thread::sleep(Duration::from_secs(2));
        let waits = !start.is_finished();
        let go = "/var/lib/libvirt/filesystems/slow/var/tmp/lab-go";
        std::fs::write(go, "").expect("a file inside");
        let said = start.join().expect("the start");
        assert!(waits && !said.contains("already"), "{said}");
        stop.join().expect("the stop");
    });
    sandbox.settles("running");
    assert_ne!(sandbox.first_process(), first);
}

#[test]
fn one_that_does_not_stop_in_time_is_told_to_be_killed() {
    let lab = Lab::enter();
    let service = "ExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 600\nTimeoutStopSec=900";
    fixture::service(&lab, "lab-stays", "", service);
    let sandbox = lab.create("stays", &["-u", "lab-stays.service"]);
    let config = "/etc/libvirt-sandbox/services/stays.sandbox";
    let text = std::fs::read_to_string(config).expect("the config");
    let lines = text.lines().map(|line| match line {
        line if line.starts_with("stop = ") => "stop = 1",
        line => line,
    });
    let text: Vec<_> = lines.collect();
    std::fs::write(config, text.join("\n") + "\n").expect("an edit");
    sandbox.start();
    let said = lab.vss(&["stop", "stays"]).ok();
    assert!(said.contains("by force"), "{said}");
}

#[test]
fn a_stop_by_force_waits_for_nothing_and_leaves_no_failure() {
    let lab = Lab::enter();
    let service =
        "ExecStart=/bin/sleep infinity\nExecStop=/bin/sleep infinity\nTimeoutStopSec=infinity";
    fixture::service(&lab, "lab-stays", "", service);
    let sandbox = lab.create("stays", &["-u", "lab-stays.service"]);
    sandbox.start();
    let said = lab.vss(&["stop", "--force", "stays"]).ok();
    assert_eq!(said, "Stopped stays by force\n");
    let status = sandbox.settles("stopped");
    assert!(status["last_failure"].is_null(), "{status}");
    let said = lab.vss(&["stop", "--force", "stays"]).ok();
    assert_eq!(said, "stays is not running\n");
    // its runner may still be told to, which a kill does not wait for
    sandbox.start();
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| lab.vss(&["stop", "stays"]).code());
        sandbox.settles("stopping");
        lab.vss(&["stop", "--force", "stays"]).ok();
        assert_eq!(patient.join().expect("the stop"), Some(0));
    });
    sandbox.settles("stopped");
}

#[test]
fn starts_at_once_of_a_service_that_fails_all_tell_why() {
    let lab = Lab::enter();
    let service = "Type=oneshot\nExecStart=/bin/sh -c 'sleep 1; echo no such luck; exit 7'";
    fixture::service(&lab, "lab-both", "", service);
    let sandbox = lab.create("both", &["-u", "lab-both.service"]);
    for ran in at_once(&lab, &[["start", "both"]; 2]) {
        let text = ran.failed(1);
        assert!(text.contains("no such luck"), "{text}");
    }
    sandbox.settles("failed");
}

fn at_once(lab: &Lab, verbs: &[[&str; 2]]) -> Vec<Ran> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = verbs
            .iter()
            .map(|verb| scope.spawn(|| lab.vss(verb)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|ran| ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[test]
fn a_config_edited_to_name_what_is_anothers_is_not_started() {
    let lab = Lab::enter();
    fixture::service(&lab, "lab-own", "", "ExecStart=/bin/sleep infinity");
    let mine = lab.create("mine", &["-u", "lab-own.service"]);
    let theirs = lab.create("theirs", &["-u", "lab-own.service"]);
    let file = |name| format!("/etc/libvirt-sandbox/services/{name}.sandbox");
    let read = |name| std::fs::read_to_string(file(name)).expect("a config");
    let (config, other) = (read("mine"), read("theirs"));
    for key in ["path", "label", "address"] {
        let line = |text: &str| {
            let is_it = |line: &&str| line.split(" = ").next() == Some(key);
            text.lines().find(is_it).expect("the key").to_owned()
        };
        let edited = config.replace(&line(&config), &line(&other));
        std::fs::write(file("mine"), edited).expect("an edited config");
        let text = lab.vss(&["start", "mine"]).failed(1);
        assert!(text.contains("sandbox theirs"), "{key}: {text}");
    }
    std::fs::write(file("mine"), config).expect("the config");
    mine.start();
    theirs.start();
}

#[test]
fn what_was_created_is_told_although_its_start_fails() {
    let lab = Lab::enter();
    fixture::service(&lab, "lab-now", "", "Type=oneshot\nExecStart=/bin/false");
    let sandbox = lab.expect("now");
    let ran = lab.vss(&[
        "create",
        "--confinement",
        "reduced",
        "-u",
        "lab-now.service",
        "--now",
        "now",
    ]);
    let told = ran.stdout();
    assert!(
        told.contains("services/now.sandbox") && !told.contains("Started"),
        "{told}"
    );
    let text = ran.failed(1);
    assert!(text.contains("now did not start"), "{text}");
    sandbox.settles("failed");
}

#[test]
fn a_unit_that_stands_for_others_fails_with_all_of_them() {
    let lab = Lab::enter();
    let stands = "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true";
    fixture::service(&lab, "lab-stands", "", stands);
    let main = "Type=oneshot\nExecStart=/bin/sh -c 'echo no such luck; exit 7'";
    fixture::service(&lab, "lab-stands-a", "Before=lab-stands.service", main);
    let wants = "/etc/systemd/system/lab-stands.service.wants";
    std::fs::create_dir_all(wants).expect("a directory");
    let link = format!("{wants}/lab-stands-a.service");
    std::os::unix::fs::symlink("../lab-stands-a.service", link).expect("a link");
    let sandbox = lab.create("stands", &["-u", "lab-stands.service", "--copy", wants]);
    let text = lab.vss(&["start", "stands"]).failed(1);
    for wanted in ["lab-stands-a.service failed", "no such luck"] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    sandbox.settles("failed");
}

#[test]
fn a_unit_that_keeps_the_service_from_being_started_is_named() {
    let lab = Lab::enter();
    fixture::service(
        &lab,
        "lab-needs",
        "Requires=lab-needed.service\nAfter=lab-needed.service",
        "ExecStart=/bin/sleep infinity",
    );
    let needed = "Type=oneshot\nExecStart=/bin/sh -c 'echo no such luck; exit 7'";
    fixture::service(&lab, "lab-needed", "", needed);
    let sandbox = lab.create("needs", &["-u", "lab-needs.service"]);
    let text = lab.vss(&["start", "needs"]).failed(1);
    for wanted in ["requires failed: lab-needed.service", "no such luck"] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    sandbox.settles("failed");
}

#[test]
fn a_service_that_is_restarted_in_vain_has_its_own_words_told() {
    let lab = Lab::enter();
    let service = "ExecStart=/bin/sh -c 'echo no such luck; exit 7'\nType=notify\n\
         Restart=on-failure\nRestartSec=100ms";
    fixture::service(&lab, "lab-vain", "", service);
    let sandbox = lab.create("vain", &["-u", "lab-vain.service"]);
    let text = lab.vss(&["start", "vain"]).failed(1);
    assert!(text.contains("no such luck"), "{text}");
    sandbox.settles("failed");
}

#[test]
fn a_condition_that_is_not_met_fails_the_start_and_is_named() {
    let lab = Lab::enter();
    let condition = "ConditionPathExists=/etc/lab-not-there";
    fixture::service(
        &lab,
        "lab-condition",
        condition,
        "ExecStart=/bin/sleep infinity",
    );
    let sandbox = lab.create("cond", &["-u", "lab-condition.service"]);
    let text = lab.vss(&["start", "cond"]).failed(1);
    assert!(text.contains(condition), "{text}");
    sandbox.settles("failed");
}

#[test]
fn a_service_that_fails_later_ends_the_container_and_its_status_is_kept() {
    let lab = Lab::enter();
    let service = "ExecStart=/bin/sh -c 'while ! [ -e /run/lab-go ]; do sleep 0.1; done; exit 9'";
    fixture::service(&lab, "lab-later", "", service);
    let sandbox = lab.create("later", &["-u", "lab-later.service"]);
    sandbox.start();
    sandbox.execute(&["touch", "/run/lab-go"]).ok();
    let status = sandbox.settles("failed").to_string();
    assert!(
        status.contains("lab-later.service") && status.contains('9'),
        "{status}"
    );
}

#[test]
fn a_service_that_restarts_itself_is_not_at_its_end() {
    let lab = Lab::enter();
    let service = "ExecStart=/bin/sh -c '[ -e /var/tmp/lab-once ] && exec sleep infinity; \
         touch /var/tmp/lab-once; sleep 1; exit 3'\nRestart=on-failure\nRestartSec=100ms";
    fixture::service(&lab, "lab-restarts", "", service);
    let sandbox = lab.create("restarts", &["-u", "lab-restarts.service"]);
    sandbox.start();
    for _ in 0..600 {
        let restarts = sandbox.execute(&[
            "systemctl",
            "show",
            "-P",
            "NRestarts",
            "lab-restarts.service",
        ]);
        if restarts.ok() == "1\n" {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    sandbox.settles("running");
    // An administrator's restart inside is not the end either.
    sandbox
        .execute(&["systemctl", "restart", "lab-restarts.service"])
        .ok();
    sandbox.settles("running");
}

#[test]
fn a_service_that_ends_with_success_stops_the_container() {
    let lab = Lab::enter();
    let service = "ExecStart=/bin/sh -c 'while ! [ -e /run/lab-go ]; do sleep 0.1; done'";
    fixture::service(&lab, "lab-ends", "", service);
    let sandbox = lab.create("ends", &["-u", "lab-ends.service"]);
    sandbox.start();
    sandbox.execute(&["touch", "/run/lab-go"]).ok();
    sandbox.settles("stopped");
    sandbox.start();
    sandbox.settles("running");
}

/// The end of one is looked at for a moment, in which the end of the other begins nothing anew.
#[test]
fn two_services_that_end_one_after_the_other_stop_the_container() {
    let lab = Lab::enter();
    let wait = "ExecStart=/bin/sh -c 'while ! [ -e /run/lab-go ]; do sleep 0.01; done";
    fixture::service(&lab, "lab-one", "", &format!("{wait}'"));
    fixture::service(&lab, "lab-two", "", &format!("{wait}; sleep $LATER'"));
    let sandbox = lab.create("both", &["-u", "lab-one.service", "-u", "lab-two.service"]);
    let drop_ins = "/var/lib/libvirt/filesystems/both/etc/systemd/system/lab-two.service.d";
    std::fs::create_dir_all(drop_ins).expect("a directory");
    for later in ["0", "0.2", "0.25", "0.26", "0.27", "0.28", "0.3", "0.5"] {
        let text = format!("[Service]\nEnvironment=LATER={later}\n");
        std::fs::write(format!("{drop_ins}/later.conf"), text).expect("a drop-in");
        sandbox.start();
        sandbox.execute(&["touch", "/run/lab-go"]).ok();
        sandbox.settles("stopped");
    }
}

#[test]
fn a_reboot_inside_comes_back_and_a_poweroff_does_not() {
    let lab = Lab::enter();
    let sandbox = lab.create("boots", &["-u", "apache2.service"]);
    sandbox.start();
    let before = sandbox.first_process();
    let _ = sandbox.execute(&["systemctl", "reboot"]);
    sandbox.runs_anew(before);
    let _ = sandbox.execute(&["systemctl", "poweroff"]);
    sandbox.settles("stopped");
}

#[test]
fn a_domain_destroyed_from_outside_is_a_failure_that_says_so() {
    let lab = Lab::enter();
    let sandbox = lab.create("killed", &["-u", "apache2.service"]);
    sandbox.start();
    lab.run("virsh", &["-q", "-c", "lxc:///system", "destroy", "killed"])
        .ok();
    let status = sandbox.settles("failed");
    let why = status["last_failure"].as_str().expect("a failure");
    assert!(why.contains("ended from outside"), "{status}");
}

#[test]
fn a49_a_container_without_its_runner_goes_on_and_is_stopped_gracefully() {
    let lab = Lab::enter();
    let service = "ExecStart=/bin/sleep infinity\nExecStop=/bin/sh -c 'sleep 1; echo stopped > /var/tmp/lab-stopped'";
    fixture::service(&lab, "lab-orphan", "", service);
    let sandbox = lab.create("orphan", &["-u", "lab-orphan.service"]);
    sandbox.start();
    // The runner tells that the container is up, and then becomes the waiter.
    let kill = || lab.run("pkill", &["-KILL", "-x", "virt-sandbox-wa"]).code();
    assert!(happens(|| kill() == Some(0)), "there is no waiter");
    sandbox.execute(&["true"]).ok();
    sandbox.settles("running");
    sandbox.stop();
    let proof = "/var/lib/libvirt/filesystems/orphan/var/tmp/lab-stopped";
    assert_eq!(
        std::fs::read_to_string(proof).expect("ExecStop ran"),
        "stopped\n"
    );
}

#[test]
fn a_stop_lets_the_service_finish() {
    let lab = Lab::enter();
    let service = "ExecStart=/bin/sleep infinity\nExecStop=/bin/sh -c 'sleep 4; echo stopped > /var/tmp/lab-stopped'";
    fixture::service(&lab, "lab-slow", "", service);
    let sandbox = lab.create("slow", &["-u", "lab-slow.service"]);
    sandbox.start();
    sandbox.stop();
    let proof = "/var/lib/libvirt/filesystems/slow/var/tmp/lab-stopped";
    assert_eq!(
        std::fs::read_to_string(proof).expect("ExecStop ran"),
        "stopped\n"
    );
}
