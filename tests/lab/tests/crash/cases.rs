//! Which faults there are, and doing them all.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vss_lab::Lab;
use vss_lab::snapshot::Snapshot;

use crate::ground::{Ground, NAME, Verb};
use crate::trace::{Call, Fault, processors};

/// Whether what tells little more is done too.
pub(crate) fn all() -> bool {
    std::env::var_os("VSS_CRASH").is_some_and(|how| how == "all")
}

/// A fault in a command.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Where.
    pub(crate) call: Call,
    /// What.
    pub(crate) fault: Fault,
}

impl Case {
    pub(crate) fn new(call: &Call, fault: Fault) -> Self {
        Self {
            call: call.clone(),
            fault,
        }
    }
}

/// Faults in a verb at the calls that `choose` picks, on as many small hosts as there are
/// processors.
pub(crate) fn at_each(verb: Verb, choose: impl Fn(&Call) -> Vec<Case>) {
    let lab = Lab::enter();
    let everything = Snapshot::settled(&lab);
    let processors = processors();
    let first = Some(processors[0]);
    let calls = on_a_small_host(|| Ground::new(&lab, 0, first).calls(verb));
    let cases: Vec<Case> = calls.iter().flat_map(choose).collect();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (number, processor) in processors.into_iter().enumerate() {
            let (lab, cases, next, wrong) = (&lab, &cases, &next, &wrong);
            scope.spawn(move || {
                let mut ground = Ground::new(lab, number + 1, Some(processor));
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(text) = ground.run(verb, case) {
                        wrong.lock().expect("the list").push(note(case, &text));
                        // one that goes wrong must not take the others with it
                        let force = ["delete", "--force", "--yes", NAME];
                        let _ = lab.vss(&force);
                        ground.before = Snapshot::settled_outside_usr(lab);
                    }
                }
            });
        }
    });
    end(&cases, &wrong.into_inner().expect("the list"));
    everything.assert_same(&Snapshot::settled(&lab), "something is left");
}

/// Runs something in a thread of its own, which may give itself a small host.
pub(crate) fn on_a_small_host<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub(crate) fn note(case: &Case, text: &str) -> String {
    let Case { call, fault } = case;
    format!("{fault:?} at {}: {}\n{text}", call.number, call.line)
}

pub(crate) fn end(cases: &[Case], wrong: &[String]) {
    println!("{} faults", cases.len());
    assert!(!cases.is_empty(), "no call to fail at");
    let (wrong, texts) = (wrong.len(), wrong.join("\n\n"));
    assert!(
        wrong == 0,
        "{wrong} of {} are wrong:\n\n{texts}",
        cases.len()
    );
}

/// Killed before a call that changes something: one that would have failed, or that only makes
/// lasting what is there, leaves what the next one would leave.
pub(crate) fn kill(call: &Call) -> Vec<Case> {
    let tells = all() || !(call.failed() || call.syncs() || call.asks());
    Vec::from_iter(tells.then(|| Case::new(call, Fault::Kill)))
}

/// The errors of a call: a full disk where it takes room, a broken one elsewhere. One that would
/// have failed for a good reason tells little more, and so does a question to libvirt.
pub(crate) fn fail(call: &Call) -> Vec<Case> {
    let errors = if all() {
        vec!["ENOSPC", "EIO"]
    } else if call.failed() || call.asks() {
        vec![]
    } else if call.takes_room() {
        vec!["ENOSPC"]
    } else {
        vec!["EIO"]
    };
    let case = |error| Case::new(call, Fault::Error(error));
    errors.into_iter().map(case).collect()
}
