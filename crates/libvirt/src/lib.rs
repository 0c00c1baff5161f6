//! libvirt's LXC driver, behind values and two traits.
//!
//! This is the only crate that knows libvirt, whose library is loaded when it is first spoken to.
//! What happens here, in order:
//!
//! 1. [`Uri`] takes what was typed; anything but the machine's own LXC driver is refused.
//! 2. [`Libvirt::open`] connects; no daemon, no driver and no permission are errors of their own,
//!    with a [hint](OpenError::hint) at what to run next.
//! 3. [`domain_xml`] writes a [`DomainSpec`](vss_model::DomainSpec) as XML. It is pure, so that a
//!    plan can show it.
//! 4. [`Networks::ensure`] has the domain's network up, [`start`] starts the domain and gets over
//!    the [race](StartError::Race) that `docs/design/libvirt-race.md` tells of; the outcome is a
//!    [`RunningDomain`] with the host's pid of the container's first process.
//! 5. [`Hypervisor::find`] and [`Hypervisor::destroy`] go by UUID: a domain of the same name may
//!    be somebody else's.
//!
//! Domains are transient, so a stopped one is gone from libvirt, and with it the reason why: who
//! wants to know watches the container's first process, as the waiter does.
//!
//! XML that libvirt answers is read with caps on size and without DTDs; messages from it may hold
//! text of a container, and are shown sanitised.

mod connection;
mod domains;
mod error;
mod hypervisor;
mod leases;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod library;
mod networks;
mod process;
mod read;
mod routes;
mod startup_log;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod uri;
mod xml;

pub use connection::{Libvirt, OpenError};
pub use error::{Error, Result, StartError};
pub use hypervisor::{DomainInfo, Hypervisor, RunningDomain, start};
pub use networks::{NetworkError, NetworkInfo, Networks, OWN_UUID, shipped_address};
pub use uri::{Uri, UriError};
pub use xml::{XmlError, domain_xml};
