//! What confines a container right now: what it was started with, or would be, as far as the host
//! bears it out.

use vss_config::{Confined, RuntimeState};
use vss_model::{Confinement, IdRange, SandboxConfig, Sanitized};
use vss_selinux::{Labeller, Mode};

use crate::host::Host;
use crate::outcome::Protection;

/// The most bytes of a file of the kernel, which gives a page as the length of each.
const MAX_SMALL: u64 = 64 * 1024;

/// SELinux as it is now, asked once for all containers of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selinux {
    mode: Mode,
    has_module: bool,
    exempts: bool,
}

impl Selinux {
    pub(crate) fn now(labeller: &dyn Labeller) -> Self {
        Self {
            mode: labeller.mode(),
            has_module: labeller.has_module(),
            exempts: labeller.exempts_containers(),
        }
    }

    /// Why it holds no container; `None` where it does.
    fn lacks(self) -> Option<&'static str> {
        match self.mode {
            Mode::Disabled => Some("SELinux is off"),
            Mode::Permissive => Some("SELinux is permissive"),
            Mode::Enforcing if !self.has_module => Some("policy module not loaded"),
            Mode::Enforcing if self.exempts => Some("SELinux is permissive for containers"),
            Mode::Enforcing => None,
        }
    }
}

/// What confines a container, in a word or two, and whether that is what its config says.
pub(super) fn word(
    selinux: Selinux,
    config: &SandboxConfig,
    live: Option<&RuntimeState>,
) -> (String, bool) {
    let confined = confined(config, live);
    let (word, holds) = borne_out(selinux, &confined);
    (word, holds && confined == Confined::of(config))
}

/// What a container was started with; what its next start gives it where it doesn't run.
fn confined(config: &SandboxConfig, live: Option<&RuntimeState>) -> Confined {
    live.map_or_else(|| Confined::of(config), |state| state.confined(config))
}

fn borne_out(selinux: Selinux, confined: &Confined) -> (String, bool) {
    let users = confined.private_users.is_some();
    match (confined.confinement, selinux.lacks()) {
        (Confinement::Selinux, Some(lack)) if users => (format!("userns ({lack})"), false),
        (Confinement::Selinux, Some(lack)) => (format!("no ({lack})"), false),
        (Confinement::Userns, _) => ("userns".to_owned(), true),
        (other, _) if users => (format!("{other}+userns"), true),
        (other, _) => (other.to_string(), true),
    }
}

/// What confines a container, and what does not although one might think so.
pub(crate) fn protections(
    host: &Host,
    selinux: Selinux,
    config: &SandboxConfig,
    live: Option<&RuntimeState>,
) -> Vec<Protection> {
    let mut all = Vec::new();
    let confined = confined(config, live);
    if let Some(users) = confined.private_users {
        all.push(namespace(host, users, live));
    }
    let users = confined.private_users.is_some();
    match confined.confinement {
        Confinement::Reduced if users => all.push(Protection {
            holds: true,
            what: "a reduced capability bounding set".to_owned(),
        }),
        Confinement::Reduced | Confinement::None if !users => all.push(Protection {
            holds: confined.confinement != Confinement::None,
            what: confined.confinement.summary(users).to_owned(),
        }),
        _ => {}
    }
    all.push(label(host, selinux, &confined, live));
    if let Some(profile) = apparmor(host, live) {
        all.push(profile);
    }
    if confined != Confined::of(config) {
        all.push(Protection {
            holds: false,
            what: format!("its config says {} from the next start on", planned(config)),
        });
    }
    all
}

/// What a config says, in the words of a config.
fn planned(config: &SandboxConfig) -> String {
    let users = match config.private_users {
        Some(users) => format!(", users {}-{}", users.base(), users.last()),
        None => String::new(),
    };
    format!("{}{users}, label {}", config.confinement, config.label)
}

/// The user namespace, as the kernel tells it of the first process.
fn namespace(host: &Host, users: IdRange, live: Option<&RuntimeState>) -> Protection {
    let (first, last) = (users.base(), users.last());
    let planned = format!("user namespace {first}-{last}");
    let Some(state) = live else {
        return Protection {
            holds: true,
            what: format!("{planned}: root inside is nobody outside"),
        };
    };
    let map = |file| host.proc().text(state.init_pid, file).unwrap_or_default();
    let holds = ["uid_map", "gid_map"]
        .iter()
        .all(|file| is_map(&map(file), users));
    Protection {
        holds,
        what: if holds {
            format!("{planned}: root inside is nobody outside")
        } else {
            format!("{planned}: its first process is not in it")
        },
    }
}

/// Whether a map of user_namespaces(7) is this range and nothing else.
fn is_map(text: &str, users: IdRange) -> bool {
    let wanted = [
        "0".to_owned(),
        users.base().to_string(),
        users.count().to_string(),
    ];
    text.lines().count() == 1 && text.split_whitespace().eq(wanted)
}

fn label(
    host: &Host,
    selinux: Selinux,
    confined: &Confined,
    live: Option<&RuntimeState>,
) -> Protection {
    let label = &confined.label;
    if let Some(lack) = selinux
        .lacks()
        .filter(|_| selinux.mode != Mode::Enforcing || selinux.exempts)
    {
        let lack = lack.trim_start_matches("SELinux is ");
        return Protection {
            holds: false,
            what: format!("SELinux: {lack}, the label confines nothing"),
        };
    }
    if matches!(
        host.labeller().check(label),
        Err(vss_selinux::Error::UnknownToPolicy { .. })
    ) {
        return Protection {
            holds: false,
            what: format!("SELinux: the policy does not know {label}"),
        };
    }
    let other = live
        .and_then(|state| host.labeller().of_process(state.init_pid).ok().flatten())
        .filter(|found| found != label);
    if let Some(other) = other {
        return Protection {
            holds: false,
            what: format!("SELinux: enforces {other}, not {label}"),
        };
    }
    Protection {
        holds: selinux.has_module,
        what: if selinux.has_module {
            format!("SELinux: enforces {label}")
        } else {
            format!("SELinux: enforces {label}, whose policy is not this project's")
        },
    }
}

/// What AppArmor does; `None` where the kernel has it off.
fn apparmor(host: &Host, live: Option<&RuntimeState>) -> Option<Protection> {
    let enabled = host
        .small_file("/sys/module/apparmor/parameters/enabled", MAX_SMALL)
        .ok()??;
    if enabled.trim() != "Y" {
        return None;
    }
    let profile = host.proc().text(live?.init_pid, "attr/apparmor/current")?;
    let profile = profile.trim_end_matches(['\n', '\0']);
    let holds = profile != "unconfined";
    let profile = Sanitized::text(profile);
    Some(Protection {
        holds,
        what: if holds {
            format!("AppArmor: the profile {profile}")
        } else {
            format!("AppArmor: libvirt runs the domain {profile}")
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_planned_map_alone_is_a_user_namespace_of_ours() {
        let users: IdRange = "100000:65536".parse().unwrap();
        assert!(is_map("         0     100000      65536\n", users));
        for other in [
            "",
            "         0          0 4294967295\n",
            "0 100000 65537\n",
            "0 100000 65536\n65536 0 1\n",
            "1 100000 65536\n",
        ] {
            assert!(!is_map(other, users), "{other}");
        }
    }
}
