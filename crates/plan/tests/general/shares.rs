//! What the host shows to a container, and what it may not.

use vss_model::AbsPath;
use vss_plan::{CreateRequest, Fate, PlanError, Rules};

use crate::WEB;
use crate::world::{World, fate, path, request};

fn with(change: impl Fn(&mut CreateRequest)) -> CreateRequest {
    let mut request = request();
    change(&mut request);
    request
}

fn sharing(paths: &[&str]) -> CreateRequest {
    with(|r| r.share.extend(paths.iter().map(|p| path(p))))
}

/// The one error of a request that is refused, which names all of `words`.
fn refused(world: &World, request: &CreateRequest, words: &[&str]) {
    let error = match world.plan(request) {
        Err(error @ PlanError::UnsuitablePath { .. }) => error.to_string(),
        other => panic!("{words:?}: {other:?}"),
    };
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}

fn pages() -> World {
    let mut world = World::new();
    for file in ["/srv/web/html/page", "/srv/web/secret/s"] {
        world.file(file, "x");
    }
    world
}

#[test]
fn what_is_asked_for_below_a_share_is_refused_and_never_lost() {
    let mut world = pages();
    let option = |change: fn(&mut CreateRequest, AbsPath)| {
        with(|r| {
            r.share.push(path("/srv/web"));
            change(r, path("/srv/web/secret"));
        })
    };
    let both = ["--share /srv/web ", "/srv/web/secret", "path by path"];
    refused(&world, &option(|r, p| r.mask.push(p)), &both);
    refused(&world, &option(|r, p| r.copy.push(p)), &both);
    let rule = "[[rule]]\nwhy = 'because'\nunits = ['w*']\nmask = ['/srv/web/secret']";
    world.rules = Rules::with(&[("r.toml".to_owned(), rule.to_owned())]).unwrap();
    let shown = ["--share /srv/web ", "/srv/web/secret", "rule r.toml"];
    refused(&world, &sharing(&["/srv/web"]), &shown);
}

#[test]
fn a_share_below_what_is_copied_or_kept_out_is_seen() {
    let world = pages();
    for wide in [
        |r: &mut CreateRequest| r.copy.push(path("/srv/web")),
        |r: &mut CreateRequest| r.mask.push(path("/srv/web")),
    ] {
        let plan = world
            .plan(&with(|r| {
                wide(r);
                r.share.push(path("/srv/web/html"));
            }))
            .unwrap();
        assert_eq!(fate(&plan, "/srv/web/html"), "share");
        assert_eq!(plan.config.shared, [path("/srv/web/html")]);
    }
}

#[test]
fn what_packages_list_below_a_share_is_the_hosts() {
    let mut world = World::new();
    let listed = [WEB, "/etc/web/", "/etc/web/web.conf", "/opt/web/x/y"];
    world.package("web", "web", &[], &listed);
    let plan = world.plan(&sharing(&["/etc/web", "/opt/web"])).unwrap();
    assert_eq!(fate(&plan, "/etc/web/web.conf"), "");
    let explained = plan.root.explain(&path("/etc/web/web.conf"));
    assert_eq!(explained.fate, Fate::Shared);
    assert_eq!(explained.entry.unwrap().path, path("/etc/web"));
    let writable = &plan.config.writable;
    assert!(
        !writable.iter().any(|w| w.starts_with(&path("/opt/web"))),
        "{writable:?}"
    );
}

#[test]
fn what_is_made_for_every_container_is_not_covered() {
    let mut world = World::new();
    world.file("/etc/systemd/system/x.service", "");
    let made = ["/etc/systemd/system", "and /etc/systemd/system/"];
    refused(&world, &sharing(&["/etc/systemd/system"]), &made);
    refused(&world, &sharing(&["/root"]), &["/root", "its own"]);
    for made in ["/etc/hosts", "/etc/resolv.conf"] {
        world.file(made, "");
        let words = [&format!("--share {made} "), "its own", "--copy"];
        refused(&world, &sharing(&[made]), &words);
    }
    for needed in ["/etc/passwd", "/etc/systemd/system/default.target"] {
        world.file(needed, "");
        let words = [&format!("--share {needed} "), "needs it"];
        refused(&world, &sharing(&[needed]), &words);
    }
    world.file("/var/spool/x", "");
    assert!(world.plan(&sharing(&["/var/spool"])).is_ok());
}

