//! Containers with users of their own: whose the content is, who gets to it, and that nothing of it
//! is left.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use vss_model::{IdRange, SandboxConfig, Uuid};

use super::world::{Watch, World, name, private, request};
use crate::control::{Control, Observer};
use crate::create::CreateOptions;
use crate::delete::{DeleteOptions, delete};
use crate::error::{Error, Kind};
use crate::inventory;
use crate::outcome::Part;
use crate::removal::{self, Identity};

const PARENT: &str = "var/lib/libvirt/filesystems";

fn config(world: &World, sandbox: &str) -> SandboxConfig {
    world.host().store().load(&name(sandbox)).unwrap()
}

fn users(world: &World, sandbox: &str) -> IdRange {
    config(world, sandbox).private_users.unwrap()
}

fn mode(world: &World, path: &str) -> u32 {
    fs::metadata(world.path(path)).unwrap().permissions().mode() & 0o7777
}

fn remove(world: &World, sandbox: &str, options: DeleteOptions) -> Vec<(Part, String)> {
    let watch = Watch::default();
    let gone = delete(&world.host(), &name(sandbox), &options, &watch.control()).unwrap();
    gone.removes.into_iter().map(|r| (r.part, r.what)).collect()
}

#[test]
fn the_content_belongs_to_the_containers_users_and_they_get_to_it() {
    let world = World::new();
    chown(world.path("etc/demo/demo.conf"), Some(101), Some(101)).unwrap();
    world.create_private("web1").unwrap();
    let users = users(&world, "web1");
    let of = |path: &str| {
        let found = fs::symlink_metadata(world.path(format!("{PARENT}/web1/{path}"))).unwrap();
        (users.inside(found.uid()), users.inside(found.gid()))
    };
    assert_eq!(of("etc/demo/demo.conf"), (Some(101), Some(101)));
    for made in [
        "",
        "etc",
        "usr",
        "etc/machine-id",
        "etc/hosts",
        "etc/systemd",
        "var",
        "root",
        "run",
    ] {
        assert_eq!(of(made), (Some(0), Some(0)), "{made}");
    }
    assert_eq!(mode(&world, PARENT), 0o710);
    let host = world.host();
    assert!(
        host.store()
            .is_admitted(&world.path(PARENT), users)
            .unwrap()
    );
    let reserved = host.store().in_use().unwrap().users;
    assert_eq!(reserved.len(), 1);
    assert_eq!(reserved[0].users, users);
    // what is noted is in the container's terms
    let manifest = host.store().manifest_load(&name("web1")).unwrap().unwrap();
    let file = manifest
        .files
        .iter()
        .find(|f| f.path.to_string() == "/etc/demo/demo.conf");
    assert_eq!(file.map(|f| (f.uid, f.gid)), Some((101, 101)));
}

