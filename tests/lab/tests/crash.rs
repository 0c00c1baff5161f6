//! What is left when `create` or `delete` is cut short, or meets an error, at any call that changes
//! something: the same command run again finishes, and after `delete` nothing is left.
//!
//! A traced run lists the calls; then `strace` injects a fault at one of them per run. It counts
//! the calls of a name for each thread by itself, so the traced command has one processor, for
//! which it starts no thread: a name and a number are one call, the same one in each run. What is
//! killed with its threads at work is tested apart.
//!
//! On the container's tree calls repeat, and of each name a few are done, spread over its run. Of
//! the others some are left out too, for the time it takes. `VSS_CRASH_EVERY=N` does every Nth on
//! the tree and all others; 1 does all there are, and two errors at each instead of the likelier
//! one.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests, which fail by panicking and say what they did"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use vss_lab::snapshot::Snapshot;
use vss_lab::{Lab, PROGRAM, Ran, fixture};

const NAME: &str = "crash";
const UNIT: &str = "lab-crash.service";
const CREATE: [&str; 7] = ["create", "-C", "-u", UNIT, "--confinement", "reduced", NAME];
const DELETE: [&str; 3] = ["delete", "--yes", NAME];
const CONTENT: &str = "/var/lib/libvirt/filesystems";

/// The names of calls that can change something.
const CHANGING: &str = "mkdir,mkdirat,mknod,mknodat,open,openat,openat2,creat,rename,renameat,\
    renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,chmod,fchmod,fchmodat,chown,\
    fchown,lchown,fchownat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,\
    write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,truncate,ftruncate,fallocate,\
    fsync,fdatasync,sync_file_range,syncfs,utimensat,ioctl,mount,umount2,move_mount,kill";

/// How many of a name are done on the container's tree, unless `VSS_CRASH_EVERY` says which.
const SPREAD: usize = 2;

/// A call of the traced run.
#[derive(Debug, Clone)]
struct Call {
    name: String,
    /// Which of that name it is, from 1 on.
    number: usize,
    /// The trace's line.
    line: String,
    /// On the container's tree, where calls repeat.
    bulk: bool,
}

impl Call {
    fn failed(&self) -> bool {
        self.line.contains(" = -1 ")
    }

    fn syncs(&self) -> bool {
        ["fsync", "fdatasync", "syncfs", "sync_file_range"].contains(&self.name.as_str())
    }
}

/// What happens at a call.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The process is killed instead.
    Kill,
    /// It fails, once.
    Error(&'static str),
    /// It and all of its name after it fail, as on a disk that is full and stays so.
    Errors(&'static str),
}

impl Fault {
    fn inject(self, call: &str, number: usize) -> String {
        match self {
            Self::Kill => format!("inject={call}:signal=KILL:when={number}"),
            Self::Error(error) => format!("inject={call}:error={error}:when={number}"),
            Self::Errors(error) => format!("inject={call}:error={error}:when={number}+"),
        }
    }
}

/// A small host in the world: no bulk where it proves nothing.
fn enter() -> Lab {
    let lab = Lab::enter();
    fixture::service(&lab, "lab-crash", "", "ExecStart=/bin/sleep infinity");
    let less = "find /etc/ssl/certs /etc/fonts /etc/ca-certificates -mindepth 1 -delete
        find /etc/alternatives -name '*.gz' -delete
        command -v strace taskset >/dev/null";
    lab.run("sh", &["-ec", less]).ok();
    lab
}

fn trace_file() -> String {
    let world = std::env::var("VSS_WORLD").expect("a world");
    format!("{world}/crash.trace")
}

/// A processor of those that the test may use.
fn processor() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("the processors");
    let digits = |c: char| c.is_ascii_digit();
    list.trim().chars().take_while(|&c| digits(c)).collect()
}

