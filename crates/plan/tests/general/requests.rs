//! What was asked for: options, refusals, and the facts for an answer.

use vss_model::{Disposition, Generated};
use vss_plan::facts::{HeldLevel, Writer};
use vss_plan::{Fate, PlanError, Rules, Warning};

use crate::WEB;
use crate::world::{World, causes, fate, path, request, unit_name};

#[test]
fn a_rule_and_an_option_win_over_the_general_plan() {
    let mut world = World::new();
    world.package(
        "web",
        "web",
        &[],
        &[WEB, "/etc/web/", "/etc/web/a", "/etc/web/b"],
    );
    world.file("/opt/tool/bin/x", "");
    world.file("/srv/pages/x", "");
    let text = "[[rule]]\nwhy = 'because'\nunits = ['w*.service']\nmask = ['/etc/web/a']\ncopy = ['/opt/tool']";
    world.rules = Rules::with(&[("r.toml".to_owned(), text.to_owned())]).unwrap();
    let mut request = request();
    request.mask.push(path("/etc/web/b"));
    request.share.push(path("/srv/pages"));
    let plan = world.plan(&request).unwrap();
    for masked in ["/etc/web/a", "/etc/web/b"] {
        assert_eq!(
            plan.root.explain(&path(masked)).fate,
            Fate::Masked,
            "{masked}"
        );
    }
    assert_eq!(plan.config.shared, [path("/srv/pages")]);
    assert!(plan.config.writable.contains(&path("/opt/tool")));
    assert!(
        causes(&plan, "/etc/web/a")
            .iter()
            .any(|c| c.to_string() == "rule r.toml: because")
    );
}

#[test]
fn bad_requests_get_one_clear_error_each() {
    let mut world = World::new();
    let fails = |world: &World, change: &dyn Fn(&mut vss_plan::CreateRequest)| {
        let mut request = request();
        change(&mut request);
        world.plan(&request).unwrap_err()
    };
    let error = fails(&world, &|r| r.units = vec![unit_name("wep")]);
    assert!(error.to_string().contains("web.service"), "{error}");
    assert_eq!(fails(&world, &|r| r.units.clear()), PlanError::NoUnit);
    assert!(matches!(
        fails(&world, &|r| r.copy.push(path("/etc/no"))),
        PlanError::NoSuchPath { .. }
    ));
    assert!(matches!(
        fails(&world, &|r| r.mask.push(path("/usr/x"))),
        PlanError::UnsuitablePath { .. }
    ));
    assert!(matches!(
        fails(&world, &|r| r.share.push(path("/"))),
        PlanError::UnsuitablePath { .. }
    ));
    let absent = "source=absent".parse().unwrap();
    assert!(matches!(
        fails(&world, &move |r| r.network =
            vss_model::NetworkChoice::clone(&absent)),
        PlanError::UnknownNetwork(_)
    ));
    world.unit("bare.service", &[]);
    let error = fails(&world, &|r| r.units = vec![unit_name("bare")]);
    assert!(
        matches!(error, PlanError::Unowned { .. }) && error.to_string().contains("--copy"),
        "{error}"
    );
    world.unit("off.service", &[]).masked = true;
    assert!(matches!(
        fails(&world, &|r| r.units = vec![unit_name("off")]),
        PlanError::MaskedUnit { .. }
    ));
    assert!(matches!(
        fails(&world, &|r| r.units = vec![unit_name("x.slice")]),
        PlanError::UnknownUnit { .. }
    ));
    world.host.merged_usr = false;
    assert_eq!(fails(&world, &|_| {}), PlanError::UnmergedUsr);
}

#[test]
fn a_unit_below_usr_that_no_package_owns_is_taken_once_it_is_named() {
    let mut world = World::new();
    world.unit("bare.service", &[]);
    let file = "/usr/lib/systemd/system/bare.service";
    let mut request = request();
    request.units = vec![unit_name("bare")];
    request.copy.push(path(file));
    let plan = world.plan(&request).unwrap();
    // it is seen as all of /usr is, and no copy stands in its way
    assert_eq!(fate(&plan, file), "");
    assert_eq!(fate(&plan, "/usr/lib/systemd/system"), "");
}

#[test]
fn a_place_for_content_is_roots_alone() {
    let mut world = World::new();
    world.directory("/srv/open", 0);
    world.directory("/srv/private", 0);
    world.modes.insert(path("/srv/private"), 0o710);
    world.link("/srv/link", "/srv/open");
    world.file("/srv/file", "");
    world.directory("/", 0);
    for (place, refusal) in [
        ("/", "others than root"),
        ("/etc", "others than root"),
        ("/srv/open", "others than root"),
        ("/srv/link", "it is /srv/open, and others than root"),
        ("/srv/file", "no directory"),
        ("/usr/local/boxes", "sees all of /usr"),
        ("/bin/boxes", "it is /usr/bin/boxes, and every container"),
        ("/proc", "nothing is kept there"),
        ("/srv/private", ""),
        ("/srv/new", ""),
    ] {
        let mut request = request();
        request.path = Some(path(place));
        let said = match world.plan(&request) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(refusal.is_empty(), said.is_empty(), "{place}: {said}");
        assert!(said.contains(refusal), "{place}: {said}");
    }
}

