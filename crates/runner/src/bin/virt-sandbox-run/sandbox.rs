//! What every verb begins with: the config, the store, libvirt.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vss_config::{Confined, Failure, Phase, Places, RuntimeState, Store};
use vss_libvirt::{Hypervisor, Libvirt, RunningDomain, Uri};
use vss_model::{SandboxConfig, SandboxName};
use vss_runner::handover::Options;
use vss_runner::say;

use crate::error::{Error, chain};

/// Besides the time that the unit inside has: for libvirt and for the boot and the end of systemd.
/// The host unit's own limits are longer still.
pub(crate) const START_MARGIN: u64 = 45;
pub(crate) const STOP_MARGIN: u64 = 30;

/// How long libvirt may take over the end of a container, and the reboot of one.
const HEADLESS: Duration = Duration::from_secs(2);

/// A sandbox of this host.
pub(crate) struct Sandbox {
    pub(crate) config: SandboxConfig,
    pub(crate) store: Store,
    pub(crate) root: Option<String>,
    /// Whether the domain that runs was started by this process, so with this very config.
    pub(crate) launched: Cell<bool>,
    libvirt: OnceCell<Libvirt>,
}

impl Sandbox {
    pub(crate) fn open(name: &SandboxName, options: &Options) -> Result<Self, Error> {
        let store = Self::store(options)?;
        Ok(Self {
            config: store.load(name)?,
            store,
            root: options.get("root")?,
            launched: Cell::new(false),
            libvirt: OnceCell::new(),
        })
    }

    /// Where all sandboxes are stored.
    pub(crate) fn store(options: &Options) -> Result<Store, Error> {
        let root: Option<String> = options.get("root")?;
        let places = root
            .as_deref()
            .map_or_else(Places::host, |root| Places::under(Path::new(root)));
        Ok(Store::open(places))
    }

    pub(crate) fn name(&self) -> &SandboxName {
        &self.config.name
    }

    /// The connection, made when it is first needed.
    pub(crate) fn libvirt(&self) -> Result<&Libvirt, Error> {
        if let Some(libvirt) = self.libvirt.get() {
            return Ok(libvirt);
        }
        let libvirt = Libvirt::open(&Uri::default())?;
        Ok(self.libvirt.get_or_init(|| libvirt))
    }

    /// The running domain of this sandbox. One whose first process is gone for good while libvirt's
    /// controller stays, as rarely happens, is destroyed and counts as none.
    pub(crate) fn running(&self) -> Result<Option<RunningDomain>, Error> {
        let libvirt = self.libvirt()?;
        let end = Instant::now() + HEADLESS;
        loop {
            match libvirt.find(self.config.uuid) {
                Err(vss_libvirt::Error::NoInit { .. }) if Instant::now() < end => {}
                Err(vss_libvirt::Error::NoInit { .. }) => {
                    say("libvirt's controller outlived the container: destroying the domain");
                    libvirt.destroy(self.config.uuid)?;
                    return Ok(None);
                }
                other => return Ok(other?),
            }
        }
    }

    /// The directory that the container sees at `/run/host`.
    pub(crate) fn host_directory(&self) -> PathBuf {
        self.store.places().runtime(self.name()).join("host")
    }

    /// What confines the running domain: the config may have been edited since another process
    /// started it, and a reboot by libvirt changes nothing.
    pub(crate) fn confined(&self, earlier: Option<&RuntimeState>) -> Option<Confined> {
        if self.launched.get() {
            return Some(Confined::of(&self.config));
        }
        let earlier = earlier.filter(|state| state.uuid == self.config.uuid);
        earlier.and_then(|state| state.confined.clone())
    }

    /// Whether a command says that it is stopping the container with this first process. What can't
    /// be read says nothing.
    pub(crate) fn is_stopping(&self, init: u32) -> bool {
        let state = self.store.state(self.name()).unwrap_or_else(|error| {
            say(&chain(&Error::from(error)));
            None
        });
        state.is_some_and(|state| {
            (state.uuid, state.init_pid, state.phase) == (self.config.uuid, init, Phase::Stopping)
        })
    }

    pub(crate) fn units(&self) -> Vec<String> {
        self.config.units.iter().map(ToString::to_string).collect()
    }

    /// How long a graceful stop may take; `None` for ever.
    pub(crate) fn stop_limit(&self) -> Option<Duration> {
        let seconds = self.config.timeouts.stop?.saturating_add(STOP_MARGIN);
        Some(Duration::from_secs(seconds))
    }

    /// Leaves for the command what is to be told of a failure.
    pub(crate) fn leave_failure(&self, failure: &Failure) -> Result<(), Error> {
        Ok(self.store.save_failure(self.name(), failure)?)
    }
}
