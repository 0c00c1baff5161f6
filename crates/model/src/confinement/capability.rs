//! The capabilities that a container's processes may ever have (capabilities(7)).

use super::Confinement;

/// A capability by its number in `linux/capability.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is described in capabilities(7)")]
pub enum Capability {
    Chown = 0,
    DacOverride = 1,
    DacReadSearch = 2,
    Fowner = 3,
    Fsetid = 4,
    Kill = 5,
    Setgid = 6,
    Setuid = 7,
    Setpcap = 8,
    LinuxImmutable = 9,
    NetBindService = 10,
    NetBroadcast = 11,
    NetAdmin = 12,
    NetRaw = 13,
    IpcLock = 14,
    IpcOwner = 15,
    SysModule = 16,
    SysRawio = 17,
    SysChroot = 18,
    SysPtrace = 19,
    SysPacct = 20,
    SysAdmin = 21,
    SysBoot = 22,
    SysNice = 23,
    SysResource = 24,
    SysTime = 25,
    SysTtyConfig = 26,
    Mknod = 27,
    Lease = 28,
    AuditWrite = 29,
    AuditControl = 30,
    Setfcap = 31,
    MacOverride = 32,
    MacAdmin = 33,
    Syslog = 34,
    WakeAlarm = 35,
    BlockSuspend = 36,
    AuditRead = 37,
    Perfmon = 38,
    Bpf = 39,
    CheckpointRestore = 40,
}

impl Capability {
    /// Every capability that Linux 5.9 and later have.
    pub const ALL: [Self; 41] = {
        use Capability as C;
        [
            C::Chown,
            C::DacOverride,
            C::DacReadSearch,
            C::Fowner,
            C::Fsetid,
            C::Kill,
            C::Setgid,
            C::Setuid,
            C::Setpcap,
            C::LinuxImmutable,
            C::NetBindService,
            C::NetBroadcast,
            C::NetAdmin,
            C::NetRaw,
            C::IpcLock,
            C::IpcOwner,
            C::SysModule,
            C::SysRawio,
            C::SysChroot,
            C::SysPtrace,
            C::SysPacct,
            C::SysAdmin,
            C::SysBoot,
            C::SysNice,
            C::SysResource,
            C::SysTime,
            C::SysTtyConfig,
            C::Mknod,
            C::Lease,
            C::AuditWrite,
            C::AuditControl,
            C::Setfcap,
            C::MacOverride,
            C::MacAdmin,
            C::Syslog,
            C::WakeAlarm,
            C::BlockSuspend,
            C::AuditRead,
            C::Perfmon,
            C::Bpf,
            C::CheckpointRestore,
        ]
    };

    /// The capability of a name as in capabilities(7), however it is spelled.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
        let wanted = plain(name);
        Self::ALL
            .into_iter()
            .find(|c| format!("cap{}", plain(&format!("{c:?}"))) == wanted)
    }

    /// Its bit in a capability set.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// What `reduced` keeps.
