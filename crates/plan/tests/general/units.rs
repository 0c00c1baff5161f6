//! Which units run inside, and what is known of them beforehand.

use vss_plan::PlanError;
use vss_plan::facts::IgnoredLine;

use crate::WEB;
use crate::world::{World, causes, fate, path, request, unit_name};

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
fn a_unit_has_the_names_inside_that_links_of_the_host_give_it_and_no_other_unit_comes_by_them() {
    let mut world = World::new();
    world.unit("log.socket", &[]);
    let link = "/etc/systemd/system/log.service";
    world.link(link, "/usr/lib/systemd/system/web.service");
    let web = world.unit("web.service", &[("Requires", "log.socket")]);
    web.alias_links = vec![path(link)];
    world.alias("log.service", "web.service");
    let other = "/etc/systemd/system/foreign.service";
    world.link(other, "/usr/lib/systemd/system/other.service");
    world.unit("other.service", &[]).alias_links = vec![path(other)];
    let plan = world.plan(&request()).unwrap();
    let units: Vec<&str> = plan.units.iter().map(|u| u.as_str()).collect();
    assert_eq!(units, ["log.socket", "web.service"]);
    assert_eq!(fate(&plan, link), "copy node");
    let causes = causes(&plan, link);
    assert_eq!(causes[0].to_string(), "Alias= of web.service");
    assert_eq!(fate(&plan, other), "");
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
fn a_condition_that_will_not_hold_is_foreseen() {
    let mut world = World::new();
    world.unit(
        "web.service",
        &[
            ("ConditionPathExists", "/var/lib/web/ready"),
            ("ConditionVirtualization", "!container"),
            ("ConditionCapability", "CAP_SYS_TIME"),
            ("ConditionCapability", "CAP_CHOWN"),
            ("DeviceAllow", "/dev/null rw"),
            ("DeviceAllow", "/dev/net/tun rw"),
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
    assert!(
        warned
            .iter()
            .any(|w| w.contains("CAP_SYS_TIME") && w.contains("will not start")),
        "{warned:?}"
    );
    assert!(
        warned.iter().any(|w| w.contains("/dev/net/tun")),
        "{warned:?}"
    );
    for held in ["CAP_CHOWN", "/dev/null"] {
        assert!(!warned.iter().any(|w| w.contains(held)), "{warned:?}");
    }
}

#[test]
fn a_service_with_an_init_script_alone_has_its_unit_made_inside() {
    const GENERATORS: &str = "/etc/systemd/system-generators";
    let mut world = World::new();
    for generator in ["systemd-sysv-generator", "systemd-fstab-generator"] {
        world.file(
            &format!("/usr/lib/systemd/system-generators/{generator}"),
            "",
        );
    }
    let masked = |plan: &vss_plan::SandboxPlan, generator: &str| {
        fate(plan, &format!("{GENERATORS}/{generator}"))
    };
    let plan = world.plan(&request()).unwrap();
    assert_eq!(masked(&plan, "systemd-sysv-generator"), "mask");

    world.package("web", "web", &[], &["/etc/init.d/web", "/usr/sbin/web"]);
    world.file(
        "/etc/init.d/web",
        ". /etc/default/web\nCERT=/etc/certs/web.pem\n",
    );
    world.file("/etc/init.d/other", "");
    world.file("/etc/default/web", "");
    world.file("/etc/certs/web.pem", "");
    let unit = world.unit("web.service", &[("SourcePath", "/etc/init.d/web")]);
    unit.found = path("/etc/init.d/web");
    unit.fragment = unit.found.clone();
    let plan = world.plan(&request()).unwrap();
    assert_eq!(masked(&plan, "systemd-sysv-generator"), "");
    assert_eq!(masked(&plan, "systemd-fstab-generator"), "mask");
    for taken in ["/etc/init.d/web", "/etc/default/web", "/etc/certs/web.pem"] {
        assert_eq!(fate(&plan, taken), "copy node", "{taken}");
    }
    assert_eq!(fate(&plan, "/etc/init.d/other"), "");
}

#[test]
fn what_is_named_after_an_instance_is_its_own() {
    let mut world = World::new();
    world.package(
        "web",
        "web",
        &[],
        &[
            "/usr/lib/systemd/system/web@.service",
            "/etc/web/",
            "/etc/web/web.conf",
        ],
    );
    world.unit("web@two.service", &[("ExecStart", "/usr/sbin/web")]);
    for own in [
        "/etc/web-two/web.conf",
        "/etc/default/web.two",
        "/var/lib/web-two/data",
    ] {
        world.file(own, "");
    }
    world.directory("/var/log/web-two", 33);
    for other in [
        "/etc/web-three/web.conf",
        "/etc/default/web.three",
        "/var/lib/web-three/data",
    ] {
        world.file(other, "");
    }
    let mut request = request();
    request.units = vec![unit_name("web@two.service")];
    request.copy_data = true;
    let plan = world.plan(&request).unwrap();
    for (at, expected) in [
        ("/etc/web-two", "copy tree"),
        ("/etc/default/web.two", "copy node"),
        ("/var/lib/web-two", "copy tree"),
        ("/var/log/web-two", "copy node"),
        ("/etc/web-three", ""),
        ("/etc/default/web.three", ""),
        ("/var/lib/web-three", ""),
    ] {
        assert_eq!(fate(&plan, at), expected, "{at}");
    }
}

#[test]
fn a_unit_that_a_generator_made_is_told_from_one_that_is_not_there() {
    let mut world = World::new();
    world.file("/run/systemd/generator.late/made.service", "");
    let mut request = request();
    request.units = vec![unit_name("made.service")];
    let error = world.plan(&request).unwrap_err();
    assert!(matches!(error, PlanError::GeneratedUnit { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("cp /run/systemd/generator.late/made.service"),
        "{error}"
    );
}

#[test]
fn a_program_that_leads_out_of_the_container_is_foreseen() {
    let mut world = World::new();
    world.unit("own.service", &[("ExecStart", "/opt/own/venv/bin/python")]);
    world.link("/opt/own/venv/bin/python", "/usr/bin/python3");
    world.file("/usr/bin/python3", "");
    let mut request = request();
    request.units = vec![unit_name("own.service")];
    let said = |world: &World| {
        let warnings = world.plan(&request).unwrap().warnings;
        let texts = warnings.iter().map(ToString::to_string);
        texts
            .filter(|w| w.contains("is not there"))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&world), Vec::<String>::new());
    world.link("/opt/own/venv/bin/python", "/root/bin/python3");
    world.file("/root/bin/python3", "");
    let said = said(&world);
    assert!(
        said.len() == 1
            && said[0].contains("/root/bin/python3")
            && said[0].contains("from /opt/own"),
        "{said:?}"
    );
}

#[test]
fn what_systemd_ignores_of_a_drop_in_is_told() {
    let mut world = World::new();
    world.unit("web.service", &[]).ignored = vec![IgnoredLine {
        file: path("/etc/systemd/system/web.service.d/x.conf"),
        line: 3,
        reason: "a section header without its end".to_owned(),
        ends_file: true,
    }];
    let plan = world.plan(&request()).unwrap();
    let told: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    let expected = "web.service: systemd ignores line 3 of \
        /etc/systemd/system/web.service.d/x.conf and all that follows: \
        it is a section header without its end";
    assert!(told.iter().any(|t| t == expected), "{told:?}");
}
