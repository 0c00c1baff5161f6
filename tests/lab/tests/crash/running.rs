//! Faults in `delete --force` of a container that runs.

use vss_lab::{Lab, fixture};

use crate::cases::{Case, all, end, note};
use crate::ground::{CREATE, Ground, NAME, UNIT};
use crate::trace::{Fault, processors};

const FORCE: [&str; 4] = ["delete", "--force", "--yes", NAME];

/// It is stopped first, by then or by the next.
#[test]
fn a50_a_forced_delete_that_is_killed_is_finished_by_the_next() {
    let lab = Lab::enter();
    let service = UNIT.trim_end_matches(".service");
    fixture::service(&lab, service, "", "ExecStart=/bin/sleep infinity");
    let sandbox = lab.expect(NAME);
    // the first start of all makes directories of libvirt's own
    lab.vss(&CREATE).ok();
    sandbox.start();
    lab.vss(&FORCE).ok();
    let ground = Ground::in_the_world(&lab, processors().first().copied());
    lab.vss(&CREATE).ok();
    sandbox.start();
    let mut calls = ground.tracer.calls(&FORCE);
    ground.same().expect("nothing is left");
    // from there on it is the delete of one that doesn't run
    let journal = |line: &str| line.contains(".journal/.crash.new") && line.starts_with("rename");
    let begun = calls.iter().position(|call| journal(&call.line));
    calls.truncate(begun.expect("a journal"));
    calls.retain(|call| !call.failed() && !call.syncs());
    let step = if all() { 1 } else { calls.len().div_ceil(12) };
    let cases: Vec<_> = calls
        .into_iter()
        .rev()
        .step_by(step)
        .map(|call| Case::new(&call, Fault::Kill))
        .collect();
    let mut wrong = Vec::new();
    for case in &cases {
        lab.vss(&CREATE).ok();
        sandbox.start();
        let verdict = ground
            .faulty(case, &FORCE)
            .and_then(|_| ground.deleted_by_the_next(&FORCE));
        wrong.extend(verdict.err().map(|text| note(case, &text)));
    }
    end(&cases, &wrong);
}