fn strace(lab: &Lab, threads: bool, options: &[&str], command: &[&str]) -> Ran {
    let (processor, trace) = (processor(), trace_file());
    let mut args = if threads {
        vec![]
    } else {
        vec!["-c", &processor, "strace"]
    };
    args.extend(["-f", "-qq", "-y", "-s", "80", "-o", &trace]);
    args.extend(options);
    args.push(PROGRAM);
    args.extend(command);
    lab.run(if threads { "strace" } else { "taskset" }, &args)
}

/// The calls of a command that change something.
fn calls(lab: &Lab, command: &[&str]) -> Vec<Call> {
    let filter = format!("trace={CHANGING}");
    strace(lab, false, &["-e", &filter], command).ok();
    let text = std::fs::read_to_string(trace_file()).expect("the trace");
    let mut counts = BTreeMap::new();
    let mut threads = BTreeSet::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((thread, line)) = line.split_once(' ') else {
            continue;
        };
        let line = line.trim_start();
        let Some((name, rest)) = line.split_once('(') else {
            continue;
        };
        if line.starts_with("<...") || line.starts_with("---") {
            continue;
        }
        threads.insert(thread.to_owned());
        let number = counts.entry(name.to_owned()).or_insert(0);
        *number += 1;
        if changes(name, rest) {
            found.push(Call {
                name: name.to_owned(),
                number: *number,
                line: line.to_owned(),
                bulk: rest.contains("filesystems/.crash.") || rest.contains("/proc/self/fd/"),
            });
        }
    }
    assert_eq!(threads.len(), 1, "it had threads: a number is no one call");
    assert!(found.len() > 50, "no trace: {text}");
    found
}

/// Whether such a call can change what is on a disk.
fn changes(name: &str, rest: &str) -> bool {
    match name {
        "open" | "openat" | "openat2" => rest.contains("O_CREAT"),
        "ioctl" => rest.contains("FICLONE") || rest.contains("FS_IOC_SET"),
        "write" | "writev" => ["<anon_inode:", "<socket:", "<pipe:", "</dev/"]
            .iter()
            .all(|no| !rest.split(", ").next().unwrap_or_default().contains(no)),
        _ => true,
    }
}

/// Every how many calls on the tree one is done; `None` for the default.
fn every() -> Option<usize> {
    let every = std::env::var("VSS_CRASH_EVERY").ok()?;
    Some(
        every
            .parse()
            .expect("VSS_CRASH_EVERY is a number from 1 on"),
    )
}

/// Of the calls outside the bulk every `outside`th (all where `VSS_CRASH_EVERY` is set), and of each
/// name in the bulk some.
fn sample(calls: &[Call], outside: usize, wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
    let outside = if every().is_some() { 1 } else { outside };
    let mut others = 0;
    let mut bulk: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut chosen = BTreeSet::new();
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| wanted(call)) {
        if call.bulk {
            bulk.entry(&call.name).or_default().push(at);
        } else {
            if others % outside == 0 {
                chosen.insert(at);
            }
            others += 1;
        }
    }
    for run in bulk.values() {
        let step = every().unwrap_or_else(|| run.len().div_ceil(SPREAD)).max(1);
        // not the first of each step only: the middle of the run is of interest too
        chosen.extend(run.iter().skip(step / 2).step_by(step));
    }
    chosen.into_iter().map(|at| calls[at].clone()).collect()
}

