//! What is never copied.

use proptest::prelude::*;
use vss_model::{AbsPath, Disposition, Generated};
use vss_plan::{CreateRequest, Fate, Warning};

use crate::WEB;
use crate::world::{World, fate, path, request};

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
