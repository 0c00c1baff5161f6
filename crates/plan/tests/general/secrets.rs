//! What is never copied.

use proptest::prelude::*;
use vss_model::{AbsPath, Disposition, Generated};
use vss_plan::{CreateRequest, Fate, Warning};

use crate::WEB;
use crate::world::{World, fate, path, request, step};

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

#[test]
fn a34_what_is_available_and_not_enabled_names_no_secret() {
    const KEY: &str = "/etc/ssl/private/site.key";
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    world.file(
        "/etc/web/sites-available/tls.conf",
        "key /etc/ssl/private/site.key\n",
    );
    world.file(KEY, "secret");
    let plan = world.plan(&request()).unwrap();
    assert_eq!(fate(&plan, "/etc/web"), "copy tree");
    assert_eq!(plan.root.explain(&path(KEY)).fate, Fate::Absent);
    world.link(
        "/etc/web/sites-enabled/tls.conf",
        "../sites-available/tls.conf",
    );
    let plan = world.plan(&request()).unwrap();
    assert_eq!(plan.root.explain(&path(KEY)).fate, Fate::Private);
}

#[test]
fn a34_what_is_kept_out_names_no_secret_and_a_secret_kept_out_is_not_told_as_copied() {
    const KEY: &str = "/etc/ssl/private/site.key";
    let mut world = World::new();
    let listed = [
        WEB,
        "/etc/web/",
        "/etc/web/snippets/",
        "/etc/web/snippets/tls.conf",
    ];
    world.package("web", "web", &[], &listed);
    world.file(
        "/etc/web/snippets/tls.conf",
        "key /etc/ssl/private/site.key\n",
    );
    world.file(KEY, "secret");
    let key_and_warning = |option: fn(&mut CreateRequest, AbsPath), at: &str| {
        let mut request = request();
        option(&mut request, path(at));
        let plan = world.plan(&request).unwrap();
        let told = plan
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::OwnSecret { .. }));
        (plan.root.explain(&path(KEY)).fate, told)
    };
    let mask = |r: &mut CreateRequest, p| r.mask.push(p);
    let share = |r: &mut CreateRequest, p| r.share.push(p);
    assert_eq!(key_and_warning(|_, _| (), "/"), (Fate::Private, true));
    for naming in [
        "/etc/web",
        "/etc/web/snippets",
        "/etc/web/snippets/tls.conf",
    ] {
        let found = key_and_warning(mask, naming);
        assert_eq!(found, (Fate::Absent, false), "--mask {naming}");
    }
    for holding in ["/etc/ssl", "/etc/ssl/private", KEY] {
        let found = key_and_warning(mask, holding);
        assert_eq!(found, (Fate::Masked, false), "--mask {holding}");
    }
    for holding in ["/etc/ssl", KEY] {
        let found = key_and_warning(share, holding);
        assert_eq!(found, (Fate::Shared, false), "--share {holding}");
    }
}

/// A host whose service names links to keys, as certbot keeps them, and what is copied of it.
fn with_linked_keys() -> World {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB, "/etc/web/", "/etc/web/web.conf"]);
    world.file(
        "/etc/web/web.conf",
        "key /etc/letsencrypt/live/x/privkey.pem\ncert /etc/ssl/private/two.pem\n\
         loop /etc/ssl/private/loop\n",
    );
    for (link, target) in [
        (
            "/etc/letsencrypt/live/x/privkey.pem",
            "../../archive/x/privkey1.pem",
        ),
        (
            "/etc/letsencrypt/live/y/privkey.pem",
            "../../archive/y/privkey1.pem",
        ),
        ("/etc/ssl/private/two.pem", "hop.pem"),
        ("/etc/ssl/private/hop.pem", "/etc/pki/tls/private/end.pem"),
        ("/etc/ssl/private/loop", "pool"),
        ("/etc/ssl/private/pool", "loop"),
    ] {
        world.link(link, target);
    }
    for key in [
        "/etc/letsencrypt/archive/x/privkey1.pem",
        "/etc/letsencrypt/archive/y/privkey1.pem",
        "/etc/pki/tls/private/end.pem",
        "/etc/pki/tls/private/others.pem",
    ] {
        world.file(key, "secret");
    }
    world
}

