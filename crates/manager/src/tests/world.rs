//! A small host in a temporary directory.

use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use vss_libvirt::testing::{FakeHypervisor, FakeNetworks};
use vss_libvirt::{Hypervisor, Networks};
use vss_model::{
    Confinement, ConfinementChoice, NetworkChoice, SandboxName, SecurityContext, UnitName,
};
use vss_plan::CreateRequest;
use vss_selinux::testing::FakeLabeller;
use vss_selinux::{ContainerTypes, Labeller, Mode};
use vss_unit::testing::FakeServiceManager;
use vss_unit::{JobResult, ManagerResult, ServiceManager, UnitStatus};

use crate::control::{Control, Notice, Observer};
use crate::create::CreateOptions;
use crate::error::Result;
use crate::host::{Host, Seams, Virtualization};
use crate::outcome::{CreateOutcome, Part};

/// A host with a package `demo` that ships `demo.service`.
pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) hypervisor: Arc<FakeHypervisor>,
    pub(super) networks: Arc<FakeNetworks>,
    pub(super) services: Option<Arc<FakeServiceManager>>,
    pub(super) labels: Arc<FakeLabeller>,
}

const UNIT: &str = "[Unit]\nDescription=A demonstration\n\n[Service]\nExecStart=/usr/sbin/demod --config /etc/demo/demo.conf\nStateDirectory=demo\n\n[Install]\nWantedBy=multi-user.target\n";

impl World {
    /// A host where systemd runs.
    pub(super) fn new() -> Self {
        let world = Self {
            dir: directory(),
            hypervisor: Arc::default(),
            networks: Arc::default(),
            services: Some(Arc::default()),
            labels: Arc::new(FakeLabeller::new(Mode::Enforcing)),
        };
        world.furnish();
        world
    }

    fn furnish(&self) {
        for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib")] {
            symlink(target, self.path(link)).unwrap();
        }
        for directory in [
            "usr/bin",
            "etc/systemd/system",
            "var/lib/demo",
            "run",
            "var/log",
            "root",
        ] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        self.write(
            "proc/self/mountinfo",
            "1 2 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        );
        self.write("proc/self/ns/user", "");
        self.write("proc/sys/user/max_user_namespaces", "1000\n");
        self.write("usr/sbin/demod", "#!/bin/sh\n");
        self.write("usr/lib/systemd/system/demo.service", UNIT);
        self.write("etc/demo/demo.conf", "data /var/lib/demo\n");
        self.write("etc/demo/extra.conf", "made by a maintainer script\n");
        self.write("var/lib/demo/data", "precious\n");
        self.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        self.write(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\ndemo:x:101:101::/var/lib/demo:/usr/sbin/nologin\n",
        );
        self.write("etc/group", "root:x:0:\ndemo:x:101:\n");
        self.write("etc/nsswitch.conf", "passwd: files\n");
        self.write("etc/hosts", "127.0.0.1 localhost\n");
        self.write(
            "usr/share/virt-sandbox/network.xml",
            "<network><name>virt-sandbox</name><uuid>6d0f3c5b-52f1-4c0e-9a87-9d1d0b7f2ac4</uuid><forward mode='nat'/><bridge name='virbr-sandbox' stp='off' delay='0'/><ip address='10.203.240.1' netmask='255.255.240.0'/></network>",
        );
        self.write(
            "var/lib/dpkg/status",
            "Package: demo\nStatus: install ok installed\nPriority: optional\nArchitecture: all\nVersion: 1.0-1\nMaintainer: nobody <nobody@example.org>\nDescription: a demonstration\nConffiles:\n /etc/demo/demo.conf d41d8cd98f00b204e9800998ecf8427e\n\n",
        );
        self.write(
            "var/lib/dpkg/info/demo.list",
            "/.\n/etc\n/etc/demo\n/etc/demo/demo.conf\n/lib\n/lib/systemd\n/lib/systemd/system\n/lib/systemd/system/demo.service\n/usr\n/usr/sbin\n/usr/sbin/demod\n/var\n/var/lib\n/var/lib/demo\n",
        );
    }

