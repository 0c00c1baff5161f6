use super::*;

fn unit(active: InnerState) -> UnitView {
    UnitView {
        name: "a.service".to_owned(),
        load: "loaded".to_owned(),
        active,
        result: "success".to_owned(),
        code: 0,
        status: 0,
        condition_met: true,
        failed_conditions: vec![],
        has_run: true,
        job_pending: false,
    }
}

fn report(result: &str, code: &str, status: &str) -> Report {
    Report {
        unit: "a.service".to_owned(),
        result: result.to_owned(),
        code: code.to_owned(),
        status: status.to_owned(),
    }
}

#[test]
fn a_start_is_up_when_every_unit_is() {
    let up = unit(InnerState::Active);
    assert_eq!(start(std::slice::from_ref(&up)), Start::Up);
    let coming = unit(InnerState::Activating);
    assert_eq!(start(&[up.clone(), coming]), Start::Wait);
    let mut waiting = unit(InnerState::Inactive);
    waiting.job_pending = true;
    assert_eq!(start(&[waiting, up]), Start::Wait);
}

#[test]
fn a_oneshot_that_is_done_counts_as_up() {
    assert_eq!(start(&[unit(InnerState::Inactive)]), Start::Up);
}

#[test]
fn a_failure_says_how() {
    let mut failed = unit(InnerState::Failed);
    failed.result = "exit-code".to_owned();
    failed.code = 1;
    failed.status = 3;
    let Start::Failed(trouble) = start(&[unit(InnerState::Active), failed]) else {
        panic!("not failed");
    };
    assert_eq!(
        trouble.to_string(),
        "a.service failed: exit-code, exit status 3"
    );
}

#[test]
fn a_condition_that_is_not_met_is_named() {
    let mut skipped = unit(InnerState::Inactive);
    skipped.condition_met = false;
    skipped.failed_conditions = vec!["ConditionPathExists=!/etc/x\u{1b}[2J".to_owned()];
    let Start::Failed(trouble) = start(&[skipped]) else {
        panic!("not failed");
    };
    assert_eq!(
        trouble.to_string(),
        "a.service was not started: a condition is not met: ConditionPathExists=!/etc/x\\x1b[2J"
    );
}

#[test]
fn a_unit_that_never_ran_is_not_one_that_ended_well() {
    let ended = unit(InnerState::Inactive);
    assert_eq!(start(std::slice::from_ref(&ended)), Start::Up);
    let mut left_out = ended;
    left_out.has_run = false;
    let Start::Failed(trouble) = start(&[left_out]) else {
        panic!("not failed");
    };
    assert_eq!(
        trouble.to_string(),
        "a.service was not started: a unit that it requires failed"
    );
}

#[test]
fn a_unit_that_stands_for_others_is_up_if_one_of_them_is() {
    let [up, skipped] = [InnerState::Active, InnerState::Inactive].map(unit);
    let mut failed = unit(InnerState::Failed);
    failed.name = "a@main.service".to_owned();
    failed.result = "protocol".to_owned();
    assert_eq!(hollow(&[]), None);
    assert_eq!(hollow(std::slice::from_ref(&skipped)), None);
    assert_eq!(hollow(&[failed.clone(), up]), None);
    let trouble = hollow(&[skipped, failed]).unwrap();
    assert_eq!(trouble.to_string(), "a@main.service failed: protocol");
}

#[test]
fn a_unit_that_is_masked_or_missing_fails() {
    let mut masked = unit(InnerState::Inactive);
    masked.load = "masked".to_owned();
    assert!(matches!(
        start(&[masked]),
        Start::Failed(Trouble::NotLoaded { .. })
    ));
}

#[test]
fn a_report_is_read_strictly() {
    let line = b"unit=a.service result=signal code=killed status=9\n";
    let read = Report::parse(line).unwrap();
    assert_eq!(read, report("signal", "killed", "9"));
    assert_eq!(read.exit_status(), 137);
    let named = report("signal", "killed", "KILL");
    assert_eq!(named.exit_status(), 137);
    assert_eq!(named.to_string(), "a.service failed: signal, signal KILL");
    assert_eq!(read.to_string(), "a.service failed: signal, signal 9");
    for bad in [
        &b""[..],
        b"unit=a.service",
        b"unit=a other=b result=c",
        b"\xff",
        b"result=success",
        b"unit",
    ] {
        assert_eq!(Report::parse(bad), None);
    }
    assert_eq!(report("exit-code", "exited", "0").exit_status(), 1);
    assert_eq!(report("success", "killed", "15").exit_status(), 0);
}

const SIGNALED_INT: i32 = 2;
const SIGNALED_HUP: i32 = 1;
const SIGNALED_KILL: i32 = 9;

