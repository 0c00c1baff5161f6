//! Faults in `create`.

use vss_lab::Lab;

use crate::cases::{Case, all, at_each, fail, kill, on_a_small_host};
use crate::ground::{CREATE, Ground, Verb, check};
use crate::trace::{Call, Fault};

#[test]
fn a50_a_create_that_is_killed_is_undone_by_the_next() {
    at_each(Verb::Create, kill);
}

#[test]
fn a51_a_create_that_meets_an_error_is_done_by_the_next() {
    at_each(Verb::Create, fail);
}

/// The threads of the copy are killed wherever they are by then. How they share the work is not
/// known, so one of them may not come to its call.
#[test]
fn a50_a_create_that_is_killed_amid_its_threads_is_undone_by_the_next() {
    let lab = Lab::enter();
    let killed = on_a_small_host(|| {
        let ground = Ground::new(&lab, 0, None);
        let names = ["symlinkat", "fchownat", "utimensat", "mkdirat"];
        let calls = names.iter().flat_map(|name| {
            [1, 4, 12].map(|number| Call {
                name: (*name).to_owned(),
                number,
                line: "with threads".to_owned(),
            })
        });
        let mut killed = 0;
        for call in calls {
            let first = ground.tracer.faulty(&call, Fault::Kill, &CREATE);
            check(matches!(first.code(), None | Some(0)), "create", &first).expect("its end");
            killed += usize::from(first.code().is_none());
            ground.created_by_the_next(&first).expect("a create");
        }
        killed
    });
    assert!(killed > 0, "none was killed");
}

/// Where the disk stays full, a failed create may not be able to clean up; the next command is.
#[test]
fn a51_a_create_on_a_disk_that_stays_full_is_done_by_the_next() {
    // not write: the message itself would be lost
    at_each(Verb::Create, |call| {
        let takes_room = ["mkdirat", "symlinkat", "linkat", "pwrite64", "setxattr"];
        let stays_full = takes_room.contains(&call.name.as_str()) && !call.failed();
        let tells = stays_full && (all() || call.number % 8 == 1);
        Vec::from_iter(tells.then(|| Case::new(call, Fault::Errors("ENOSPC"))))
    });
}
