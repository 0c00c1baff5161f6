//! The rules of the general plan, each on a host made for it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail: only its own functions are known as tests to clippy"
)]

mod world;

use proptest::prelude::*;
use vss_model::{Cause, Disposition, Generated, RelationKind};
use vss_plan::facts::{HeldLevel, Writer};
use vss_plan::{Fate, PlanError, Rules, Warning};
use world::{World, causes, fate, path, request, unit_name};

const WEB: &str = "/usr/lib/systemd/system/web.service";
use RelationKind::{Depends, Suggests};

#[test]
fn a_directory_of_the_closure_alone_is_taken_whole() {
    let mut world = World::new();
    world.package(
        "web",
        "web",
        &[],
        &[
            WEB,
            "/etc/web/",
            "/etc/web/web.conf",
            "/etc/shared/",
            "/etc/shared/web",
        ],
    );
    world.package(
        "other",
        "other",
        &[],
        &["/etc/shared/", "/etc/shared/other"],
    );
    world.file("/etc/web/enabled/made-by-a-script", "");
    world.file("/etc/shared/nobodys", "");
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/web"), "copy tree");
    assert_eq!(
        plan.root
            .explain(&path("/etc/web/enabled/made-by-a-script"))
            .fate,
        Fate::Private
    );
    assert_eq!(fate(&plan, "/etc/shared"), "copy node");
    assert_eq!(fate(&plan, "/etc/shared/web"), "copy node");
    for absent in ["/etc/shared/other", "/etc/shared/nobodys"] {
        assert_eq!(
            plan.root.explain(&path(absent)).fate,
            Fate::Absent,
            "{absent}"
        );
    }
}

#[test]
fn a_directory_named_after_the_service_is_its_own_whoever_puts_files_there() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    world.package(
        "stranger",
        "stranger",
        &[],
        &["/etc/web/conf/stranger.conf"],
    );
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/web"), "copy tree");
    assert!(!plan.packages.iter().any(|(p, _)| p.as_str() == "stranger"));
}

#[test]
fn modules_come_along_with_what_they_need_and_neighbouring_services_do_not() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    world.package(
        "web-mod",
        "mod",
        &[(Depends, "web"), (Depends, "lang")],
        &["/etc/web/mods/lang.load"],
    );
    world.package("lang", "lang", &[], &["/etc/lang/", "/etc/lang/lang.ini"]);
    world.package(
        "calendar",
        "calendar",
        &[(Suggests, "web")],
        &[
            "/etc/web/conf/calendar.conf",
            "/etc/calendar/",
            "/usr/lib/systemd/system/calendar.service",
        ],
    );
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/lang"), "copy tree");
    assert_eq!(fate(&plan, "/etc/calendar"), "");
}

#[test]
fn dependencies_are_followed_and_the_base_set_is_not() {
    let mut world = World::new();
    world.package(
        "web",
        "web",
        &[(Depends, "lib"), (Depends, "libc6")],
        &[WEB],
    );
    world.package("lib", "lib", &[(Depends, "deep")], &["/etc/lib.conf"]);
    world.package("deep", "deep", &[], &["/etc/deep/", "/etc/deep/x"]);
    world.package(
        "libc6",
        "glibc",
        &[(Depends, "beyond")],
        &["/etc/libc.conf"],
    );
    world.package("beyond", "beyond", &[], &["/etc/beyond/", "/etc/beyond/x"]);
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/lib.conf"), "copy node");
    assert_eq!(fate(&plan, "/etc/deep"), "copy tree");
    assert_eq!(fate(&plan, "/etc/libc.conf"), "");
    assert_eq!(fate(&plan, "/etc/beyond"), "");
}

