//! Starting and stopping.

use std::sync::Arc;

use vss_config::Failure;
use vss_model::{InnerState, SandboxState};

use super::world::{Watch, World, name};
use crate::delete::{DeleteOptions, delete};
use crate::error::{Error, Kind};
use crate::inventory;
use crate::lifecycle::{self, Stop};

#[test]
fn a_start_goes_through_the_hosts_systemd() {
    let world = World::new();
    world.create("web1").unwrap();
    let watch = Watch::default();
    let started = lifecycle::start(&world.host(), &name("web1"), &watch.control()).unwrap();
    assert!(!started.already && started.address.is_some());
    let calls = world.services.as_ref().unwrap().calls();
    assert!(calls.contains(&"start demo@web1.service".to_owned()));
}

#[test]
fn a40_a_failed_start_tells_what_the_runner_said() {
    let mut world = World::new();
    world.services = None;
    world.create("web1").unwrap();
    let failure = Failure {
        message: "demo.service failed: exit-code 3\u{1b}]0;x\u{7}".to_owned(),
        log: vec!["no such \u{1b}[31mfile".to_owned()],
        hint: None,
        killed: false,
    };
    let host = world.host();
    host.store().save_failure(&name("web1"), &failure).unwrap();
    let file = host.store().places().runtime(&name("web1")).join("failure");
    let said = world.path("said");
    std::fs::rename(&file, &said).unwrap();
    let script = format!("cp {} {}; exit 1", said.display(), file.display());
    crate::testing::script(&world.path("runner"), &script);
    let watch = Watch::default();
    let error = lifecycle::start(&world.host(), &name("web1"), &watch.control()).unwrap_err();
    assert_eq!(error.kind(), Kind::Service);
    let Error::StartFailed { message, log, .. } = error else {
        panic!("{error}");
    };
    assert!(message.contains("exit-code 3") && !message.contains('\u{1b}'));
    assert_eq!(log.len(), 1);
    assert!(!log[0].contains('\u{1b}'));
    // and so do the others, to whoever comes later
    let list = inventory::list(&world.host()).unwrap();
    assert_eq!(list[0].state, SandboxState::Failed);
    let status = inventory::status(&world.host(), &name("web1")).unwrap();
    assert_eq!(status.entry.state, SandboxState::Failed);
    assert!(status.last_failure.unwrap().contains("exit-code 3"));
    assert_eq!(status.last_log, log);
}

#[test]
fn a_start_beyond_what_the_kernel_allows_says_how_to_allow_more() {
    let failed = |line: &str| Error::StartFailed {
        name: name("web1"),
        message: "the container ended before lab-many.service was active".to_owned(),
        log: vec!["Welcome".to_owned(), line.to_owned()],
        hint: None,
    };
    let full = failed("Failed to create control group inotify object: Too many open files");
    let hint = full.hint().unwrap();
    assert!(hint.contains("fs.inotify.max_user_instances"), "{hint}");
    let other = failed("lab-many.service: Too many open files")
        .hint()
        .unwrap();
    assert!(other.contains("status web1"), "{other}");
}

