//! The kernel: code in it, and what looks into it.

use std::ffi::CString;

use nix::errno::Errno;

use crate::facts::Facts;
use crate::outcome::{Outcome, Step};
use crate::sys::{Arg, call, call_into, descriptor};

/// Rubbish: who may load modules hears that it is none.
pub(crate) fn module(_: &Facts) -> Outcome {
    let none = CString::default();
    let rubbish = [0_u8; 64];
    let length = Arg::Number(rubbish.len() as i64);
    let args = [Arg::Bytes(&rubbish), length, Arg::Text(&none)];
    reached(
        call(libc::SYS_init_module, &args),
        Errno::ENOEXEC,
        "init_module",
    )
}

/// A kernel of no segments: who may, takes away the one that waits, and none does.
pub(crate) fn kexec(_: &Facts) -> Outcome {
    let zero = Arg::Number(0);
    call(libc::SYS_kexec_load, &[zero, zero, zero, zero]).step("kexec_load")?;
    Ok("allowed".to_owned())
}

/// An error that only comes after the permission was given.
fn reached(result: Result<i64, Errno>, sign: Errno, step: &str) -> Outcome {
    match result {
        Err(errno) if errno == sign => Ok(format!("{errno:?}")),
        other => {
            other.step(step)?;
            Ok("allowed".to_owned())
        }
    }
}

/// A program that runs at any place of the kernel, and reads its memory.
pub(crate) fn bpf(_: &Facts) -> Outcome {
    const PROG_LOAD: i64 = 5;
    const KPROBE: u32 = 2;
    // r0 = 0; exit
    let program: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let licence = c"GPL";
    let mut attributes = [0_u8; 72];
    attributes[0..4].copy_from_slice(&KPROBE.to_ne_bytes());
    attributes[4..8].copy_from_slice(&2_u32.to_ne_bytes());
    attributes[8..16].copy_from_slice(&(program.as_ptr() as u64).to_ne_bytes());
    attributes[16..24].copy_from_slice(&(licence.as_ptr() as u64).to_ne_bytes());
    let size = Arg::Number(attributes.len() as i64);
    let args = [Arg::Number(PROG_LOAD), Arg::Bytes(&attributes), size];
    let loaded = descriptor(call(libc::SYS_bpf, &args).step("load")?);
    Ok(format!("{loaded:?}"))
}

/// What all processes do on a processor.
pub(crate) fn perf(_: &Facts) -> Outcome {
    // struct perf_event_attr: PERF_TYPE_SOFTWARE, its size, PERF_COUNT_SW_CPU_CLOCK
    let mut attributes = [0_u8; 112];
    attributes[0..4].copy_from_slice(&1_u32.to_ne_bytes());
    attributes[4..8].copy_from_slice(&112_u32.to_ne_bytes());
    let everybody = Arg::Number(-1);
    let processor = Arg::Number(0);
    let args = [
        Arg::Bytes(&attributes),
        everybody,
        processor,
        Arg::Number(-1),
        Arg::Number(0),
    ];
    let opened = descriptor(call(libc::SYS_perf_event_open, &args).step("perf_event_open")?);
    Ok(format!("{opened:?}"))
}

/// Holds the kernel half way through a copy from or to memory.
pub(crate) fn userfaultfd(_: &Facts) -> Outcome {
    let flags = Arg::Number(i64::from(libc::O_CLOEXEC));
    let opened = descriptor(call(libc::SYS_userfaultfd, &[flags]).step("userfaultfd")?);
    Ok(format!("{opened:?}"))
}

/// Sets the machine's clock, to what it is.
pub(crate) fn clock(_: &Facts) -> Outcome {
    let mut now = [0; 16];
    call_into(libc::SYS_clock_gettime, &[Arg::Number(0)], 1, &mut now).needed("the clock")?;
    call(libc::SYS_clock_settime, &[Arg::Number(0), Arg::Bytes(&now)]).step("clock_settime")?;
    Ok("set".to_owned())
}
