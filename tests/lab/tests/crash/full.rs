//! File systems that are full.

use vss_lab::{Lab, Ran};

use crate::cases::{all, on_a_small_host};
use crate::ground::{CREATE, DELETE, Ground, check};
use crate::host::{Room, leave_room};

/// With room for nothing, for a bit, for a bit more, until it is enough; the disk stays full until
/// the command has ended.
fn until_it_fits(lab: &Lab, what: Room, step: u64, run: impl Fn() -> Ran, then: impl Fn(&Ran)) {
    for spare in (0..).step_by(usize::try_from(step).expect("a step")) {
        leave_room(lab, what, Some(spare));
        let ran = run();
        leave_room(lab, what, None);
        if ran.code() == Some(0) {
            assert!(spare > 0, "it was not full");
            println!("{spare} {what:?} are enough");
            then(&ran);
            return;
        }
        let message = ran.stderr().contains("No space left on device");
        check(ran.code() == Some(1) && message, "a full disk", &ran).expect("a message");
        then(&ran);
    }
}

#[test]
fn a51_a_create_on_a_full_disk_says_so_and_is_done_when_there_is_room() {
    let lab = Lab::enter();
    on_a_small_host(|| {
        let ground = Ground::new(&lab, 0, None);
        let create = || lab.vss(&CREATE);
        let then = |ran: &Ran| {
            if ran.code() != Some(0) {
                ground.same().expect("nothing is left");
            }
            ground.created_by_the_next(ran).expect("a create");
        };
        let step = if all() { 1 } else { 3 };
        until_it_fits(&lab, Room::Pages, step, create, then);
        until_it_fits(&lab, Room::Inodes, step, create, then);
    });
}

#[test]
fn a51_a_delete_on_a_full_disk_is_done_when_there_is_room() {
    let lab = Lab::enter();
    on_a_small_host(|| {
        let ground = Ground::new(&lab, 0, None);
        lab.vss(&CREATE).ok();
        let then = |ran: &Ran| {
            if ran.code() == Some(0) {
                ground.same().expect("nothing is left");
            }
        };
        until_it_fits(&lab, Room::Pages, 1, || lab.vss(&DELETE), then);
        lab.vss(&CREATE).ok();
        until_it_fits(&lab, Room::Inodes, 1, || lab.vss(&DELETE), then);
    });
}