fn ended(change: impl FnOnce(&mut Evidence)) -> End {
    let mut evidence = Evidence::default();
    change(&mut evidence);
    end(&evidence)
}

#[test]
fn a_stop_that_was_asked_for_is_a_success_whatever_else() {
    let stopped = ended(|e| {
        e.stopped = true;
        e.wait_status = Some(SIGNALED_INT);
        e.report = Some(report("exit-code", "exited", "3"));
    });
    assert_eq!(stopped, End::Stopped);
    assert_eq!(stopped.exit_status(), 0);
    let killed = ended(|e| {
        e.stopped = true;
        e.killed = true;
    });
    assert_eq!(killed.exit_status(), 1);
}

#[test]
fn the_services_end_is_the_containers() {
    for wait_status in [None, Some(3 << 8), Some(SIGNALED_INT)] {
        let failed = ended(|e| {
            e.wait_status = wait_status;
            e.report = Some(report("exit-code", "exited", "3"));
        });
        assert_eq!(failed.exit_status(), 3);
        let done = ended(|e| {
            e.wait_status = wait_status.map(|_| 0);
            e.report = Some(report("success", "exited", "0"));
        });
        assert_eq!(done.exit_status(), 0);
    }
}

#[test]
fn power_off_and_reboot_from_inside() {
    assert_eq!(ended(|e| e.wait_status = Some(SIGNALED_INT)), End::PowerOff);
    assert_eq!(ended(|e| e.claim = Some(Claim::PowerOff)), End::PowerOff);
    assert_eq!(ended(|e| e.runs_again = true), End::Reboot(true));
    assert_eq!(
        ended(|e| e.wait_status = Some(SIGNALED_HUP)),
        End::Reboot(false)
    );
    // a kernel or a busy parent that tells no status, and a service that ended well for the reboot
    let told = ended(|e| {
        e.claim = Some(Claim::Reboot);
        e.report = Some(report("success", "exited", "0"));
    });
    assert_eq!(told, End::Reboot(false));
}

#[test]
fn who_is_killed_from_outside_did_not_power_off_whatever_it_says() {
    let destroyed = ended(|e| {
        e.wait_status = Some(SIGNALED_KILL);
        e.claim = Some(Claim::PowerOff);
        e.report = Some(report("success", "exited", "0"));
    });
    assert_eq!(destroyed, End::Destroyed);
    assert_eq!(destroyed.exit_status(), 1);
    assert_eq!(ended(|_| ()), End::Destroyed);
}

#[test]
fn the_inits_own_failures_are_told_apart() {
    for status in [185, 192] {
        let end = ended(|e| e.wait_status = Some(i32::from(status) << 8));
        assert_eq!(end.exit_status(), status);
        assert!(matches!(end, End::Init { said: None, .. }), "{end}");
    }
    assert_eq!(ended(|e| e.wait_status = Some(7 << 8)), End::Exited(7));
    let of_service = report("exit-code", "exited", "185");
    let told = ended(|e| {
        e.wait_status = Some(185 << 8);
        e.report = Some(of_service.clone());
    });
    assert_eq!(told, End::Service(of_service));
}

#[test]
fn an_init_that_says_why_it_gave_up_did_whatever_else_is_there() {
    let said = "virt-sandbox-init: mounts: /x: \u{1b}[2J".to_owned();
    let old = report("success", "exited", "0");
    for (wait_status, status) in [(Some(185 << 8), 185), (None, 1)] {
        let told = ended(|e| {
            e.wait_status = wait_status;
            e.said = Some(said.clone());
            e.report = Some(old.clone());
            e.claim = Some(Claim::PowerOff);
        });
        assert_eq!(told.exit_status(), status);
        assert_eq!(told.to_string(), "virt-sandbox-init: mounts: /x: \\x1b[2J");
    }
    let stopped = ended(|e| {
        e.said = Some(said.clone());
        e.stopped = true;
    });
    assert_eq!(stopped, End::Stopped);
}

#[test]
fn a_claim_is_handed_on_in_systemd_s_words() {
    for claim in [Claim::PowerOff, Claim::Reboot] {
        assert_eq!(claim.to_string().parse(), Ok(claim));
    }
}

#[test]
fn the_consoles_last_words_are_understood() {
    let claim = |text: &str| Claim::read(text.lines());
    assert_eq!(claim("x\nPowering off.\n"), Some(Claim::PowerOff));
    assert_eq!(
        claim("[ 3.1] systemd[1]: Reached target reboot.target - System Reboot.\n"),
        Some(Claim::Reboot)
    );
    assert_eq!(claim("nothing\n"), None);
}