    /// A path of this host as the system knows it.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.dir.path().join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        let root = vss_tree::Root::open(self.dir.path()).unwrap();
        root.remove_tree(path.as_ref()).unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// This host as the verbs see it; each command has one of its own.
    pub(super) fn host(&self) -> Host {
        self.host_at(self.dir.path())
    }

    pub(super) fn host_at(&self, root: &Path) -> Host {
        let seams = Seams {
            labeller: Box::new(SharedLabels(self.labels.clone())),
            virtualization: Box::new(FakeVirtualization {
                hypervisor: self.hypervisor.clone(),
                networks: self.networks.clone(),
            }),
            services: self
                .services
                .clone()
                .map(|services| Box::new(Shared(services)) as Box<dyn ServiceManager>),
            runner: self.path("runner"),
        };
        Host::with_seams(root, seams)
    }

    pub(super) fn create(&self, name: &str) -> Result<CreateOutcome> {
        let watch = Watch::default();
        self.create_with(&request(name), CreateOptions::default(), &watch)
    }

    pub(super) fn create_private(&self, name: &str) -> Result<CreateOutcome> {
        let watch = Watch::default();
        self.create_with(&private(name), CreateOptions::default(), &watch)
    }

    pub(super) fn create_with(
        &self,
        request: &CreateRequest,
        options: CreateOptions,
        watch: &Watch,
    ) -> Result<CreateOutcome> {
        crate::create::create(&self.host(), request, &options, &watch.control())
    }

    /// Everything on this host but locks: paths with what is there.
    pub(super) fn snapshot(&self) -> Vec<String> {
        let mut lines = Vec::new();
        walk(self.dir.path(), self.dir.path(), &mut lines);
        lines.retain(|line| !line.starts_with("run"));
        lines.sort();
        lines
    }
}

/// In memory where there is room for it: what is synced a thousand times here waits for no disk.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn walk(base: &Path, dir: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let shown = path.strip_prefix(base).unwrap().display().to_string();
        let mode = metadata.permissions().mode();
        if metadata.is_dir() {
            lines.push(format!("{shown} {mode:o}"));
            walk(base, &path, lines);
        } else if metadata.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            lines.push(format!("{shown} {mode:o} {text:.60}"));
        } else {
            lines.push(format!("{shown} -> {:?}", fs::read_link(&path).ok()));
        }
    }
}

pub(super) fn name(text: &str) -> SandboxName {
    text.parse().unwrap()
}

pub(super) fn request(name: &str) -> CreateRequest {
    CreateRequest {
        confinement: ConfinementChoice::Exactly(Confinement::Reduced),
        private_users: None,
        network: NetworkChoice::Default,
        ..CreateRequest::new(self::name(name), vec!["demo.service".parse().unwrap()])
    }
}

/// The same in a user namespace.
pub(super) fn private(name: &str) -> CreateRequest {
    CreateRequest {
        confinement: ConfinementChoice::Exactly(Confinement::Userns),
        ..request(name)
    }
}

/// Watches a verb, and interferes at one of its steps.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) cancelled: AtomicBool,
    pub(super) seen: Mutex<Vec<Part>>,
    pub(super) notices: Mutex<Vec<Notice>>,
    steps: AtomicUsize,
    at: usize,
    how: Interference,
}

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interference {
    Nothing,
    /// As by SIGINT.
    Cancel,
    /// As by SIGKILL: the verb is torn off, nothing is undone.
    Crash,
}

impl Default for Watch {
    fn default() -> Self {
        Self::at(usize::MAX, Interference::Nothing)
    }
}

