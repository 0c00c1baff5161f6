//! Which confinement a container gets: the one that was asked for, if this host has it, or the
//! strongest that is sound by itself.

use vss_model::{Confinement, ConfinementChoice, PrivateUsers};

use crate::facts::{HostFacts, SelinuxMode};
use crate::outcome::PlanError;
use crate::request::CreateRequest;

/// What a container is confined by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confined {
    pub(crate) by: Confinement,
    /// Whether it has users of its own, and which.
    pub(crate) users: Option<PrivateUsers>,
}

/// The confinement of a request on this host.
///
/// `auto` never goes below a user namespace: what is left then holds root less than it seems, and
/// is taken by choice only.
pub(crate) fn confined(host: &HostFacts, request: &CreateRequest) -> Result<Confined, PlanError> {
    let by = match request.confinement {
        ConfinementChoice::Exactly(confinement) => confinement,
        ConfinementChoice::Auto => strongest(host)?,
    };
    if by == Confinement::Selinux
        && let Some(reason) = lacks_selinux(host)
    {
        return Err(unavailable("--confinement selinux", reason));
    }
    let users = match request.private_users {
        None if by.needs_private_users() => Some(PrivateUsers::Pick),
        users => users,
    };
    if users.is_some()
        && let Some(reason) = lacks_userns(host)
    {
        let option = if by.needs_private_users() {
            "--confinement userns"
        } else {
            "--private-users"
        };
        return Err(unavailable(option, reason));
    }
    Ok(Confined { by, users })
}

fn strongest(host: &HostFacts) -> Result<Confinement, PlanError> {
    let Some(selinux) = lacks_selinux(host) else {
        return Ok(Confinement::Selinux);
    };
    match lacks_userns(host) {
        None => Ok(Confinement::Userns),
        Some(userns) => Err(PlanError::NoConfinement {
            selinux: selinux.to_owned(),
            userns: userns.to_owned(),
        }),
    }
}

fn unavailable(option: &str, reason: &str) -> PlanError {
    PlanError::Unavailable {
        option: option.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Why SELinux holds no container of this host; `None` where it does.
fn lacks_selinux(host: &HostFacts) -> Option<&'static str> {
    match host.selinux {
        SelinuxMode::Disabled => Some("SELinux is off"),
        SelinuxMode::Permissive => Some("SELinux is permissive, which refuses nothing"),
        SelinuxMode::Exempt => Some(
            "SELinux is permissive for virt_sandbox_container_t (`semanage permissive -l`), which it refuses nothing",
        ),
        SelinuxMode::Enforcing if !host.policy_module => {
            Some("the policy module of virt-sandbox is not loaded (`make install-policy`)")
        }
        SelinuxMode::Enforcing => None,
    }
}

/// Why this host has no user namespaces for containers; `None` where it has.
fn lacks_userns(host: &HostFacts) -> Option<&'static str> {
    if !host.cgroup_v2 {
        Some("systemd does not run in a user namespace on cgroup v1, and this host has it mounted")
    } else if !host.user_namespaces {
        Some("the kernel makes no user namespaces (user.max_user_namespaces)")
    } else {
        None
    }
}
