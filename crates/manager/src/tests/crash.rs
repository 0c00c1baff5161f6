//! Cut short at any step, and gone on with by the next command.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::world::{Interference, Watch, World, name, request};
use crate::control::Notice;
use crate::create::CreateOptions;
use crate::delete::{DeleteOptions, delete};
use crate::recover::recover;
use crate::{inventory, journal, removal};
use vss_model::SandboxState;

/// Runs something that is torn off in the middle; whether it was.
fn torn_off(run: impl FnOnce()) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    std::panic::set_hook(hook);
    outcome.is_err()
}

#[test]
fn a50_a_create_that_was_torn_off_is_undone_by_the_next_command() {
    let options = CreateOptions { enable: true };
    for step in 0.. {
        let world = World::new();
        let before = world.snapshot();
        let watch = Watch::at(step, Interference::Crash);
        let torn = torn_off(|| {
            let _ = world.create_with(&request("web1"), options, &watch);
        });
        if !torn {
            assert!(step >= 6, "{step}");
            break;
        }
        let list = inventory::list(&world.host()).unwrap();
        assert!(
            list.iter().all(|l| l.state == SandboxState::Incomplete),
            "step {step}: {list:?}"
        );
        let watch = Watch::default();
        recover(&world.host(), &watch.control()).unwrap();
        assert_eq!(
            *watch.notices.lock().unwrap(),
            [Notice::UndoneCreate(name("web1"))]
        );
        assert_eq!(world.snapshot(), before, "step {step}");
        // applied twice: the same
        recover(&world.host(), &watch.control()).unwrap();
        world.create("web1").unwrap();
    }
}

#[test]
fn a50_the_same_create_again_finishes() {
    for step in 0..6 {
        let world = World::new();
        let watch = Watch::at(step, Interference::Crash);
        assert!(torn_off(|| {
            let _ = world.create_with(&request("web1"), CreateOptions::default(), &watch);
        }));
        world.create("web1").unwrap();
        let list = inventory::list(&world.host()).unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].state, SandboxState::Stopped);
    }
}

#[test]
fn a50_a_delete_that_was_cut_short_is_finished() {
    for done in 0..=removal::ORDER.len() {
        let world = World::new();
        let before = world.snapshot();
        world.create("web1").unwrap();
        {
            // a delete that is killed after so many parts
            let host = world.host();
            let config = host.store().load(&name("web1")).unwrap();
            let identity = removal::Identity::of(&config);
            let mut journal = journal::begin(&host, journal::Verb::Delete, &identity, &[]).unwrap();
            for part in removal::ORDER.into_iter().take(done) {
                journal.record(&journal::Step::Begin { part }).unwrap();
                removal::remove(&host, &identity, part).unwrap();
            }
        }
        let watch = Watch::default();
        delete(
            &world.host(),
            &name("web1"),
            &DeleteOptions::default(),
            &watch.control(),
        )
        .unwrap();
        // one that took nothing yet is not gone on with: what it knew may not be written down
        let finished = Notice::FinishedDelete(name("web1"));
        let expected = Vec::from_iter((done > 0).then_some(finished));
        assert_eq!(*watch.notices.lock().unwrap(), expected);
        assert_eq!(world.snapshot(), before, "after {done} parts");
    }
}

#[test]
fn a50_removing_every_part_twice_is_the_same() {
    let world = World::new();
    let before = world.snapshot();
    world.create("web1").unwrap();
    let host = world.host();
    let identity = removal::Identity::of(&host.store().load(&name("web1")).unwrap());
    for part in removal::ORDER {
        removal::remove(&host, &identity, part).unwrap();
        removal::remove(&host, &identity, part).unwrap();
    }
    removal::settle(&host, &identity).unwrap();
    let lock = host.store().lock(&name("web1"), |_| {}).unwrap();
    host.store().tidy(lock).unwrap();
    assert_eq!(world.snapshot(), before);
}
