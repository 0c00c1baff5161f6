//! All attempts, by name.

use crate::facts::Facts;
use crate::outcome::Outcome;
use crate::{
    cgroups, descriptors, devices, files, handles, kernel, keys, mounts, namespaces, network, proc,
    processes, resources, superblock, terminal,
};

/// What is tried, given what the case tells.
pub(crate) type Attempt = fn(&Facts) -> Outcome;

/// In the order in which they are tried. Each stands as a row in `docs/breakouts.md`.
pub(crate) const ALL: &[(&str, Attempt)] = &[
    ("host-shadow", files::host_shadow),
    ("host-root", files::host_root),
    ("host-var", files::host_var),
    ("other-content", files::other_content),
    ("foreign-label", files::foreign_label),
    ("link-usr", files::link_usr),
    ("remount-root", mounts::remount_root),
    ("remount-usr", mounts::remount_usr),
    ("remount-proc-sys", mounts::remount_proc_sys),
    ("remount-sys", mounts::remount_sys),
    ("remount-host", superblock::remount),
    ("reconfigure-host", superblock::reconfigure),
    ("freeze-host", superblock::freeze),
    ("new-proc", mounts::new_proc),
    ("new-sysfs", mounts::new_sysfs),
    ("debugfs", mounts::debugfs),
    ("tracefs", mounts::tracefs),
    ("binfmt-misc", mounts::binfmt_misc),
    ("user-namespace", namespaces::remount),
    ("user-namespace-proc", namespaces::new_proc),
    ("user-namespace-sysfs", namespaces::new_sysfs),
    ("handle-shadow", handles::shadow),
    ("handle-content", handles::content),
    ("handle-write", handles::write),
    ("handle-cgroup", handles::cgroup),
    ("host-processes", proc::host_processes),
    ("proc-root", proc::root),
    ("fanotify", handles::fanotify),
    ("core-pattern", proc::core_pattern),
    ("sysrq", proc::sysrq),
    ("kcore", proc::kcore),
    ("kernel-log", proc::kernel_log),
    ("cgroup-freeze", cgroups::freeze),
    ("cgroup-kill", cgroups::kill),
    ("cgroup-limit", cgroups::limit),
    ("release-agent", cgroups::release_agent),
    ("mknod-disk", devices::mknod_disk),
    ("mount-disk", devices::mount_disk),
    ("devtmpfs", devices::devtmpfs),
    ("io-ports", devices::io_ports),
    ("module", kernel::module),
    ("kexec", kernel::kexec),
    ("bpf", kernel::bpf),
    ("perf", kernel::perf),
    ("userfaultfd", kernel::userfaultfd),
    ("clock", kernel::clock),
    ("root-keyring", keys::root_keyring),
    ("kill", processes::kill),
    ("ptrace", processes::ptrace),
    ("real-time", resources::real_time),
    ("oom-score", resources::oom_score),
    ("swap", resources::swap),
    ("abstract-socket", network::abstract_socket),
    ("vsock", network::vsock),
    ("audit", network::audit),
    ("tiocsti", terminal::tiocsti),
    ("descriptors", descriptors::inherited),
    ("chroot", descriptors::chroot),
];

/// The attempt of a name.
pub(crate) fn named(name: &str) -> Option<Attempt> {
    if name == namespaces::NEW_PROC {
        return Some(namespaces::new_proc_inside);
    }
    let found = ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, attempt)| *attempt)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_name_stands_twice() {
        let names: BTreeSet<_> = super::ALL.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), super::ALL.len());
    }
}
