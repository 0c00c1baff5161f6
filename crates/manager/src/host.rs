//! The host as the verbs see it: where things are, and the daemons and databases behind traits.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use vss_config::{Places, Store};
use vss_libvirt::{Hypervisor, Libvirt, Networks, Uri};
use vss_model::{AbsPath, UnitName, installed};
use vss_package::PackageDb;
use vss_selinux::{HostLabeller, Labeller};
use vss_tree::Root;
use vss_unit::{ServiceManager, Systemd};

use crate::error::{Error, Result};
use crate::process::Proc;

/// Both sides of libvirt, over one connection.
pub(crate) trait Virtualization: Send + Sync {
    /// Domains.
    fn hypervisor(&self) -> &dyn Hypervisor;
    /// Networks.
    fn networks(&self) -> &dyn Networks;
}

impl Virtualization for Libvirt {
    fn hypervisor(&self) -> &dyn Hypervisor {
        self
    }

    fn networks(&self) -> &dyn Networks {
        self
    }
}

/// The host. What a verb doesn't need is not opened: `list` runs without libvirt and without a
/// package database.
pub struct Host {
    root: PathBuf,
    tree: Lazy<Root>,
    runner: PathBuf,
    proc: Proc,
    packages: Lazy<dyn PackageDb>,
    containers: Containers,
    services: Option<Lazy<dyn ServiceManager>>,
}

/// What knows of containers. A thread of its own may ask it.
pub(crate) struct Containers {
    pub(crate) store: Store,
    pub(crate) labeller: Box<dyn Labeller + Send + Sync>,
    virtualization: Lazy<dyn Virtualization>,
}

impl Containers {
    pub(crate) fn hypervisor(&self) -> Result<&dyn Hypervisor> {
        Ok(self.virtualization.get()?.hypervisor())
    }
}

impl Host {
    /// The host that this program runs on, with the libvirt connection of this URI.
    ///
    /// # Errors
    /// Where the URI is none of libvirt's LXC driver, or the store can't be opened.
    pub fn open(connect: &str) -> Result<Self> {
        let uri: Uri = connect.parse()?;
        let root = PathBuf::from("/");
        let (packages_root, tree_root) = (root.clone(), root.clone());
        let services = vss_unit::is_booted(&root)
            .then(|| Lazy::new(|| Ok(Box::new(Systemd::system()?) as Box<dyn ServiceManager>)));
        Ok(Self {
            tree: Lazy::new(move || Ok(Box::new(Root::open(&tree_root)?))),
            runner: PathBuf::from(installed::RUNNER),
            proc: Proc::host(),
            packages: Lazy::new(move || Ok(vss_package::open_host(&packages_root)?)),
            containers: Containers {
                store: Store::open(Places::under(&root)),
                labeller: Box::new(HostLabeller),
                virtualization: Lazy::new(move || {
                    Ok(Box::new(Libvirt::open(&uri)?) as Box<dyn Virtualization>)
                }),
            },
            services,
            root,
        })
    }

    /// A host below a directory, with these in place of its daemons.
    #[cfg(test)]
    pub(crate) fn with_seams(root: &Path, seams: Seams) -> Self {
        let root = root.to_owned();
        let (packages_root, tree_root) = (root.clone(), root.clone());
        Self {
            tree: Lazy::new(move || Ok(Box::new(Root::open(&tree_root)?))),
            runner: seams.runner,
            proc: Proc::host().with_kernel(root.join("proc")),
            packages: Lazy::new(move || Ok(vss_package::open_host(&packages_root)?)),
            containers: Containers {
                store: Store::open(Places::under(&root)),
                labeller: seams.labeller,
                virtualization: Lazy::opened(seams.virtualization),
            },
            services: seams.services.map(Lazy::opened),
            root,
        }
    }

    /// A path of the host as it has to be given to the system.
    pub(crate) fn path(&self, path: &AbsPath) -> PathBuf {
        self.root.join(path.relative())
    }