impl Watch {
    pub(super) fn at(step: usize, how: Interference) -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            seen: Mutex::default(),
            notices: Mutex::default(),
            steps: AtomicUsize::new(0),
            at: step,
            how,
        }
    }

    pub(super) fn control(&self) -> Control<'_> {
        Control {
            cancelled: &self.cancelled,
            observer: self,
        }
    }

    fn step(&self) {
        if self.steps.fetch_add(1, Ordering::SeqCst) != self.at {
            return;
        }
        match self.how {
            Interference::Nothing => {}
            Interference::Cancel => self.cancelled.store(true, Ordering::SeqCst),
            Interference::Crash => panic!("torn off"),
        }
    }
}

impl Observer for Watch {
    fn notice(&self, notice: &Notice) {
        self.notices.lock().unwrap().push(notice.clone());
    }

    fn begins(&self, part: Part) {
        self.seen.lock().unwrap().push(part);
        self.step();
    }

    fn copying(&self, _bytes: u64) {
        self.step();
    }

    fn copied_all(&self) {
        self.step();
    }
}

struct FakeVirtualization {
    hypervisor: Arc<FakeHypervisor>,
    networks: Arc<FakeNetworks>,
}

impl Virtualization for FakeVirtualization {
    fn hypervisor(&self) -> &dyn Hypervisor {
        &*self.hypervisor
    }

    fn networks(&self) -> &dyn Networks {
        &*self.networks
    }
}

/// The host's systemd, which all commands share.
struct Shared(Arc<FakeServiceManager>);

impl ServiceManager for Shared {
    fn reload(&self) -> ManagerResult<()> {
        self.0.reload()
    }

    fn start(&self, unit: &UnitName, interrupted: &dyn Fn() -> bool) -> ManagerResult<JobResult> {
        self.0.start(unit, interrupted)
    }

    fn stop(&self, unit: &UnitName, interrupted: &dyn Fn() -> bool) -> ManagerResult<JobResult> {
        self.0.stop(unit, interrupted)
    }

    fn restart(&self, unit: &UnitName) -> ManagerResult<JobResult> {
        self.0.restart(unit)
    }

    fn reload_unit(&self, unit: &UnitName) -> ManagerResult<JobResult> {
        self.0.reload_unit(unit)
    }

    fn enable(&self, unit: &UnitName) -> ManagerResult<()> {
        self.0.enable(unit)
    }

    fn disable(&self, unit: &UnitName) -> ManagerResult<()> {
        self.0.disable(unit)
    }

    fn reset_failed(&self, unit: &UnitName) -> ManagerResult<()> {
        self.0.reset_failed(unit)
    }

    fn status(&self, unit: &UnitName) -> ManagerResult<UnitStatus> {
        self.0.status(unit)
    }
}

/// SELinux, which all commands share.
struct SharedLabels(Arc<FakeLabeller>);

impl Labeller for SharedLabels {
    fn mode(&self) -> Mode {
        self.0.mode()
    }

    fn types(&self) -> Result<ContainerTypes, vss_selinux::Error> {
        self.0.types()
    }

    fn live(&self) -> Result<Vec<SecurityContext>, vss_selinux::Error> {
        self.0.live()
    }

    fn set(&self, fd: BorrowedFd<'_>, to: &SecurityContext) -> Result<(), vss_selinux::Error> {
        self.0.set(fd, to)
    }

    fn get(&self, fd: BorrowedFd<'_>) -> Result<Option<SecurityContext>, vss_selinux::Error> {
        self.0.get(fd)
    }

    fn of_process(&self, pid: u32) -> Result<Option<SecurityContext>, vss_selinux::Error> {
        self.0.of_process(pid)
    }

    fn check(&self, context: &SecurityContext) -> Result<(), vss_selinux::Error> {
        self.0.check(context)
    }

    fn is_permissive(&self, context: &SecurityContext) -> Result<bool, vss_selinux::Error> {
        self.0.is_permissive(context)
    }
}
