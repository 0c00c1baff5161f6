//! Which files and directories are the service's.

use vss_model::Cause;
use vss_plan::facts::Setting;
use vss_plan::{CreateRequest, Fate, Warning};

use crate::WEB;
use crate::world::{World, causes, fate, path, request, step, unit_name};

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
    assert!(!plan.packages.iter().any(|p| p.name.as_str() == "stranger"));
}

#[test]
fn a_directory_named_after_the_unit_is_its_own_too() {
    let mut world = World::new();
    // as Debian's openssh-server has ssh.service, and systemd a file in /etc/ssh
    world.remove_package("web");
    let listed = [WEB, "/usr/sbin/web", "/etc/web/", "/etc/web/moduli"];
    world.package("open-server", "open", &[], &listed);
    world.package("stranger", "stranger", &[], &["/etc/web/conf.d/strange"]);
    world.file("/etc/web/made-by-a-script", "");
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/web"), "copy tree");
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
    let named: Vec<String> = chain.iter().map(step).collect();
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
    let left = Warning::DataLeft {
        paths: vec![path("/var/lib/web")],
    };
    assert!(without.warnings.contains(&left), "{:?}", without.warnings);
    assert!(!with.warnings.contains(&left));
}

#[test]
fn a_directory_with_no_more_than_packages_list_has_no_data_to_miss() {
    let mut world = World::new();
    let listed = [WEB, "/var/lib/web/", "/var/lib/web/listed"];
    world.package("web", "web", &[], &listed);
    let mut request = request();
    request.copy_data = false;
    let plan = world.plan(&request).unwrap();
    let missed = |w: &Warning| matches!(w, Warning::DataLeft { .. });
    assert!(!plan.warnings.iter().any(missed), "{:?}", plan.warnings);
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
fn what_a_unit_hides_stays_on_the_host() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    for file in [
        "/etc/app/secrets/key",
        "/etc/app/password",
        "/etc/app/unneeded/key",
        "/etc/web/seen",
        "/pool/disk/x",
    ] {
        world.file(file, "secret");
    }
    world.unit(
        "web.service",
        &[
            ("ExecStart", "/usr/sbin/web"),
            ("InaccessiblePaths", "/etc/app/secrets"),
            ("InaccessiblePaths", "/etc/app/password"),
            ("InaccessiblePaths", "-/etc/app/unneeded"),
            ("InaccessiblePaths", "/etc/web/seen"),
            ("InaccessiblePaths", "/pool"),
        ],
    );
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/app/secrets"), "copy node");
    assert_eq!(fate(&plan, "/pool"), "copy node");
    for hidden in ["/etc/app/secrets/key", "/pool/disk/x"] {
        let fate = plan.root.explain(&path(hidden)).fate;
        assert_eq!(fate, Fate::Absent, "{hidden}");
    }
    assert_eq!(fate(&plan, "/etc/app/password"), "generate");
    assert_eq!(fate(&plan, "/etc/app/unneeded"), "");
    // the rest of the service may read it
    let seen = plan.root.explain(&path("/etc/web/seen")).fate;
    assert_eq!(seen, Fate::Private);
    let why = causes(&plan, "/etc/app/secrets")[0].to_string();
    assert!(
        why.contains("InaccessiblePaths= of web.service hides what is there"),
        "{why}"
    );
}

#[test]
fn the_home_of_a_services_user_is_its_own_and_that_of_people_is_told_of() {
    let left = Warning::NotBrought {
        unit: unit_name("web.service"),
        setting: "User=ann".to_owned(),
        path: path("/home/ann"),
    };
    let plan = |user: &str, directory: &str, request: &CreateRequest| {
        let mut world = World::new();
        world.file("/srv/app/data", "");
        world.file("/home/ann/notes", "");
        let settings = [("ExecStart", "/usr/sbin/web"), ("User", user)];
        let unit = world.unit("web.service", &settings);
        unit.settings.push(Setting {
            section: "Service".to_owned(),
            key: "WorkingDirectory".to_owned(),
            value: directory.to_owned(),
        });
        world.plan(request).unwrap()
    };
    let of_system = plan("app", "", &request());
    assert_eq!(fate(&of_system, "/srv/app"), "copy tree");
    let of_ann = plan("ann", "", &request());
    assert_eq!(fate(&of_ann, "/home/ann"), "");
    assert!(of_ann.warnings.contains(&left), "{:?}", of_ann.warnings);
    let at_home = plan("1000", "-~", &request());
    assert_eq!(fate(&at_home, "/home/ann"), "copy node");
    let notes = at_home.root.explain(&path("/home/ann/notes")).fate;
    assert_eq!(notes, Fate::Absent);
    let mut asked = request();
    asked.copy = vec![path("/home/ann")];
    let brought = plan("ann", "~", &asked);
    assert_eq!(fate(&brought, "/home/ann"), "copy tree");
    assert!(!brought.warnings.contains(&left));
    assert_eq!(
        fate(&plan("root", "~", &request()), "/root"),
        fate(&of_ann, "/root")
    );
}