/// What is in a container's tree, to tell a whole one from a part of one.
fn content() -> Vec<String> {
    let top = format!("{CONTENT}/{NAME}");
    let mut found = Vec::new();
    let mut todo = vec![Path::new(&top).to_owned()];
    while let Some(path) = todo.pop() {
        let meta = std::fs::symlink_metadata(&path).expect("a node of the content");
        let (mode, uid, gid) = (meta.mode(), meta.uid(), meta.gid());
        // an address may be longer than another
        let size = if meta.is_file() && !path.ends_with("etc/hosts") {
            meta.size()
        } else {
            0
        };
        found.push(format!("{} {mode:o} {uid}:{gid} {size}", path.display()));
        if meta.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory of the content");
            todo.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    found.sort();
    found
}

/// Says what is wrong, in the words of a failed test.
type Verdict = Result<(), String>;

fn said(ran: &Ran) -> String {
    format!("{:?}: {}{}", ran.code(), ran.stdout(), ran.stderr())
}

fn check(right: bool, what: &str, ran: &Ran) -> Verdict {
    if right {
        Ok(())
    } else {
        Err(format!("{what}: {}", said(ran)))
    }
}

/// That a faulty run ended as its fault asks for; whether it met the fault at all.
fn ended(fault: Fault, ran: &Ran) -> Result<bool, String> {
    match (fault, ran.code()) {
        // what strace itself ends with
        (_, Some(0)) => {
            let trace = std::fs::read_to_string(trace_file()).expect("the trace");
            Ok(trace.contains("(INJECTED)"))
        }
        (Fault::Kill, None) => Ok(true),
        (Fault::Error(_) | Fault::Errors(_), Some(1)) => {
            let message = ran.stderr().contains("virt-sandbox-service: ");
            check(message, "it failed without a message", ran)?;
            Ok(true)
        }
        _ => Err(format!("the faulty run ended otherwise: {}", said(ran))),
    }
}

/// The tests' ground: what there was before, and what a whole container is.
struct Ground<'a> {
    lab: &'a Lab,
    before: Snapshot,
    whole: Vec<String>,
    met: usize,
    runs: usize,
    wrong: Vec<String>,
}

impl<'a> Ground<'a> {
    fn new(lab: &'a Lab) -> Self {
        lab.vss(&CREATE).ok();
        let whole = content();
        lab.vss(&DELETE).ok();
        Self {
            lab,
            before: Snapshot::settled_outside_usr(lab),
            whole,
            met: 0,
            runs: 0,
            wrong: Vec::new(),
        }
    }

    fn faulty(&self, call: &Call, fault: Fault, threads: bool, command: &[&str]) -> Ran {
        let trace = format!("trace={}", call.name);
        let inject = fault.inject(&call.name, call.number);
        // it spares the stops at all other calls, but strace 6.1 sends no signal then
        let mut options = vec!["-e", &trace, "-e", &inject];
        if !matches!(fault, Fault::Kill) {
            options.push("--seccomp-bpf");
        }
        strace(self.lab, threads, &options, command)
    }

    fn same(&self, what: &str) -> Verdict {
        let lines = self
            .before
            .differences(&Snapshot::settled_outside_usr(self.lab));
        if lines.is_empty() {
            Ok(())
        } else {
            Err(format!("{what}:\n{}", lines.join("\n")))
        }
    }

    fn whole(&self) -> Verdict {
        let content = content();
        let gone = self.whole.iter().filter(|line| !content.contains(line));
        let new = content.iter().filter(|line| !self.whole.contains(line));
        let lines: Vec<_> = gone.map(|line| format!("- {line}")).collect();
        let new: Vec<_> = new.map(|line| format!("+ {line}")).collect();
        let lines = [lines, new].concat();
        if lines.is_empty() {
            Ok(())
        } else {
            Err(format!("the container is not whole:\n{}", lines.join("\n")))
        }
    }

    /// A fault in `create`, `create` again, `delete`.
    fn create(&mut self, call: &Call, fault: Fault, threads: bool) {
        let verdict = self.try_create(call, fault, threads);
        self.note("create", call, fault, verdict);
    }

    fn try_create(&self, call: &Call, fault: Fault, threads: bool) -> Result<bool, String> {
        let first = self.faulty(call, fault, threads, &CREATE);
        let met = ended(fault, &first)?;
        let again = self.lab.vss(&CREATE);
        match again.code() {
            Some(0) => check(first.code() != Some(0), "created twice", &again)?,
            _ => {
                let taken = again.code() == Some(1) && again.stderr().contains("is taken");
                check(taken, "create did not finish", &again)?;
            }
        }
        self.whole()?;
        let deleted = self.lab.vss(&DELETE);
        check(deleted.code() == Some(0), "delete", &deleted)?;
        self.same("delete left something")?;
        Ok(met)
    }