#[test]
fn links_and_paths_in_configuration_are_followed() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    world.file(
        "/etc/web/web.conf",
        "cert /etc/certs/web.pem\n# no /etc/comment\nroot /srv/site\nlog /var/log/web/x.log\n",
    );
    world.link("/etc/web/my.cnf", "/etc/elsewhere/my.cnf");
    world.file("/etc/elsewhere/my.cnf", "include /etc/further.d/*.cnf\n");
    world.file("/etc/certs/web.pem", "");
    world.file("/etc/comment", "");
    world.file("/etc/further.d/a.cnf", "");
    world.file("/srv/site/index.html", "");
    world.directory("/var/log/web", 33);
    let plan = world.plan(&request()).unwrap();
    for (at, expected) in [
        ("/etc/certs/web.pem", "copy node"),
        ("/etc/elsewhere/my.cnf", "copy node"),
        ("/etc/further.d", "copy tree"),
        ("/srv/site", "copy tree"),
        ("/var/log/web", "copy node"),
        ("/etc/comment", ""),
    ] {
        assert_eq!(fate(&plan, at), expected, "{at}");
    }
    assert!(plan.config.writable.contains(&path("/srv/site")));
    let chain = plan.root.explain(&path("/etc/further.d/a.cnf")).chain;
    let named: Vec<String> = chain.iter().map(|(p, c)| format!("{p}: {c}")).collect();
    assert!(
        named
            .iter()
            .any(|c| c.contains("named in /etc/elsewhere/my.cnf")),
        "{named:?}"
    );
    assert!(
        named
            .iter()
            .any(|c| c.contains("/etc/web/my.cnf links to it")),
        "{named:?}"
    );
    assert!(named.iter().any(|c| c.contains("package web")), "{named:?}");
}

#[test]
fn a34_secrets_are_left_out_made_anew_or_known_as_the_services_own() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/ssh/", "/etc/ssh/config"]);
    world.file("/etc/ssh/ssh_host_rsa_key", "secret");
    world.file("/etc/ssh/ssh_host_rsa_key.pub", "public");
    world.file(
        "/etc/ssh/config",
        "key /etc/ssl/private/own.key\nx /etc/shadow\n",
    );
    world.file("/etc/ssl/private/own.key", "secret");
    world.file("/etc/ssl/private/others.key", "secret");
    let mut request = request();
    request.copy.push(path("/etc/ssl"));
    let plan = world.plan(&request).unwrap();
    let key = plan.root.entry(&path("/etc/ssh/ssh_host_rsa_key")).unwrap();
    assert!(matches!(
        key.disposition,
        Disposition::Generate {
            what: Generated::SshHostKey { .. }
        }
    ));
    assert_eq!(
        plan.root.explain(&path("/etc/ssl/private/own.key")).fate,
        Fate::Private
    );
    assert_eq!(
        plan.root.explain(&path("/etc/ssl/private/others.key")).fate,
        Fate::Masked
    );
    let warned = |w: &Warning| matches!(w, Warning::OwnSecret { path: p, .. } if *p == path("/etc/ssl/private/own.key"));
    assert!(plan.warnings.iter().any(warned));
    let shadow = plan.root.entry(&path("/etc/shadow")).unwrap();
    let Disposition::Generate {
        what: Generated::File {
            text, mode, gid, ..
        },
    } = &shadow.disposition
    else {
        panic!("{shadow:?}")
    };
    assert_eq!(
        (text.as_str(), *mode, *gid),
        ("root:*:::::::\nweb:*:::::::\n", 0o640, 42)
    );
}

#[test]
fn a34_only_copy_of_that_very_path_brings_a_secret() {
    let world = World::new();
    let mut request = request();
    request.copy.push(path("/etc/shadow"));
    let plan = world.plan(&request).unwrap();
    assert_eq!(fate(&plan, "/etc/shadow"), "copy node");
    assert!(
        plan.warnings
            .iter()
            .any(|w| matches!(w, Warning::DenyOverridden { .. }))
    );
}

