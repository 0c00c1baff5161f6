//! Which packages a service consists of.

use vss_model::RelationKind::{Depends, Suggests};

use vss_plan::{Fate, PlanError, Warning};

use crate::WEB;
use crate::world::{World, fate, path, request, unit_name};

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

/// What becomes of paths in the container of a unit whose package lists these files, beside its
/// unit.
fn fates_of_a_caretaker(name: &str, files: &[&str], asked: &[&str]) -> Vec<Fate> {
    let mut world = World::new();
    let unit = format!("/usr/lib/systemd/system/{name}.service");
    let program = format!("/usr/sbin/{name}");
    let mut listed = vec![unit.as_str(), program.as_str()];
    listed.extend(files);
    world.package(name, name, &[], &listed);
    world.unit(&format!("{name}.service"), &[("ExecStart", &program)]);
    for at in asked {
        world.file(at, "");
    }
    let mut request = request();
    request.units = vec![unit_name(name)];
    let plan = world.plan(&request).unwrap();
    asked
        .iter()
        .map(|at| plan.root.explain(&path(at)).fate)
        .collect()
}

#[test]
fn the_configuration_of_a_caretaker_is_its_own() {
    for (name, listed, made) in [
        (
            "fail2ban",
            "/etc/fail2ban/fail2ban.conf",
            "/etc/fail2ban/jail.local",
        ),
        (
            "isc-dhcp-server",
            "/etc/dhcp/dhcpd.conf",
            "/etc/dhcp/hosts.conf",
        ),
        (
            "rsyslog",
            "/etc/rsyslog.d/default.conf",
            "/etc/rsyslog.d/own.conf",
        ),
        ("xl2tpd", "/etc/ppp/options.xl2tpd", "/etc/ppp/chap-secrets"),
        (
            "firewalld",
            "/etc/firewalld/firewalld.conf",
            "/etc/firewalld/zones/a.xml",
        ),
    ] {
        let directory = format!("{}/", path(listed).parent().unwrap());
        let fates = fates_of_a_caretaker(name, &[&directory, listed], &[listed, made]);
        assert_eq!(fates, [Fate::Private, Fate::Private], "{name}");
    }
}

#[test]
fn what_the_administrator_adds_to_a_shared_place_of_a_caretaker_is_its_own() {
    let mut world = World::new();
    let unit = "/usr/lib/systemd/system/rsyslog.service";
    let listed = [unit, "/usr/sbin/rsyslogd", "/etc/rsyslog.d/"];
    world.package("rsyslog", "rsyslog", &[], &listed);
    let others = ["/etc/rsyslog.d/", "/etc/rsyslog.d/49-haproxy.conf"];
    world.package("haproxy", "haproxy", &[], &others);
    world.file("/etc/rsyslog.d/own.conf", "");
    world.unit("rsyslog.service", &[("ExecStart", "/usr/sbin/rsyslogd")]);
    let mut request = request();
    request.units = vec![unit_name("rsyslog")];
    let plan = world.plan(&request).unwrap();
    assert_eq!(fate(&plan, "/etc/rsyslog.d/own.conf"), "copy node");
    assert_eq!(fate(&plan, "/etc/rsyslog.d/49-haproxy.conf"), "");
}

#[test]
fn hooks_of_others_do_not_keep_unlisted_configuration_out() {
    let mut world = World::new();
    let unit = "/usr/lib/systemd/system/xl2tpd.service";
    let listed = [unit, "/usr/sbin/xl2tpd", "/etc/ppp/options.xl2tpd"];
    world.package("xl2tpd", "xl2tpd", &[(Depends, "ppp")], &listed);
    world.package("ppp", "ppp", &[], &["/etc/ppp/", "/etc/ppp/options"]);
    let hook = ["/etc/ppp/", "/etc/ppp/ip-up.d/", "/etc/ppp/ip-up.d/postfix"];
    world.package("postfix", "postfix", &[], &hook);
    world.file("/etc/ppp/chap-secrets", "");
    world.unit("xl2tpd.service", &[("ExecStart", "/usr/sbin/xl2tpd")]);
    let fate_in = |unit: &str, at: &str| {
        let mut request = request();
        request.units = vec![unit_name(unit)];
        world.plan(&request).unwrap().root.explain(&path(at)).fate
    };
    for brought in [
        "/etc/ppp/options.xl2tpd",
        "/etc/ppp/options",
        "/etc/ppp/chap-secrets",
    ] {
        assert_eq!(fate_in("xl2tpd", brought), Fate::Private, "{brought}");
    }
    assert_eq!(fate_in("xl2tpd", "/etc/ppp/ip-up.d/postfix"), Fate::Absent);
    assert_eq!(fate_in("web", "/etc/ppp/chap-secrets"), Fate::Absent);
}

