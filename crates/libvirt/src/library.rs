//! libvirt's library, loaded when it is first spoken to.
//!
//! It brings some fifty others along, and a program that is linked with it spends more time on
//! those than on most of its own work, whether it speaks to libvirt or not. So the functions that
//! the `virt` crate calls are defined here, each a jump through a slot that [`load`] fills, and the
//! linker leaves the library out (a test of the command looks that it does): 14 ms less for each
//! command. `list` and `status` work on a host that has no libvirt at all.
//!
//! A function that is missing from the list below is found in the library by the linker, which
//! brings it back: nothing breaks but the test.

#![expect(
    unsafe_code,
    reason = "a library is loaded, and its functions are entered without a signature"
)]

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::connection::OpenError;

/// The library, by the name that all its 1.x to 11.x releases have.
const LIBRARY: &CStr = c"libvirt.so.0";

macro_rules! functions {
    ($count:literal: $($name:literal = $number:literal),+ $(,)?) => {
        const NAMES: [&CStr; $count] = [$(
            match CStr::from_bytes_with_nul(concat!($name, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            }
        ),+];

        $(
            #[cfg(target_arch = "x86_64")]
            std::arch::global_asm!(
                concat!(".pushsection .text.", $name, ",\"ax\",@progbits"),
                concat!(".globl ", $name),
                concat!(".hidden ", $name),
                concat!(".type ", $name, ",@function"),
                concat!($name, ":"),
                concat!("jmp qword ptr [rip + {slots} + 8*", $number, "]"),
                ".popsection",
                slots = sym SLOTS,
            );
            #[cfg(target_arch = "aarch64")]
            std::arch::global_asm!(
                concat!(".pushsection .text.", $name, ",\"ax\",@progbits"),
                concat!(".globl ", $name),
                concat!(".hidden ", $name),
                concat!(".type ", $name, ",@function"),
                concat!($name, ":"),
                concat!("adrp x16, {slots} + 8*", $number),
                concat!("ldr x16, [x16, :lo12:{slots} + 8*", $number, "]"),
                "br x16",
                ".popsection",
                slots = sym SLOTS,
            );
        )+
    };
}

/// Where the functions are, in the order of their numbers.
static SLOTS: [AtomicPtr<c_void>; NAMES.len()] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; NAMES.len()];

functions! { 28:
    "virConnectClose" = 0,
    "virConnectIsAlive" = 1,
    "virConnectListAllDomains" = 2,
    "virConnectOpen" = 3,
    "virConnectRef" = 4,
    "virDomainCreateXML" = 5,
    "virDomainDestroy" = 6,
    "virDomainFree" = 7,
    "virDomainGetID" = 8,
    "virDomainGetInfo" = 9,
    "virDomainGetName" = 10,
    "virDomainGetUUID" = 11,
    "virDomainGetXMLDesc" = 12,
    "virDomainLookupByName" = 13,
    "virDomainLookupByUUID" = 14,
    "virGetLastError" = 15,
    "virNetworkCreate" = 16,
    "virNetworkDHCPLeaseFree" = 17,
    "virNetworkDefineXML" = 18,
    "virNetworkDestroy" = 19,
    "virNetworkFree" = 20,
    "virNetworkGetDHCPLeases" = 21,
    "virNetworkGetUUID" = 22,
    "virNetworkGetXMLDesc" = 23,
    "virNetworkIsActive" = 24,
    "virNetworkLookupByName" = 25,
    "virNetworkUndefine" = 26,
    "virSetErrorFunc" = 27,
}

/// Loads the library, once. Comes before the first call of any function of the `virt` crate.
pub(crate) fn load() -> Result<(), OpenError> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    LOADED
        .get_or_init(fill)
        .clone()
        .map_err(|why| OpenError::NoLibrary { why })
}

fn fill() -> Result<(), String> {
    // SAFETY: the name is a C string; the library's constructors are libvirt's own, and it stays
    // loaded to the end, so that a slot never points to what is gone
    let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NODELETE) };
    if library.is_null() {
        return Err(last_error());
    }
    for (name, slot) in NAMES.iter().zip(&SLOTS) {
        // SAFETY: the library is loaded, and the name is a C string
        let found = unsafe { libc::dlsym(library, name.as_ptr()) };
        if found.is_null() {
            return Err(last_error());
        }
        slot.store(found, Ordering::Release);
    }
    Ok(())
}

fn last_error() -> String {
    // SAFETY: no argument; the text is this thread's until its next call of the kind
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "no reason is given".to_owned();
    }
    // SAFETY: not null, so it is a C string
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}
