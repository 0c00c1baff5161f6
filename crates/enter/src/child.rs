//! The two processes on the way in.
//!
//! The first is still a process of the host's PID namespace: nothing inside can see it. It does
//! all that needs the host's descriptors and capabilities, and forks the second when it has none
//! of them left. The second is seen from inside from its first instruction.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::process::{DumpableBehavior, Pid};
use rustix::termios::Winsize;
use rustix::thread::ThreadNameSpaceType;

use crate::account::{self, Account};
use crate::channel::{Channel, Failed, Failure, Message};
use crate::command::Command;
use crate::container::Container;
use crate::environment::Environment;
use crate::error::{Error, Stage};
use crate::null;
use crate::privileges;
use crate::pty;
use crate::sys;
use crate::target::Target;
use crate::users;

/// The most bytes of the container's `/etc/passwd` and `/etc/group`.
const LIMIT: u64 = 4 * 1024 * 1024;

/// The child's ends of what becomes its standard streams.
#[derive(Debug)]
pub(crate) enum Streams {
    /// A terminal, to be opened inside, of this size.
    Terminal(Winsize),
    /// Standard input, output and error.
    Pipes([OwnedFd; 3]),
}

/// What the first process needs, made by the caller before the fork.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    pub(crate) container: &'a Container,
    pub(crate) target: &'a Target,
    pub(crate) command: &'a Command,
    pub(crate) streams: &'a Streams,
    pub(crate) channel: &'a Channel,
    /// The host's `/dev/null`.
    pub(crate) null: &'a OwnedFd,
}

fn at<E: Into<io::Error>>(stage: Stage) -> impl FnOnce(E) -> Failure {
    move |error| Failure::at(stage, "", &error.into())
}

/// Runs in the first process, and does not come back.
pub(crate) fn enter(way: &Way<'_>) -> ! {
    let outcome = first(way);
    let status = match outcome {
        Ok(()) => 0,
        Err(failure) => {
            // if nobody hears it the exit status still tells
            let _ = way.channel.send(&Message::Failed(failure));
            125
        }
    };
    sys::exit(status)
}

fn first(way: &Way<'_>) -> Result<(), Failure> {
    sys::default_signals().map_err(at(Stage::Hide))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(at(Stage::Hide))?;
    streams(way).map_err(at(Stage::Streams))?;
    for (path, procs) in &way.target.cgroups {
        // 0 is the writer itself
        rustix::io::write(procs, b"0")
            .map_err(|e| Failure::at(Stage::Cgroup, &path.to_string_lossy(), &e.into()))?;
    }
    label(way)?;
    rustix::thread::move_into_thread_name_spaces(way.container.fd(), way.target.namespaces)
        .map_err(at(Stage::Namespaces))?;
    if way.target.namespaces.contains(ThreadNameSpaceType::USER) {
        users::become_root().map_err(at(Stage::User))?;
    }
    // the kernel did it with the mount namespace; no step here is to hang on that (A08)
    rustix::process::chdir("/").map_err(at(Stage::Namespaces))?;
    forget_keys()?;
    let account = find_account(way.command)?;
    let terminal = terminal(way, &account)?;
    let has_terminal = terminal.is_some();
    streams_of_container(way, terminal).map_err(at(Stage::Streams))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));

    sys::close_others(&[way.channel.fd()]).map_err(at(Stage::Close))?;

    privileges::reduce(way.target, way.command.confinement, &account)?;
    // becoming another user may have made it dumpable again
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(at(Stage::Hide))?;
    go_to_directory(way.command, &account)?;
    let program = Program::new(way.command, &account)?;
    match sys::fork_sibling().map_err(at(Stage::Fork))? {
        Some(pid) => born(way.channel, pid),
        None => second(way.channel, has_terminal, &program),
    }
}

fn born(channel: &Channel, pid: Pid) -> Result<(), Failure> {
    channel.send(&Message::Born(pid)).map_err(at(Stage::Fork))
}

/// Runs in the second process.
fn second(channel: &Channel, has_terminal: bool, program: &Program) -> ! {
    // a session of its own: /dev/tty of the caller's session would be the administrator's (A39)
    let failure = match session(has_terminal) {
        Ok(()) => {
            // a caller that was ended knows nothing of this process, and nobody would end it
            if !matches!(channel.receive(), Ok(Some(Message::Go))) {
                sys::exit(125);
            }
            program.execute()
        }
        Err(error) => Failure::at(Stage::Session, "", &error),
    };
    let _ = channel.send(&Message::Failed(failure));
    sys::exit(125)
}

fn session(has_terminal: bool) -> io::Result<()> {
    rustix::process::setsid()?;
    if has_terminal {
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
    }
    Ok(())
}

fn streams(way: &Way<'_>) -> io::Result<()> {
    for number in 0..3 {
        let fd = match way.streams {
            Streams::Terminal(_) => way.null.as_fd(),
            Streams::Pipes(ends) => ends[number].as_fd(),
        };
        sys::place(fd, i32::try_from(number).unwrap_or_default())?;
    }
    Ok(())
}

/// What can only be had inside takes its place: the terminal, and a null device as input where
/// there is no other. A container without one keeps the empty pipe.
fn streams_of_container(way: &Way<'_>, terminal: Option<OwnedFd>) -> io::Result<()> {
    if let Some(slave) = terminal {
        return (0..3).try_for_each(|number| sys::place(slave.as_fd(), number));
    }
    if !way.command.interactive
        && let Some(null) = null::of_container()
    {
        sys::place(null.as_fd(), 0)?;
    }
    Ok(())
}