#[test]
fn two_have_different_users_and_each_leaves_alone() {
    let world = World::new();
    let before = world.snapshot();
    world.create_private("web1").unwrap();
    world.create_private("web2").unwrap();
    world.create("web3").unwrap();
    let (first, second) = (users(&world, "web1"), users(&world, "web2"));
    assert!(!first.overlaps(second));
    let removed = remove(&world, "web1", DeleteOptions::default());
    assert!(removed.contains(&(Part::Access, format!("user {}", first.base()))));
    let range = format!("the users {}-{}", first.base(), first.last());
    assert!(removed.contains(&(Part::Reservation, range)));
    let parent = world.path(PARENT);
    let host = world.host();
    assert!(!host.store().is_admitted(&parent, first).unwrap());
    assert!(host.store().is_admitted(&parent, second).unwrap());
    remove(&world, "web2", DeleteOptions::default());
    assert_eq!(mode(&world, PARENT), 0o700);
    remove(&world, "web3", DeleteOptions::default());
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a_lost_reservation_or_config_keeps_no_access() {
    for lost in [
        "var/lib/libvirt-sandbox/.users",
        "etc/libvirt-sandbox/services/web1.sandbox",
    ] {
        let world = World::new();
        let before = world.snapshot();
        world.create_private("web1").unwrap();
        world.remove(lost);
        let options = DeleteOptions {
            force: true,
            keep_content: false,
        };
        remove(&world, "web1", options);
        assert_eq!(world.snapshot(), before, "{lost}");
    }
}

/// Its content has the label and the users still, and they are let through to it.
#[test]
fn what_a_lost_config_reserved_is_nobody_elses_until_the_sandbox_is_deleted() {
    let world = World::new();
    let before = world.snapshot();
    world.create_private("web1").unwrap();
    let lost = config(&world, "web1");
    world.remove("etc/libvirt-sandbox/services/web1.sandbox");
    let watch = Watch::default();
    crate::recover::recover(&world.host(), &watch.control()).unwrap();
    world.create_private("web2").unwrap();
    let host = world.host();
    let reserved = || {
        let in_use = host.store().in_use().unwrap();
        let labels = in_use.labels.iter().map(|r| r.uuid);
        let addresses = in_use.addresses.iter().map(|r| r.uuid);
        let users = in_use.users.iter().map(|r| r.uuid);
        let all = labels.chain(addresses).chain(users);
        all.filter(|uuid| *uuid == lost.uuid).count()
    };
    assert_eq!(reserved(), 3);
    remove(&world, "web1", DeleteOptions::default());
    assert_eq!(reserved(), 0);
    remove(&world, "web2", DeleteOptions::default());
    assert_eq!(world.snapshot(), before);
}

#[test]
fn users_that_the_host_has_are_not_taken() {
    let world = World::new();
    let plan = crate::create::plan(&world.host(), &private("web1")).unwrap();
    let first = plan.config.private_users.unwrap();
    world.write("etc/subuid", &format!("ann:{}:65536\n", first.last()));
    world.create_private("web1").unwrap();
    assert!(!users(&world, "web1").overlaps(first));
    let asked = |range: String| vss_plan::CreateRequest {
        private_users: Some(range.parse().unwrap()),
        ..private("web2")
    };
    let by_hand = |range: String| {
        let watch = Watch::default();
        world.create_with(&asked(range), CreateOptions::default(), &watch)
    };
    for taken in [first.to_string(), users(&world, "web1").to_string()] {
        let error = by_hand(taken).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
    }
    world.write("etc/group", "root:x:0:\ndemo:x:101:\nfar:x:165000:\n");
    let error = by_hand("100000:65536".to_owned()).unwrap_err();
    assert!(
        error.to_string().contains("/etc/group, far (165000)"),
        "{error}"
    );
    by_hand("165001:65536".to_owned()).unwrap();
}

#[test]
fn a_directory_that_lets_others_in_takes_no_content() {
    let world = World::new();
    fs::create_dir_all(world.path("srv/open")).unwrap();
    fs::set_permissions(world.path("srv/open"), fs::Permissions::from_mode(0o700)).unwrap();
    let mut list = vss_model::Acl::of_mode(0o700);
    list.admit(1000);
    rustix::fs::setxattr(
        world.path("srv/open"),
        vss_model::acl::ACCESS,
        &list.to_bytes(),
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let request = vss_plan::CreateRequest {
        path: Some("/srv/open".parse().unwrap()),
        ..private("web1")
    };
    let before = world.snapshot();
    let watch = Watch::default();
    let error = world
        .create_with(&request, CreateOptions::default(), &watch)
        .unwrap_err();
    assert!(error.to_string().contains("user 1000"), "{error}");
    assert!(
        matches!(error, Error::Store(vss_config::Error::OpenAcl { .. })),
        "{error}"
    );
    assert_eq!(world.snapshot(), before);
}

/// Ends the delete of another sandbox at each step of a verb.
struct Settling<'a>(&'a World);

impl std::fmt::Debug for Settling<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settling")
    }
}

impl Observer for Settling<'_> {
    fn begins(&self, _part: Part) {
        let gone = Identity {
            name: name("gone"),
            uuid: Uuid::from_u128(9),
            content: format!("/{PARENT}/gone").parse().unwrap(),
            host_unit: None,
            stray_unit: None,
            users: None,
        };
        removal::settle(&self.0.host(), &gone).unwrap();
    }

    fn copying(&self, _bytes: u64) {
        self.begins(Part::Content);
    }

    fn copied_all(&self) {
        self.begins(Part::Content);
    }
}

#[test]
fn a_delete_that_ends_meanwhile_opens_no_directory_under_a_create() {
    for request in [request("web1"), private("web1")] {
        for made_before in [true, false] {
            let world = World::new();
            if made_before {
                fs::create_dir_all(world.path(PARENT)).unwrap();
                let open = fs::Permissions::from_mode(0o755);
                fs::set_permissions(world.path(PARENT), open).unwrap();
            }
            let before = world.snapshot();
            let control = Control {
                cancelled: &Watch::default().cancelled,
                observer: &Settling(&world),
            };
            let options = CreateOptions { enable: true };
            crate::create::create(&world.host(), &request, &options, &control).unwrap();
            assert_eq!(mode(&world, PARENT) & 0o707, 0o700);
            remove(&world, "web1", DeleteOptions::default());
            assert_eq!(world.snapshot(), before);
        }
    }
}

#[test]
fn list_and_status_say_what_confines() {
    let world = World::new();
    world.create_private("web1").unwrap();
    world.create("web2").unwrap();
    let users = users(&world, "web1");
    let list = inventory::list(&world.host()).unwrap();
    let shown: Vec<_> = list.iter().map(|l| l.confined.clone().unwrap()).collect();
    assert_eq!(shown, ["userns", "reduced"]);
    assert_eq!(list[0].private_users, Some(users));
    let status = inventory::status(&world.host(), &name("web1")).unwrap();
    let said: Vec<&str> = status.confined_by.iter().map(|p| p.what.as_str()).collect();
    let range = format!("user namespace {}-{}", users.base(), users.last());
    assert!(said[0].starts_with(&range), "{said:?}");
}
