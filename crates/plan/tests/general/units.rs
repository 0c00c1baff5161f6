//! Which units run inside, and what is known of them beforehand.

use crate::WEB;
use crate::world::{World, fate, path, request, unit_name};

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
