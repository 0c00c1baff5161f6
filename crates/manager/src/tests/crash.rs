//! Cut short at any step, and gone on with by the next command.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::world::{Interference, Watch, World, name, private, request};
use crate::control::Notice;
use crate::create::CreateOptions;
use crate::delete::{DeleteOptions, delete};
use crate::error::Error;
use crate::outcome::Part;
use crate::recover::recover;
use crate::{inventory, journal, lifecycle, removal};
use vss_model::SandboxState;
use vss_plan::CreateRequest;

/// Runs something that is torn off in the middle; whether it was.
fn torn_off(run: impl FnOnce()) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    std::panic::set_hook(hook);
    outcome.is_err()
}

type Maker = fn(&World, &str) -> crate::Result<crate::outcome::CreateOutcome>;

/// With the host's users, and with users of its own.
const MAKERS: [Maker; 2] = [World::create, World::create_private];

/// More steps than a create has.
const STEPS: usize = 10;

/// Every step of a create, with the host's users and with users of its own.
fn steps() -> impl Iterator<Item = (usize, CreateRequest)> {
    (0..=STEPS).flat_map(|step| [request("web1"), private("web1")].map(|request| (step, request)))
}

#[test]
fn a50_a_create_that_was_torn_off_is_undone_by_the_next_command() {
    let options = CreateOptions { enable: true };
    for (step, request) in steps() {
        let world = World::new();
        let before = world.snapshot();
        let watch = Watch::at(step, Interference::Crash);
        let torn = torn_off(|| {
            let _ = world.create_with(&request, options, &watch);
        });
        if !torn {
            assert!(step >= 8, "{step}");
            continue;
        }
        let list = inventory::list(&world.host()).unwrap();
        assert!(
            list.iter().all(|l| l.state == SandboxState::Incomplete),
            "step {step}: {list:?}"
        );
        for entry in &list {
            match inventory::status(&world.host(), &entry.name) {
                Ok(status) => assert_eq!(status.entry.state, SandboxState::Incomplete),
                Err(error) => assert!(matches!(error, Error::Unfinished { .. }), "{error}"),
            }
        }
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
fn a28_a_reservation_that_was_torn_goes_with_its_create() {
    let world = World::new();
    let before = world.snapshot();
    let watch = Watch::at(1, Interference::Crash);
    assert!(torn_off(|| {
        let _ = world.create_with(&request("web1"), CreateOptions::default(), &watch);
    }));
    world.write("var/lib/libvirt-sandbox/.labels/.c8,c9.new", "{");
    recover(&world.host(), &Watch::default().control()).unwrap();
    assert_eq!(world.snapshot(), before);
}

/// It was started by systemd at a boot, say, before anything cleaned up.
#[test]
fn a50_no_delete_is_finished_under_what_runs() {
    let world = World::new();
    let before = world.snapshot();
    world.create("web1").unwrap();
    let (host, web1) = (world.host(), name("web1"));
    let identity = removal::Identity::of(&host.store().load(&web1).unwrap());
    let begun = [Part::Enablement];
    drop(journal::begin(&host, journal::Verb::Delete, &identity, &begun).unwrap());
    let run_lock = host.store().run_lock(&web1).unwrap().unwrap();

    let watch = Watch::default();
    recover(&host, &watch.control()).unwrap();
    let notices = std::mem::take(&mut *watch.notices.lock().unwrap());
    assert!(
        matches!(&notices[..], [Notice::RecoveryFailed { error, .. }] if error.contains("is running")),
        "{notices:?}"
    );
    assert!(world.exists("var/lib/libvirt/filesystems/web1"));
    let error = lifecycle::start(&host, &web1, &watch.control()).unwrap_err();
    let said = "the delete of sandbox web1 is not finished";
    assert_eq!(error.to_string(), said);
    assert!(error.hint().unwrap().contains("delete --force web1"));
    let options = DeleteOptions::default();
    let error = delete(&host, &web1, &options, &watch.control()).unwrap_err();
    assert!(matches!(error, Error::Running(_)), "{error}");

    drop(run_lock);
    recover(&host, &watch.control()).unwrap();
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a50_the_same_create_again_finishes() {
    for (step, request) in steps().filter(|(step, _)| *step < 6) {
        let world = World::new();
        let watch = Watch::at(step, Interference::Crash);
        assert!(torn_off(|| {
            let _ = world.create_with(&request, CreateOptions::default(), &watch);
        }));
        world.create("web1").unwrap();
        let list = inventory::list(&world.host()).unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].state, SandboxState::Stopped);
    }
}

#[test]
fn a50_a_delete_that_was_cut_short_is_finished() {
    for (done, make) in (0..=removal::ORDER.len()).flat_map(|done| MAKERS.map(|make| (done, make)))
    {
        let world = World::new();
        let before = world.snapshot();
        make(&world, "web1").unwrap();
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
    for make in MAKERS {
        let world = World::new();
        let before = world.snapshot();
        make(&world, "web1").unwrap();
        removed_twice(&world);
        assert_eq!(world.snapshot(), before);
    }
}

fn removed_twice(world: &World) {
    let host = world.host();
    let identity = removal::Identity::of(&host.store().load(&name("web1")).unwrap());
    for part in removal::ORDER {
        removal::remove(&host, &identity, part).unwrap();
        removal::remove(&host, &identity, part).unwrap();
    }
    removal::settle(&host, &identity).unwrap();
    let lock = host.store().lock(&name("web1"), |_| {}).unwrap();
    host.store().tidy(lock).unwrap();
}
