//! Runs with faults, and what has to hold after them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use vss_lab::snapshot::Snapshot;
use vss_lab::{Lab, Ran};

use crate::cases::Case;
use crate::host;
use crate::trace::{Call, Fault, Tracer};

pub(crate) const NAME: &str = "crash";
pub(crate) const UNIT: &str = "lab-crash.service";
pub(crate) const CREATE: [&str; 7] = ["create", "-C", "-u", UNIT, "--confinement", "reduced", NAME];
pub(crate) const DELETE: [&str; 3] = ["delete", "--yes", NAME];
const CONTENT: &str = "/var/lib/libvirt/filesystems";

/// The verb that meets the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Delete,
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
