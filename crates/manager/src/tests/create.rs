//! Creating: whole or not at all.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::world::{Interference, Watch, World, name, private, request};
use crate::create::CreateOptions;
use crate::error::{Error, Kind};
use crate::outcome::Part;

#[test]
fn a_sandbox_is_made_with_all_its_parts() {
    let world = World::new();
    let made = world.create("web1").unwrap();
    let content = "var/lib/libvirt/filesystems/web1";
    assert_eq!(made.content.to_string(), format!("/{content}"));
    assert_eq!(
        world.read(&format!("{content}/etc/demo/extra.conf")),
        "made by a maintainer script\n"
    );
    let parent = fs::metadata(world.path("var/lib/libvirt/filesystems")).unwrap();
    assert_eq!(parent.permissions().mode() & 0o7777, 0o700);
    let unit = world.read("etc/systemd/system/demo@web1.service");
    assert!(unit.contains(&made.uuid.to_string()));
    assert_eq!(
        made.unit_file.to_string(),
        "/etc/systemd/system/demo@web1.service"
    );
    let config = world.host().store().load(&name("web1")).unwrap();
    assert_eq!((config.uuid, &config.label), (made.uuid, &made.label));
    let manifest = world
        .host()
        .store()
        .manifest_load(&name("web1"))
        .unwrap()
        .unwrap();
    let conf = manifest
        .files
        .iter()
        .find(|f| f.path.to_string() == "/etc/demo/demo.conf")
        .unwrap();
    assert_eq!(conf.package.as_ref().unwrap().as_str(), "demo");
    assert!(conf.digest.is_some());
    let labels = world.labels.labels();
    assert!(labels.len() > 5 && labels.values().all(|l| *l == config.file_label));
    assert!(world.host().store().pending().unwrap().is_empty());
    let calls = world.services.as_ref().unwrap().calls();
    assert_eq!(calls.iter().filter(|c| *c == "reload").count(), 1);
}

#[test]
fn a34_the_machine_id_is_the_containers_own() {
    let world = World::new();
    world.create("web1").unwrap();
    let id = world.read("var/lib/libvirt/filesystems/web1/etc/machine-id");
    assert_eq!(id.trim().len(), 32);
    assert_ne!(id, world.read("etc/machine-id"));
}

#[test]
fn a_plan_changes_nothing() {
    let world = World::new();
    let before = world.snapshot();
    let plan = crate::create::plan(&world.host(), &request("web1")).unwrap();
    let facts = crate::create::record_facts(&world.host(), &request("web1")).unwrap();
    assert!(!plan.root.entries.is_empty() && !facts.is_empty());
    assert_eq!(world.snapshot(), before);
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(
        serde_json::from_str::<vss_plan::Facts>(&text).unwrap(),
        facts
    );
}

#[test]
fn a_service_whose_package_is_half_configured_is_refused_by_its_name() {
    let world = World::new();
    let status = world.read("var/lib/dpkg/status");
    let status = status.replace("install ok installed", "install ok half-configured");
    world.write("var/lib/dpkg/status", &status);
    let error = crate::create::plan(&world.host(), &request("web1")).unwrap_err();
    let told = "the package demo, which has demo.service, is half-configured";
    assert!(error.to_string().starts_with(told), "{error}");
}

#[test]
fn a22_a_name_that_is_taken_is_refused() {
    let world = World::new();
    world.create("web1").unwrap();
    let before = world.snapshot();
    let error = world.create("web1").unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(world.snapshot(), before);
    world.create("web2").unwrap();
}

