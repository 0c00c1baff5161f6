//! A container without libvirt, and a caller with one thread: the two sides of the tests in
//! `tests/container.rs`.
//!
//! - `fixture container DIRECTORY [--pts link|directory|none] [--cgroup DIRECTORY]… [--users BASE]
//!   [--confined late|inherited|little]`
//!   makes a container of namespaces, a tmpfs for a root and the capabilities of `reduced`, prints
//!   the host pid of its first process, and ends with it. With a base it has 65536 users of its own.
//!   One that is confined late waits for that until its `/run/go` is there, under a filter
//!   that it inherited or without; one that is confined little keeps its bounding set.
//! - `fixture run PID START [OPTIONS] -- COMMAND…` runs a command in it as `execute` does.
#![expect(unsafe_code, reason = "fork, unshare and seccomp")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a program for tests")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a program for tests"
)]

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::{ForkResult, fork};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use vss_enter::{Command, Container};
use vss_model::Confinement;
use vss_model::confinement::capability::capabilities;
use vss_model::confinement::seccomp::{self, Arch};

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some("container") => {
            let arguments: Vec<String> = arguments.iter().map(text).collect();
            container(&arguments[1..]);
        }
        Some("run") => run(&arguments[1..]),
        _ => panic!("container or run"),
    }
}

fn text(argument: &OsString) -> String {
    argument.to_str().unwrap().to_owned()
}

fn container(arguments: &[String]) {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let directory = PathBuf::from(&arguments[0]);
    let mut pts = "devpts";
    let mut users = None;
    let mut confined = "";
    let mut options = arguments[1..].chunks_exact(2);
    for option in &mut options {
        match option[0].as_str() {
            "--pts" => pts = &option[1],
            "--cgroup" => fs::write(Path::new(&option[1]).join("cgroup.procs"), "0").unwrap(),
            "--confined" => confined = &option[1],
            "--users" => users = Some(option[1].parse().unwrap()),
            other => panic!("{other}"),
        }
    }
    if let Some(base) = users {
        become_users(base);
    }
    let flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    // SAFETY: one thread, and no descriptor table is unshared
    unsafe { rustix::thread::unshare_unsafe(flags) }.unwrap();
    if confined == "inherited" {
        filter(Confinement::None);
    }
    // SAFETY: one thread
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            println!("{child}");
            std::io::stdout().flush().unwrap();
            let _ = rustix::process::waitpid(
                rustix::process::Pid::from_raw(child.as_raw()),
                rustix::process::WaitOptions::empty(),
            );
        }
        ForkResult::Child => first_process(&directory, pts, confined),
    }
}

/// Goes on in a user namespace, as its root; the process that may make its map stays behind.
fn become_users(base: u32) {
    let (here, there) = UnixStream::pair().unwrap();
    // SAFETY: one thread
    if let ForkResult::Parent { child } = unsafe { fork() }.unwrap() {
        drop(there);
        (&here).read_exact(&mut [0]).unwrap();
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{child}/{map}"), format!("0 {base} 65536\n")).unwrap();
        }
        (&here).write_all(b"m").unwrap();
        drop(here);
        let child = rustix::process::Pid::from_raw(child.as_raw());
        let _ = rustix::process::waitpid(child, rustix::process::WaitOptions::empty());
        std::process::exit(0);
    }
    drop(here);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    // SAFETY: one thread, and no descriptor table is unshared
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }.unwrap();
    (&there).write_all(b"u").unwrap();
    (&there).read_exact(&mut [0]).unwrap();
    rustix::thread::set_thread_groups(&[]).unwrap();
    let (uid, gid) = (rustix::fs::Uid::ROOT, rustix::fs::Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
    rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
    // becoming another user took it away
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
}

fn first_process(root: &Path, pts: &str, confined: &str) {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .unwrap();
    tmpfs(root);
    fill(root, pts);
    rustix::process::chdir(root).unwrap();
    rustix::process::pivot_root(".", ".").unwrap();
    rustix::mount::unmount(".", UnmountFlags::DETACH).unwrap();
    rustix::process::chdir("/").unwrap();
    rustix::system::sethostname(b"fixture").unwrap();
    if ["late", "inherited"].contains(&confined) {
        fs::write("/run/ready", "").unwrap();
        while !fs::exists("/run/go").unwrap() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    if confined != "little" {
        bound();
    }
    filter(Confinement::Reduced);
    keep();
    let listener = UnixListener::bind("/run/echo").unwrap();
    let busy = UnixListener::bind("/run/busy").unwrap();
    fs::write("/run/ready", "").unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).unwrap_or(0);
        if &bytes[..count] == b"who" {
            let peer = rustix::net::sockopt::socket_peercred(&stream).unwrap();
            let _ = write!(stream, "{}", peer.uid.as_raw());
            continue;
        }
        let _ = stream.write_all(b"inside ");
        let _ = stream.write_all(&bytes[..count]);
    }
    drop(busy);
}

fn tmpfs(at: &Path) {
    rustix::mount::mount("tmpfs", at, "tmpfs", MountFlags::empty(), c"mode=0755").unwrap();
}