#[test]
fn without_systemd_a_runner_is_spawned_and_its_failure_told() {
    let mut world = World::new();
    world.services = None;
    world.create("web1").unwrap();
    crate::testing::script(
        &world.path("runner"),
        "echo 'virt-sandbox-run: no room' >&2; echo 'hint: make some' >&2; exit 1",
    );
    let watch = Watch::default();
    let error = lifecycle::start(&world.host(), &name("web1"), &watch.control()).unwrap_err();
    assert!(matches!(error, Error::StartFailed { .. }), "{error}");
    // what it could leave nowhere, as on a full /run, is told all the same
    assert!(error.to_string().contains("no room"), "{error}");
    assert_eq!(error.hint().as_deref(), Some("make some"));
    let enable = crate::create::CreateOptions { enable: true };
    let error = world
        .create_with(&super::world::request("web2"), enable, &watch)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn a_running_one_is_not_deleted_without_force() {
    let world = World::new();
    let before = world.snapshot();
    world.create("web1").unwrap();
    let host = world.host();
    let run_lock = host.store().run_lock(&name("web1")).unwrap().unwrap();
    let watch = Watch::default();
    let options = DeleteOptions::default();
    let error = delete(&world.host(), &name("web1"), &options, &watch.control()).unwrap_err();
    assert!(matches!(error, Error::Running(_)), "{error}");
    drop(run_lock);
    delete(&world.host(), &name("web1"), &options, &watch.control()).unwrap();
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a49_a_domain_of_the_same_name_and_another_uuid_is_not_ours() {
    let world = World::new();
    world.create("web1").unwrap();
    let hypervisor = Arc::clone(&world.hypervisor);
    let uuid = vss_model::Uuid::from_u128(99);
    hypervisor.add(vss_libvirt::DomainInfo {
        name: "web1".to_owned(),
        uuid,
        active: true,
        label: None,
    });
    let watch = Watch::default();
    let stopped = lifecycle::stop(
        &world.host(),
        &name("web1"),
        Stop::Graceful,
        &watch.control(),
    )
    .unwrap();
    assert!(stopped.already && !stopped.killed);
    use vss_libvirt::Hypervisor;
    assert!(hypervisor.find(uuid).unwrap().is_some());
}

#[test]
fn a_stopped_one_whose_unit_is_about_to_restart_is_stopped_too() {
    let world = World::new();
    world.create("web1").unwrap();
    let services = world.services.as_ref().unwrap();
    let unit = "demo@web1.service".parse().unwrap();
    services.set(
        &unit,
        vss_unit::UnitStatus {
            active: InnerState::Activating,
            ..vss_unit::testing::inactive_unit()
        },
    );
    let watch = Watch::default();
    lifecycle::stop(
        &world.host(),
        &name("web1"),
        Stop::Graceful,
        &watch.control(),
    )
    .unwrap();
    assert!(
        services
            .calls()
            .contains(&"stop demo@web1.service".to_owned())
    );
}

#[test]
fn what_can_not_be_started_again_is_not_stopped_for_that() {
    let world = World::new();
    world.create("web1").unwrap();
    let config = "etc/libvirt-sandbox/services/web1.sandbox";
    let sound = std::fs::read_to_string(world.path(config)).unwrap();
    let services = world.services.as_ref().unwrap();
    services.set(
        &"demo@web1.service".parse().unwrap(),
        vss_unit::UnitStatus {
            active: InnerState::Active,
            ..vss_unit::testing::inactive_unit()
        },
    );
    let (host, web1) = (world.host(), name("web1"));
    let watch = Watch::default();

    world.write(config, "nonsense");
    let error = lifecycle::restart(&host, &web1, &watch.control()).unwrap_err();
    assert!(error.to_string().contains(config), "{error}");
    world.write(config, &sound);
    world.remove("var/lib/libvirt/filesystems/web1");
    let error = lifecycle::restart(&host, &web1, &watch.control()).unwrap_err();
    assert!(matches!(error, Error::NoContent { .. }), "{error}");

    let calls = services.calls();
    assert!(
        !calls.iter().any(|call| call.starts_with("stop")),
        "{calls:?}"
    );
}

#[test]
fn a_start_that_systemd_ends_is_not_told_with_the_words_of_another() {
    let world = World::new();
    world.create("web1").unwrap();
    let (host, web1) = (world.host(), name("web1"));
    let failure = vss_config::Failure {
        message: "yesterday's".to_owned(),
        log: Vec::new(),
        hint: None,
        killed: false,
    };
    host.store().save_failure(&web1, &failure).unwrap();
    let unit = "demo@web1.service".parse().unwrap();
    let services = world.services.as_ref().unwrap();
    services.end_jobs_with(&unit, vss_unit::JobResult::Dependency);
    let watch = Watch::default();
    let error = lifecycle::start(&host, &web1, &watch.control()).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("demo@web1.service ended with dependency"),
        "{told}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("systemctl status demo@web1.service")
    );
}

#[test]
fn the_list_tells_what_can_not_be_read() {
    let world = World::new();
    world.create("web1").unwrap();
    world.create("web2").unwrap();
    world.write("etc/libvirt-sandbox/services/web2.sandbox", "nonsense");
    let list = inventory::list(&world.host()).unwrap();
    let states: Vec<_> = list.iter().map(|l| (l.name.as_str(), l.state)).collect();
    assert_eq!(
        states,
        [
            ("web1", SandboxState::Stopped),
            ("web2", SandboxState::Broken)
        ]
    );
    assert!(list[1].problem.is_some() && list[0].address.is_some());
    let status = inventory::status(&world.host(), &name("web1")).unwrap();
    assert!(status.host_unit.ours && !status.host_unit.enabled);
    assert!(status.inner.is_empty());
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["state"], "stopped");
    let inspected = inventory::inspect(&world.host(), &name("web1")).unwrap();
    assert!(inspected.domain_xml.contains(&status.uuid.to_string()));
    assert!(inspected.manifest.is_some());
    let path = "/etc/demo/demo.conf".parse().unwrap();
    let why = crate::explain::stored(&world.host(), &name("web1"), &path).unwrap();
    assert_eq!(why.fate, vss_plan::Fate::Private);
}

