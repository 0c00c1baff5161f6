//! The system calls that are refused, as a program for the kernel's filter (seccomp(2)).
//!
//! A list of what is refused, not of what is allowed: what services call is not known beforehand,
//! and the capabilities do the main work. The filter is for what no capability guards (the keys
//! of the host's root, terminal input of others), what a kept capability would allow (kexec by
//! `SYS_BOOT`; bpf, perf events, the kernel's log, and the host's file systems by `SYS_ADMIN`), and
//! what a user namespace would bring back.
//!
//! What is refused with `EPERM` exists but is not for a container; with `ENOSYS`, programs see an
//! older kernel and have a way without it: systemd, PAM and krb5 go on without keyrings, MariaDB
//! without io_uring.

use super::Confinement;

/// `struct sock_filter` of `linux/filter.h`: one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SockFilter {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub jt: u8,
    /// How many instructions to skip if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A processor architecture that the filter knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// `AUDIT_ARCH_X86_64`.
    X86_64,
    /// `AUDIT_ARCH_AARCH64`.
    Aarch64,
}

impl Arch {
    /// The one that this program is compiled for; `None` for one without a filter.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }
}

/// A system call with its numbers; an architecture without it has `NONE`.
struct Call {
    x86_64: u32,
    aarch64: u32,
}

const NONE: u32 = u32::MAX;

const fn call(x86_64: u32, aarch64: u32) -> Call {
    Call { x86_64, aarch64 }
}

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
const EAFNOSUPPORT: u32 = 97;

/// Keys have no namespace for a user: uid 0 inside would read those of the host's root.
const KEYS: [Call; 3] = [
    call(248, 217), // add_key
    call(249, 218), // request_key
    call(250, 219), // keyctl
];

/// Another kernel, or code in this one.
const KERNEL: [Call; 5] = [
    call(246, 104), // kexec_load
    call(320, 294), // kexec_file_load
    call(175, 105), // init_module
    call(313, 273), // finit_module
    call(176, 106), // delete_module
];

/// What belongs to the machine, or brings in what the capabilities keep out.
const MACHINE: [Call; 16] = [
    call(304, 265),  // open_by_handle_at: files of the host, by inode
    call(103, 116),  // syslog: the kernel's log, which dmesg_restrict=0 opens to all
    call(167, 224),  // swapon
    call(168, 225),  // swapoff
    call(321, 280),  // bpf
    call(298, 241),  // perf_event_open
    call(323, 282),  // userfaultfd: stops the kernel half way through a copy
    call(172, NONE), // iopl
    call(173, NONE), // ioperm
    call(163, 89),   // acct
    call(179, 60),   // quotactl
    call(443, 443),  // quotactl_fd
    call(180, 42),   // nfsservctl
    call(212, 18),   // lookup_dcookie
    call(134, NONE), // uselib
    call(156, NONE), // _sysctl
];

/// Chooses a mount to change the options of its file system, past [`MOUNT`]; mount(8) goes on without.
const FSPICK: [Call; 1] = [call(433, 433)];

/// Does what the filter refuses without passing through it, sockets for one.
const IO_URING: [Call; 3] = [
    call(425, 425), // io_uring_setup
    call(426, 426), // io_uring_enter
    call(427, 427), // io_uring_register
];

const IOCTL: Call = call(16, 29);
const MOUNT: Call = call(165, 40);
const SOCKET: Call = call(41, 198);
/// A remount without [`MS_BIND`] changes the file system itself, which the host has mounted too: it
/// would be read-only for all. systemd's own remounts are of one mount, with it.
const MS_REMOUNT: u32 = 32;
const MS_BIND: u32 = 4096;
/// Requests that stop or change the file system that an open file lies on, with `CAP_SYS_ADMIN` and
/// nothing else: freeze, thaw, trim, shut down, resize, and the text and number that it is known by.
const OF_FILE_SYSTEMS: [u32; 8] = [
    0xc004_5877, // FIFREEZE
    0xc004_5878, // FITHAW
    0xc018_5879, // FITRIM
    0x8004_587d, // EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
    0x4008_6610, // EXT4_IOC_RESIZE_FS
    0x0000_6611, // EXT4_IOC_SWAP_BOOT
    0x4008_662c, // EXT4_IOC_SETFSUUID
    0x4100_9432, // FS_IOC_SETFSLABEL
];
/// Has the kernel write to this terminal what is meant for the machine's console.
const TIOCCONS: u32 = 0x541d;
/// Types into a terminal: that of an administrator who lent his.
const TIOCSTI: u32 = 0x5412;
/// The same by way of the console's selection.
const TIOCLINUX: u32 = 0x541c;
const AF_NETLINK: u32 = 16;
const NETLINK_AUDIT: u32 = 9;
/// Has no namespace: reaches the hypervisor that the host runs in, and its other guests.
const AF_VSOCK: u32 = 40;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const NOT_BELOW: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
/// Calls with this bit are the x32 ABI's.
const X32: u32 = 0x4000_0000;