///
/// Kept, because services need them and they end at the container's own files, processes,
/// network, IPC and PID namespaces:
///
/// - `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `FSETID`, `SETUID`, `SETGID`, `KILL`: what any daemon
///   that starts as root and becomes somebody else does.
/// - `SETPCAP`: systemd takes capabilities away from units with it.
/// - `SETFCAP`: without it the kernel lets nobody map uid 0 into a user namespace, and units
///   with `PrivateUsers=` (Debian's Redis) would not start. Capabilities of files count for
///   nothing on the writable trees, which are nosuid.
/// - `NET_BIND_SERVICE`, `NET_BROADCAST`, `NET_RAW`, `NET_ADMIN`: the network namespace is the
///   container's own; units name the last two in `AmbientCapabilities=` (dnsmasq, keepalived),
///   and systemd fails a unit whose ambient set can't be had.
/// - `IPC_LOCK`, `IPC_OWNER`: the IPC namespace is its own, locked memory counts to its cgroup.
/// - `SYS_CHROOT`: sshd, Dovecot and Postfix lock their workers up with it.
/// - `SYS_BOOT`: in a PID namespace it ends the namespace; libvirt tells reboot from power-off by
///   it. kexec, which it would allow too, is refused by the seccomp filter.
/// - `LEASE`: file leases, for file servers.
///
/// Taken away:
///
/// - `SYS_ADMIN`: remounts `/usr` writable, and much else.
/// - `DAC_READ_SEARCH`: opens files of the host by handle.
/// - `SYS_RAWIO`, `SYS_MODULE`, `MKNOD`: memory, ports, kernel code and raw devices.
/// - `SYS_TIME`, `WAKE_ALARM`, `BLOCK_SUSPEND`: the clock and the power of the whole machine.
/// - `SYSLOG`: the kernel's log and addresses, which belong to the host.
/// - `SYS_PTRACE`: reads descriptors and memory of a helper of the host that is just entering.
/// - `SYS_RESOURCE`: makes itself unkillable when the host runs out of memory. The init lifts
///   the hard limits first, so that a unit's `LimitNOFILE=` works without it.
/// - `SYS_NICE`: real-time scheduling takes processors from the host. systemd takes the nearest
///   value that it may set for a unit's `Nice=`.
/// - `SYS_TTY_CONFIG`: there are no virtual terminals inside.
/// - `SYS_PACCT`: process accounting of the whole machine.
/// - `LINUX_IMMUTABLE`: makes files that the host's `delete` could not remove.
/// - `AUDIT_WRITE`, `AUDIT_CONTROL`, `AUDIT_READ`: the audit log is the host's; the seccomp
///   filter makes audit look absent, which PAM and systemd take well.
/// - `MAC_ADMIN`, `MAC_OVERRIDE`: the security policy is the host's.
/// - `PERFMON`, `BPF`, `CHECKPOINT_RESTORE`: look into the kernel and into other processes.
const REDUCED: [Capability; 18] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysChroot,
    Capability::SysBoot,
    Capability::Lease,
    Capability::Setfcap,
];

/// What `selinux` keeps besides what [`REDUCED`] does.
///
/// The policy decides on files, processes, sockets and mounts one by one, so the capability that
/// systemd's own sandboxing of units needs can stay:
///
/// - `SYS_ADMIN`: mount namespaces. What else it opens is refused by the policy (mounts of the
///   host's disks, remounts, sysctls), by the cgroup namespace, or by the seccomp filter, where the
///   kernel takes it in place of a capability that is gone (bpf, perf events, the kernel's log).
///
/// Taken away is all that `reduced` takes away otherwise, for the same reasons: none of it is
/// needed for sandboxing, and one wall more stands if the policy has a hole. Above all:
///
/// - `DAC_READ_SEARCH`: a file that is opened by handle is labelled all the same, but no service
///   needs to reach past modes.
/// - `MAC_ADMIN`, `MAC_OVERRIDE`: the policy itself.
/// - `MKNOD`: systemd binds the devices that are there where it may make none.
/// - `SYS_PTRACE`: a helper of the host that is entering has the label of the host still, yet the
///   label is the only thing between.
/// - `SYS_RESOURCE`: the last blocks of a file system are the host's, and so is the choice of who
///   dies when memory runs out.
const SELINUX: [Capability; 1] = [Capability::SysAdmin];

/// What `userns` keeps besides what [`REDUCED`] does.
///
/// Capabilities of a user namespace count for what the namespace owns, and are none to the rest
/// of the kernel. So what is checked in the namespace can stay, as in a machine of its own:
///
/// - `SYS_ADMIN`: mounts, namespaces, the host name. Root inside may undo a read-only mount with
///   it, and writes nothing of the host's all the same: its owners are nobody inside.
/// - `DAC_READ_SEARCH`, `SYS_PTRACE`: count for files and processes of the namespace's own users. A
///   helper of the host that is entering is not to be looked into: it began outside.
/// - `SYS_RESOURCE`: of the namespace's own mounts and processes. Limits, reserved blocks and the
///   killer of processes ask for it in the host's.
///
/// Taken away is what only counts in the host's own namespace, so that a unit's
/// `ConditionCapability=` tells the truth and nothing depends on how a later kernel asks:
/// `SYS_MODULE`, `SYS_RAWIO`, `SYS_TIME`, `SYS_NICE`, `SYS_PACCT`, `SYS_TTY_CONFIG`, `MKNOD`,
/// `LINUX_IMMUTABLE`, `SYSLOG`, `WAKE_ALARM`, `BLOCK_SUSPEND`, `PERFMON`, `BPF`,
/// `CHECKPOINT_RESTORE`, `MAC_*`, `AUDIT_*`.
const USERNS: [Capability; 4] = [
    Capability::SysAdmin,
    Capability::DacReadSearch,
    Capability::SysPtrace,
    Capability::SysResource,
];

