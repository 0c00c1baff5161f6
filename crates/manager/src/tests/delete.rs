//! Deleting: all that is the sandbox's, from any state, and nothing else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::world::{Watch, World, name};
use crate::delete::{DeleteOptions, delete, plan};
use crate::error::{Error, Kind, Result};
use crate::lifecycle::Stop;
use crate::outcome::{DeleteOutcome, Part};

const CONTENT: &str = "var/lib/libvirt/filesystems/web1";
const CONFIG: &str = "etc/libvirt-sandbox/services/web1.sandbox";
const UNIT: &str = "etc/systemd/system/demo@web1.service";
const LINK: &str = "etc/systemd/system/multi-user.target.wants/demo@web1.service";
const MEMORY: &str = "var/lib/libvirt-sandbox/web1";

const FORCE: DeleteOptions = DeleteOptions {
    force: true,
    keep_content: false,
};

fn run(world: &World, options: DeleteOptions) -> Result<DeleteOutcome> {
    let watch = Watch::default();
    delete(&world.host(), &name("web1"), &options, &watch.control())
}

fn enable(world: &World) {
    let link = world.path(LINK);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("/etc/systemd/system/demo@web1.service", link).unwrap();
}

#[test]
fn after_create_and_delete_the_host_is_what_it_was() {
    let world = World::new();
    let before = world.snapshot();
    world.create("web1").unwrap();
    enable(&world);
    let planned = plan(&world.host(), &name("web1"), &DeleteOptions::default()).unwrap();
    let parts: Vec<Part> = planned.removes.iter().map(|r| r.part).collect();
    for part in [
        Part::Enablement,
        Part::Unit,
        Part::Content,
        Part::Manifest,
        Part::Reservation,
        Part::Config,
    ] {
        assert!(parts.contains(&part), "{part:?} of {parts:?}");
    }
    let gone = run(&world, DeleteOptions::default()).unwrap();
    assert_eq!(gone, planned);
    assert_eq!(world.snapshot(), before);
    let calls = world.services.as_ref().unwrap().calls();
    let at = |call: &str| calls.iter().rposition(|c| c == call).unwrap();
    assert!(at("disable demo@web1.service") < at("reload"));
    let error = run(&world, DeleteOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn content_below_a_link_is_one_place_and_told_once() {
    let world = World::new();
    let libvirt = world.path("var/lib/libvirt");
    fs::create_dir_all(&libvirt).unwrap();
    fs::create_dir_all(world.path("data")).unwrap();
    fs::rename(&libvirt, world.path("data/libvirt")).unwrap();
    symlink("../../data/libvirt", &libvirt).unwrap();
    let before = world.snapshot();
    world.create("web1").unwrap();
    assert!(world.exists("data/libvirt/filesystems/web1/etc"));
    let gone = run(&world, DeleteOptions::default()).unwrap();
    let content = gone.removes.iter().filter(|r| r.part == Part::Content);
    let told: Vec<&str> = content.map(|r| r.what.as_str()).collect();
    assert_eq!(told, ["/data/libvirt/filesystems/web1"]);
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a_unit_that_failed_is_not_left_as_failed() {
    let world = World::new();
    world.create("web1").unwrap();
    let services = std::sync::Arc::clone(world.services.as_ref().unwrap());
    let unit = "demo@web1.service".parse().unwrap();
    services.end_jobs_with(&unit, vss_unit::JobResult::Failed);
    let watch = Watch::default();
    crate::lifecycle::start(&world.host(), &name("web1"), &watch.control()).unwrap_err();
    run(&world, DeleteOptions::default()).unwrap();
    let calls = services.calls();
    let at = |call: &str| calls.iter().rposition(|c| c == call).unwrap();
    assert!(at("reload") < at("reset-failed demo@web1.service"));
}

#[test]
fn a48_any_half_of_a_sandbox_is_deleted() {
    // each bit takes one part away
    for missing in 0..64u32 {
        let world = World::new();
        let before = world.snapshot();
        world.create("web1").unwrap();
        enable(&world);
        let gone = |bit: u32| missing & (1 << bit) != 0;
        if gone(0) {
            world.remove(CONTENT);
        }
        if gone(1) {
            fs::remove_file(world.path(CONFIG)).unwrap();
        }
        if gone(2) {
            fs::remove_file(world.path(UNIT)).unwrap();
        }
        if gone(3) {
            world.remove(MEMORY);
        }
        if gone(4) {
            world.remove("etc/systemd/system/multi-user.target.wants");
        }
        if gone(5) {
            let uuid = world.host().store().in_use().unwrap().labels[0].uuid;
            world.host().store().release(uuid).unwrap();
        }
        let nothing_tells = gone(0) && gone(1) && gone(3) && gone(5);
        // as --keep-content leaves it, so it has to be asked for
        let only_content = !gone(0) && gone(1) && gone(2) && gone(3) && gone(5);
        if only_content {
            let error = run(&world, DeleteOptions::default()).unwrap_err();
            assert!(matches!(error, Error::OnlyContent { .. }), "{error}");
            assert!(world.exists(CONTENT));
        }
        match run(
            &world,
            if only_content {
                FORCE
            } else {
                DeleteOptions::default()
            },
        ) {
            Err(Error::NoSandbox { .. }) if nothing_tells => continue,
            other => drop(other.unwrap_or_else(|e| panic!("{missing:06b}: {}", e.with_causes()))),
        }
        let mut after = world.snapshot();
        // a link of a unit that no config names and no file carries can't be told to be ours
        if gone(1) && gone(2) && !gone(4) {
            after.retain(|line| !line.starts_with("etc/systemd/system/multi-user.target.wants"));
        }
        assert_eq!(after, before, "{missing:06b}");
    }
}

#[test]
fn a22_what_does_not_carry_the_uuid_stays() {
    let world = World::new();
    world.create("web1").unwrap();
    // the administrator has put files of their own in the places
    fs::write(world.path(UNIT), "[Service]\nExecStart=/bin/true\n").unwrap();
    world.remove(CONTENT);
    world.write(&format!("{CONTENT}/mine"), "mine\n");
    enable(&world);
    let gone = run(&world, DeleteOptions::default()).unwrap();
    assert_eq!(gone.keeps.len(), 2, "{:?}", gone.keeps);
    assert!(world.exists(UNIT) && world.exists(LINK));
    assert_eq!(world.read(&format!("{CONTENT}/mine")), "mine\n");
    assert!(!world.exists(CONFIG) && !world.exists(MEMORY));
}

#[test]
fn drop_ins_of_the_host_unit_are_the_administrator_s_and_stay() {
    let world = World::new();
    world.create("web1").unwrap();
    let drop_in = format!("{UNIT}.d/limits.conf");
    world.write(&drop_in, "[Service]\nRestart=on-failure\n");
    let gone = run(&world, DeleteOptions::default()).unwrap();
    assert_eq!(gone.keeps.len(), 1, "{:?}", gone.keeps);
    assert!(gone.keeps[0].path.to_string().ends_with(".service.d"));
    assert!(world.exists(&drop_in) && !world.exists(UNIT));
}

#[test]
fn a12_a_hostile_tree_is_deleted_and_what_it_points_to_stays() {
    let world = World::new();
    let before = world.snapshot();
    world.create("web1").unwrap();
    // the container has run: /etc is a link to the host's, and more of the kind
    let inside = |path: &str| world.path(format!("{CONTENT}/{path}"));
    world.remove(&format!("{CONTENT}/etc"));
    symlink(world.path("etc"), inside("etc")).unwrap();
    symlink("/", inside("var/root")).unwrap();
    let mut deep = inside("var/deep");
    for _ in 0..200 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    fs::hard_link(world.path("etc/passwd"), inside("var/passwd")).unwrap();
    run(&world, DeleteOptions::default()).unwrap();
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a01_content_that_is_a_link_is_not_followed() {
    let world = World::new();
    world.create("web1").unwrap();
    world.write("srv/victim/data", "precious\n");
    world.remove(CONTENT);
    symlink(world.path("srv/victim"), world.path(CONTENT)).unwrap();
    let gone = run(&world, DeleteOptions::default()).unwrap();
    assert_eq!(gone.keeps.len(), 1);
    assert_eq!(world.read("srv/victim/data"), "precious\n");
}

#[test]
fn the_network_goes_with_the_last_sandbox() {
    use vss_libvirt::Networks;
    let world = World::new();
    world.create("web1").unwrap();
    world.create("web2").unwrap();
    let own = vss_model::NetworkChoice::OWN;
    world.networks.ensure(own, "/x".as_ref()).unwrap();
    run(&world, DeleteOptions::default()).unwrap();
    assert!(world.networks.info(own).unwrap().is_some());
    let watch = Watch::default();
    let options = DeleteOptions::default();
    delete(&world.host(), &name("web2"), &options, &watch.control()).unwrap();
    assert!(world.networks.info(own).unwrap().is_none());
}

#[test]
fn a15_content_can_be_kept_and_stays_out_of_reach() {
    let world = World::new();
    fs::create_dir_all(world.path("var/lib/libvirt/filesystems")).unwrap();
    world.create("web1").unwrap();
    let options = DeleteOptions {
        keep_content: true,
        ..DeleteOptions::default()
    };
    run(&world, options).unwrap();
    assert!(world.exists(&format!("{CONTENT}/etc/demo/demo.conf")));
    assert!(!world.exists(CONFIG) && !world.exists(UNIT) && !world.exists(MEMORY));
    // a setuid program in it stays out of reach, also when another sandbox goes
    let mode = || {
        let parent = world.path("var/lib/libvirt/filesystems");
        fs::metadata(parent).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!(mode(), 0o700);
    world.create("web2").unwrap();
    let watch = Watch::default();
    let options = DeleteOptions::default();
    delete(&world.host(), &name("web2"), &options, &watch.control()).unwrap();
    assert_eq!(mode(), 0o700);
}

#[test]
fn content_that_was_kept_goes_only_when_that_is_said() {
    let world = World::new();
    let before = world.snapshot();
    world.create("web1").unwrap();
    let keep = DeleteOptions {
        keep_content: true,
        ..DeleteOptions::default()
    };
    run(&world, keep).unwrap();
    let kept = world.snapshot();
    let host = world.host();
    for error in [
        run(&world, DeleteOptions::default()).unwrap_err(),
        plan(&host, &name("web1"), &DeleteOptions::default()).unwrap_err(),
        world.create("web1").unwrap_err(),
    ] {
        assert!(matches!(error, Error::OnlyContent { .. }), "{error}");
        assert_eq!(error.kind(), Kind::Conflict);
        let hint = error.hint().unwrap();
        assert!(hint.contains("/var/lib/libvirt/filesystems/web1"), "{hint}");
        assert!(hint.contains("delete --force web1"), "{hint}");
        assert_eq!(world.snapshot(), kept);
    }
    // once more is no error, and takes nothing
    run(&world, keep).unwrap();
    assert_eq!(world.snapshot(), kept);
    run(&world, FORCE).unwrap();
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a_config_edited_into_nonsense_can_be_deleted() {
    let world = World::new();
    let before = world.snapshot();
    world.create("web1").unwrap();
    world.write(CONFIG, "nonsense\n");
    let kept = run(&world, DeleteOptions::default()).unwrap();
    assert_eq!(kept.keeps.len(), 1);
    assert_eq!(kept.keeps[0].part, Part::Config);
    assert!(world.exists(CONFIG) && !world.exists(CONTENT));
    run(&world, FORCE).unwrap();
    assert_eq!(world.snapshot(), before);
}

/// What the hint on a config that makes no sense says to run does remove the sandbox.
#[test]
fn a_config_that_makes_no_sense_says_once_what_to_run_and_that_works() {
    for text in ["nonsense\n", "", "version = 1\n"] {
        let world = World::new();
        let before = world.snapshot();
        world.create("web1").unwrap();
        world.write(CONFIG, text);
        fs::set_permissions(world.path(CONFIG), fs::Permissions::from_mode(0o600)).unwrap();
        let listed = crate::inventory::list(&world.host()).unwrap();
        let problem = listed[0].problem.clone().unwrap();
        let removes = problem.matches("delete --force web1").count();
        assert!(
            removes == 1 && problem.contains("mend the file"),
            "{problem}"
        );
        run(&world, FORCE).unwrap();
        assert_eq!(world.snapshot(), before, "{text:?}");
    }
}

/// What is no file of this program's is not read, and a delete does not stop half way for it.
#[test]
fn a_config_that_is_no_file_goes_alone_and_only_when_that_is_said() {
    let world = World::new();
    world.create("web2").unwrap();
    let before = world.snapshot();
    let link = world.path(CONFIG);
    let pending = || world.host().store().pending().unwrap();
    symlink("web2.sandbox", &link).unwrap();
    let kept = run(&world, DeleteOptions::default()).unwrap();
    assert_eq!(kept.keeps[0].part, Part::Config);
    assert!(link.is_symlink() && pending().is_empty());
    let gone = run(&world, FORCE).unwrap();
    assert!(gone.keeps.is_empty(), "{:?}", gone.keeps);
    assert!(pending().is_empty());
    assert_eq!(world.snapshot(), before);
    // a directory has more in it than a config
    fs::create_dir(&link).unwrap();
    let kept = run(&world, FORCE).unwrap();
    assert!(kept.keeps[0].why.contains("directory"), "{:?}", kept.keeps);
    assert!(link.is_dir() && pending().is_empty());
}

#[test]
fn a_manifest_that_can_not_be_told_to_be_ours_stays() {
    for lay in [
        (|world| world.write(&format!("{MEMORY}/manifest"), "{\"version\":99}")) as fn(&World),
        |world| {
            let manifest = world.path(format!("{MEMORY}/manifest"));
            fs::remove_file(&manifest).unwrap();
            symlink("/etc/passwd", &manifest).unwrap();
        },
    ] {
        let world = World::new();
        world.create("web1").unwrap();
        lay(&world);
        let gone = run(&world, DeleteOptions::default()).unwrap();
        let kept: Vec<Part> = gone.keeps.iter().map(|k| k.part).collect();
        assert_eq!(kept, [Part::Manifest]);
        assert!(gone.removes.iter().all(|r| r.part != Part::Manifest));
        assert!(world.exists(&format!("{MEMORY}/manifest")) && !world.exists(CONFIG));
        assert!(world.host().store().pending().unwrap().is_empty());
    }
}

fn edit(world: &World, from: &str, to: &str) {
    let sound = world.read(CONFIG);
    assert!(sound.contains(from), "{sound}");
    world.write(CONFIG, &sound.replace(from, to));
}

#[test]
fn what_an_edit_of_the_config_hides_goes_too() {
    for (from, to) in [
        ("demo@web1.service", "other@web1.service"),
        ("/var/lib/libvirt/filesystems/web1", "/srv/box/web1"),
    ] {
        let world = World::new();
        let before = world.snapshot();
        world.create("web1").unwrap();
        enable(&world);
        edit(&world, from, to);
        let planned = plan(&world.host(), &name("web1"), &DeleteOptions::default()).unwrap();
        let shown: Vec<_> = planned.removes.iter().map(|r| r.what.as_str()).collect();
        for path in [CONTENT, UNIT, LINK] {
            assert!(shown.contains(&format!("/{path}").as_str()), "{shown:?}");
        }
        run(&world, DeleteOptions::default()).unwrap();
        assert_eq!(world.snapshot(), before, "{to}");
    }
}

/// A config may have been edited to name a unit of a package, which is enabled by such links.
#[test]
fn a22_the_unit_of_a_package_is_neither_disabled_nor_stopped() {
    let world = World::new();
    world.create("web1").unwrap();
    let theirs = "etc/systemd/system/multi-user.target.wants/demo.service";
    fs::create_dir_all(world.path(theirs).parent().unwrap()).unwrap();
    symlink("/lib/systemd/system/demo.service", world.path(theirs)).unwrap();
    let services = world.services.as_ref().unwrap();
    services.set(
        &"demo.service".parse().unwrap(),
        vss_unit::UnitStatus {
            active: vss_model::InnerState::Active,
            ..vss_unit::testing::inactive_unit()
        },
    );
    edit(&world, "demo@web1.service", "demo.service");
    let host = world.host();
    let found = crate::traces::find(&host, &name("web1")).unwrap().unwrap();
    let watch = Watch::default();
    crate::lifecycle::halt(
        &host,
        &found.identity,
        None,
        Stop::Graceful,
        &watch.control(),
    )
    .unwrap();
    run(&world, DeleteOptions::default()).unwrap();
    assert!(world.exists(theirs) && !world.exists(UNIT));
    let calls = services.calls();
    assert!(
        !calls.iter().any(|c| c.ends_with(" demo.service")),
        "{calls:?}"
    );
}

#[test]
fn nothing_is_said_to_go_that_stays() {
    let world = World::new();
    world.create("web1").unwrap();
    let uuid = world.host().store().load(&name("web1")).unwrap().uuid;
    let other = vss_model::Uuid::from_u128(99);
    edit(&world, &uuid.to_string(), &other.to_string());
    let gone = run(&world, DeleteOptions::default()).unwrap();
    let parts: Vec<Part> = gone.removes.iter().map(|r| r.part).collect();
    assert_eq!(parts, [Part::Config]);
    let kept: Vec<Part> = gone.keeps.iter().map(|k| k.part).collect();
    assert_eq!(kept, [Part::Unit, Part::Content, Part::Manifest]);
    assert!(world.exists(MEMORY) && world.exists(CONTENT) && world.exists(UNIT));
    // what is left tells its UUID to the next one
    run(&world, DeleteOptions::default()).unwrap();
    assert!(!world.exists(MEMORY) && !world.exists(CONTENT) && !world.exists(UNIT));
}