#[test]
fn data_comes_with_copy_and_logs_and_caches_never() {
    let mut world = World::new();
    world.package(
        "web",
        "web",
        &[],
        &[WEB, "/var/lib/web/", "/var/log/web/", "/var/cache/web/"],
    );
    for file in [
        "/var/lib/web/data",
        "/var/log/web/a/log",
        "/var/cache/web/b/cached",
    ] {
        world.file(file, "x");
    }
    let with = world.plan(&request()).unwrap();
    assert_eq!(fate(&with, "/var/lib/web"), "copy tree");
    assert_eq!(fate(&with, "/var/log/web/a"), "copy node");
    let mut request = request();
    request.copy_data = false;
    let without = world.plan(&request).unwrap();
    assert_eq!(fate(&without, "/var/lib/web"), "copy node");
    for plan in [&with, &without] {
        for left in ["/var/log/web/a/log", "/var/cache/web/b/cached"] {
            assert_eq!(plan.root.explain(&path(left)).fate, Fate::Absent, "{left}");
        }
    }
    assert_eq!(
        without.root.explain(&path("/var/lib/web/data")).fate,
        Fate::Absent
    );
    assert!(causes(&without, "/var/lib/web").contains(&Cause::NoCopy));
}

#[test]
fn what_no_package_lists_is_found_by_the_services_name_and_user() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB]);
    world.unit(
        "web.service",
        &[("ExecStart", "/usr/sbin/web"), ("User", "web")],
    );
    world.file("/etc/default/web", "");
    world.directory("/var/lib/anything", 33);
    world.directory("/var/lib/else", 0);
    world.package("other", "other", &[], &["/var/lib/owned/"]);
    world.directory("/var/lib/owned", 33);
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/default/web"), "copy node");
    assert_eq!(fate(&plan, "/var/lib/anything"), "copy tree");
    assert_eq!(fate(&plan, "/var/lib/else"), "");
    assert_eq!(fate(&plan, "/var/lib/owned"), "");
}

#[test]
fn a33_a_listed_path_below_a_link_is_where_the_link_leads() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB]);
    world.link("/etc/old", "/etc/new");
    world.file("/etc/new/web.conf", "");
    world.package(
        "web",
        "web",
        &[],
        &[WEB, "/var/run/web.pid", "/etc/old/web.conf"],
    );
    world.remove("/etc/old/web.conf");
    world.link("/etc/old", "/etc/new");
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/new/web.conf"), "copy node");
    assert_eq!(fate(&plan, "/etc/old/web.conf"), "");
    assert_eq!(fate(&plan, "/var/run/web.pid"), "");
}

#[test]
fn a32_what_is_listed_and_not_there_is_skipped_and_never_made() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/gone.conf"]);
    world.remove("/etc/gone.conf");
    let plan = world.plan(&request()).unwrap();
    assert_eq!(
        plan.root.explain(&path("/etc/gone.conf")).fate,
        Fate::Absent
    );
    assert!(
        plan.skipped
            .iter()
            .any(|s| s.path == path("/etc/gone.conf"))
    );
}

#[test]
fn only_the_service_and_what_every_container_needs_is_started() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/usr/lib/tmpfiles.d/web.conf"]);
    world.file(
        "/usr/lib/tmpfiles.d/web.conf",
        "d /var/lib/made 0755 web web -\n",
    );
    world.directory("/var/lib/made", 33);
    let plan = world.plan(&request()).unwrap();
    assert_eq!(
        fate(&plan, "/etc/systemd/system/systemd-udevd.service"),
        "mask"
    );
    assert_eq!(fate(&plan, "/etc/systemd/system/other.service"), "mask");
    assert_eq!(
        fate(&plan, "/etc/systemd/system/systemd-journald.service"),
        ""
    );
    assert_eq!(fate(&plan, "/etc/tmpfiles.d/other.conf"), "mask");
    assert_eq!(fate(&plan, "/etc/tmpfiles.d/systemd.conf"), "");
    assert_eq!(fate(&plan, "/etc/tmpfiles.d/web.conf"), "");
    assert_eq!(fate(&plan, "/var/lib/made"), "copy tree");
    assert_eq!(
        fate(
            &plan,
            "/etc/systemd/system/web.service.d/50-virt-sandbox.conf"
        ),
        "generate"
    );
}

