//! Where links and what files name lead, and where that ends.

use vss_plan::{Fate, Warning};

use crate::WEB;
use crate::world::{World, path, request};

/// A service whose data has links to elsewhere.
fn with_links_out() -> World {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/var/lib/web/", "/var/log/web/"]);
    world.package("other", "other", &[], &["/var/lib/other/"]);
    for (link, target) in [
        ("space", "/srv/space"),
        ("hop", "/srv/hop"),
        ("inside", "space"),
        ("disk", "/data/disk"),
        ("gone", "/srv/gone"),
        ("key", "/etc/ssl/private/x.key"),
        ("other", "/var/lib/other/data"),
        ("home", "/home/ann/letters"),
        ("masked", "/srv/masked"),
        ("log", "/var/log/web"),
        ("usr", "/usr/share/web"),
        ("loop", "/srv/loop"),
    ] {
        world.link(&format!("/var/lib/web/{link}"), target);
    }
    world.link("/srv/hop", "/srv/end");
    world.link("/srv/loop", "/srv/loop");
    world.link("/srv/space/more", "/srv/more");
    for file in [
        "/srv/space/a",
        "/srv/end/a",
        "/srv/more/a",
        "/srv/masked/a",
        "/data/disk/a",
        "/etc/ssl/private/x.key",
        "/var/lib/other/data",
        "/home/ann/letters/a",
    ] {
        world.file(file, "x");
    }
    world
}

fn told_links(plan: &vss_plan::SandboxPlan) -> Vec<String> {
    let link = |w: &Warning| match w {
        Warning::LinkLeft { link, .. } => Some(link.to_string()),
        _ => None,
    };
    plan.warnings.iter().filter_map(link).collect()
}

#[test]
fn links_of_data_bring_more_data_of_the_service_and_what_they_miss_is_told() {
    let mut request = request();
    request.mask = vec![path("/srv/masked")];
    let plan = with_links_out().plan(&request).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    for taken in ["/srv/space/a", "/srv/hop", "/srv/end/a", "/srv/more/a"] {
        assert_eq!(fate(taken), Fate::Private, "{taken}");
    }
    for left in [
        "/srv/masked/a",
        "/data/disk/a",
        "/etc/ssl/private/x.key",
        "/var/lib/other/data",
        "/home/ann/letters/a",
    ] {
        assert_ne!(fate(left), Fate::Private, "{left}");
    }
    let told = ["disk", "home", "key", "masked", "other"];
    assert_eq!(
        told_links(&plan),
        told.map(|link| format!("/var/lib/web/{link}"))
    );
    let disk = "/var/lib/web/disk leads to /data/disk, which is not there inside: \
                nothing is taken from there but with --copy /data/disk";
    assert!(plan.warnings.iter().any(|w| w.to_string() == disk));
}

#[test]
fn a_directory_of_data_that_is_a_link_to_nowhere_inside_is_told() {
    let mut world = World::new();
    world.link("/var/lib/web", "/data/web");
    world.package("web", "web", &[], &[WEB, "/var/lib/web"]);
    world.file("/data/web/a", "x");
    let plan = world.plan(&request()).unwrap();
    assert_eq!(told_links(&plan), ["/var/lib/web"]);
    let mut request = request();
    request.copy = vec![path("/data/web")];
    let plan = world.plan(&request).unwrap();
    assert_eq!(told_links(&plan), [""; 0]);
}

#[test]
fn any_number_of_links_and_links_that_lead_on_and_on_end() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/var/lib/web/"]);
    world.link("/var/lib/web/next", "/srv/0");
    for n in 0..40 {
        world.link(&format!("/srv/{n}/next"), &format!("/srv/{}", n + 1));
    }
    for n in 0..40 {
        world.link(&format!("/var/lib/web/{n}"), &format!("/data/{n}"));
        world.file(&format!("/data/{n}"), "");
    }
    let plan = world.plan(&request()).unwrap();
    assert_eq!(told_links(&plan).len(), 17);
    let more = Warning::LinksLeft {
        path: path("/var/lib/web"),
        count: 24,
    };
    assert!(plan.warnings.contains(&more), "{:?}", plan.warnings);
}

#[test]
fn a_file_that_names_more_than_is_followed_is_told() {
    let names = |from: usize, count: usize| -> String {
        let line = |n| format!("/etc/many/{n:06}\n");
        (from..from + count).map(line).collect()
    };
    let told = |files: &[(&str, String)]| -> Vec<String> {
        let mut world = World::new();
        world.package("web", "web", &[], &[WEB, "/etc/web/"]);
        for (name, text) in files {
            world.file(&format!("/etc/web/{name}"), text);
        }
        let plan = world.plan(&request()).unwrap();
        let texts = plan.warnings.iter().map(ToString::to_string);
        texts.filter(|w| w.contains("not followed")).collect()
    };
    assert_eq!(told(&[("a", names(0, 4096))]), [""; 0]);
    let more = told(&[("a", names(0, 4097))]);
    assert!(
        more.len() == 1 && more[0].starts_with("/etc/web/a names more than 4096 paths"),
        "{more:?}"
    );
    let files = [
        ("a", names(0, 4096)),
        ("b", names(4096, 4096)),
        ("c", names(8192, 9)),
    ];
    let more = told(&files);
    assert!(
        more.len() == 1 && more[0].contains("from /etc/web/c on"),
        "{more:?}"
    );
}