/// The set of capabilities that a confinement keeps, one bit each; a bit that is not in it goes
/// from the bounding set and from every other set.
///
/// `none` keeps every capability that libvirt leaves.
#[must_use]
pub fn capabilities(confinement: Confinement) -> u64 {
    match confinement {
        Confinement::Selinux => set(&REDUCED) | set(&SELINUX),
        Confinement::Userns => set(&REDUCED) | set(&USERNS),
        Confinement::Reduced => set(&REDUCED),
        Confinement::None => set(&Capability::ALL),
    }
}

/// What a confinement leaves of a bounding set. `none` leaves all, also what a later kernel has.
#[must_use]
pub fn limited(confinement: Confinement, bounding: u64) -> u64 {
    match confinement {
        Confinement::None => bounding,
        _ => bounding & capabilities(confinement),
    }
}

fn set(capabilities: &[Capability]) -> u64 {
    capabilities.iter().fold(0, |set, c| set | c.bit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (number, capability) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(capability as usize, number);
        }
        assert_eq!(capabilities(Confinement::None), (1 << 41) - 1);
    }

    #[test]
    fn a42_no_bounding_set_is_more_than_the_confinement_leaves() {
        for confinement in Confinement::ALL {
            let kept = capabilities(confinement);
            assert_eq!(limited(confinement, kept), kept, "{confinement}");
            assert_eq!(limited(confinement, 0), 0, "{confinement}");
            let everything = limited(confinement, u64::MAX);
            match confinement {
                Confinement::None => assert_eq!(everything, u64::MAX),
                _ => assert_eq!(everything, kept, "{confinement}"),
            }
        }
    }

    #[test]
    fn names_are_known_as_systemd_spells_them() {
        assert_eq!(
            Capability::from_name("CAP_SYS_TIME"),
            Some(Capability::SysTime)
        );
        assert_eq!(
            Capability::from_name("cap_dac_read_search"),
            Some(Capability::DacReadSearch)
        );
        assert_eq!(Capability::from_name("CAP_"), None);
        assert_eq!(Capability::from_name("~CAP_CHOWN"), None);
    }

    #[test]
    fn selinux_and_userns_keep_what_sandboxing_needs_and_nothing_of_the_machine() {
        for confinement in [Confinement::Selinux, Confinement::Userns] {
            let kept = capabilities(confinement);
            assert_ne!(kept & Capability::SysAdmin.bit(), 0);
            for gone in [
                Capability::SysModule,
                Capability::SysRawio,
                Capability::SysTime,
                Capability::Syslog,
                Capability::MacAdmin,
                Capability::MacOverride,
                Capability::AuditControl,
                Capability::Bpf,
                Capability::Perfmon,
                Capability::CheckpointRestore,
                Capability::Mknod,
                Capability::SysNice,
            ] {
                assert_eq!(kept & gone.bit(), 0, "{confinement}: {gone:?}");
            }
        }
        let selinux = capabilities(Confinement::Selinux);
        assert_eq!(selinux & Capability::DacReadSearch.bit(), 0);
        assert_eq!(selinux & Capability::SysPtrace.bit(), 0);
    }

    #[test]
    fn reduced_reaches_nothing_of_the_host() {
        let kept = capabilities(Confinement::Reduced);
        for gone in [
            Capability::SysAdmin,
            Capability::DacReadSearch,
            Capability::SysRawio,
            Capability::SysModule,
            Capability::Mknod,
            Capability::Syslog,
            Capability::SysPtrace,
            Capability::SysTime,
            Capability::Bpf,
            Capability::Perfmon,
            Capability::CheckpointRestore,
            Capability::MacAdmin,
            Capability::AuditControl,
        ] {
            assert_eq!(kept & gone.bit(), 0, "{gone:?}");
        }
        assert_ne!(kept & Capability::SysBoot.bit(), 0);
        assert_eq!(kept.count_ones(), 18);
    }
}
