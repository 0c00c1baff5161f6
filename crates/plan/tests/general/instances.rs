//! What belongs to other instances of a template.

use vss_model::Cause;
use vss_plan::facts::{NamedPath, Writer};
use vss_plan::{CreateRequest, Fate, PlanError};

use crate::world::{World, causes, path, request, unit_name};

/// A host with two instances of one template, each with a configuration, data and a key.
fn two_instances() -> World {
    let mut world = World::new();
    world.package(
        "db",
        "db",
        &[],
        &[
            "/usr/lib/systemd/system/db@.service",
            "/usr/sbin/db",
            "/etc/db/",
            "/etc/db/common.conf",
            "/etc/db/db-shipped.conf",
            "/var/lib/db/",
        ],
    );
    for instance in ["one", "two"] {
        let config = format!("key /etc/keys/{instance}.pem\n");
        world.file(&format!("/etc/db/db-{instance}.conf"), &config);
        world.file(&format!("/etc/keys/{instance}.pem"), "");
        world.file(&format!("/var/lib/db/15/{instance}/data"), "");
    }
    world.file("/var/lib/db/15/notes", "");
    let unit = world.unit(
        "db@15-one.service",
        &[
            ("ExecStart", "/usr/sbin/db"),
            ("EnvironmentFile", "/etc/db/db-one.conf"),
            ("ReadWritePaths", "/var/lib/db/15/one"),
        ],
    );
    of_any(&mut unit.paths[1], "/etc/db/db-*.conf");
    of_any(&mut unit.paths[2], "/var/lib/db/*/*");
    world
}

fn of_any(named: &mut NamedPath, pattern: &str) {
    named.any_instance = Some(pattern.to_owned());
}

fn of_one() -> CreateRequest {
    let mut request = request();
    request.units = vec![unit_name("db@15-one.service")];
    request
}

#[test]
fn another_instances_paths_stay_on_the_host() {
    let plan = two_instances().plan(&of_one()).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    for mine in [
        "/etc/db/db-one.conf",
        "/etc/db/common.conf",
        "/var/lib/db/15/one/data",
        "/etc/keys/one.pem",
    ] {
        assert_eq!(fate(mine), Fate::Private, "{mine}");
    }
    for anothers in ["/etc/db/db-two.conf", "/var/lib/db/15/two/data"] {
        assert_eq!(fate(anothers), Fate::Masked, "{anothers}");
    }
    // what only the other one's configuration names
    assert_eq!(fate("/etc/keys/two.pem"), Fate::Absent);
    assert_eq!(
        causes(&plan, "/var/lib/db/15/two")[0],
        Cause::OtherInstance {
            of: unit_name("db@15-one.service"),
            pattern: "/var/lib/db/*/*".to_owned(),
            directive: "ReadWritePaths=".to_owned(),
        }
    );
}

#[test]
fn what_a_package_lists_or_is_of_another_kind_is_everyones() {
    let plan = two_instances().plan(&of_one()).unwrap();
    for shared in ["/etc/db/db-shipped.conf", "/var/lib/db/15/notes"] {
        let fate = plan.root.explain(&path(shared)).fate;
        assert_eq!(fate, Fate::Private, "{shared}");
    }
}

#[test]
fn a_user_may_ask_for_another_instances_data() {
    let mut request = of_one();
    request.copy = vec![path("/var/lib/db/15/two")];
    let plan = two_instances().plan(&request).unwrap();
    let fate = plan.root.explain(&path("/var/lib/db/15/two/data")).fate;
    assert_eq!(fate, Fate::Private);
}

#[test]
fn another_instance_that_runs_does_not_keep_this_one_from_being_copied() {
    let mut world = two_instances();
    let writer = |at: &str| Writer {
        pid: 7,
        command: "db".to_owned(),
        unit: None,
        path: path(at),
    };
    world.writers = vec![writer("/var/lib/db/15/two/data")];
    world.plan(&of_one()).unwrap();
    world.writers.push(writer("/var/lib/db/15/one/data"));
    let error = world.plan(&of_one()).unwrap_err();
    assert!(
        matches!(&error, PlanError::LiveData { writers, .. } if writers.len() == 1),
        "{error:?}"
    );
}

#[test]
fn without_a_pattern_nothing_is_anothers() {
    let mut world = two_instances();
    world.unit(
        "db@15-one.service",
        &[
            ("ExecStart", "/usr/sbin/db"),
            ("ReadWritePaths", "/var/lib/db/15/one"),
        ],
    );
    let plan = world.plan(&of_one()).unwrap();
    let fate = plan.root.explain(&path("/var/lib/db/15/two/data")).fate;
    assert_eq!(fate, Fate::Private);
}

#[test]
fn another_instances_file_beside_this_ones_stays_on_the_host() {
    let mut world = World::new();
    let listed = [
        "/usr/lib/systemd/system/openvpn-server@.service",
        "/usr/sbin/openvpn",
        "/etc/openvpn/server/",
    ];
    world.package("openvpn", "openvpn", &[], &listed);
    for instance in ["one", "two"] {
        world.file(&format!("/etc/openvpn/server/{instance}.conf"), "<key>\n");
    }
    let unit = world.unit(
        "openvpn-server@one.service",
        &[
            ("WorkingDirectory", "/etc/openvpn/server"),
            ("ExecStart", "/usr/sbin/openvpn"),
            ("ExecStart", "-/etc/openvpn/server/one.conf"),
        ],
    );
    of_any(&mut unit.paths[2], "/etc/openvpn/server/*.conf");
    let mut request = request();
    request.units = vec![unit_name("openvpn-server@one.service")];
    let plan = world.plan(&request).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    assert_eq!(fate("/etc/openvpn/server/one.conf"), Fate::Private);
    assert_eq!(fate("/etc/openvpn/server/two.conf"), Fate::Masked);
}