#[test]
fn a34_a_secret_that_is_named_by_a_link_comes_with_what_the_link_leads_to() {
    let plan = with_linked_keys().plan(&request()).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    for own in [
        "/etc/letsencrypt/live/x/privkey.pem",
        "/etc/letsencrypt/archive/x/privkey1.pem",
        "/etc/ssl/private/two.pem",
        "/etc/ssl/private/hop.pem",
        "/etc/pki/tls/private/end.pem",
        "/etc/ssl/private/loop",
    ] {
        assert_eq!(fate(own), Fate::Private, "{own}");
    }
    for others in [
        "/etc/letsencrypt/live/y/privkey.pem",
        "/etc/letsencrypt/archive/y/privkey1.pem",
        "/etc/pki/tls/private/others.pem",
    ] {
        assert_ne!(fate(others), Fate::Private, "{others}");
    }
    let chain = plan
        .root
        .explain(&path("/etc/pki/tls/private/end.pem"))
        .chain;
    let told: Vec<String> = chain.iter().map(step).collect();
    for step in [
        "/etc/pki/tls/private/end.pem: /etc/ssl/private/hop.pem links to it",
        "/etc/ssl/private/hop.pem: /etc/ssl/private/two.pem links to it",
        "/etc/ssl/private/two.pem: named in /etc/web/web.conf",
    ] {
        assert!(told.iter().any(|t| t == step), "{step} of {told:#?}");
    }
}

#[test]
fn a34_a_link_to_a_secret_that_the_user_asks_for_comes_with_it() {
    let mut request = request();
    request.copy = vec![path("/etc/letsencrypt/live/y/privkey.pem")];
    let plan = with_linked_keys().plan(&request).unwrap();
    let key = plan
        .root
        .explain(&path("/etc/letsencrypt/archive/y/privkey1.pem"));
    assert_eq!(key.fate, Fate::Private);
}

#[test]
fn a34_a_link_that_is_kept_out_names_no_secret() {
    const KEY: &str = "/etc/pki/tls/private/others.pem";
    let mut world = with_linked_keys();
    world.link("/etc/ssl/private/others.pem", KEY);
    let mut request = request();
    request.copy = vec![path("/etc/ssl")];
    let plan = world.plan(&request).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    assert_eq!(fate("/etc/ssl/private/others.pem"), Fate::Masked);
    assert_ne!(fate(KEY), Fate::Private);
    // the service's own is in the tree that is taken, and what it leads to is not
    assert_eq!(fate("/etc/pki/tls/private/end.pem"), Fate::Private);
}

#[test]
fn a34_a_secret_that_the_unit_names_is_the_services_own() {
    let mut world = with_linked_keys();
    world.unit(
        "web.service",
        &[
            ("ExecStart", "/usr/sbin/web"),
            ("ExecStart", "/etc/ssl/private/argument.key"),
            ("LoadCredential", "/etc/letsencrypt/live/y/privkey.pem"),
            ("ConditionPathExists", "/etc/web.keytab"),
            ("InaccessiblePaths", "/etc/ssl/private/kept-from-it.key"),
            ("ReadWritePaths", "/etc"),
        ],
    );
    for key in [
        "/etc/ssl/private/argument.key",
        "/etc/ssl/private/kept-from-it.key",
        "/etc/ssl/private/others.key",
        "/etc/web.keytab",
        "/etc/krb5.keytab",
    ] {
        world.file(key, "secret");
    }
    let plan = world.plan(&request()).unwrap();
    let fate = |at: &str| plan.root.explain(&path(at)).fate;
    for own in [
        "/etc/ssl/private/argument.key",
        "/etc/letsencrypt/live/y/privkey.pem",
        "/etc/letsencrypt/archive/y/privkey1.pem",
        "/etc/web.keytab",
    ] {
        assert_eq!(fate(own), Fate::Private, "{own}");
    }
    for others in [
        "/etc/ssl/private/kept-from-it.key",
        "/etc/ssl/private/others.key",
        "/etc/krb5.keytab",
    ] {
        assert_ne!(fate(others), Fate::Private, "{others}");
    }
    let named_by = "LoadCredential= of web.service".to_owned();
    let key = path("/etc/letsencrypt/live/y/privkey.pem");
    let told = Warning::OwnSecret {
        path: key,
        named_by,
    };
    assert!(plan.warnings.contains(&told), "{:?}", plan.warnings);
}

#[test]
fn a34_a_link_that_the_service_may_have_made_names_no_secret() {
    const KEY: &str = "/etc/ssl/private/others.key";
    let fate_of_key = |uid: u32, mode: u32, copy_data: bool| {
        let mut world = World::new();
        let listed = [WEB, "/etc/web/", "/etc/web/web.conf", "/var/lib/web/"];
        world.package("web", "web", &[], &listed);
        world.file("/etc/web/web.conf", "key /var/lib/web/tls/own.key\n");
        world.directory("/var/lib/web/tls", uid);
        world.modes.insert(path("/var/lib/web/tls"), mode);
        world.link("/var/lib/web/tls/own.key", KEY);
        world.file(KEY, "secret");
        let mut request = request();
        request.copy_data = copy_data;
        world.plan(&request).unwrap().root.explain(&path(KEY)).fate
    };
    for copy_data in [true, false] {
        assert_eq!(fate_of_key(0, 0o755, copy_data), Fate::Private);
        assert_ne!(fate_of_key(33, 0o755, copy_data), Fate::Private);
        assert_ne!(fate_of_key(0, 0o775, copy_data), Fate::Private);
    }
}