#[test]
fn a22_a_name_that_a_domain_of_libvirt_has_is_refused_by_plan_and_create() {
    let world = World::new();
    let uuid = vss_model::Uuid::from_u128(9);
    let domain = |name: &str| vss_libvirt::DomainInfo {
        name: name.to_owned(),
        uuid,
        active: false,
        label: None,
    };
    world.hypervisor.add(domain("web10"));
    crate::create::plan(&world.host(), &request("web1")).unwrap();
    world.hypervisor.add(domain("web1"));
    let before = world.snapshot();
    let planned = crate::create::plan(&world.host(), &request("web1"));
    for error in [planned.unwrap_err(), world.create("web1").unwrap_err()] {
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.to_string().contains(&uuid.to_string()), "{error}");
        assert!(error.hint().unwrap().contains("dominfo web1"));
    }
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a22_a_directory_of_nobody_is_to_be_moved_and_not_to_be_deleted() {
    let world = World::new();
    world.write("var/lib/libvirt/filesystems/web1/mine", "mine\n");
    let before = world.snapshot();
    let error = world.create("web1").unwrap_err();
    let (path, hint) = ("/var/lib/libvirt/filesystems/web1", error.hint().unwrap());
    assert!(error.to_string().contains(path), "{error}");
    assert!(hint.contains("move") && !hint.contains("delete"), "{hint}");
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a22_content_that_somebody_else_put_there_stays() {
    let world = World::new();
    world.write("srv/box/web1/mine", "mine\n");
    fs::set_permissions(world.path("srv/box"), fs::Permissions::from_mode(0o700)).unwrap();
    let request = vss_plan::CreateRequest {
        path: Some("/srv/box".parse().unwrap()),
        ..request("web1")
    };
    let before = world.snapshot();
    let error = world
        .create_with(&request, CreateOptions::default(), &Watch::default())
        .unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert_eq!(world.snapshot(), before);
    world.remove("srv/box/web1");
    world
        .create_with(&request, CreateOptions::default(), &Watch::default())
        .unwrap();
}

#[test]
fn a56_an_interrupted_create_leaves_nothing_whenever_the_signal_comes() {
    for (request, steps) in [(request("web1"), 8), (private("web1"), 9)] {
        for step in 0..=steps {
            let world = World::new();
            let before = world.snapshot();
            let watch = Watch::at(step, Interference::Cancel);
            match world.create_with(&request, CreateOptions { enable: true }, &watch) {
                Ok(_) => assert_eq!(step, steps),
                Err(error) => {
                    assert!(matches!(error, Error::Undone), "step {step}: {error}");
                    assert_eq!(world.snapshot(), before, "step {step}");
                    world.create("web1").unwrap();
                }
            }
        }
    }
}

#[test]
fn a51_a_refusal_at_any_part_undoes_the_parts_before() {
    for refuse in [
        (|world: &World| world.labels.set_room(Some(0))) as fn(&World),
        |world| world.labels.set_room(Some(7)),
        |world| world.services.as_ref().unwrap().refuse("reload", "no"),
        |world| {
            let services = world.services.as_ref().unwrap();
            services.refuse("enable demo@web1.service", "no");
        },
        // a file where a directory is to be made
        |world| world.write("var/lib/libvirt-sandbox/web1", ""),
        |world| world.write("etc/libvirt-sandbox", ""),
    ] {
        let world = World::new();
        refuse(&world);
        let before = world.snapshot();
        let watch = Watch::default();
        let error = world
            .create_with(&request("web1"), CreateOptions { enable: true }, &watch)
            .unwrap_err();
        let after = world.snapshot();
        if let Error::NotUndone { .. } = error {
            // the reload that undoing needs is refused as well: the next command finishes
            assert_eq!(watch.seen.lock().unwrap().last(), Some(&Part::Unit));
            continue;
        }
        assert_eq!(after, before, "{error}");
    }
}

#[test]
fn a52_many_creates_at_once_and_one_winner_of_a_name() {
    let world = World::new();
    let results: Vec<_> = std::thread::scope(|scope| {
        let world = &world;
        let threads: Vec<_> = (0..20)
            .map(|n| {
                let name = if n % 2 == 0 {
                    "same".to_owned()
                } else {
                    format!("web{n}")
                };
                scope.spawn(move || (name.clone(), world.create(&name)))
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let won = results
        .iter()
        .filter(|(n, r)| n == "same" && r.is_ok())
        .count();
    assert_eq!(won, 1);
    for (name, result) in &results {
        match result {
            Ok(_) => {}
            Err(Error::NameTaken { .. }) => assert_eq!(name, "same"),
            Err(error) => panic!("{name}: {}", error.with_causes()),
        }
    }
    let mut labels: Vec<_> = results
        .iter()
        .filter_map(|(_, r)| r.as_ref().ok().map(|o| o.label.clone()))
        .collect();
    labels.sort();
    labels.dedup();
    assert_eq!(labels.len(), 11);
    assert_eq!(world.host().store().in_use().unwrap().addresses.len(), 11);
    let units = fs::read_dir(world.path("etc/systemd/system"))
        .unwrap()
        .count();
    assert_eq!(units, 11);
}

#[test]
fn a26_a_label_that_was_taken_meanwhile_leads_to_another_plan() {
    let world = World::new();
    let plan = crate::create::plan(&world.host(), &request("web1")).unwrap();
    let categories = plan.config.label.level().categories().clone();
    // another process reserves between the plan and its application: after the plan was read, so
    // the first step of apply is the moment
    let host = world.host();
    let other = name("other");
    let uuid = vss_model::Uuid::from_u128(7);
    host.store()
        .begin::<()>(
            vss_config::Beginning {
                verb: "create".to_owned(),
                name: other.clone(),
                uuid,
                content: "/nowhere/other".parse().unwrap(),
                began: 0,
            },
            &[],
        )
        .unwrap();
    let _lock = host.store().lock(&other, |_| {}).unwrap();
    assert!(
        host.store()
            .reserve_label(&categories, &other, uuid)
            .unwrap()
    );
    let made = world.create("web1").unwrap();
    assert_ne!(made.label, plan.config.label);
}

#[test]
fn a_label_that_may_be_shared_is_in_no_later_creates_way() {
    for level in ["s0", "s0-s0:c0.c1023", "s0:c0.c1023", "s0-s0:c1,c2"] {
        let world = World::new();
        let shared = vss_plan::CreateRequest {
            level: Some(level.parse().unwrap()),
            allow_shared_label: true,
            ..request("web1")
        };
        world
            .create_with(&shared, CreateOptions::default(), &Watch::default())
            .unwrap();
        world.create("web2").unwrap();
        let host = world.host();
        for sandbox in ["web1", "web2"] {
            let config = host.store().load(&name(sandbox)).unwrap();
            assert_eq!(host.store().claim(&config).unwrap(), None, "{level}");
        }
        let labels = host.store().in_use().unwrap().labels;
        let mut reserved = labels.iter().filter(|label| label.name == name("web1"));
        let level: vss_model::Level = level.parse().unwrap();
        assert_eq!(reserved.next().unwrap().categories, *level.clearance());
    }
}

#[test]
fn copies_keep_owner_and_mode() {
    let world = World::new();
    let conf = world.path("etc/demo/demo.conf");
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&conf, Some(101), Some(101)).unwrap();
    world.create("web1").unwrap();
    let copy =
        fs::metadata(world.path("var/lib/libvirt/filesystems/web1/etc/demo/demo.conf")).unwrap();
    assert_eq!(
        (copy.uid(), copy.gid(), copy.mode() & 0o7777),
        (101, 101, 0o640)
    );
}

#[test]
fn a29_a_label_that_the_policy_does_not_know_is_refused_before_any_change() {
    let mut world = World::new();
    let mut labeller = vss_selinux::testing::FakeLabeller::new(vss_selinux::Mode::Enforcing);
    let process_type = labeller.types.process.type_name().to_owned();
    labeller.unknown_types.insert(process_type);
    world.labels = std::sync::Arc::new(labeller);
    let before = world.snapshot();
    let error = world.create("web1").unwrap_err();
    assert!(matches!(error, Error::Selinux(_)), "{error}");
    assert_eq!(world.snapshot(), before);
}

/// A tree may be huge, or on a network that hangs.
#[test]
fn planning_ends_where_it_is_told_to() {
    let world = World::new();
    let rules = crate::rules::load(&world.host()).unwrap();
    let (host, request) = (world.host(), request("web1"));
    let read = |go_on: &dyn Fn() -> crate::Result<()>| {
        crate::reader::read(&host, &request, &rules, &mut vss_plan::Facts::new(), go_on)
    };
    let asked = std::cell::Cell::new(0);
    let count = || {
        asked.set(asked.get() + 1);
        Ok(())
    };
    read(&count).unwrap();
    let all = asked.take();
    for last in [0, all / 2, all - 1] {
        asked.set(0);
        let error = read(&|| {
            count()?;
            if asked.get() > last {
                return Err(Error::Cancelled);
            }
            Ok(())
        });
        assert!(matches!(error, Err(Error::Cancelled)), "{last} of {all}");
    }
}

#[test]
fn a_unit_that_systemd_would_not_load_is_in_the_way_where_it_was_asked_for() {
    let world = World::new();
    let drop_in = "etc/systemd/system/demo.service.d/wants.conf";
    world.write(drop_in, "[Unit]\nWants=broken.service\n");
    let broken = "etc/systemd/system/broken.service";
    world.write(
        broken,
        "[Unit\nDescription=x\n[Service]\nExecStart=/bin/true\n",
    );
    let mut asked = request("web1");
    crate::create::plan(&world.host(), &asked).unwrap();
    asked.units = vec!["broken.service".parse().unwrap()];
    let error = crate::create::plan(&world.host(), &asked).unwrap_err();
    assert!(error.with_causes().contains(broken), "{error}");
}
