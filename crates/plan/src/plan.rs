//! The computation: request, rules and facts in, plan or questions out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use vss_model::sandbox::Tmpfs;
use vss_model::{
    IdRange, Level, NetworkChoice, NetworkConfig, PrivateUsers, SandboxConfig, SecurityContext,
    UnitName,
};

use crate::accounts::Accounts;
use crate::adapt;
use crate::allocator;
use crate::ask::Ask;
use crate::baseline::Identity;
use crate::confine::{self, Confined};
use crate::derive;
use crate::draft::Draft;
use crate::facts::{Facts, HostFacts, SelinuxMode};
use crate::follow::Named;
use crate::id_ranges;
use crate::inside::Setup;
use crate::outcome::{PlanError, PlannedPackage, Progress, SandboxPlan, Warning};
use crate::packages::PackageClosure;
use crate::paths::Scope;
use crate::request::CreateRequest;
use crate::rules::Rules;
use crate::units::UnitClosure;
use crate::{data, links, options, place, review, shares, suitable};

/// The file systems in memory of a new sandbox, with their sizes in bytes. `/run/lock` is one that
/// Debian's systemd mounts itself where it may, and ends without.
const TMPFS: [(&str, u64); 4] = [
    ("/run", 64 << 20),
    ("/run/lock", 5 << 20),
    ("/tmp", 256 << 20),
    ("/dev/shm", 256 << 20),
];
/// The most rounds of admitting wanted units and rules' additions.
const MAX_ROUNDS: usize = 8;

/// What has to be asked next before [`plan`] can be made.
///
/// # Errors
/// What [`plan`] would refuse, as soon as the facts show it.
pub fn discover(
    request: &CreateRequest,
    rules: &Rules,
    facts: &Facts,
) -> Result<Progress, PlanError> {
    match plan(request, rules, facts) {
        Ok(_) => Ok(Progress::Done),
        Err(PlanError::Incomplete(queries)) => Ok(Progress::Need(queries)),
        Err(error) => Err(error),
    }
}

/// The plan for a request, out of facts alone.
///
/// # Errors
/// [`PlanError::Incomplete`] where facts are missing; else what is wrong with the request on this
/// host.
pub fn plan(
    request: &CreateRequest,
    rules: &Rules,
    facts: &Facts,
) -> Result<SandboxPlan, PlanError> {
    let ask = Ask::new(facts);
    let outcome = compute(&ask, request, rules);
    // an error may be the fault of what is not known yet
    if ask.lacks_any() {
        return Err(PlanError::Incomplete(ask.into_missing()));
    }
    match outcome? {
        Some(plan) => Ok(plan),
        None => Err(PlanError::Incomplete(Vec::new())),
    }
}

/// The plan as far as the facts allow; `None` where the first ones are missing.
fn compute(
    ask: &Ask<'_>,
    request: &CreateRequest,
    rules: &Rules,
) -> Result<Option<SandboxPlan>, PlanError> {
    let Some(host) = ask.host() else {
        return Ok(None);
    };
    if !host.merged_usr {
        return Err(PlanError::UnmergedUsr);
    }
    let request = instantiated(request)?;
    let host_unit = host_unit_name(&request)?;
    place::check(ask, &request)?;
    let (units, packages) = closures(ask, rules, &request)?;
    let mut warnings = review::host_unit(ask, &host_unit)?;
    warnings.extend(review::left_out(&packages));
    let confined = confine::confined(host, &request)?;
    let config = config(
        ask,
        host,
        &request,
        &units,
        (host_unit, confined),
        &mut warnings,
    )?;
    let scope = Scope {
        ask,
        rules,
        units: &units,
        packages: &packages,
        copy_data: request.copy_data,
    };
    review::ownership(&scope, &request)?;
    let (draft, more) = draft(&scope, &request, confined, config.as_ref())?;
    warnings.extend(more);
    let (mut root, skipped) = draft.finish();
    data::measure(&scope, &mut root, &mut warnings);
    data::data_left(&scope, &root, &mut warnings);
    data::live_data(&scope, &request, &root, &mut warnings)?;
    review::conditions(&scope, &root, confined.by, &mut warnings);
    review::missing(&scope, &root, &mut warnings);
    let Some(mut config) = config else {
        return Ok(None);
    };
    let roots = options::mounts(&scope, &root);
    config.writable.extend(roots.writable);
    config.shared = roots.shared;
    shares::fit(&config, &root)?;
    if confined.users.is_some() {
        review::reach_content(&scope, &config.content)?;
        review::reach(&scope, &config.shared, &mut warnings);
    }
    links::drop_told(&mut warnings);
    warnings.sort();
    warnings.dedup();
    let mut domain = derive::domain_spec(&config);
    if host.selinux == SelinuxMode::Disabled {
        domain = derive::unlabelled(domain);
    }
    Ok(Some(SandboxPlan {
        root,
        unit: derive::host_unit(&config),
        domain,
        units: units.members.keys().cloned().collect(),
        packages: packages
            .packages
            .values()
            .map(|p| PlannedPackage {
                name: p.name.clone(),
                version: p.version.clone(),
            })
            .collect(),
        skipped,
        warnings,
        config,
        request,
    }))
}