    /// A fault in `delete`, `delete` again.
    fn delete(&mut self, call: &Call, fault: Fault) {
        let created = self.lab.vss(&CREATE);
        let verdict = check(created.code() == Some(0), "create", &created)
            .and_then(|()| self.try_delete(call, fault));
        self.note("delete", call, fault, verdict);
    }

    fn try_delete(&self, call: &Call, fault: Fault) -> Result<bool, String> {
        let first = self.faulty(call, fault, false, &DELETE);
        let met = ended(fault, &first)?;
        let again = self.lab.vss(&DELETE);
        let gone = again.code() == Some(1) && again.stderr().contains("there is no sandbox");
        check(
            again.code() == Some(0) || gone,
            "delete did not finish",
            &again,
        )?;
        self.same("delete left something")?;
        Ok(met)
    }

    fn note(&mut self, verb: &str, call: &Call, fault: Fault, verdict: Result<bool, String>) {
        self.runs += 1;
        match verdict {
            Ok(met) => self.met += usize::from(met),
            Err(text) => {
                let (number, line) = (call.number, &call.line);
                self.wrong
                    .push(format!("{verb}, {fault:?} at {number}: {line}\n{text}"));
                // one that goes wrong must not take the others with it
                let force = ["delete", "--force", "--yes", NAME];
                let _ = self.lab.vss(&force);
                self.before = Snapshot::settled_outside_usr(self.lab);
            }
        }
    }

    fn end(self) {
        println!("{} runs, {} met their fault", self.runs, self.met);
        let wrong = self.wrong.len();
        assert!(
            self.wrong.is_empty(),
            "{wrong} of {} are wrong:\n\n{}",
            self.runs,
            self.wrong.join("\n\n")
        );
        assert!(
            self.met * 10 >= self.runs * 9,
            "{} of {} runs met their fault: the trace does not fit",
            self.met,
            self.runs
        );
    }
}

/// Killed before a call that changes something: one that would have failed, or that only makes
/// lasting what is there, leaves what the next one would leave.
fn kills(calls: &[Call], outside: usize) -> Vec<Call> {
    let all = every() == Some(1);
    sample(calls, outside, |call| {
        all || !(call.failed() || call.syncs())
    })
}

/// The errors of a call: a full disk where it takes room, a broken one elsewhere.
fn errors(call: &Call) -> Vec<Fault> {
    const TAKES_ROOM: [&str; 12] = [
        "mkdir",
        "open",
        "write",
        "pwrite",
        "symlink",
        "link",
        "setxattr",
        "fsetxattr",
        "lsetxattr",
        "fallocate",
        "copy_file_range",
        "rename",
    ];
    let takes_room = TAKES_ROOM.iter().any(|name| call.name.starts_with(name));
    match (every(), takes_room) {
        (Some(1), _) => vec![Fault::Error("ENOSPC"), Fault::Error("EIO")],
        (_, true) => vec![Fault::Error("ENOSPC")],
        (_, false) => vec![Fault::Error("EIO")],
    }
}

/// Errors at calls that would have failed for a good reason tell little more.
fn erring(calls: &[Call], outside: usize) -> Vec<Call> {
    let all = every() == Some(1);
    sample(calls, outside, |call| all || !call.failed())
}

#[test]
fn a50_a_create_that_is_killed_is_undone_by_the_next() {
    let lab = enter();
    let _sandbox = lab.expect(NAME);
    let everything = Snapshot::settled(&lab);
    let mut ground = Ground::new(&lab);
    let calls = calls(&lab, &CREATE);
    lab.vss(&DELETE).ok();
    for call in kills(&calls, 2) {
        ground.create(&call, Fault::Kill, false);
    }
    ground.end();
    everything.assert_same(&Snapshot::settled(&lab), "something is left");
}

