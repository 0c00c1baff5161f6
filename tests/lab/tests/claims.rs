//! What `status` and `list` say of a container that runs is what runs.

use std::time::Duration;

use vss_lab::{Lab, fixture};

#[test]
fn a_config_edited_while_it_runs_changes_no_claim_and_no_command() {
    let lab = Lab::enter();
    fixture::service(&lab, "lab-claims", "", "ExecStart=/bin/sleep infinity");
    let sandbox = lab.create("claims", &["-u", "lab-claims.service"]);
    let config = "/etc/libvirt-sandbox/services/claims.sandbox";
    let reduced = std::fs::read_to_string(config).expect("a config");
    let none = reduced.replace("\"reduced\"", "\"none\"");
    assert_ne!(reduced, none);
    for (started, word, edited) in [(&none, "none", &reduced), (&reduced, "reduced", &none)] {
        std::fs::write(config, started).expect("an edit");
        sandbox.start();
        let confines = || {
            let text = sandbox.execute(&["cat", "/proc/self/status"]).ok();
            let is_told = |line: &&str| line.starts_with("CapBnd") || line.starts_with("Seccomp");
            text.lines()
                .filter(is_told)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let before = confines();
        std::fs::write(config, edited).expect("an edit");
        let status = sandbox.status();
        assert_eq!(status["confined"], word, "{status}");
        assert_eq!(status["as_planned"], false, "{status}");
        assert_eq!(status["confined_by"][0]["holds"], word == "reduced");
        assert_eq!(confines(), before);
        // libvirt boots the same domain again
        let first = sandbox.first_process();
        let _ = sandbox.execute(&["systemctl", "reboot"]);
        let is_back = |status: &serde_json::Value| {
            status["state"] == "running" && status["init_pid"] != first
        };
        let back = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            is_back(&sandbox.status())
        });
        assert!(back, "{}", sandbox.status());
        let status = sandbox.status();
        assert_eq!(status["confined"], word, "{status}");
        assert_eq!(confines(), before);
        sandbox.stop();
    }
}

#[test]
fn what_a_unit_stands_for_is_told_and_missed() {
    let lab = Lab::enter();
    let stands = "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true";
    // a line of the unit, which makes no link
    let wants = "Wants=lab-server.service lab-absent.service";
    fixture::service(&lab, "lab-server", "", "ExecStart=/bin/sleep infinity");
    fixture::service(&lab, "lab-wrapper", wants, stands);
    let sandbox = lab.create("wrapper", &["-u", "lab-wrapper.service"]);
    sandbox.start();
    let status = sandbox.status();
    assert_eq!(status["state"], "running", "{status}");
    assert_eq!(status["inner"][1]["unit"], "lab-server.service", "{status}");
    assert_eq!(status["inner"][1]["state"], "active", "{status}");
    sandbox
        .execute(&["systemctl", "stop", "lab-server.service"])
        .ok();
    let status = sandbox.status();
    assert_eq!(status["state"], "degraded", "{status}");
    assert_eq!(status["inner"][1]["state"], "inactive", "{status}");
}