fn fill(root: &Path, pts: &str) {
    let at = |path: &str| root.join(path);
    for directory in [
        "usr", "etc", "dev", "proc", "tmp", "run", "root", "home/bob", "private",
    ] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    fs::set_permissions(at("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(at("private"), fs::Permissions::from_mode(0o700)).unwrap();
    for link in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        symlink(format!("usr/{link}"), at(link)).unwrap();
    }
    rustix::mount::mount_bind("/usr", at("usr")).unwrap();
    let passwd = "root:x:0:0:root:/root:/bin/bash\nbob:x:1234:1234::/home/bob:/bin/sh\n";
    fs::write(at("etc/passwd"), passwd).unwrap();
    fs::write(at("etc/group"), "root:x:0:\nbob:x:1234:\nweb:x:500:bob\n").unwrap();
    fs::create_dir_all(at("opt/own")).unwrap();
    let program = "#!/bin/sh\necho own $0\n";
    fs::write(at("opt/own/vss-only-inside"), program).unwrap();
    fs::set_permissions(
        at("opt/own/vss-only-inside"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    rustix::mount::mount("proc", at("proc"), "proc", MountFlags::empty(), None).unwrap();
    tmpfs(&at("dev"));
    for (name, minor) in [("null", 3), ("zero", 5)] {
        device(&at("dev").join(name), 1, minor);
    }
    device(&at("dev/tty"), 5, 0);
    terminals(root, pts);
}

/// Makes a device, or shows the host's where none can be made: in a user namespace.
fn device(at: &Path, major: u32, minor: u32) {
    let mode = Mode::from_raw_mode(0o666);
    let made = mknodat(
        CWD,
        at,
        FileType::CharacterDevice,
        mode,
        makedev(major, minor),
    );
    if made.is_err() {
        fs::write(at, "").unwrap();
        rustix::mount::mount_bind(Path::new("/dev").join(at.file_name().unwrap()), at).unwrap();
    }
}

fn terminals(root: &Path, pts: &str) {
    let at = |path: &str| root.join(path);
    let devpts = |directory: &str| {
        fs::create_dir_all(at(directory)).unwrap();
        let options = c"newinstance,ptmxmode=0666,mode=620";
        rustix::mount::mount(
            "devpts",
            at(directory),
            "devpts",
            MountFlags::empty(),
            options,
        )
        .unwrap();
    };
    match pts {
        "devpts" => devpts("dev/pts"),
        "link" => {
            devpts("elsewhere");
            symlink("/elsewhere", at("dev/pts")).unwrap();
        }
        "directory" => {
            fs::create_dir(at("dev/pts")).unwrap();
            let mode = Mode::from_raw_mode(0o666);
            mknodat(
                CWD,
                at("dev/pts/ptmx"),
                FileType::CharacterDevice,
                mode,
                makedev(5, 2),
            )
            .unwrap();
        }
        "covered" => {
            devpts("dev/pts");
            rustix::mount::mount_bind("/dev/null", at("dev/pts/ptmx")).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// What the init leaves under `reduced`.
fn kept() -> CapabilitySet {
    CapabilitySet::from_bits_retain(capabilities(Confinement::Reduced))
}

fn bound() {
    let kept = kept();
    for number in 0..=40 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if !kept.contains(one) {
            rustix::thread::remove_capability_from_bounding_set(one).unwrap();
        }
    }
}

fn keep() {
    let sets = CapabilitySets {
        effective: kept(),
        permitted: kept(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).unwrap();
}

fn filter(confinement: Confinement) {
    let program = seccomp::program(confinement, Arch::native().unwrap());
    let program = libc::sock_fprog {
        len: program.len().try_into().unwrap(),
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    let (load, flags) = (libc::SECCOMP_SET_MODE_FILTER, 0);
    // SAFETY: the program has the kernel's layout and lives through the call, which only reads it
    let done = unsafe { libc::syscall(libc::SYS_seccomp, load, flags, &raw const program) };
    assert_eq!(done, 0);
}

fn run(arguments: &[OsString]) {
    let mut arguments = arguments.iter();
    let mut next = || text(arguments.next().unwrap());
    let pid = next().parse().unwrap();
    let start = next().parse().unwrap();
    let mut command = Command::new(Vec::new(), Confinement::Reduced);
    loop {
        match next().as_str() {
            "--tty" => command.tty = true,
            "--interactive" => command.interactive = true,
            "--escape" => command.escape = Some(Command::CONTROL_BRACKET),
            "--user" => command.user = Some(next()),
            "--workdir" => command.workdir = Some(next()),
            "--env" => {
                let pair = next();
                let (name, value) = pair.split_once('=').unwrap();
                command.env.push((name.to_owned(), value.to_owned()));
            }
            "--" => break,
            other => panic!("{other}"),
        }
    }
    command.term = Some("xterm".to_owned());
    command.argv = arguments.cloned().collect();
    let outcome = Container::open(pid, start).and_then(|container| container.run(&command));
    match outcome {
        Ok(status) => std::process::exit(i32::from(status)),
        Err(error) => {
            eprint!("fixture: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            std::process::exit(i32::from(error.status()));
        }
    }
}