#[test]
fn directories_of_the_hosts_own_are_data() {
    let mut world = World::new();
    for file in [
        "/data/app/x",
        "/data/bin/run",
        "/mnt/pg/base",
        "/pool/x",
        "/boot/app/x",
        "/data/linked/x",
    ] {
        world.file(file, "");
    }
    world.package("web", "web", &[], &[WEB, "/etc/web/"]);
    world.link("/etc/web/link", "/data/linked");
    world.unit(
        "web.service",
        &[
            ("ExecStart", "/data/bin/run"),
            ("WorkingDirectory", "/data/app"),
            ("ReadWritePaths", "/mnt/pg"),
            ("ReadWritePaths", "/pool"),
            ("ReadWritePaths", "/boot/app"),
        ],
    );
    let plan = world.plan(&request()).unwrap();
    for brought in ["/data/app", "/data/bin", "/mnt/pg"] {
        assert_eq!(fate(&plan, brought), "copy tree", "{brought}");
        assert!(plan.config.writable.contains(&path(brought)), "{brought}");
    }
    assert_eq!(fate(&plan, "/boot/app"), "");
    assert_eq!(fate(&plan, "/data/linked"), "");
    let told = Warning::NotBrought {
        unit: unit_name("web.service"),
        setting: "ReadWritePaths=/pool".to_owned(),
        path: path("/pool"),
    };
    assert!(plan.warnings.contains(&told), "{:?}", plan.warnings);
    let mut request = request();
    request.copy_data = false;
    let plan = world.plan(&request).unwrap();
    assert_eq!(fate(&plan, "/data/app"), "copy node");
    let left = |w: &Warning| matches!(w, Warning::DataLeft { paths } if paths.contains(&path("/data/app")));
    assert!(plan.warnings.iter().any(left), "{:?}", plan.warnings);
}

#[test]
fn snippets_that_the_administrator_added_for_the_service_run_inside() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/"]);
    for (file, text) in [
        (
            "/etc/tmpfiles.d/run.conf",
            "# ours\nd /run/web 0755 web web\n",
        ),
        (
            "/etc/tmpfiles.d/cache.conf",
            "d /var/tmp/x\nd /var/run/web/sock\n",
        ),
        ("/etc/tmpfiles.d/data.conf", "d /srv/site/up 0755 web web\n"),
        (
            "/etc/tmpfiles.d/host.conf",
            "d /srv/other\nd /run/other\nd /var/lib\n",
        ),
        ("/etc/tmpfiles.d/web.txt", "d /run/web\n"),
        ("/etc/sysusers.d/ours.conf", "u web 33\n"),
        ("/etc/sysusers.d/host.conf", "u other 900\n"),
        ("/srv/site/up/x", ""),
    ] {
        world.file(file, text);
    }
    let settings = [
        ("ExecStart", "/usr/sbin/web"),
        ("User", "web"),
        ("ReadWritePaths", "/srv/site"),
    ];
    world.unit("web.service", &settings);
    let plan = world.plan(&request()).unwrap();
    for (file, expected) in [
        ("/etc/tmpfiles.d/run.conf", "copy node"),
        ("/etc/tmpfiles.d/cache.conf", "copy node"),
        ("/etc/tmpfiles.d/data.conf", "copy node"),
        ("/etc/tmpfiles.d/host.conf", ""),
        ("/etc/tmpfiles.d/web.txt", ""),
        ("/etc/sysusers.d/ours.conf", "copy node"),
        ("/etc/sysusers.d/host.conf", ""),
    ] {
        assert_eq!(fate(&plan, file), expected, "{file}");
    }
}