    /// A path of the system as the host's own, for messages and for what is stored: without the
    /// directory that stands for the root in tests.
    pub(crate) fn shown(&self, path: &Path) -> AbsPath {
        let inside = path.strip_prefix(&self.root).unwrap_or(path);
        AbsPath::new(Path::new("/").join(inside)).unwrap_or_else(|_| AbsPath::root())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The host's own tree.
    pub(crate) fn tree(&self) -> Result<&Root> {
        self.tree.get()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.containers.store
    }

    pub(crate) fn places(&self) -> &Places {
        self.store().places()
    }

    pub(crate) fn containers(&self) -> &Containers {
        &self.containers
    }

    pub(crate) fn runner(&self) -> &Path {
        &self.runner
    }

    pub(crate) fn proc(&self) -> &Proc {
        &self.proc
    }

    pub(crate) fn packages(&self) -> Result<&dyn PackageDb> {
        self.packages.get()
    }

    pub(crate) fn labeller(&self) -> &dyn Labeller {
        self.containers.labeller.as_ref()
    }

    pub(crate) fn hypervisor(&self) -> Result<&dyn Hypervisor> {
        self.containers.hypervisor()
    }

    pub(crate) fn networks(&self) -> Result<&dyn Networks> {
        Ok(self.containers.virtualization.get()?.networks())
    }

    /// Where the project's own network is defined, until it is in libvirt.
    pub(crate) fn network_file(&self) -> PathBuf {
        self.root.join(installed::NETWORK.trim_start_matches('/'))
    }

    /// The text of a small file of the host; `None` where there is none.
    pub(crate) fn small_file(&self, path: &str, limit: u64) -> Result<Option<String>> {
        let tree = self.tree()?;
        if tree.metadata(path.as_ref())?.is_none() {
            return Ok(None);
        }
        let bytes = tree.read(path.as_ref(), limit)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The host's systemd; `None` where it is not PID 1.
    pub(crate) fn services(&self) -> Result<Option<&dyn ServiceManager>> {
        self.services.as_ref().map(Lazy::get).transpose()
    }

    /// Whether a host unit can be started at boot.
    ///
    /// # Errors
    /// Where systemd is not PID 1.
    pub fn can_enable(&self, unit: &UnitName) -> Result<()> {
        match self.services()? {
            Some(_) => Ok(()),
            None => Err(Error::NoSystemd { unit: unit.clone() }),
        }
    }

    /// `/etc/systemd/system`.
    pub(crate) fn unit_dir(&self) -> PathBuf {
        self.root.join("etc/systemd/system")
    }

    /// Where the file of a host unit is.
    pub(crate) fn unit_file(&self, unit: &UnitName) -> PathBuf {
        self.unit_dir().join(unit.as_str())
    }
}

/// Whether a second thread is worth it.
pub(crate) fn has_processors() -> bool {
    std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
}

/// What a test puts in place of daemons.
#[cfg(test)]
pub(crate) struct Seams {
    pub(crate) labeller: Box<dyn Labeller + Send + Sync>,
    pub(crate) virtualization: Box<dyn Virtualization>,
    pub(crate) services: Option<Box<dyn ServiceManager>>,
    pub(crate) runner: PathBuf,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Something that is opened when it is first needed, and then kept.
pub(crate) struct Lazy<T: ?Sized> {
    opened: OnceLock<Box<T>>,
    /// Whoever comes while it is being opened waits.
    opening: Mutex<()>,
    open: Box<dyn Fn() -> Result<Box<T>> + Send + Sync>,
}

impl<T: ?Sized> Lazy<T> {
    fn new(open: impl Fn() -> Result<Box<T>> + Send + Sync + 'static) -> Self {
        Self {
            opened: OnceLock::new(),
            opening: Mutex::new(()),
            open: Box::new(open),
        }
    }

    #[cfg(test)]
    fn opened(thing: Box<T>) -> Self {
        Self {
            opened: OnceLock::from(thing),
            opening: Mutex::new(()),
            open: Box::new(|| Err(crate::Error::Cancelled)),
        }
    }

    fn get(&self) -> Result<&T> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let _turn = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = (self.open)()?;
        Ok(self.opened.get_or_init(|| opened))
    }
}