/// The request with each template made an instance of the sandbox's name.
fn instantiated(request: &CreateRequest) -> Result<CreateRequest, PlanError> {
    if request.units.is_empty() {
        return Err(PlanError::NoUnit);
    }
    let mut out = request.clone();
    for unit in &mut out.units {
        *unit =
            unit.instantiate(request.name.as_str())
                .map_err(|error| PlanError::UnsuitableUnit {
                    unit: unit.clone(),
                    reason: error.to_string(),
                })?;
    }
    let mut seen = BTreeSet::new();
    out.units.retain(|u| seen.insert(u.clone()));
    Ok(out)
}

/// `UNIT@NAME.service` for one unit, `NAME_sandbox.service` for several.
fn host_unit_name(request: &CreateRequest) -> Result<UnitName, PlanError> {
    let name = &request.name;
    let text = match request.units.as_slice() {
        [unit] => format!("{}@{name}.service", unit.prefix()),
        _ => format!("{name}_sandbox.service"),
    };
    text.parse().map_err(
        |error: vss_model::unit_name::UnitNameError| PlanError::HostUnitName {
            unit: request.units[0].clone(),
            name: name.clone(),
            reason: error.to_string(),
        },
    )
}

/// Units and packages, each leading to more of the other.
fn closures<'a>(
    ask: &Ask<'a>,
    rules: &Rules,
    request: &CreateRequest,
) -> Result<(UnitClosure<'a>, PackageClosure<'a>), PlanError> {
    let mut units = UnitClosure::of(ask, &request.units)?;
    let mut packages = PackageClosure::of(ask, rules, &units, &[]);
    for _ in 0..MAX_ROUNDS {
        let names: BTreeSet<_> = packages.packages.keys().cloned().collect();
        let before = units.members.len();
        units.admit_wanted(ask, &names);
        let mut extra = Vec::new();
        for rule in options::rules_that_hold(rules, &units, &packages) {
            extra.extend(rule.body.add_packages.iter().cloned());
            for unit in &rule.body.add_units {
                units.require(ask, unit, &request.units[0], "a rule");
            }
        }
        if packages.is_on_bus() {
            for unit in ["dbus.socket", "dbus.service"]
                .iter()
                .filter_map(|u| u.parse().ok())
            {
                units.require(
                    ask,
                    &unit,
                    &request.units[0],
                    "its package's policy for the bus",
                );
            }
        }
        packages = PackageClosure::of(ask, rules, &units, &extra);
        if units.members.len() == before && packages.packages.len() == names.len() {
            break;
        }
    }
    Ok((units, packages))
}

