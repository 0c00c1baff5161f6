//! What `list` and `status` claim of a label, and when they stop.

use std::sync::Arc;

use vss_config::{Confined, Phase, RuntimeState};
use vss_model::confinement::PROCESS_TYPE;
use vss_model::{Confinement, ConfinementChoice, SandboxConfig};
use vss_selinux::testing::FakeLabeller;
use vss_selinux::{ContainerTypes, Mode};

use super::world::{Watch, World, name, request};
use crate::create::CreateOptions;
use crate::inventory;
use crate::inventory::confined::{Selinux, protections};

/// A machine with the project's module.
fn labeller(mode: Mode) -> FakeLabeller {
    let mut labeller = FakeLabeller::new(mode);
    labeller.types = ContainerTypes::of_module().unwrap();
    labeller.unknown_types.clear();
    labeller
}

/// What `list` says, and what `status` says of the label and whether that holds.
fn claims(world: &World) -> (String, bool, String) {
    let list = inventory::list(&world.host()).unwrap();
    let status = inventory::status(&world.host(), &name("web1")).unwrap();
    let label = &status.confined_by[0];
    (
        list[0].confined.clone().unwrap(),
        label.holds,
        label.what.clone(),
    )
}

#[test]
fn a_label_is_claimed_while_it_is_enforced_and_no_longer() {
    let mut world = World::new();
    world.labels = Arc::new(labeller(Mode::Enforcing));
    let request = vss_plan::CreateRequest {
        confinement: ConfinementChoice::Exactly(Confinement::Selinux),
        ..request("web1")
    };
    world
        .create_with(&request, CreateOptions::default(), &Watch::default())
        .unwrap();
    let (confined, holds, what) = claims(&world);
    assert_eq!((confined.as_str(), holds), ("selinux", true));
    assert!(
        what.contains("enforces") && what.contains(PROCESS_TYPE),
        "{what}"
    );

    let mut exempt = labeller(Mode::Enforcing);
    exempt.permissive_types.insert(PROCESS_TYPE.to_owned());
    let mut gone = labeller(Mode::Enforcing);
    gone.unknown_types.insert(PROCESS_TYPE.to_owned());
    for (labels, word) in [
        (exempt, "no (SELinux is permissive for containers)"),
        (gone, "no (policy module not loaded)"),
        (labeller(Mode::Permissive), "no (SELinux is permissive)"),
        (labeller(Mode::Disabled), "no (SELinux is off)"),
    ] {
        world.labels = Arc::new(labels);
        let (confined, holds, what) = claims(&world);
        assert_eq!((confined.as_str(), holds), (word, false), "{what}");
        assert!(!what.contains("enforces"), "{what}");
    }
}

#[test]
fn what_a_container_was_started_with_is_claimed_and_not_what_its_config_says_since() {
    let world = World::new();
    world.create("web1").unwrap();
    let host = world.host();
    let store = host.store();
    let reduced = store.load(&name("web1")).unwrap();
    let none = SandboxConfig {
        confinement: Confinement::None,
        ..reduced.clone()
    };
    let own = std::process::id();
    for (started, edited) in [(&none, &reduced), (&reduced, &none)] {
        store.save(edited).unwrap();
        let mut state = RuntimeState {
            uuid: started.uuid,
            init_pid: own,
            init_start: host.proc().start_time(own).unwrap(),
            controller_pid: 0,
            waiter_pid: 0,
            waiter_start: 0,
            started: 1,
            phase: Phase::Ready,
            confined: Some(Confined::of(started)),
        };
        store.save_state(&name("web1"), &state).unwrap();
        let list = inventory::list(&host).unwrap();
        let word = list[0].confined.as_deref();
        assert_eq!(word, Some(started.confinement.as_str()));
        assert_eq!(list[0].as_planned, Some(false));
        let selinux = Selinux::now(host.labeller());
        let by = protections(&host, selinux, edited, Some(&state));
        assert_eq!(by[0].holds, started.confinement == Confinement::Reduced);
        let told = &by.last().unwrap().what;
        assert!(
            told.contains(&format!("says {}", edited.confinement)),
            "{told}"
        );

        // one that has ended tells nothing of the next
        state.init_start = 0;
        store.save_state(&name("web1"), &state).unwrap();
        let list = inventory::list(&host).unwrap();
        let word = list[0].confined.as_deref();
        assert_eq!(word, Some(edited.confinement.as_str()));
        assert_eq!(list[0].as_planned, Some(true));
    }
}

#[test]
fn of_a_config_that_can_t_be_read_nothing_is_claimed() {
    let world = World::new();
    world.create("web1").unwrap();
    world.write("etc/libvirt-sandbox/services/web1.sandbox", "nonsense");
    let list = inventory::list(&world.host()).unwrap();
    assert_eq!((&list[0].confined, list[0].as_planned), (&None, None));
}
