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
fn a_name_that_systemd_escapes_is_taken_as_it_is() {
    let mut world = two_instances();
    world.file(r"/etc/db/db-a\x2db.conf", "");
    let unit = world.unit(
        r"db@a\x2db.service",
        &[
            ("ExecStart", "/usr/sbin/db"),
            ("EnvironmentFile", r"/etc/db/db-a\x2db.conf"),
        ],
    );
    of_any(&mut unit.paths[1], "/etc/db/db-*.conf");
    world.directory(r"/var/lib/db-a\x2db", 0);
    world.file(
        r"/usr/lib/systemd/system/sysinit.target.wants/dev-a\x2db.mount",
        "",
    );
    let mut request = request();
    request.units = vec![unit_name(r"db@a\x2db.service")];
    let fate = |request: &CreateRequest, at: &str| {
        let plan = world.plan(request).unwrap();
        plan.root.explain(&path(at)).fate
    };
    let own = r"/etc/db/db-a\x2db.conf";
    assert_eq!(fate(&request, own), Fate::Private);
    assert_eq!(fate(&request, "/etc/db/db-one.conf"), Fate::Masked);
    assert_eq!(fate(&request, r"/var/lib/db-a\x2db"), Fate::Private);
    let foreign = r"/etc/systemd/system/dev-a\x2db.mount";
    assert_eq!(fate(&request, foreign), Fate::Masked);
    assert_eq!(fate(&of_one(), own), Fate::Masked);
}

#[test]
fn a34_a_file_that_bears_the_instances_name_is_its_own_among_secrets() {
    let mut world = World::new();
    world.package(
        "tunnel",
        "tunnel",
        &[],
        &[
            "/usr/lib/systemd/system/tunnel@.service",
            "/usr/bin/tunnel",
            "/etc/wireguard/",
            "/etc/wireguard/wg0.ini",
        ],
    );
    world.link("/etc/wireguard/wg0.conf", "site/wg0.conf");
    world.file(
        "/etc/wireguard/site/wg0.conf",
        "PostUp = /etc/hooks/wg0.sh\n",
    );
    world.file("/etc/wireguard/wg1.conf", "secret");
    world.file("/etc/wireguard/wg0.conf.old", "secret");
    world.file("/etc/hooks/wg0.sh", "");
    world.unit("tunnel@wg0.service", &[("ExecStart", "/usr/bin/tunnel")]);
    let mut request = request();
    request.units = vec![unit_name("tunnel@wg0.service")];
    let plan = world.plan(&request).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    for own in [
        "/etc/wireguard/wg0.conf",
        "/etc/wireguard/site/wg0.conf",
        "/etc/hooks/wg0.sh",
    ] {
        assert_eq!(fate(own), Fate::Private, "{own}");
    }
    for others in ["/etc/wireguard/wg1.conf", "/etc/wireguard/wg0.conf.old"] {
        assert_ne!(fate(others), Fate::Private, "{others}");
    }
    // what a package lists is named by nothing but its list
    assert_eq!(fate("/etc/wireguard/wg0.ini"), Fate::Masked);
    let name = "wg0".to_owned();
    assert_eq!(
        causes(&plan, "/etc/wireguard/wg0.conf")[0],
        Cause::Namesake { name }
    );
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

/// A host with the instances `one` and `two` of a service that reads `/etc/vpn/INSTANCE.conf`.
fn with_companions(of_one: &str, files: &[(&str, &str)]) -> World {
    let mut world = World::new();
    let listed = [
        "/usr/lib/systemd/system/vpn@.service",
        "/usr/sbin/vpn",
        "/etc/vpn/",
        "/etc/vpn/two.example",
    ];
    world.package("vpn", "vpn", &[], &listed);
    world.file("/etc/vpn/one.conf", of_one);
    world.file("/etc/vpn/two.conf", "");
    for (file, text) in files {
        world.file(file, text);
    }
    let unit = world.unit(
        "vpn@one.service",
        &[
            ("ExecStart", "/usr/sbin/vpn"),
            ("EnvironmentFile", "/etc/vpn/one.conf"),
        ],
    );
    of_any(&mut unit.paths[1], "/etc/vpn/*.conf");
    world
}

#[test]
fn what_lies_beside_another_instances_file_stays_with_it() {
    let world = with_companions(
        "ca two.ca\ncert /etc/vpn/two.shared\n",
        &[
            ("/etc/vpn/one.crt", ""),
            ("/etc/vpn/two.crt", ""),
            ("/etc/vpn/two.up", "run /etc/vpn/two.dat\n"),
            ("/etc/vpn/two.dat", ""),
            ("/etc/vpn/twofold.crt", ""),
            ("/etc/vpn/three.crt", ""),
            ("/etc/vpn/two.ca", ""),
            ("/etc/vpn/two.shared", ""),
        ],
    );
    let mut request = request();
    request.units = vec![unit_name("vpn@one.service")];
    let plan = world.plan(&request).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    for kept in [
        "one.crt",
        "twofold.crt",
        "three.crt",
        "two.ca",
        "two.shared",
        "two.example",
    ] {
        assert_eq!(fate(&format!("/etc/vpn/{kept}")), Fate::Private, "{kept}");
    }
    for left in ["two.conf", "two.crt", "two.up", "two.dat"] {
        assert_eq!(fate(&format!("/etc/vpn/{left}")), Fate::Masked, "{left}");
    }
    request.copy = vec![path("/etc/vpn/two.crt")];
    let plan = world.plan(&request).unwrap();
    let asked = plan.root.explain(&path("/etc/vpn/two.crt"));
    assert_eq!(asked.fate, Fate::Private);
}

#[test]
fn of_two_names_that_begin_alike_the_longer_one_counts() {
    let mut world = with_companions(
        "",
        &[("/etc/vpn/two.b.conf", ""), ("/etc/vpn/two.b.crt", "")],
    );
    let unit = world.unit(
        "vpn@two.b.service",
        &[
            ("ExecStart", "/usr/sbin/vpn"),
            ("EnvironmentFile", "/etc/vpn/two.b.conf"),
        ],
    );
    of_any(&mut unit.paths[1], "/etc/vpn/*.conf");
    let mut request = request();
    request.units = vec![unit_name("vpn@two.b.service")];
    let plan = world.plan(&request).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    assert_eq!(fate("/etc/vpn/two.b.crt"), Fate::Private);
    assert_eq!(fate("/etc/vpn/two.conf"), Fate::Masked);
}
