//! libvirt's start race: docs/design/libvirt-race.md.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use vss_libvirt::{Hypervisor, Libvirt, RunningDomain, StartError, Uri};
use vss_model::DomainSpec;

use crate::world::{container, in_world};

const STARTS: usize = 50;

/// Does what a systemd without a cgroup namespace does with the cgroups of cgroup v1: removes
/// every one that is empty, other domains' newborn ones included.
fn remove_empty_cgroups(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        for controller in ["blkio", "cpu", "memory", "freezer"] {
            let machine = Path::new("/sys/fs/cgroup").join(controller).join("machine");
            for entry in fs::read_dir(&machine).into_iter().flatten().flatten() {
                // Fails with EBUSY for one that has a process.
                fs::remove_dir(entry.path()).ok();
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Start = fn(&dyn Hypervisor, &DomainSpec) -> Result<RunningDomain, StartError>;

/// Starts containers, so many at once, and tells how many starts were races.
fn start_many(prefix: &str, width: usize, start: Start) -> usize {
    let (next, races) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..width {
            scope.spawn(|| {
                let libvirt = Libvirt::open(&Uri::default()).unwrap();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= STARTS {
                        break;
                    }
                    let spec = container(&format!("{prefix}{n}"), "sleep 1000");
                    match start(&libvirt, &spec) {
                        Ok(running) => assert_eq!(running.uuid, spec.uuid),
                        Err(StartError::Race { .. }) => {
                            races.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
    });
    races.into_inner()
}

#[test]
#[ignore = "of the lab tier: make check-lab"]
fn starts_beside_each_other_do_not_race_by_themselves() {
    in_world(
        "race::starts_beside_each_other_do_not_race_by_themselves",
        |libvirt| {
            let single: Start = |hypervisor, spec| hypervisor.start(spec);
            assert_eq!(start_many("a", 4, single), 0);
            assert_eq!(start_many("b", 8, single), 0);
            assert_eq!(libvirt.domains().unwrap().len(), 2 * STARTS);
        },
    );
}

/// The pair: a single attempt is hit, the repeated one never shows it.
#[test]
#[ignore = "of the lab tier: make check-lab"]
fn a_cgroup_that_another_container_removes_costs_an_attempt_and_no_start() {
    in_world(
        "race::a_cgroup_that_another_container_removes_costs_an_attempt_and_no_start",
        |_| {
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                // A failed assertion ends the remover too.
                let stopper = Stopper(&stop);
                scope.spawn(|| remove_empty_cgroups(&stop));
                let single: Start = |hypervisor, spec| hypervisor.start(spec);
                let hit = start_many("single", 4, single);
                let shown = start_many("repeated", 4, vss_libvirt::start);
                drop(stopper);
                assert!(hit > 0, "the remover hit none of {STARTS} starts");
                assert_eq!(shown, 0);
            });
        },
    );
}
