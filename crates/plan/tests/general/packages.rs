//! Which packages a service consists of.

use vss_model::RelationKind::{Depends, Suggests};

use crate::WEB;
use crate::world::{World, fate, request};

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