#[test]
fn a34_no_share_shows_what_the_deny_list_holds() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    for file in [
        "/etc/shadow-",
        "/etc/ssh/ssh_config",
        "/etc/ssh/ssh_host_rsa_key",
        "/etc/ssl/private/others.key",
        "/etc/ssl/private/own.key",
        "/home/ann/.ssh/id",
        "/home/ann/page",
    ] {
        world.file(file, "secret");
    }
    world.file("/etc/web/web.conf", "key /etc/ssl/private/own.key\n");
    for (shared, shown) in [
        ("/etc/shadow", "/etc/shadow"),
        ("/etc/shadow-", "/etc/shadow-"),
        ("/etc/ssh", "/etc/ssh/ssh_host_rsa_key"),
        ("/etc/ssl", "/etc/ssl/private/others.key"),
        ("/etc/ssl/private", "/etc/ssl/private"),
        ("/home", "/home/ann/.ssh"),
    ] {
        let words = [&format!("--share {shared} "), shown, "deny list", "--copy"];
        refused(&world, &sharing(&[shared]), &words);
    }
    for fine in [
        "/etc/ssh/ssh_config",
        "/home/ann/page",
        // the service's own, as its configuration says
        "/etc/ssl/private/own.key",
    ] {
        let plan = world.plan(&sharing(&[fine])).unwrap();
        assert_eq!(plan.config.shared, [path(fine)]);
    }
    let rule = "[[rule]]\nwhy = 'because'\nunits = ['w*']\nshare = ['/etc/ssh', '/srv/absent']";
    world.rules = Rules::with(&[("r.toml".to_owned(), rule.to_owned())]).unwrap();
    let words = ["r.toml", "/etc/ssh ", "/etc/ssh/ssh_host_rsa_key"];
    refused(&world, &request(), &words);
}

#[test]
fn a_path_with_a_link_in_it_is_named_by_where_it_leads() {
    let mut world = pages();
    world.link("/srv/link", "/home/ann");
    world.file("/home/ann/x", "");
    world.file("/run/dbus/socket", "");
    world.file("/usr/bin/ls", "");
    world
        .host
        .root_links
        .insert("data".into(), "srv/web".into());
    for (shared, led_to) in [
        ("/var/run", "/run; each container has its own"),
        ("/var/run/dbus", "/run/dbus; each container has its own"),
        ("/bin/ls", "--share /usr/bin/ls"),
        ("/srv/link", "--share /home/ann"),
        ("/srv/link/x", "--share /home/ann/x"),
        ("/data/html", "--share /srv/web/html"),
    ] {
        refused(&world, &sharing(&[shared]), &[shared, led_to]);
    }
    let copy = with(|r| r.copy.push(path("/var/run/dbus")));
    refused(&world, &copy, &["--copy /var/run/dbus", "/run/dbus;"]);
    let mask = with(|r| r.mask.push(path("/srv/link/x")));
    refused(&world, &mask, &["--mask /srv/link/x", "--mask /home/ann/x"]);
    let file = with(|r| r.copy.push(path("/usr/bin/ls")));
    refused(&world, &file, &["--copy /usr/bin/ls", "only a directory"]);
    // a link itself can be copied
    assert!(
        world
            .plan(&with(|r| r.copy.push(path("/srv/link"))))
            .is_ok()
    );
}

#[test]
fn two_options_for_one_path_are_refused() {
    let world = pages();
    let error = world
        .plan(&with(|r| {
            r.copy.push(path("/srv/web"));
            r.mask.push(path("/srv/web"));
        }))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "--copy and --mask both name /srv/web; drop one of them"
    );
}

#[test]
fn what_the_config_could_not_be_read_with_is_refused_before_it_is_made() {
    let mut world = pages();
    world.directory("/var/lib/libvirt", 0);
    let content = "/var/lib/libvirt/filesystems/box";
    for shared in ["/var/lib", "/var/lib/libvirt", "/srv"] {
        let request = with(|r| {
            r.share.push(path(shared));
            r.path = (shared == "/srv").then(|| path("/srv/boxes"));
        });
        let at = if shared == "/srv" {
            "/srv/boxes/box"
        } else {
            content
        };
        let error = world.plan(&request).unwrap_err().to_string();
        assert!(error.contains(&format!("--share {shared} ")), "{error}");
        assert!(error.contains(at) || error.contains("deny list"), "{error}");
    }
}