#[test]
fn content_is_stored_at_the_path_that_no_link_leads_to() {
    let content = |world: &World, at: Option<&str>| {
        let mut request = request();
        request.path = at.map(path);
        let plan = world.plan(&request);
        plan.map(|plan| plan.config.content.to_string())
    };
    let mut world = World::new();
    let default = "/var/lib/libvirt/filesystems/box";
    assert_eq!(content(&world, None).unwrap(), default);
    world.link("/var/lib/libvirt", "../../data/libvirt");
    world.link("/data", "/disk/data");
    world
        .host
        .root_links
        .insert("data".to_owned(), "/disk/data".to_owned());
    let real = "/disk/data/libvirt/filesystems/box";
    assert_eq!(content(&world, None).unwrap(), real);
    let boxes = content(&world, Some("/data/boxes")).unwrap();
    assert_eq!(boxes, "/disk/data/boxes/box");
    world.link("/srv/boxes", "/srv/loop");
    world.link("/srv/loop", "/srv/boxes");
    let error = content(&world, Some("/srv/boxes")).unwrap_err().to_string();
    assert!(
        error.contains("--path /srv/boxes") && error.contains("in a circle"),
        "{error}"
    );
    world.link("/var/lib/libvirt", "libvirt");
    let error = content(&world, None).unwrap_err().to_string();
    assert!(error.contains("in a circle"), "{error}");
}

#[test]
fn a22_a_unit_of_the_host_is_never_replaced() {
    let mut world = World::new();
    world.host_unit.template = Some(path("/usr/lib/systemd/system/web@.service"));
    world.host_unit.drop_ins = vec![path("/etc/systemd/system/web@.service.d/x.conf")];
    let plan = world.plan(&request()).unwrap();
    assert!(
        plan.warnings.iter().any(
            |w| matches!(w, Warning::TemplateInstance { drop_ins, .. } if drop_ins.len() == 1)
        )
    );
    world.host_unit.enabled = vec![path(
        "/etc/systemd/system/multi-user.target.wants/web@box.service",
    )];
    assert!(matches!(
        world.plan(&request()),
        Err(PlanError::HostUnitTaken { .. })
    ));
}

#[test]
fn a27_a_level_in_use_is_refused_unless_it_is_allowed() {
    let mut world = World::new();
    world.levels.push(HeldLevel {
        level: "s0:c1,c2".parse().unwrap(),
        by: "sandbox a".to_owned(),
    });
    let mut request = request();
    request.level = Some("s0:c1".parse().unwrap());
    let error = world.plan(&request).unwrap_err();
    assert!(error.to_string().contains("sandbox a"), "{error}");
    request.allow_shared_label = true;
    let plan = world.plan(&request).unwrap();
    assert_eq!(plan.config.label.level().to_string(), "s0:c1");
    assert!(
        plan.warnings
            .iter()
            .any(|w| matches!(w, Warning::SharedLabel { .. }))
    );
}

#[test]
fn data_that_is_being_written_is_refused_unless_it_is_allowed() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/var/lib/web/"]);
    world.writers.push(Writer {
        pid: 7,
        command: "webd".to_owned(),
        unit: None,
        path: path("/var/lib/web/db"),
    });
    let error = world.plan(&request()).unwrap_err();
    assert!(error.to_string().contains("process 7 (webd)"), "{error}");
    let mut request = request();
    request.allow_live_copy = true;
    assert!(
        world
            .plan(&request)
            .unwrap()
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::LiveCopy { .. }))
    );
    request.copy_data = false;
    request.allow_live_copy = false;
    assert!(world.plan(&request).is_ok());
}

#[test]
fn a_plan_without_all_its_facts_says_so() {
    let error = vss_plan::plan(
        &request(),
        &Rules::builtin().unwrap(),
        &vss_plan::Facts::new(),
    );
    assert!(matches!(error, Err(PlanError::Incomplete(queries)) if !queries.is_empty()));
}

#[test]
fn facts_come_back_from_their_recording() {
    let facts = World::new().facts(&request()).unwrap();
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(
        serde_json::from_str::<vss_plan::Facts>(&text).unwrap(),
        facts
    );
}

#[test]
fn a_container_knows_its_host_name_and_its_name() {
    let world = World::new();
    for (name, host, hosts) in [
        ("box", "box\n", "127.0.1.1\tbox\n"),
        ("a_b.", "a-b\n", "127.0.1.1\ta-b a_b.\n"),
    ] {
        let mut request = request();
        request.name = name.parse().unwrap();
        request.network = "none".parse().unwrap();
        let plan = world.plan(&request).unwrap();
        let text = |at: &str| match &plan.root.entry(&path(at)).unwrap().disposition {
            Disposition::Generate {
                what: Generated::File { text, .. },
            } => text.clone(),
            other => panic!("{at}: {other:?}"),
        };
        assert_eq!(text("/etc/hostname"), host);
        assert!(text("/etc/hosts").contains(hosts), "{}", text("/etc/hosts"));
    }
}
