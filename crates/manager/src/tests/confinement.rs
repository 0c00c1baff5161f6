//! What `list` and `status` claim of a label, and when they stop.

use std::sync::Arc;

use vss_model::confinement::PROCESS_TYPE;
use vss_model::{Confinement, ConfinementChoice};
use vss_selinux::testing::FakeLabeller;
use vss_selinux::{ContainerTypes, Mode};

use super::world::{Watch, World, name, request};
use crate::create::CreateOptions;
use crate::inventory;

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
