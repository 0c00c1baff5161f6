//! The DHCP leases of a network, which the crate `virt` does not offer.
#![expect(unsafe_code, reason = "virNetworkGetDHCPLeases has no safe wrapper")]

use std::ffi::{CStr, c_char, c_void};
use std::net::Ipv4Addr;
use std::ptr;

use virt::error::Error;
use virt::network::Network;
use virt_sys as sys;
use vss_model::MacAddress;

use crate::read;

/// A lease of dnsmasq's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) mac: Option<MacAddress>,
}

/// The leases of an active network.
pub(crate) fn of(network: &Network) -> Result<Vec<Lease>, Error> {
    let mut list: *mut sys::virNetworkDHCPLeasePtr = ptr::null_mut();
    // SAFETY: the network is alive for the whole call, a null MAC asks for all leases, and `list`
    // is a place for the array that libvirt allocates.
    let count =
        unsafe { sys::virNetworkGetDHCPLeases(network.as_ptr(), ptr::null(), &raw mut list, 0) };
    let Ok(count) = usize::try_from(count) else {
        return Err(Error::last_error());
    };
    let mut leases = Vec::with_capacity(count);
    for n in 0..count {
        // SAFETY: libvirt says that the array has `count` leases; each is freed once, here.
        unsafe {
            let lease = *list.add(n);
            leases.push(Lease {
                address: text((*lease).ipaddr).and_then(|t| t.parse().ok()),
                mac: text((*lease).mac).and_then(|t| read::mac(&t)),
            });
            sys::virNetworkDHCPLeaseFree(lease);
        }
    }
    // SAFETY: the array itself is the caller's to free; null is allowed.
    unsafe { libc::free(list.cast::<c_void>()) };
    Ok(leases)
}

/// A copy of a C string.
///
/// # Safety
/// `text` is null or points to a string that ends with NUL and lives until this returns.
unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}
