//! The calls of a command, and faults at them.

use std::collections::{BTreeMap, BTreeSet};

use vss_lab::{Lab, PROGRAM, Ran};

/// The names of calls that can change something.
const CHANGING: &str = "mkdir,mkdirat,mknod,mknodat,open,openat,openat2,creat,rename,renameat,\
    renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,chmod,fchmod,fchmodat,chown,\
    fchown,lchown,fchownat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,\
    write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,truncate,ftruncate,fallocate,\
    fsync,fdatasync,sync_file_range,syncfs,utimensat,ioctl,mount,umount2,move_mount,kill,\
    pidfd_send_signal";

/// Those of them that take room on a disk.
const TAKES_ROOM: [&str; 13] = [
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
    "ftruncate",
    "copy_file_range",
    "rename",
];

/// A call of the traced run.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Its name.
    pub(crate) name: String,
    /// Which of that name it is, from 1 on.
    pub(crate) number: usize,
    /// The trace's line.
    pub(crate) line: String,
}

impl Call {
    pub(crate) fn failed(&self) -> bool {
        self.line.contains(" = -1 ")
    }

    /// It makes lasting what is there, and nothing more.
    pub(crate) fn syncs(&self) -> bool {
        ["fsync", "fdatasync", "syncfs", "sync_file_range"].contains(&self.name.as_str())
    }

    pub(crate) fn takes_room(&self) -> bool {
        TAKES_ROOM.iter().any(|name| self.name.starts_with(name))
    }

    /// It asks libvirt for something.
    pub(crate) fn asks(&self) -> bool {
        let to = self.line.split(", ").next().unwrap_or_default();
        to.contains("<socket:") || to.contains("<UNIX")
    }
}

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed instead.
    Kill,
    /// It fails, once.
    Error(&'static str),
    /// It and all of its name after it fail, as on a disk that is full and stays so.
    Errors(&'static str),
}

impl Fault {
    fn inject(self, call: &Call) -> String {
        let Call { name, number, .. } = call;
        match self {
            Self::Kill => format!("inject={name}:signal=KILL:when={number}"),
            Self::Error(error) => format!("inject={name}:error={error}:when={number}"),
            Self::Errors(error) => format!("inject={name}:error={error}:when={number}+"),
        }
    }
}

/// The processors that the test may use.
pub(crate) fn processors() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("the processors");
    let number = |text: &str| text.parse::<usize>().expect("a processor");
    list.trim()
        .split(',')
        .flat_map(|range| match range.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(range)..=number(range),
        })
        .collect()
}

/// Where commands are traced, and on which processor; on all of them if that isn't told.
#[derive(Debug)]
pub(crate) struct Tracer<'a> {
    lab: &'a Lab,
    file: String,
    processor: Option<String>,
}

impl<'a> Tracer<'a> {
    pub(crate) fn new(lab: &'a Lab, number: usize, processor: Option<usize>) -> Self {
        let world = std::env::var("VSS_WORLD").expect("a world");
        Self {
            lab,
            file: format!("{world}/crash.trace.{number}"),
            processor: processor.map(|processor| processor.to_string()),
        }
    }

    fn strace(&self, options: &[&str], command: &[&str]) -> Ran {
        let mut args = match &self.processor {
            Some(processor) => vec!["taskset", "-c", processor, "strace"],
            None => vec!["strace"],
        };
        args.extend(["-f", "-qq", "-y", "-s", "80", "-o", &self.file]);
        args.extend(options);
        args.push(PROGRAM);
        args.extend(command);
        self.lab.run(args[0], &args[1..])
    }

    /// Runs a command that meets a fault; whether it did is told by [`Self::met`].
    pub(crate) fn faulty(&self, call: &Call, fault: Fault, command: &[&str]) -> Ran {
        let trace = format!("trace={}", call.name);
        let inject = fault.inject(call);
        let mut options = vec!["-e", &trace, "-e", &inject];
        // it spares the stops at all other calls, but strace 6.1 sends no signal then
        if fault != Fault::Kill {
            options.push("--seccomp-bpf");
        }
        self.strace(&options, command)
    }

    /// Whether the last fault happened to a command that ended by itself.
    pub(crate) fn met(&self) -> bool {
        self.trace().contains("(INJECTED)")
    }

    fn trace(&self) -> String {
        std::fs::read_to_string(&self.file).expect("the trace")
    }

    /// The calls of a command that change something.
    pub(crate) fn calls(&self, command: &[&str]) -> Vec<Call> {
        let filter = format!("trace={CHANGING}");
        self.strace(&["-e", &filter], command).ok();
        let text = self.trace();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
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
            threads.insert(thread);
            let number = counts.entry(name).or_insert(0);
            *number += 1;
            if changes(name, rest) {
                found.push(Call {
                    name: name.to_owned(),
                    number: *number,
                    line: line.to_owned(),
                });
            }
        }
        assert_eq!(threads.len(), 1, "it had threads: a number is no one call");
        assert!(found.len() > 50, "no trace: {text}");
        found
    }
}

/// Whether such a call can change what is on a disk, or asks libvirt to.
fn changes(name: &str, rest: &str) -> bool {
    match name {
        "open" | "openat" | "openat2" => rest.contains("O_CREAT"),
        "ioctl" => rest.contains("FICLONE") || rest.contains("FS_IOC_SET"),
        // what it says itself, and what it says to itself
        "write" | "writev" => ["<anon_inode:", "<pipe:", "</dev/"]
            .iter()
            .all(|no| !rest.split(", ").next().unwrap_or_default().contains(no)),
        _ => true,
    }
}
