//! Which confinement this host gives, and users of a container's own.

use vss_model::{Confinement, ConfinementChoice, IdRange, PrivateUsers};
use vss_plan::facts::{HeldRange, SelinuxMode};
use vss_plan::{CreateRequest, PlanError, Warning, id_ranges};

use crate::world::{World, path, request};

fn asks(confinement: &str, users: Option<&str>) -> CreateRequest {
    let mut request = request();
    request.confinement = confinement.parse().unwrap();
    request.private_users = users.map(|text| text.parse().unwrap());
    request
}

/// The confinement that a host gives, and whether with users of its own.
fn gives(
    world: &World,
    confinement: &str,
    users: Option<&str>,
) -> Result<(Confinement, bool), PlanError> {
    let plan = world.plan(&asks(confinement, users))?;
    assert_eq!(plan.domain.private_users, plan.config.private_users);
    Ok((plan.config.confinement, plan.config.private_users.is_some()))
}

#[test]
fn auto_takes_what_the_host_has_and_never_less_than_a_user_namespace() {
    let mut world = World::new();
    assert_eq!(
        gives(&world, "auto", None),
        Ok((Confinement::Selinux, false))
    );
    assert_eq!(
        gives(&world, "auto", Some("pick")),
        Ok((Confinement::Selinux, true))
    );
    world.host.policy_module = false;
    assert_eq!(gives(&world, "auto", None), Ok((Confinement::Userns, true)));
    world.host.policy_module = true;
    for mode in [
        SelinuxMode::Permissive,
        SelinuxMode::Exempt,
        SelinuxMode::Disabled,
    ] {
        world.host.selinux = mode;
        assert_eq!(gives(&world, "auto", None), Ok((Confinement::Userns, true)));
    }
    for lack in [
        |w: &mut World| w.host.cgroup_v2 = false,
        |w: &mut World| {
            w.host.cgroup_v2 = true;
            w.host.user_namespaces = false;
        },
    ] {
        lack(&mut world);
        let error = gives(&world, "auto", None).unwrap_err();
        assert!(matches!(error, PlanError::NoConfinement { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("SELinux is off") && text.contains("--confinement reduced"),
            "{text}"
        );
    }
}

#[test]
fn what_the_host_lacks_is_refused_with_the_reason() {
    let mut world = World::new();
    world.host.selinux = SelinuxMode::Permissive;
    let refused = |world: &World, confinement, users| {
        gives(world, confinement, users).unwrap_err().to_string()
    };
    let text = refused(&world, "selinux", None);
    assert_eq!(
        text,
        "--confinement selinux is not to be had on this host: SELinux is permissive, which refuses nothing"
    );
    world.host.selinux = SelinuxMode::Exempt;
    assert!(refused(&world, "selinux", None).contains("semanage permissive"));
    world.host.selinux = SelinuxMode::Enforcing;
    world.host.policy_module = false;
    assert!(refused(&world, "selinux", None).contains("install-policy"));
    world.host.cgroup_v2 = false;
    let text = refused(&world, "userns", None);
    assert!(
        text.starts_with("--confinement userns") && text.contains("cgroup v1"),
        "{text}"
    );
    let text = refused(&world, "reduced", Some("pick"));
    assert!(text.starts_with("--private-users"), "{text}");
    for plain in ["reduced", "none"] {
        let (_, private) = gives(&world, plain, None).unwrap();
        assert!(!private);
    }
}

#[test]
fn every_level_may_have_users_of_its_own() {
    let world = World::new();
    for level in Confinement::ALL {
        let (given, private) = gives(&world, level.as_str(), Some("100000:65536")).unwrap();
        assert_eq!((given, private), (level, true));
    }
}

#[test]
fn picked_users_are_the_same_each_time_and_nobody_elses() {
    let mut world = World::new();
    let users = |world: &World, asked| {
        world
            .plan(&asks("userns", asked))
            .unwrap()
            .config
            .private_users
            .unwrap()
    };
    let first = users(&world, None);
    assert_eq!(users(&world, Some("pick")), first);
    assert_eq!(first.base() % id_ranges::SIZE, 0);
    world.ranges.push(HeldRange {
        first: first.last(),
        last: first.last(),
        by: "x".into(),
    });
    assert!(!users(&world, None).overlaps(first));
    let args = world.plan(&asks("userns", None)).unwrap().domain.init_args;
    let at = args.iter().position(|a| a == "--private-users").unwrap();
    assert_eq!(
        args[at + 1].parse::<IdRange>().unwrap(),
        users(&world, None)
    );
}

#[test]
fn users_given_by_hand_are_checked() {
    let mut world = World::new();
    world.ranges.push(HeldRange {
        first: 100_000,
        last: 165_535,
        by: "/etc/subuid (ann)".into(),
    });
    let error = gives(&world, "userns", Some("131072:65536")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the users 131072:65536 overlap with those of /etc/subuid (ann) (100000-165535)"
    );
    assert!(gives(&world, "userns", Some("165536:65536")).is_ok());
    let plan = world.plan(&asks("userns", Some("524288:65536"))).unwrap();
    assert!(
        plan.warnings
            .iter()
            .any(|w| matches!(w, Warning::UsersOfNspawn { .. }))
    );
    let plan = world.plan(&asks("userns", None)).unwrap();
    assert!(
        !plan
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::UsersOfNspawn { .. }))
    );
}

#[test]
fn a_shared_path_that_such_users_do_not_reach_is_told() {
    let mut world = World::new();
    world.file("/srv/closed/pages/x", "");
    world.modes.insert(path("/srv/closed"), 0o750);
    let told = |world: &World, users| {
        let mut request = asks("reduced", users);
        request.share.push(path("/srv/closed/pages"));
        let plan = world.plan(&request).unwrap();
        plan.warnings
            .iter()
            .any(|w| matches!(w, Warning::OutOfReach { at, .. } if *at == path("/srv/closed")))
    };
    assert!(told(&world, Some("pick")));
    assert!(!told(&world, None));
    world.modes.clear();
    assert!(!told(&world, Some("pick")));
}

#[test]
fn content_that_such_users_do_not_reach_is_refused() {
    let mut world = World::new();
    world.directory("/srv/closed", 0);
    world.modes.insert(path("/srv/closed"), 0o700);
    let mut request = asks("userns", None);
    request.path = Some(path("/srv/closed/boxes"));
    let error = world.plan(&request).unwrap_err();
    assert!(
        error.to_string().contains("/srv/closed (`chmod o+x"),
        "{error}"
    );
    request.path = Some(path("/srv/closed"));
    world.plan(&request).unwrap();
    request.path = Some(path("/srv/closed/boxes"));
    request.confinement = "reduced".parse().unwrap();
    world.plan(&request).unwrap();
}

#[test]
fn a_request_is_stored_with_its_users() {
    let request = asks("auto", Some("pick"));
    let json = serde_json::to_string(&request).unwrap();
    let back: CreateRequest = serde_json::from_str(&json).unwrap();
    assert_eq!(back.private_users, Some(PrivateUsers::Pick));
    assert_eq!(back.confinement, ConfinementChoice::Auto);
}
