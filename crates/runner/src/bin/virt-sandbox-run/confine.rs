//! What the config says of confinement has to be there, or nothing is started.
//!
//! `create` looked at it once; SELinux may have been switched off since, or its module removed. The
//! init looks once more, at what the kernel made of it: its own label, its own user namespace.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use rustix::fs::{FsWord, lgetxattr, statfs};
use vss_model::confinement::PROCESS_TYPE;
use vss_model::confinement::decision::{is_permissive, question};
use vss_model::{Confinement, SandboxConfig, Sanitized, SecurityContext};

use crate::error::{Error, at};

/// Where the kernel's SELinux is asked (selinux(8)).
const SELINUX: &str = "/sys/fs/selinux";

/// Longer than any label with two categories.
const LONGEST: usize = 4096;

/// Of `linux/magic.h`.
const CGROUP2_SUPER_MAGIC: FsWord = 0x6367_7270;

/// Refuses a start whose confinement would not hold.
pub(crate) fn check(config: &SandboxConfig, selinux_is_on: bool) -> Result<(), Error> {
    let by_label = match config.confinement {
        Confinement::Selinux if selinux_is_on => lacks(config, Path::new(SELINUX)),
        Confinement::Selinux => Some("SELinux is off".to_owned()),
        // libvirt is given the label all the same
        _ if selinux_is_on => unknown(&config.label, Path::new(SELINUX)),
        _ => None,
    };
    let refused = |by: &'static str, reason| Error::NotConfined {
        name: config.name.clone(),
        by,
        reason,
    };
    if let Some(reason) = by_label {
        return Err(refused(config.confinement.as_str(), reason));
    }
    if config.private_users.is_some() && !has_cgroup_v2() {
        let reason = "systemd does not run in a user namespace on this host's cgroup v1";
        return Err(refused("private-users", reason.to_owned()));
    }
    Ok(())
}

/// Refuses content that has another label than its container may use, as all content has after the
/// machine was labelled anew while the policy's module was gone.
pub(crate) fn check_content(config: &SandboxConfig, selinux_is_on: bool) -> Result<(), Error> {
    if !selinux_is_on || config.label.type_name() != PROCESS_TYPE {
        return Ok(());
    }
    let content = config.content.as_path();
    let mut bytes = [0; LONGEST];
    let length = lgetxattr(content, "security.selinux", &mut bytes[..])
        .map_err(at("read the label of", content))?;
    let found = String::from_utf8_lossy(&bytes[..length]);
    let found = found.trim_end_matches('\0');
    if found == config.file_label.to_string() {
        return Ok(());
    }
    Err(Error::ContentLabel {
        path: content.to_owned(),
        found: Sanitized::text(found).to_string(),
        wanted: config.file_label.to_string(),
    })
}

fn has_cgroup_v2() -> bool {
    statfs("/sys/fs/cgroup").is_ok_and(|found| found.f_type == CGROUP2_SUPER_MAGIC)
}

/// Why SELinux does not hold the processes of this config; `None` where it does. What can't be read
/// is not believed.
fn lacks(config: &SandboxConfig, selinux: &Path) -> Option<String> {
    let enforces = fs::read_to_string(selinux.join("enforce"));
    if !enforces.is_ok_and(|text| text.trim() == "1") {
        return Some("SELinux is permissive, which refuses nothing".to_owned());
    }
    let found = config.label.type_name();
    if found != PROCESS_TYPE {
        return Some(format!("its label is of type {found}, not {PROCESS_TYPE}"));
    }
    if let Some(reason) = unknown(&config.label, selinux) {
        return Some(reason);
    }
    match ask(&selinux.join("access"), &question(&config.label)) {
        Ok(answer) => match is_permissive(&answer) {
            Some(false) => None,
            Some(true) => Some(format!(
                "SELinux is permissive for {PROCESS_TYPE} (`semanage permissive -l`), which it refuses nothing"
            )),
            None => Some(format!(
                "the kernel does not tell whether {PROCESS_TYPE} is permissive"
            )),
        },
        Err(error) => Some(format!(
            "the kernel can't be asked whether {PROCESS_TYPE} is permissive ({error})"
        )),
    }
}

/// Why a label is none: the kernel takes a context that the policy knows, and refuses any other.
fn unknown(label: &SecurityContext, selinux: &Path) -> Option<String> {
    let known = fs::OpenOptions::new()
        .write(true)
        .open(selinux.join("context"))
        .and_then(|mut file| file.write_all(label.to_string().as_bytes()));
    known.err().map(|error| {
        format!("the policy doesn't know the label {label} ({error}): is its module loaded?")
    })
}

/// What the kernel says to a question, which is answered to who asked it.
fn ask(path: &Path, question: &str) -> std::io::Result<String> {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    file.write_all(question.as_bytes())?;
    let mut answer = String::new();
    file.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(label: &str) -> SandboxConfig {
        let text = include_str!("../../../../config/tests/web1.sandbox")
            .replace("\"reduced\"", "\"selinux\"")
            .replace("container_t", label);
        let root = tempfile::tempdir().unwrap();
        let store = vss_config::Store::open(vss_config::Places::under(root.path()));
        let name = "web1".parse().unwrap();
        let file = store.places().config(&name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        store.load(&name).unwrap()
    }

    fn kernel(enforce: &str) -> tempfile::TempDir {
        let selinux = tempfile::tempdir().unwrap();
        fs::write(selinux.path().join("enforce"), enforce).unwrap();
        fs::write(selinux.path().join("context"), "").unwrap();
        answers(&selinux, "0 ffffffff 0 ffffffff 1 0");
        selinux
    }

    /// What is read after a question was written.
    fn answers(kernel: &tempfile::TempDir, answer: &str) {
        let question = question(&config(PROCESS_TYPE).label);
        fs::write(kernel.path().join("access"), question + answer).unwrap();
    }

    #[test]
    fn only_an_enforced_label_of_the_modules_own_type_passes() {
        let ours = config(PROCESS_TYPE);
        assert_eq!(lacks(&ours, kernel("1").path()), None);
        for text in ["0", "", "2"] {
            let reason = lacks(&ours, kernel(text).path()).unwrap();
            assert!(reason.contains("permissive"), "{reason}");
        }
        let reason = lacks(&config("spc_t"), kernel("1").path()).unwrap();
        assert!(reason.contains("spc_t"), "{reason}");
        for (answer, expected) in [
            ("0 ffffffff 0 ffffffff 1 1", "is permissive for"),
            ("0 ffffffff 0 ffffffff 1", "does not tell"),
        ] {
            let kernel = kernel("1");
            answers(&kernel, answer);
            let reason = lacks(&ours, kernel.path()).unwrap();
            assert!(reason.contains(expected), "{reason}");
        }
        let silent = kernel("1");
        fs::remove_file(silent.path().join("access")).unwrap();
        let reason = lacks(&ours, silent.path()).unwrap();
        assert!(reason.contains("can't be asked"), "{reason}");
        let gone = kernel("1");
        fs::remove_file(gone.path().join("context")).unwrap();
        assert!(lacks(&ours, gone.path()).unwrap().contains("module"));
    }

    #[test]
    fn without_selinux_nothing_starts_that_relies_on_it() {
        let error = check(&config(PROCESS_TYPE), false).unwrap_err();
        assert!(error.to_string().contains("SELinux is off"), "{error}");
    }
}