/// The threads of the copy are killed wherever they are by then.
#[test]
fn a50_a_create_that_is_killed_amid_its_threads_is_undone_by_the_next() {
    let lab = enter();
    let _sandbox = lab.expect(NAME);
    let mut ground = Ground::new(&lab);
    for (name, number) in [
        ("symlinkat", 5),
        ("symlinkat", 40),
        ("fchownat", 60),
        ("openat", 1500),
    ] {
        let call = Call {
            name: name.to_owned(),
            number,
            line: "with threads".to_owned(),
            bulk: true,
        };
        ground.create(&call, Fault::Kill, true);
    }
    // how the threads share the work is not known: some may not come that far
    assert!(ground.met > 0, "none was killed");
    ground.runs = ground.met;
    ground.end();
}

#[test]
fn a50_a_delete_that_is_killed_is_finished_by_the_next() {
    let lab = enter();
    let _sandbox = lab.expect(NAME);
    let everything = Snapshot::settled(&lab);
    let mut ground = Ground::new(&lab);
    lab.vss(&CREATE).ok();
    for call in kills(&calls(&lab, &DELETE), 1) {
        ground.delete(&call, Fault::Kill);
    }
    ground.end();
    everything.assert_same(&Snapshot::settled(&lab), "something is left");
}

/// The project's network is there from the first start on, and goes with the last container.
#[test]
fn a50_a_delete_that_is_killed_leaves_no_network() {
    let lab = enter();
    let sandbox = lab.expect(NAME);
    // the first start of all makes directories of libvirt's own
    lab.vss(&CREATE).ok();
    sandbox.start();
    sandbox.stop();
    lab.vss(&DELETE).ok();
    let mut ground = Ground::new(&lab);
    lab.vss(&CREATE).ok();
    let calls = kills(&calls(&lab, &DELETE), 1);
    let outside: Vec<_> = calls.iter().filter(|call| !call.bulk).collect();
    for call in outside
        .iter()
        .step_by(outside.len().div_ceil(6))
        .chain(outside.last())
    {
        lab.vss(&CREATE).ok();
        sandbox.start();
        sandbox.stop();
        let verdict = ground.try_delete(call, Fault::Kill);
        ground.note("delete after a start", call, Fault::Kill, verdict);
    }
    ground.end();
}

#[test]
fn a51_a_create_that_meets_an_error_is_done_by_the_next() {
    let lab = enter();
    let _sandbox = lab.expect(NAME);
    let everything = Snapshot::settled(&lab);
    let mut ground = Ground::new(&lab);
    let calls = calls(&lab, &CREATE);
    lab.vss(&DELETE).ok();
    for call in erring(&calls, 3) {
        for fault in errors(&call) {
            ground.create(&call, fault, false);
        }
    }
    ground.end();
    everything.assert_same(&Snapshot::settled(&lab), "something is left");
}

#[test]
fn a51_a_delete_that_meets_an_error_is_finished_by_the_next() {
    let lab = enter();
    let _sandbox = lab.expect(NAME);
    let everything = Snapshot::settled(&lab);
    let mut ground = Ground::new(&lab);
    lab.vss(&CREATE).ok();
    for call in erring(&calls(&lab, &DELETE), 2) {
        for fault in errors(&call) {
            ground.delete(&call, fault);
        }
    }
    ground.end();
    everything.assert_same(&Snapshot::settled(&lab), "something is left");
}

/// Where the disk stays full, a failed create may not be able to clean up; the next command is.
#[test]
fn a51_a_create_on_a_disk_that_stays_full_is_done_by_the_next() {
    let lab = enter();
    let _sandbox = lab.expect(NAME);
    let mut ground = Ground::new(&lab);
    let calls = calls(&lab, &CREATE);
    lab.vss(&DELETE).ok();
    // not write: the message itself would be lost
    for name in ["mkdirat", "symlinkat", "pwrite64"] {
        let run: Vec<_> = calls.iter().filter(|call| call.name == name).collect();
        for call in [run.first(), run.get(run.len() / 2), run.last()]
            .into_iter()
            .flatten()
        {
            ground.create(call, Fault::Errors("ENOSPC"), false);
        }
    }
    ground.end();
}
