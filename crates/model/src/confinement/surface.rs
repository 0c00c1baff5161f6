//! The files of `/proc` and `/sys` that are kept out of sight.
//!
//! Both file systems show the whole machine, whoever looks. What is listed here tells of or
//! changes things outside of the container; none of it is needed by a service. A path that a
//! kernel does not have is skipped.

/// Files that `/dev/null` is mounted over: reading gives nothing, writing is lost.
pub const MASKED_FILES: &[&str] = &[
    // The memory of the machine.
    "/proc/kcore",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/vmcore",
    "/proc/mtrr",
    // The kernel's log, symbols and resources.
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/vmallocinfo",
    "/proc/slabinfo",
    "/proc/pagetypeinfo",
    // Keys of other users and processes of the host, by name.
    "/proc/keys",
    "/proc/key-users",
    // Processes and keystrokes of the host, through timers, latencies and interrupts.
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/latency_stats",
    "/proc/interrupts",
    // Reboots or crashes the machine.
    "/proc/sysrq-trigger",
];

/// Directories that an empty, read-only tmpfs is mounted over.
pub const MASKED_DIRECTORIES: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/driver",
    "/proc/dynamic_debug",
    "/proc/irq",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/hypervisor",
    "/sys/power",
    "/sys/devices/virtual/powercap",
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/fs/resctrl",
    // Programs inside then take SELinux for off, as podman has it: what they would ask of it
    // (a transition at login, say) a container's domain may not do.
    "/sys/fs/selinux",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
];

/// Directories that are read-only.
///
/// `net` below `/proc/sys` stays as libvirt made it, writable where it belongs to the container's
/// own network namespace.
pub const READ_ONLY: &[&str] = &["/proc/sys", "/proc/fs", "/sys"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_absolute_and_stands_once() {
        let mut all: Vec<_> = [MASKED_FILES, MASKED_DIRECTORIES, READ_ONLY].concat();
        assert!(all.iter().all(|path| path.starts_with("/proc/")
            || path.starts_with("/sys/")
            || *path == "/sys"));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
