//! The program is run by a small interpreter of the five instructions that it uses.

use super::*;

/// What the kernel would decide for a call: `Ok` for allowed, else the error number.
fn run(program: &[SockFilter], arch: u32, nr: u32, args: [u64; 6]) -> Result<(), u32> {
    let mut data = Vec::new();
    data.extend(nr.to_le_bytes());
    data.extend(arch.to_le_bytes());
    data.extend(0u64.to_le_bytes());
    for arg in args {
        data.extend(arg.to_le_bytes());
    }
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let step = program[at];
        at += 1;
        let skip = match step.code {
            LOAD => {
                let start = step.k as usize;
                accumulator = u32::from_le_bytes(data[start..start + 4].try_into().unwrap());
                0
            }
            AND => {
                accumulator &= step.k;
                0
            }
            EQUAL if accumulator == step.k => step.jt,
            NOT_BELOW if accumulator >= step.k => step.jt,
            EQUAL | NOT_BELOW => step.jf,
            RETURN if step.k == ALLOW => return Ok(()),
            RETURN => return Err(step.k & 0xffff),
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(skip);
    }
}

fn both() -> impl Iterator<Item = (Confinement, Arch)> {
    let of = |confinement| [Arch::X86_64, Arch::Aarch64].map(|arch| (confinement, arch));
    Confinement::ALL.into_iter().flat_map(of)
}

fn decide(confinement: Confinement, arch: Arch, call: &Call, args: [u64; 6]) -> Result<(), u32> {
    let nr = match arch {
        Arch::X86_64 => call.x86_64,
        Arch::Aarch64 => call.aarch64,
    };
    run(&program(confinement, arch), arch.audit(), nr, args)
}

const READ: Call = call(0, 63);
const CLONE: Call = call(56, 220);
const REBOOT: Call = call(169, 142);

#[test]
fn what_services_and_systemd_call_is_allowed() {
    for (confinement, arch) in both() {
        for call in [&READ, &MOUNT, &CLONE, &REBOOT] {
            assert_eq!(decide(confinement, arch, call, [0; 6]), Ok(()));
        }
    }
}

#[test]
fn keys_and_kernels_are_refused_everywhere() {
    for (confinement, arch) in both() {
        for call in &KEYS {
            assert_eq!(decide(confinement, arch, call, [0; 6]), Err(ENOSYS));
        }
        for call in &KERNEL {
            assert_eq!(decide(confinement, arch, call, [0; 6]), Err(EPERM));
        }
    }
}

#[test]
fn a_file_handle_and_the_kernel_log_are_refused_under_all_but_none() {
    for (confinement, arch) in both() {
        for call in &MACHINE[..2] {
            let none = confinement == Confinement::None;
            let expected = if none { Ok(()) } else { Err(EPERM) };
            assert_eq!(decide(confinement, arch, call, [0; 6]), expected);
        }
    }
}

#[test]
fn io_uring_looks_absent_under_all_but_none() {
    for (confinement, arch) in both().filter(|(c, _)| *c != Confinement::None) {
        for call in &IO_URING {
            assert_eq!(decide(confinement, arch, call, [0; 6]), Err(ENOSYS));
        }
    }
}

#[test]
fn a39_nothing_types_into_a_terminal() {
    for (confinement, arch) in both() {
        let ioctl = |request| decide(confinement, arch, &IOCTL, [0, request, 0, 0, 0, 0]);
        assert_eq!(ioctl(u64::from(TIOCSTI)), Err(EPERM));
        assert_eq!(ioctl(u64::from(TIOCLINUX)), Err(EPERM));
        // The kernel ignores the upper half of the request.
        assert_eq!(ioctl(u64::from(TIOCSTI) | 1 << 32), Err(EPERM));
        assert_eq!(ioctl(0x5413), Ok(()));
    }
}

#[test]
fn the_audit_log_looks_absent_and_other_sockets_do_not() {
    for (confinement, arch) in both() {
        let socket =
            |family, protocol| decide(confinement, arch, &SOCKET, [family, 3, protocol, 0, 0, 0]);
        assert_eq!(socket(16, 9), Err(EAFNOSUPPORT));
        assert_eq!(socket(16, 0), Ok(()));
        assert_eq!(socket(2, 9), Ok(()));
        assert_eq!(socket(1, 0), Ok(()));
        let vsock = match confinement {
            Confinement::None => Ok(()),
            _ => Err(EAFNOSUPPORT),
        };
        assert_eq!(socket(40, 0), vsock);
    }
}

#[test]
fn foreign_abis_are_refused() {
    for (confinement, arch) in both() {
        let program = program(confinement, arch);
        let i386 = 0x4000_0003;
        assert_eq!(run(&program, i386, 0, [0; 6]), Err(ENOSYS));
        let other = match arch {
            Arch::X86_64 => Arch::Aarch64,
            Arch::Aarch64 => Arch::X86_64,
        };
        assert_eq!(run(&program, other.audit(), 0, [0; 6]), Err(ENOSYS));
    }
    let program = program(Confinement::None, Arch::X86_64);
    assert_eq!(
        run(&program, Arch::X86_64.audit(), X32, [0; 6]),
        Err(ENOSYS)
    );
}

#[test]
fn every_jump_lands_inside_and_every_path_ends() {
    for (confinement, arch) in both() {
        let program = program(confinement, arch);
        assert!(program.len() < 4096);
        for (at, step) in program.iter().enumerate() {
            for skip in [step.jt, step.jf] {
                assert!(at + 1 + usize::from(skip) <= program.len());
            }
        }
        assert_eq!(program.last().unwrap().code, RETURN);
        for nr in 0..500 {
            let _ = run(&program, arch.audit(), nr, [u64::MAX; 6]);
        }
    }
}

#[test]
fn a_file_system_is_not_remounted_and_a_mount_is() {
    for (confinement, arch) in both() {
        let strict = confinement != Confinement::None;
        let with = |flags| decide(confinement, arch, &MOUNT, [0, 0, 0, flags, 0, 0]);
        let refused = if strict { Err(EPERM) } else { Ok(()) };
        // read-only for all; the same with other flags around it, and above the flags' 32 bits
        for flags in [32, 32 | 1, 32 | 2 | 4 | 8, 32 | 1 << 40] {
            assert_eq!(with(flags), refused, "{confinement} {flags:#x}");
        }
        // systemd's, of one mount; a bind mount; a new file system
        for flags in [32 | 4096 | 1, 4096 | 16384, 0, 2 | 4] {
            assert_eq!(with(flags), Ok(()), "{confinement} {flags:#x}");
        }
        let pick = decide(confinement, arch, &FSPICK[0], [0; 6]);
        assert_eq!(pick, if strict { Err(ENOSYS) } else { Ok(()) });
    }
}

#[test]
fn file_systems_are_not_frozen_and_files_answer() {
    for (confinement, arch) in both() {
        let strict = confinement != Confinement::None;
        let request = |number: u32| {
            let args = [0, u64::from(number), 0, 0, 0, 0];
            decide(confinement, arch, &IOCTL, args)
        };
        for number in OF_FILE_SYSTEMS.into_iter().chain([TIOCCONS]) {
            let refused = if strict { Err(EPERM) } else { Ok(()) };
            assert_eq!(request(number), refused, "{confinement} {number:#x}");
        }
        // TCGETS, FIONREAD, FICLONE, FS_IOC_FSGETXATTR
        for number in [0x5401, 0x541b, 0x4004_9409, 0x801c_581f] {
            assert_eq!(request(number), Ok(()), "{confinement} {number:#x}");
        }
        assert_eq!(request(TIOCSTI), Err(EPERM));
    }
}