#[test]
fn what_is_left_for_a_caretaker_stays_with_it() {
    let listed = [
        "/etc/dhcp/",
        "/etc/dhcp/dhclient-exit-hooks.d/",
        "/etc/fail2ban/jail.d/web2.conf",
        "/etc/dhcp/dhclient-exit-hooks.d/web2",
        "/etc/ppp/ip-up.d/web2",
        "/etc/rsyslog.d/web2.conf",
        "/etc/logrotate.d/web2",
    ];
    let left = [
        "/etc/fail2ban/jail.d/web2.conf",
        "/etc/dhcp/dhclient-exit-hooks.d/web2",
        "/etc/ppp/ip-up.d/web2",
        "/etc/rsyslog.d/web2.conf",
        "/etc/logrotate.d/web2",
    ];
    let fates = fates_of_a_caretaker("web2", &listed, &left);
    assert_eq!(fates, [Fate::Absent; 5]);
    let others = "/etc/logrotate.d/fail2ban";
    let fates = fates_of_a_caretaker("fail2ban", &[others], &[others]);
    assert_eq!(fates, [Fate::Absent]);
}

#[test]
fn a_program_spelled_through_a_link_leads_to_its_package() {
    let mut world = World::new();
    world.remove_package("web");
    world.package("web", "web", &[], &["/usr/bin/web", "/etc/web/"]);
    world.unit("web.service", &[("ExecStart", "/bin/web")]);
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/web"), "copy tree");
}

#[test]
fn an_edited_unit_is_of_the_package_that_ships_it() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/"]);
    let unit = world.unit("web.service", &[("ExecStart", "/usr/local/bin/web")]);
    unit.found = path("/etc/systemd/system/web.service");
    unit.fragment = unit.found.clone();
    world.file("/etc/systemd/system/web.service", "");
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/web"), "copy tree");
}

/// A server with a module that is in this state.
fn world_with_a_module(state: Option<&str>) -> World {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    world.package(
        "web-mod",
        "mod",
        &[(Depends, "web")],
        &["/etc/web/mods/mod.load", "/etc/mod/", "/etc/mod/mod.ini"],
    );
    world.package_mut("web-mod").unfinished = state.map(str::to_owned);
    world
}

#[test]
fn a_package_that_is_half_installed_is_left_out_and_told() {
    let plan = world_with_a_module(None).plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/mod"), "copy tree");
    for (state, remedy) in [
        ("half-configured", "`dpkg --configure -a`"),
        (
            "half-installed and marked reinstreq",
            "`apt-get install --reinstall web-mod`",
        ),
    ] {
        let plan = world_with_a_module(Some(state)).plan(&request()).unwrap();
        assert_eq!(fate(&plan, "/etc/mod"), "");
        assert!(plan.packages.iter().all(|p| p.name != "web-mod".into()));
        let shown: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
        let told =
            format!("the package web-mod is {state}, so nothing of it is brought: {remedy} first");
        assert!(shown.contains(&told), "{shown:?}");
    }
}

#[test]
fn dependencies_that_are_half_installed_are_told_and_strangers_are_not() {
    let mut world = World::new();
    world.package("web", "web", &[(Depends, "lang")], &[WEB, "/etc/web/"]);
    world.package("lang", "lang", &[], &["/etc/lang/"]);
    world.package("other", "other", &[], &["/etc/other/"]);
    for name in ["lang", "other"] {
        world.package_mut(name).unfinished = Some("unpacked".to_owned());
    }
    let plan = world.plan(&request()).unwrap();
    let told: Vec<_> = plan
        .warnings
        .iter()
        .filter_map(|w| match w {
            Warning::Unfinished { package, .. } => Some(package.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["lang"]);
}

#[test]
fn a_service_whose_own_package_is_half_installed_is_refused_by_its_name() {
    let mut world = World::new();
    world.package(
        "bare",
        "bare",
        &[],
        &["/usr/lib/systemd/system/bare.service"],
    );
    world.unit("bare.service", &[("StateDirectory", "/var/lib/bare")]);
    let mut request = request();
    request.units = vec![unit_name("bare")];
    world.plan(&request).unwrap();
    world.package_mut("bare").unfinished = Some("half-configured".to_owned());
    let error = world.plan(&request).unwrap_err();
    assert!(matches!(error, PlanError::Unfinished { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "the package bare, which has bare.service, is half-configured, so what the unit needs \
         can't be found out; `dpkg --configure -a` first"
    );
    // what others of the service have does not make up for it
    world.package("bare-bin", "bare", &[], &["/usr/sbin/bare"]);
    world.unit("bare.service", &[("ExecStart", "/usr/sbin/bare")]);
    assert_eq!(world.plan(&request).unwrap_err(), error);
    world.file("/etc/bare.conf", "");
    request.copy = vec![path("/etc/bare.conf")];
    world.plan(&request).unwrap();
}

#[test]
fn a_directory_with_files_of_a_half_installed_stranger_is_not_taken_whole() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/shared/", "/etc/shared/web"]);
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/shared"), "copy tree");
    world.package(
        "other",
        "other",
        &[],
        &["/etc/shared/", "/etc/shared/other"],
    );
    world.package_mut("other").unfinished = Some("unpacked".to_owned());
    let plan = world.plan(&request()).unwrap();
    assert_ne!(fate(&plan, "/etc/shared"), "copy tree");
}

#[test]
fn what_could_not_be_read_of_a_package_of_the_service_is_told() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB]);
    let note = "a relation was left out that can't be read, \"(a or\"";
    world.package_mut("web").notes = vec![note.to_owned()];
    let plan = world.plan(&request()).unwrap();
    let told = Warning::LeftOut {
        package: "web".into(),
        note: note.to_owned(),
    };
    assert!(plan.warnings.contains(&told), "{:?}", plan.warnings);
}
