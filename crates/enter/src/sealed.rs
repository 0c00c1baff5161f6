//! The program itself, out of the container's reach (A09).
//!
//! What runs inside has the host's root as its user, and may get hold of the program that entered:
//! a "command" that is a script of `#!/proc/self/exe` has the kernel execute that program once
//! more, inside, where it can be traced and holds the host's writable mount by `/proc/PID/exe`
//! (CVE-2019-5736). `connect` even takes the shell's name out of the container. So whoever enters
//! is first replaced by a copy of itself in memory, sealed against every write.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Seek};
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
    let copy = copy_of(&program, name).map_err(caller(
        "copy the program into memory that nothing can change",
    ))?;
    let never = execute(&copy).map_err(caller("execute the program's copy in memory"))?;
    match never {}
}

/// The kernel seals no memory that somebody has hold of, and it may be itself: what compacts memory, or
/// looks which of it is used, takes hold of any. It waits for a while; on a busy machine that is too
/// short now and then.
const ATTEMPTS: u32 = 10;

fn copy_of(program: &File, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    unless_busy(ATTEMPTS, || sealed_copy(program, name))
}

fn unless_busy<T>(attempts: u32, mut make: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..attempts {
        match make() {
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {}
            other => return other,
        }
    }
    make()
}

fn sealed_copy(mut program: &File, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    program.rewind()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_somebody_has_hold_of_is_made_anew() {
        let busy = || io::Error::from(Errno::BUSY);
        let mut made = 0;
        let third = unless_busy(ATTEMPTS, || {
            made += 1;
            if made < 3 { Err(busy()) } else { Ok(made) }
        });
        assert_eq!(third.unwrap(), 3);
        let never = unless_busy::<()>(3, || Err(busy()));
        assert_eq!(never.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        let mut tried = 0;
        let other = unless_busy::<()>(3, || {
            tried += 1;
            Err(io::ErrorKind::OutOfMemory.into())
        });
        assert_eq!(
            (other.unwrap_err().kind(), tried),
            (io::ErrorKind::OutOfMemory, 1)
        );
    }

    #[test]
    fn a_copy_is_whole_and_sealed_also_the_second_one() {
        use std::io::Read;
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"program").unwrap();
        for _ in 0..2 {
            let copy = sealed_copy(&file, c"copy").unwrap();
            assert!(fcntl_get_seals(&copy).unwrap().contains(SEALS));
            let mut copy = File::from(copy);
            copy.rewind().unwrap();
            let mut text = String::new();
            copy.read_to_string(&mut text).unwrap();
            assert_eq!(text, "program");
        }
    }
}
