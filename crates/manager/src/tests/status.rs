//! What `status` says where the host tells two things.

use vss_config::{Phase, RuntimeState};
use vss_model::SandboxState;

use super::world::{Watch, World, name};
use crate::delete::{DeleteOptions, delete};
use crate::removal::Identity;
use crate::{inventory, journal, lifecycle};

#[test]
fn a_container_that_runs_and_of_which_nothing_is_known_is_told() {
    let world = World::new();
    world.create("web1").unwrap();
    let host = world.host();
    let web = name("web1");
    let uuid = host.store().load(&web).unwrap().uuid;
    let _run = host.store().run_lock(&web).unwrap().unwrap();
    let problem = || {
        let status = inventory::status(&host, &web).unwrap();
        assert_eq!(status.entry.state, SandboxState::Starting);
        status.entry.problem
    };
    // its runner has just begun
    assert_eq!(problem(), None);
    host.store().make_runtime(&web).unwrap();
    world.hypervisor.add(vss_libvirt::DomainInfo {
        name: "web1".to_owned(),
        uuid,
        active: true,
        label: None,
    });
    assert_eq!(problem(), None);
    world.remove("run/libvirt-sandbox/web1");
    let told = problem().unwrap();
    assert!(told.contains("/run/libvirt-sandbox/web1 is gone"), "{told}");
}

#[test]
fn a_change_that_comes_to_its_end_is_not_told_as_cut_short() {
    let world = World::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let watch = Watch::default();
            for _ in 0..20 {
                world.create("web1").unwrap();
                let options = DeleteOptions::default();
                delete(&world.host(), &name("web1"), &options, &watch.control()).unwrap();
            }
        });
        let host = world.host();
        while !writer.is_finished() {
            for entry in inventory::list(&host).unwrap() {
                assert_eq!(entry.problem, None, "{:?}", entry.state);
            }
        }
    });
    assert!(inventory::list(&world.host()).unwrap().is_empty());
}

#[test]
fn what_is_gone_when_it_is_read_is_not_listed() {
    let world = World::new();
    let host = world.host();
    let web = name("web1");
    let still_there = || inventory::still_there(&host, &web, host.store().load(&web));
    assert!(still_there().is_none());
    let missing = host.store().load(&web);
    world.create("web1").unwrap();
    assert!(matches!(
        inventory::still_there(&host, &web, missing),
        Some(Ok(_))
    ));
    let identity = Identity::of(&host.store().load(&web).unwrap());
    let journal = journal::begin(&host, journal::Verb::Delete, &identity, &[]).unwrap();
    world.remove("etc/libvirt-sandbox/services/web1.sandbox");
    assert!(matches!(still_there(), Some(Err(_))));
    journal.finish().unwrap();
    assert!(still_there().is_none());
}

#[test]
fn one_that_begins_while_it_is_looked_for_is_not_stopping() {
    let world = World::new();
    world.create("web1").unwrap();
    let host = world.host();
    let config = host.store().load(&name("web1")).unwrap();
    let attended = || lifecycle::attended(&host, &config).unwrap();
    assert_eq!(attended(), None);
    let _run = host.store().run_lock(&config.name).unwrap().unwrap();
    assert_eq!(attended(), Some(SandboxState::Starting));
    let own = std::process::id();
    let mut state = RuntimeState {
        uuid: config.uuid,
        init_pid: own,
        init_start: vss_enter::start_time(own).unwrap(),
        controller_pid: own,
        waiter_pid: own,
        waiter_start: 0,
        started: 0,
        phase: Phase::Starting,
        confined: None,
    };
    host.store().save_state(&config.name, &state).unwrap();
    assert_eq!(attended(), Some(SandboxState::Starting));
    state.init_start += 1;
    host.store().save_state(&config.name, &state).unwrap();
    assert_eq!(attended(), Some(SandboxState::Stopping));
}