/// What every source says, the deny list after all of them, less what shares cover.
fn draft(
    scope: &Scope<'_, '_>,
    request: &CreateRequest,
    confined: Confined,
    config: Option<&SandboxConfig>,
) -> Result<(Draft, Vec<Warning>), PlanError> {
    let mut draft = Draft::default();
    let network = config.and_then(|c| c.network.as_ref());
    let identity = Identity {
        name: &request.name,
        network: network.map(|n| (n.address, n.gateway)),
    };
    scope.baseline(&mut draft, &identity);
    options::asked(scope, &mut draft, request)?;
    options::ruled(scope, &mut draft)?;
    scope.named_by_units(&mut draft);
    scope.listed(&mut draft);
    let said = scope.snippets(&mut draft);
    let accounts = scope
        .ask
        .accounts()
        .map(Accounts::parse)
        .unwrap_or_default();
    scope.unlisted(&mut draft, &accounts);
    let mut named = Named::new();
    scope.name_asked(&mut named, &request.copy);
    scope.name_of_units(&mut draft, &mut named);
    scope.named_as_instances(&mut draft, &mut named);
    scope.other_instances(&mut draft);
    let mut warnings = scope.follow(&mut draft, &mut named);
    // what was followed may have brought more of them
    scope.other_instances(&mut draft);
    scope.beside_other_instances(&mut draft, &named);
    let mut inside = accounts.inside(&accounts_named(scope, said.accounts));
    let mut adapted = BTreeMap::new();
    for member in scope.units.members.values() {
        let adaptation = adapt::adapt(member.facts, confined);
        if let Some(user) = &adaptation.user {
            inside.add_system(user, &accounts);
        }
        adapted.insert(member.facts.name.clone(), adaptation.service);
        warnings.extend(adaptation.warnings);
        warnings.extend(adapt::absent_devices(member.facts));
        warnings.extend(review::ignored_lines(member.facts));
    }
    scope.accounts(&mut draft, &inside);
    let setup = Setup {
        requested: &real_names(scope.ask, request),
        has_users: said.has_users,
        adapted,
    };
    scope.inside(&mut draft, &setup);
    suitable::needed(&draft)?;
    warnings.extend(scope.deny(&mut draft, &named, &request.copy));
    scope.shares(&mut draft, &named)?;
    warnings.extend(scope.links_left(&draft));
    // where the secret is kept out or shared, no copy is made of it
    warnings.retain(|w| !matches!(w, Warning::OwnSecret { path, .. } if !draft.is_copied(path)));
    Ok((draft, warnings))
}

/// The units asked for, by the names that their files have.
fn real_names(ask: &Ask<'_>, request: &CreateRequest) -> Vec<UnitName> {
    let real = |unit: &UnitName| {
        ask.unit(unit)
            .flatten()
            .map_or_else(|| unit.clone(), |f| f.name.clone())
    };
    let mut names: Vec<UnitName> = request.units.iter().map(real).collect();
    let mut seen = BTreeSet::new();
    names.retain(|n| seen.insert(n.clone()));
    names
}

/// The users and groups that snippets and units name.
fn accounts_named(scope: &Scope<'_, '_>, mut named: BTreeSet<String>) -> BTreeSet<String> {
    for member in scope.units.members.values() {
        for key in ["User", "Group", "SupplementaryGroups"] {
            let values = member.facts.values(key);
            named.extend(values.flat_map(str::split_whitespace).map(str::to_owned));
        }
    }
    named
}