#[test]
fn required_units_run_too_and_wanted_ones_if_they_are_the_services() {
    let mut world = World::new();
    world.unit(
        "web.service",
        &[
            ("Requires", "db.service"),
            ("Wants", "own.service foreign.service"),
        ],
    );
    for (unit, package) in [("db", "db"), ("own", "web"), ("foreign", "foreign")] {
        world.unit(&format!("{unit}.service"), &[]);
        let file = format!("/usr/lib/systemd/system/{unit}.service");
        world.package(
            package,
            package,
            &[],
            &[WEB, &file, &format!("/etc/{package}/")][usize::from(package != "web")..],
        );
    }
    let plan = world.plan(&request()).unwrap();
    let units: Vec<&str> = plan.units.iter().map(|u| u.as_str()).collect();
    assert_eq!(units, ["db.service", "own.service", "web.service"]);
    assert_eq!(fate(&plan, "/etc/db"), "copy tree");
}

#[test]
fn a_template_is_an_instance_of_the_sandbox_and_an_alias_goes_by_its_real_name() {
    let mut world = World::new();
    world.package(
        "web",
        "web",
        &[],
        &["/usr/lib/systemd/system/web@.service", WEB],
    );
    world.unit(
        "web@box.service",
        &[("EnvironmentFile", "/etc/web-box.env")],
    );
    world.file("/etc/web-box.env", "");
    world.alias("http.service", "web.service");
    let mut request = request();
    request.units = vec![unit_name("web@.service")];
    let plan = world.plan(&request).unwrap();
    assert_eq!(plan.config.units, [unit_name("web@box")]);
    assert_eq!(plan.config.host_unit, unit_name("web@box"));
    assert_eq!(fate(&plan, "/etc/web-box.env"), "copy node");
    request.units = vec![unit_name("http")];
    let plan = world.plan(&request).unwrap();
    assert_eq!(plan.config.units, [unit_name("web")]);
    assert_eq!(plan.config.host_unit, unit_name("http@box"));
    request.units = vec![unit_name("web"), unit_name("web@.service")];
    let plan = world.plan(&request).unwrap();
    assert_eq!(plan.config.host_unit, unit_name("box_sandbox"));
}

#[test]
fn units_of_the_host_s_administrator_come_along() {
    let mut world = World::new();
    let unit = world.unit("web.service", &[]);
    unit.drop_ins = vec![path("/etc/systemd/system/web.service.d/local.conf")];
    unit.settings.clear();
    world.file("/etc/systemd/system/web.service.d/local.conf", "");
    let plan = world.plan(&request()).unwrap();
    assert_eq!(
        fate(&plan, "/etc/systemd/system/web.service.d/local.conf"),
        "copy node"
    );
}

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
    let error = fails(&world, &|r| r.confinement = "auto".parse().unwrap());
    assert!(
        error.to_string().contains("--confinement reduced"),
        "{error}"
    );
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
fn a_condition_that_will_not_hold_is_foreseen() {
    let mut world = World::new();
    world.unit(
        "web.service",
        &[
            ("ConditionPathExists", "/var/lib/web/ready"),
            ("ConditionVirtualization", "!container"),
        ],
    );
    let plan = world.plan(&request()).unwrap();
    let warned: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    assert!(
        warned.iter().any(|w| w.contains("/var/lib/web/ready")),
        "{warned:?}"
    );
    assert!(
        warned.iter().any(|w| w.contains("ConditionVirtualization")),
        "{warned:?}"
    );
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a34_denied_paths_are_never_copied(
        files in proptest::collection::vec("/etc/(web|ssl/private|ssh)/(\\.ssh/)?(x|ssh_host_x_key|a\\.keytab)", 0..12),
        copied in proptest::option::of("/etc/(web|ssl|ssh|ssl/private)"),
    ) {
        let mut world = World::new();
        world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/ssh/", "/etc/ssl/"]);
        for file in &files {
            world.file(file, "secret");
        }
        let mut request = request();
        request.copy.extend(copied.iter().map(|c| path(c)).filter(|c| matches!(world.answer(&vss_plan::Query::Path(c.clone())), vss_plan::Answer::Path(vss_plan::facts::PathFacts::Directory { .. }))));
        let plan = world.plan(&request).unwrap();
        for file in files.iter().map(|f| path(f)) {
            if world.rules.watches(&file) {
                let fate = plan.root.explain(&file).fate;
                prop_assert!(fate != Fate::Private, "{file} {fate}");
            }
        }
    }
}
