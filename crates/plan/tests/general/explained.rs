//! Why a path is what it is, in every spelling that a container has for it.

use vss_plan::Fate;

use crate::WEB;
use crate::world::{World, path, request};

#[test]
fn a_path_is_explained_by_where_its_links_lead() {
    let mut world = World::new();
    world.host.root_links.insert("lib".into(), "usr/lib".into());
    let plan = world.plan(&request()).unwrap();
    for (at, fate, decided) in [
        ("/bin/ls", Fate::Shared, "/usr"),
        ("/lib/systemd/system/web.service", Fate::Shared, "/usr"),
        ("/bin", Fate::Generated, "/bin"),
        ("/var/run", Fate::Generated, "/var/run"),
        ("/var/run/web/pid", Fate::Generated, "/run"),
        ("/var/lock/web", Fate::Generated, "/run"),
        ("/run/x", Fate::Generated, "/run"),
        ("/tmp/x", Fate::Generated, "/tmp"),
        ("/proc/1", Fate::Generated, "/proc"),
        ("/sys/fs/cgroup", Fate::Generated, "/sys"),
        ("/dev/shm", Fate::Generated, "/dev"),
    ] {
        let explained = plan.root.explain(&path(at));
        assert_eq!(explained.fate, fate, "{at}");
        assert_eq!(explained.entry.unwrap().path, path(decided), "{at}");
        let last = explained.chain.last().unwrap();
        assert_eq!(last.path, path(decided), "{at}");
    }
    let chain = plan.root.explain(&path("/bin/ls")).chain;
    assert_eq!(chain[0].path, path("/bin"), "{chain:?}");
}

#[test]
fn the_root_and_what_is_above_a_copy_are_there() {
    let mut world = World::new();
    let listed = [WEB, "/etc/some/where/web.conf"];
    world.package("web", "web", &[], &listed);
    world.package("other", "other", &[], &["/etc/some/where/other.conf"]);
    let plan = world.plan(&request()).unwrap();
    assert_eq!(plan.root.explain(&path("/")).fate, Fate::Generated);
    let above = plan.root.explain(&path("/etc/some"));
    assert_eq!(above.fate, Fate::Generated);
    assert_eq!(above.chain[0].path, path("/etc/some/where/web.conf"));
    assert_eq!(above.entry.unwrap().path, above.chain[0].path);
    for absent in [
        "/etc/some/where/other.conf",
        "/etc/nothing",
        "/home/ann",
        "/srv/x",
    ] {
        assert_eq!(
            plan.root.explain(&path(absent)).fate,
            Fate::Absent,
            "{absent}"
        );
    }
}

#[test]
fn what_is_told_as_json_has_names_so_that_more_can_be_told() {
    let mut world = World::new();
    world.package("web", "web", &[], &[WEB]);
    let plan = world.plan(&request()).unwrap();
    let fields = |value: &serde_json::Value| -> Vec<String> {
        let object = value.as_object().unwrap();
        object.keys().cloned().collect()
    };
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(fields(&json["packages"][0]), ["name", "version"]);
    let json = serde_json::to_value(plan.root.explain(&path("/bin/ls"))).unwrap();
    assert_eq!(fields(&json["chain"][0]), ["cause", "path"]);
}
