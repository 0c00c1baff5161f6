//! Runs with faults, and what has to hold after them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vss_lab::snapshot::Snapshot;
use vss_lab::{Lab, Ran};

use crate::host;
use crate::trace::{Call, Fault, Tracer, processors};

pub(crate) const NAME: &str = "crash";
pub(crate) const UNIT: &str = "lab-crash.service";
pub(crate) const CREATE: [&str; 7] = ["create", "-C", "-u", UNIT, "--confinement", "reduced", NAME];
pub(crate) const DELETE: [&str; 3] = ["delete", "--yes", NAME];
const CONTENT: &str = "/var/lib/libvirt/filesystems";

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

/// The verb that meets the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Delete,
}

/// Whether what tells little more is done too.
pub(crate) fn all() -> bool {
    std::env::var_os("VSS_CRASH").is_some_and(|how| how == "all")
}

/// Says what is wrong, in the words of a failed test.
pub(crate) type Verdict<T = ()> = Result<T, String>;

pub(crate) fn check(right: bool, what: &str, ran: &Ran) -> Verdict {
    if right {
        return Ok(());
    }
    let (code, stdout, stderr) = (ran.code(), ran.stdout(), ran.stderr());
    Err(format!("{what}: {code:?}: {stdout}{stderr}"))
}

/// A small host as it was before, and a whole container on it.
pub(crate) struct Ground<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) tracer: Tracer<'a>,
    pub(crate) before: Snapshot,
    whole: Vec<String>,
}

impl<'a> Ground<'a> {
    /// Gives the calling thread a small host.
    pub(crate) fn new(lab: &'a Lab, number: usize, processor: Option<usize>) -> Self {
        host::enter(lab, number);
        lab.vss(&CREATE).ok();
        let whole = content();
        lab.vss(&DELETE).ok();
        Self {
            lab,
            tracer: Tracer::new(lab, number, processor),
            before: Snapshot::settled_outside_usr(lab),
            whole,
        }
    }

    /// The world itself, for what needs a container to run.
    pub(crate) fn in_the_world(lab: &'a Lab, processor: Option<usize>) -> Self {
        Self {
            lab,
            tracer: Tracer::new(lab, 0, processor),
            before: Snapshot::settled_outside_usr(lab),
            whole: Vec::new(),
        }
    }

    /// The calls of a verb that change something.
    pub(crate) fn calls(&self, verb: Verb) -> Vec<Call> {
        if verb == Verb::Create {
            let calls = self.tracer.calls(&CREATE);
            self.lab.vss(&DELETE).ok();
            calls
        } else {
            self.lab.vss(&CREATE).ok();
            self.tracer.calls(&DELETE)
        }
    }

    /// A fault in a verb, and what has to hold after it.
    pub(crate) fn run(&self, verb: Verb, case: &Case) -> Verdict {
        match verb {
            Verb::Create => self.create(case),
            Verb::Delete => self.delete(case),
        }
    }

    /// A fault in `create`, `create` again, `delete`. Whether it met the fault.
    fn create(&self, case: &Case) -> Verdict {
        let first = self.faulty(case, &CREATE)?;
        self.created_by_the_next(&first)
    }

    /// That the same `create` again finishes, and `delete` leaves nothing.
    pub(crate) fn created_by_the_next(&self, first: &Ran) -> Verdict {
        let again = self.lab.vss(&CREATE);
        if again.code() == Some(0) {
            check(first.code() != Some(0), "created twice", &again)?;
        } else {
            let taken = again.code() == Some(1) && again.stderr().contains("is taken");
            check(taken, "create did not finish", &again)?;
        }
        self.whole()?;
        let deleted = self.lab.vss(&DELETE);
        check(deleted.code() == Some(0), "delete", &deleted)?;
        self.same()
    }

    /// A fault in `delete`, `delete` again.
    fn delete(&self, case: &Case) -> Verdict {
        let created = self.lab.vss(&CREATE);
        check(created.code() == Some(0), "create", &created)?;
        self.faulty(case, &DELETE)?;
        self.deleted_by_the_next(&DELETE)
    }

    /// That the same `delete` again finishes, and leaves nothing.
    pub(crate) fn deleted_by_the_next(&self, delete: &[&str]) -> Verdict {
        let again = self.lab.vss(delete);
        let gone = again.code() == Some(1) && again.stderr().contains("there is no sandbox");
        let done = again.code() == Some(0) || gone;
        check(done, "delete did not finish", &again)?;
        self.same()
    }

    /// Runs a command that has to meet a fault, and to end as that asks for.
    pub(crate) fn faulty(&self, case: &Case, command: &[&str]) -> Verdict<Ran> {
        let ran = self.tracer.faulty(&case.call, case.fault, command);
        let right = match (case.fault, ran.code()) {
            (Fault::Kill, None) => true,
            (Fault::Error(_) | Fault::Errors(_), Some(0)) => self.tracer.met(),
            (Fault::Error(_) | Fault::Errors(_), Some(1)) => {
                ran.stderr().contains("virt-sandbox-service: ")
            }
            _ => false,
        };
        check(right, "it did not end as the fault asks for", &ran)?;
        Ok(ran)
    }

    /// That nothing is left.
    pub(crate) fn same(&self) -> Verdict {
        let now = Snapshot::settled_outside_usr(self.lab);
        let lines = self.before.differences(&now);
        if lines.is_empty() {
            return Ok(());
        }
        Err(format!("delete left something:\n{}", lines.join("\n")))
    }

    fn whole(&self) -> Verdict {
        let content = content();
        let gone = self.whole.iter().filter(|line| !content.contains(line));
        let new = content.iter().filter(|line| !self.whole.contains(line));
        let mut lines: Vec<_> = gone.map(|line| format!("- {line}")).collect();
        lines.extend(new.map(|line| format!("+ {line}")));
        if lines.is_empty() {
            return Ok(());
        }
        let lines = lines.join("\n");
        Err(format!("the container is not whole:\n{lines}"))
    }
}

/// What is in a container's tree, to tell a whole one from a part of one.
fn content() -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![Path::new(CONTENT).join(NAME)];
    while let Some(path) = todo.pop() {
        let meta = std::fs::symlink_metadata(&path).expect("a node of the content");
        let (mode, uid, gid) = (meta.mode(), meta.uid(), meta.gid());
        let size = if meta.is_file() { meta.size() } else { 0 };
        let target = std::fs::read_link(&path).unwrap_or_default();
        let mut label = [0; 256];
        let label = match rustix::fs::lgetxattr(&path, "security.selinux", &mut label) {
            Ok(length) => String::from_utf8_lossy(&label[..length]).into_owned(),
            Err(error) => error.to_string(),
        };
        found.push(format!(
            "{} {mode:o} {uid}:{gid} {size} {} {label}",
            path.display(),
            target.display()
        ));
        if meta.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory of the content");
            todo.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    found.sort();
    found
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