#[test]
fn a56_what_an_interrupted_verb_says_is_so() {
    let mut world = World::new();
    world.services = None;
    let watch = Watch::default();
    watch
        .cancelled
        .store(true, std::sync::atomic::Ordering::SeqCst);
    world.create("web1").unwrap();
    let (host, web1) = (world.host(), name("web1"));
    crate::testing::script(&world.path("runner"), "exec sleep 60");
    let run_lock = host.store().run_lock(&web1).unwrap();
    let control = watch.control();
    for (error, wanted) in [
        (
            lifecycle::start(&host, &web1, &control).unwrap_err(),
            "interrupted before web1 was up",
        ),
        (
            delete(&host, &web1, &DeleteOptions::default(), &control).unwrap_err(),
            "interrupted before anything of web1 was removed; it may be stopped, now or soon",
        ),
    ] {
        assert_eq!(error.to_string(), wanted);
        assert_eq!(error.kind(), Kind::Cancelled);
        assert!(error.hint().unwrap().contains("status web1"));
    }
    drop(run_lock);
    let error = lifecycle::restart(&host, &web1, &control).unwrap_err();
    assert!(error.to_string().contains("up again"), "{error}");
    assert!(world.exists("etc/libvirt-sandbox/services/web1.sandbox"));
}

#[test]
fn one_that_is_deleted_while_it_starts_is_not_there() {
    let mut world = World::new();
    world.services = None;
    world.create("web1").unwrap();
    world.create("web2").unwrap();
    let config = world.path("etc/libvirt-sandbox/services/web1.sandbox");
    let script = format!("rm {}; exit 1", config.display());
    crate::testing::script(&world.path("runner"), &script);
    let watch = Watch::default();
    let error = lifecycle::start(&world.host(), &name("web1"), &watch.control()).unwrap_err();
    assert_eq!(error.to_string(), "there is no sandbox web1");
    assert!(!error.hint().unwrap().contains("did you mean"));
}

/// systemd would take the name for an instance of the package's template, or for what an edit says.
#[test]
fn no_unit_is_started_but_the_sandbox_s_own() {
    let world = World::new();
    world.create("web1").unwrap();
    let watch = Watch::default();
    let start = || lifecycle::start(&world.host(), &name("web1"), &watch.control()).unwrap_err();
    let config = "etc/libvirt-sandbox/services/web1.sandbox";
    let sound = std::fs::read_to_string(world.path(config)).unwrap();
    world.write("etc/systemd/system/other.service", "[Service]\n");
    world.write(config, &sound.replace("demo@web1.service", "other.service"));
    let error = start();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    world.write(config, &sound);
    world.remove("etc/systemd/system/demo@web1.service");
    let error = start();
    let said = "the host unit /etc/systemd/system/demo@web1.service of sandbox web1 is not there";
    assert_eq!(error.to_string(), said);
    assert!(error.hint().unwrap().contains("delete web1"));
    let calls = world.services.as_ref().unwrap().calls();
    assert!(
        !calls.iter().any(|call| call.starts_with("start")),
        "{calls:?}"
    );
}

#[test]
fn content_that_was_moved_away_is_named() {
    let world = World::new();
    world.create("web1").unwrap();
    world.remove("var/lib/libvirt/filesystems/web1");
    let watch = Watch::default();
    let error = lifecycle::start(&world.host(), &name("web1"), &watch.control()).unwrap_err();
    let said = "the content /var/lib/libvirt/filesystems/web1 of sandbox web1 is not there";
    assert_eq!(error.to_string(), said);
    assert!(error.hint().unwrap().contains("delete web1"));
    delete(
        &world.host(),
        &name("web1"),
        &DeleteOptions::default(),
        &watch.control(),
    )
    .unwrap();
}

#[test]
fn a_stop_of_a_start_that_has_no_container_yet_waits_for_it_and_can_be_interrupted() {
    let mut world = World::new();
    world.services = None;
    world.create("web1").unwrap();
    let (host, web1) = (world.host(), name("web1"));
    let run_lock = host.store().run_lock(&web1).unwrap().unwrap();
    let watch = Watch::default();
    let stop = || lifecycle::stop(&host, &web1, Stop::Graceful, &watch.control());
    watch
        .cancelled
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let error = stop().unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled, "{error}");

    watch
        .cancelled
        .store(false, std::sync::atomic::Ordering::SeqCst);
    let runner = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        drop(run_lock);
    });
    let stopped = stop().unwrap();
    assert!(!stopped.killed);
    runner.join().unwrap();
}