// Offsets in struct seccomp_data.
const NR: u32 = 0;
const ARCH: u32 = 4;
/// The low half of an argument: both architectures are little-endian, and what is compared here
/// is an `int` or `unsigned int` to the kernel, which drops the upper half too.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The program for a confinement. Calls of another ABI (32-bit programs, x32) are refused with
/// `ENOSYS`: their numbers mean other calls.
///
/// `none` refuses only keys, kexec, modules, terminal input and the audit log.
#[must_use]
pub fn program(confinement: Confinement, arch: Arch) -> Vec<SockFilter> {
    let mut program = Program {
        arch,
        code: Vec::with_capacity(96),
    };
    program.native_only();
    program.refuse(&KEYS, ENOSYS);
    program.refuse(&KERNEL, EPERM);
    if is_strict(confinement) {
        program.refuse(&MACHINE, EPERM);
        program.refuse(&IO_URING, ENOSYS);
        program.refuse(&FSPICK, ENOSYS);
        program.refuse_remounts();
    }
    program.refuse_requests(confinement);
    program.refuse_sockets(confinement);
    program.push(RETURN, 0, 0, ALLOW);
    program.code
}

fn is_strict(confinement: Confinement) -> bool {
    confinement != Confinement::None
}

struct Program {
    arch: Arch,
    code: Vec<SockFilter>,
}

impl Program {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) {
        self.code.push(SockFilter { code, jt, jf, k });
    }

    fn number(&self, call: &Call) -> u32 {
        match self.arch {
            Arch::X86_64 => call.x86_64,
            Arch::Aarch64 => call.aarch64,
        }
    }

    fn native_only(&mut self) {
        self.push(LOAD, 0, 0, ARCH);
        self.push(EQUAL, 1, 0, self.arch.audit());
        self.push(RETURN, 0, 0, ERRNO | ENOSYS);
        self.push(LOAD, 0, 0, NR);
        if self.arch == Arch::X86_64 {
            self.push(NOT_BELOW, 0, 1, X32);
            self.push(RETURN, 0, 0, ERRNO | ENOSYS);
        }
    }

    fn refuse(&mut self, calls: &[Call], errno: u32) {
        for call in calls {
            let number = self.number(call);
            if number != NONE {
                self.push(EQUAL, 0, 1, number);
                self.push(RETURN, 0, 0, ERRNO | errno);
            }
        }
    }

    /// Those of file systems; those of single mounts pass.
    fn refuse_remounts(&mut self) {
        self.push(EQUAL, 0, 5, self.number(&MOUNT));
        self.push(LOAD, 0, 0, argument(3));
        self.push(AND, 0, 0, MS_REMOUNT | MS_BIND);
        self.push(EQUAL, 0, 1, MS_REMOUNT);
        self.push(RETURN, 0, 0, ERRNO | EPERM);
        self.push(RETURN, 0, 0, ALLOW);
    }

    fn refuse_requests(&mut self, confinement: Confinement) {
        let mut refused = vec![TIOCSTI, TIOCLINUX];
        if is_strict(confinement) {
            refused.push(TIOCCONS);
            refused.extend(OF_FILE_SYSTEMS);
        }
        // each is two instructions; a load before them and a verdict after
        let body = u8::try_from(2 * refused.len() + 2).unwrap_or(u8::MAX);
        self.push(EQUAL, 0, body, self.number(&IOCTL));
        self.push(LOAD, 0, 0, argument(1));
        for request in refused {
            self.push(EQUAL, 0, 1, request);
            self.push(RETURN, 0, 0, ERRNO | EPERM);
        }
        self.push(RETURN, 0, 0, ALLOW);
    }

    fn refuse_sockets(&mut self, confinement: Confinement) {
        let vsock = is_strict(confinement);
        let body = if vsock { 8 } else { 6 };
        self.push(EQUAL, 0, body, self.number(&SOCKET));
        self.push(LOAD, 0, 0, argument(0));
        if vsock {
            self.push(EQUAL, 0, 1, AF_VSOCK);
            self.push(RETURN, 0, 0, ERRNO | EAFNOSUPPORT);
        }
        self.push(EQUAL, 1, 0, AF_NETLINK);
        self.push(RETURN, 0, 0, ALLOW);
        self.push(LOAD, 0, 0, argument(2));
        self.push(EQUAL, 0, 1, NETLINK_AUDIT);
        self.push(RETURN, 0, 0, ERRNO | EAFNOSUPPORT);
    }
}

#[cfg(test)]
mod tests;
