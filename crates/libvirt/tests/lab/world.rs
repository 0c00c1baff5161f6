//! The private world that these tests run in, and the containers in it.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vss_libvirt::{Libvirt, Uri};
use vss_model::{DomainSpec, Filesystem, Interface, Uuid};

/// Runs a test in a world of its own. `name` is the test function's.
pub(crate) fn in_world(name: &str, test: impl FnOnce(&Libvirt)) {
    if std::env::var_os("VSS_WORLD").is_some() {
        test(&Libvirt::open(&Uri::default()).unwrap());
        return;
    }
    let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lab/world");
    let status = command(world.to_str().unwrap(), &["--"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            name,
            "--nocapture",
            "--test-threads=1",
        ])
        // its result would be counted twice; what failed is on stderr
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed in its world: {status}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of these tests that runs programs"
)]
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = command(program, arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The definition of the own network that is shipped.
pub(crate) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../units/network.xml")
}

/// A container of the host's /usr that runs a shell script, with a writable /out.
pub(crate) fn container(name: &str, script: &str) -> DomainSpec {
    let root = PathBuf::from("/var/lib/libvirt/filesystems").join(name);
    for dir in [
        "usr", "proc", "sys", "dev", "run", "tmp", "etc", "var", "out",
    ] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        if !root.join(link).is_symlink() {
            symlink(format!("usr/{link}"), root.join(link)).unwrap();
        }
    }
    let bind = |source: &Path, target: &str, readonly| Filesystem::Bind {
        source: source.to_str().unwrap().parse().unwrap(),
        target: target.parse().unwrap(),
        readonly,
    };
    DomainSpec {
        name: name.parse().unwrap(),
        uuid: new_uuid(),
        init: "/bin/sh".parse().unwrap(),
        init_args: vec!["-c".to_owned(), script.to_owned()],
        init_env: vec![],
        memory_kib: 256 << 10,
        filesystems: vec![
            bind(&root, "/", true),
            bind(Path::new("/usr"), "/usr", true),
            bind(&root.join("out"), "/out", false),
            Filesystem::Ram {
                target: "/run".parse().unwrap(),
                size: 1 << 20,
            },
        ],
        interfaces: vec![],
        private_users: None,
        label: None,
    }
}

/// A fresh UUID: the kernel's.
pub(crate) fn new_uuid() -> Uuid {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    text.trim().parse().unwrap()
}

/// An interface on the own network with the address 10.203.240.`last`.
pub(crate) fn interface(last: u8, isolated: bool) -> Interface {
    Interface {
        network: "virt-sandbox".to_owned(),
        mac: vss_model::MacAddress::libvirt([0, 0, last]),
        address: Ipv4Addr::new(10, 203, 240, last),
        prefix: 20,
        gateway: Ipv4Addr::new(10, 203, 240, 1),
        device: "eth0".to_owned(),
        isolated,
        bridge: None,
    }
}

/// What a container wrote to a file in /out, once it has it whole. A busy machine may take long.
pub(crate) fn output(name: &str, file: &str) -> String {
    let path = Path::new("/var/lib/libvirt/filesystems")
        .join(name)
        .join("out")
        .join(file);
    eventually(&format!("{}", path.display()), || {
        fs::read_to_string(&path).ok()
    })
}

pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: never");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A shell command that serves a greeting on port 80. Perl is essential on Debian.
pub(crate) const SERVER: &str = r#"perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 80, Listen => 5, ReuseAddr => 1) or die; open(F, ">", "/out/up"); close F; while ($c = $s->accept) { print $c "hello\n"; close $c }'"#;

/// What a server says.
pub(crate) fn greeting(address: Ipv4Addr) -> String {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((address, 80)), Duration::from_secs(30))
            .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
