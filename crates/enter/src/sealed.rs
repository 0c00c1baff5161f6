//! The program itself, out of the container's reach (A09).
//!
//! What runs inside has the host's root as its user, and may get hold of the program that entered:
//! a "command" that is a script of `#!/proc/self/exe` has the kernel execute that program once
//! more, inside, where it can be traced and holds the host's writable mount by `/proc/PID/exe`
//! (CVE-2019-5736). `connect` even takes the shell's name out of the container. So whoever enters
//! is first replaced by a copy of itself in memory, sealed against every write.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;

use crate::Result;
use crate::error::caller;

const SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// Makes sure that this program runs from a sealed copy in memory. If it doesn't yet, the process
/// begins anew as that, with the same arguments and environment, and this call never returns.
///
/// # Errors
/// Where the kernel has no such memory to execute (`vm.memfd_noexec`), or too little.
pub fn run_sealed(name: &'static std::ffi::CStr) -> Result<()> {
    let program =
        File::open("/proc/self/exe").map_err(caller("open the program that is running"))?;
    if fcntl_get_seals(&program).is_ok_and(|seals| seals.contains(SEALS)) {
        // else it would be called by the number of a descriptor
        let _ = rustix::thread::set_name(name);
        return Ok(());
    }
    let copy = copy_of(program, name).map_err(caller(
        "copy the program into memory that nothing can change",
    ))?;
    let never = execute(&copy).map_err(caller("execute the program's copy in memory"))?;
    match never {}
}

fn copy_of(mut program: File, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let made = match memfd_create(name, flags | MemfdFlags::EXEC) {
        // Linux 6.2 and earlier don't know the flag, and don't need it
        Err(Errno::INVAL) => memfd_create(name, flags),
        other => other,
    };
    let mut copy = File::from(made?);
    io::copy(&mut program, &mut copy)?;
    fcntl_add_seals(&copy, SEALS)?;
    Ok(copy.into())
}

fn execute(copy: &OwnedFd) -> io::Result<std::convert::Infallible> {
    let arguments = std::env::args_os()
        .map(|argument| CString::new(argument.into_vec()))
        .collect::<Result<Vec<_>, _>>()?;
    let environment = std::env::vars_os()
        .map(|(name, value)| {
            let mut pair = name.into_vec();
            pair.push(b'=');
            pair.extend(value.into_vec());
            CString::new(pair)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(nix::unistd::fexecve(copy, &arguments, &environment)?)
}