/// The config, without the mounts that follow from the tree; `None` where facts are missing.
fn config(
    ask: &Ask<'_>,
    host: &HostFacts,
    request: &CreateRequest,
    units: &UnitClosure<'_>,
    (host_unit, confined): (UnitName, Confined),
    warnings: &mut Vec<Warning>,
) -> Result<Option<SandboxConfig>, PlanError> {
    let Some(private_users) = private_users(ask, host, request, confined, warnings)? else {
        return Ok(None);
    };
    let Some((label, file_label)) = labels(ask, host, request, warnings)? else {
        return Ok(None);
    };
    let network = network(ask, host, request)?;
    let Some(uuid) = ask.identity() else {
        return Ok(None);
    };
    let parent = place::parent(ask, request);
    let content = parent.join(request.name.as_str()).unwrap_or(parent);
    Ok(Some(SandboxConfig {
        name: request.name.clone(),
        uuid,
        units: real_names(ask, request),
        content,
        host_unit,
        confinement: confined.by,
        private_users,
        label,
        file_label,
        network,
        shared: Vec::new(),
        writable: ["/etc", "/var", "/root"]
            .iter()
            .filter_map(|p| p.parse().ok())
            .collect(),
        tmpfs: TMPFS
            .iter()
            .filter_map(|&(target, size)| {
                Some(Tmpfs {
                    target: target.parse().ok()?,
                    size,
                })
            })
            .collect(),
        timeouts: derive::timeouts(units.members.values().map(|m| m.facts)),
    }))
}

/// The contexts of processes and of files.
fn labels(
    ask: &Ask<'_>,
    host: &HostFacts,
    request: &CreateRequest,
    warnings: &mut Vec<Warning>,
) -> Result<Option<(SecurityContext, SecurityContext)>, PlanError> {
    let Some(in_use) = ask.in_use() else {
        return Ok(None);
    };
    let level = match &request.level {
        Some(level) => {
            let by = allocator::check_level(level, &in_use.levels, request.allow_shared_label)?;
            if !by.is_empty() {
                warnings.push(Warning::SharedLabel {
                    level: level.to_string(),
                    by: by.into_iter().map(|h| h.by).collect(),
                });
            }
            level.clone()
        }
        None => Level::s0(allocator::next_label(
            &host.machine_id,
            &request.name,
            &in_use.levels,
        )?),
    };
    let mode = match host.selinux {
        SelinuxMode::Enforcing => None,
        SelinuxMode::Permissive => Some("permissive"),
        SelinuxMode::Exempt => Some("permissive for containers"),
        SelinuxMode::Disabled => Some("disabled"),
    };
    warnings.extend(mode.map(|m| Warning::NoSelinux { mode: m.to_owned() }));
    let file_level = Level::s0(level.categories().clone());
    Ok(Some((
        host.process_context.with_level(level),
        host.file_context.with_level(file_level),
    )))
}

/// The users of the container; outer `None` where facts are missing.
fn private_users(
    ask: &Ask<'_>,
    host: &HostFacts,
    request: &CreateRequest,
    confined: Confined,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Option<IdRange>>, PlanError> {
    let Some(users) = confined.users else {
        return Ok(Some(None));
    };
    let Some(held) = ask.id_ranges() else {
        return Ok(None);
    };
    let range = match users {
        PrivateUsers::Pick => id_ranges::pick(&host.machine_id, &request.name, held)?,
        PrivateUsers::Exactly(range) => {
            id_ranges::check(range, held)?;
            if id_ranges::is_of_nspawn(range) {
                warnings.push(Warning::UsersOfNspawn { range });
            }
            range
        }
    };
    Ok(Some(Some(range)))
}

fn network(
    ask: &Ask<'_>,
    host: &HostFacts,
    request: &CreateRequest,
) -> Result<Option<NetworkConfig>, PlanError> {
    let Some(name) = NetworkChoice::network(&request.network) else {
        return Ok(None);
    };
    let (Some(found), Some(in_use)) = (ask.network(name), ask.in_use()) else {
        return Ok(None);
    };
    let facts = found.ok_or_else(|| PlanError::UnknownNetwork(name.to_owned()))?;
    let address: Ipv4Addr = allocator::next_address(facts, &request.name, &in_use.addresses)
        .ok_or_else(|| PlanError::NoAddress(name.to_owned()))?;
    Ok(Some(NetworkConfig {
        network: name.to_owned(),
        mac: allocator::next_mac(&host.machine_id, &request.name, &in_use.macs),
        address,
        prefix: facts.prefix,
        gateway: facts.gateway,
    }))
}