/// Says with which label the program is to run, through the procfs that was checked on the host
/// (A05). It goes along through the fork.
fn label(way: &Way<'_>) -> Result<(), Failure> {
    let Some(label) = &way.command.label else {
        return Ok(());
    };
    let text = label.to_string();
    let write = || -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let path = "thread-self/attr/exec";
        let attribute = rustix::fs::openat(&way.target.proc, path, flags, Mode::empty())?;
        rustix::io::write(&attribute, text.as_bytes())?;
        Ok(())
    };
    write().map_err(|error| Failure::at(Stage::Label, &text, &error))
}

/// The keys of the caller's session are not for the container.
fn forget_keys() -> Result<(), Failure> {
    match sys::new_session_keyring() {
        // a kernel, or an outer filter, without keyrings
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => Ok(()),
        Err(error) => Err(Failure::at(Stage::Hide, "keyring", &error)),
        Ok(()) => Ok(()),
    }
}

fn find_account(command: &Command) -> Result<Account, Failure> {
    let read =
        |path: &str| read_inside(path).map_err(|error| Failure::at(Stage::Accounts, path, &error));
    let passwd = read("/etc/passwd")?;
    let group = read("/etc/group")?;
    account::find(command.user.as_deref(), &passwd, &group).map_err(|error| match error {
        Error::Group(name) => Failure::named(Failed::Group, &name, 0),
        Error::User(name) => Failure::named(Failed::User, &name, 0),
        _ => Failure::named(Failed::User, "", 0),
    })
}

/// A file of the container, where all links lead to the container's own; empty where there is
/// none. Never waits for a FIFO, never reads a device.
fn read_inside(path: &str) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_MAGICLINKS;
    let looked = rustix::fs::openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    );
    let node = match looked {
        Ok(fd) => rustix::fs::fstat(fd)?,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(node.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let file = rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve)?;
    let opened = rustix::fs::fstat(&file)?;
    if (opened.st_dev, opened.st_ino) != (node.st_dev, node.st_ino) || opened.st_size > LIMIT as i64
    {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    File::from(file).take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn terminal(way: &Way<'_>, account: &Account) -> Result<Option<OwnedFd>, Failure> {
    let Streams::Terminal(size) = way.streams else {
        return Ok(None);
    };
    let terminal = pty::open(*size, account.uid)
        .map_err(|error| Failure::at(Stage::Terminal, "/dev/pts", &error))?;
    way.channel
        .send(&Message::Terminal(terminal.master))
        .map_err(at(Stage::Terminal))?;
    Ok(Some(terminal.slave))
}

/// As the user, who may not be allowed in.
fn go_to_directory(command: &Command, account: &Account) -> Result<(), Failure> {
    let wanted = match &command.workdir {
        Some(directory) => directory.as_str(),
        None if command.argv.is_empty() => account.home.as_str(),
        None => "/",
    };
    let gone = rustix::process::chdir(wanted);
    // as login(1): who has no home begins at the root
    let gone = if command.workdir.is_none() {
        gone.or_else(|_| rustix::process::chdir("/"))
    } else {
        gone
    };
    gone.map_err(|error| Failure::at(Stage::Directory, wanted, &error.into()))?;
    // a directory that can't be named from the root of the container would be the host's (A08)
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.to_bytes().starts_with(b"/") => Ok(()),
        _ => {
            let error = io::Error::from_raw_os_error(libc::EXDEV);
            Err(Failure::at(Stage::Directory, wanted, &error))
        }
    }
}

/// What is executed, ready for the kernel.
#[derive(Debug)]
struct Program {
    /// As it is reported.
    name: String,
    /// Where it may be, in the order in which it is tried.
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn new(command: &Command, account: &Account) -> Result<Self, Failure> {
        let environment = Environment::new(command, account);
        let (program, arguments) = match command.argv.first() {
            Some(program) => (program.clone(), command.argv.clone()),
            // a login shell, as its dash tells it
            None => {
                let base = account.shell.rsplit('/').next().unwrap_or_default();
                let shell = OsString::from(&account.shell);
                (shell, vec![OsString::from(format!("-{base}"))])
            }
        };
        let name = program.to_string_lossy().into_owned();
        let not_found = || Failure::named(Failed::NotFound, &name, libc::ENOENT);
        let strings = |texts: Vec<OsString>| -> Result<Vec<CString>, Failure> {
            texts
                .into_iter()
                .map(|text| CString::new(text.into_vec()).map_err(|_| not_found()))
                .collect()
        };
        let candidates = if program.as_bytes().contains(&b'/') {
            vec![program]
        } else {
            let directories = environment.path().split(':').filter(|d| d.starts_with('/'));
            directories
                .map(|directory| Path::new(directory).join(&program).into_os_string())
                .collect()
        };
        Ok(Self {
            candidates: strings(candidates)?,
            arguments: strings(arguments)?,
            environment: environment.to_strings(),
            name,
        })
    }

    /// Comes back only if it can't be executed.
    fn execute(&self) -> Failure {
        let mut failure = Failure::named(Failed::NotFound, &self.name, libc::ENOENT);
        for candidate in &self.candidates {
            let Err(error) = nix::unistd::execve(candidate, &self.arguments, &self.environment);
            let is_there = rustix::fs::stat(candidate.as_c_str()).is_ok();
            match error {
                Errno::ENOENT | Errno::ENOTDIR if !is_there => {}
                // it may still be executable further down the path, as execvp(3) has it
                error => {
                    failure = Failure::named(Failed::NotExecutable, &self.name, error as i32);
                    if error != Errno::EACCES {
                        break;
                    }
                }
            }
        }
        failure
    }
}
