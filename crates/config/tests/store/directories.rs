//! The directories of the store: who may enter them, and when they go.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::FlockOperation;
use vss_config::Error;
use vss_model::Uuid;

use crate::world::{NONE, World, beginning, config, mode, name, network, root_only, set, world};

fn done<T>(what: T) -> vss_config::Result<T> {
    Ok(what)
}

/// Of a delete that ends and a create that begins each has to see what the other did.
#[test]
fn content_comes_into_its_directory_and_is_looked_for_under_one_lock() {
    if !root_only("the former mode of a directory is a trusted attribute") {
        return;
    }
    let World { root, store } = world();
    let lock = root.path().join("run/libvirt-sandbox/.locks/reservations");
    let is_locked = || {
        let file = fs::File::open(&lock).unwrap();
        done(rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err())
    };
    let parent = store.places().content_parent.clone();
    fs::create_dir_all(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).unwrap();
    let filled = store.make_content_parent(&parent, || {
        assert_eq!(mode(&parent), 0o700);
        is_locked()
    });
    assert!(filled.unwrap());
    store.tidy_content_parent(&parent, is_locked).unwrap();
    assert_eq!(mode(&parent), 0o700, "it holds some");
    store.tidy_content_parent(&parent, || done(false)).unwrap();
    assert_eq!(mode(&parent), 0o755);
}

#[test]
fn content_is_private_with_those_admitted_who_have_a_reservation() {
    let World { root, store } = world();
    let users = "131072:65536".parse().unwrap();
    let parent = store.places().content_parent.clone();
    let elsewhere = root.path().join("srv");
    for parent in [&parent, &elsewhere] {
        store.make_content_parent(parent, || done(())).unwrap();
        store.admit(parent, users).unwrap();
        let error = store.make_content_parent(parent, || done(())).unwrap_err();
        assert!(matches!(error, Error::OpenAcl { .. }), "{error}");
        assert!(error.to_string().contains("user 131072"), "{error}");
        assert!(
            store
                .reserve_users(users, &name("a"), Uuid::from_u128(1))
                .unwrap()
        );
        store.make_content_parent(parent, || done(())).unwrap();
        assert!(store.is_admitted(parent, users).unwrap());
        assert_eq!(mode(parent), 0o710);
        store.release(Uuid::from_u128(1)).unwrap();
        store.dismiss(parent, users).unwrap();
        assert_eq!(mode(parent), 0o700);
        store.make_content_parent(parent, || done(())).unwrap();
    }
}

/// What is below a directory, with modes.
fn snapshot(root: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            out.push(format!("{} {:o}", entry.path().display(), metadata.mode()));
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    out.sort();
    out
}

#[test]
fn after_the_last_sandbox_nothing_is_left_behind() {
    if !root_only("the marks of directories are trusted attributes") {
        return;
    }
    let World { root, store } = world();
    // a package made this one: it is empty, and stays
    fs::create_dir_all(root.path().join("etc/libvirt-sandbox")).unwrap();
    fs::create_dir_all(root.path().join("var/lib/libvirt/filesystems")).unwrap();
    fs::create_dir_all(root.path().join("run")).unwrap();
    let etc_and_var = |root: &Path| {
        let mut all = snapshot(&root.join("etc"));
        all.extend(snapshot(&root.join("var")));
        all
    };
    let before = etc_and_var(root.path());

    let uuid = Uuid::from_u128(1);
    let web = name("web1");
    let parent = store.places().content_parent.clone();
    let elsewhere = root.path().join("var/srv/containers");
    let lock = store.lock(&web, |_| {}).unwrap();
    let mut journal = store.begin(beginning("web1", 1), NONE).unwrap();
    assert!(store.reserve_label(&set("s0:c1,c2"), &web, uuid).unwrap());
    assert!(store.reserve_address(&network(2), &web, uuid).unwrap());
    let users = "131072:65536".parse().unwrap();
    assert!(store.reserve_users(users, &web, uuid).unwrap());
    store.make_content_parent(&parent, || done(())).unwrap();
    store.make_content_parent(&elsewhere, || done(())).unwrap();
    store.admit(&parent, users).unwrap();
    store.dismiss(&parent, users).unwrap();
    journal.record(&"config").unwrap();
    store.save(&config("web1", 1)).unwrap();
    assert_eq!(mode(&parent), 0o700);
    assert_eq!(mode(&elsewhere), 0o700);
    journal.finish().unwrap();
    drop(lock);

    let lock = store.lock(&web, |_| {}).unwrap();
    let mine = store.load(&web).unwrap().content;
    assert_eq!(
        mine.as_path(),
        Path::new("/var/lib/libvirt/filesystems/web1")
    );
    store.remove(&web, uuid).unwrap();
    store.release(uuid).unwrap();
    store.tidy_content_parent(&parent, || done(false)).unwrap();
    store
        .tidy_content_parent(&elsewhere, || done(false))
        .unwrap();
    store.tidy(lock).unwrap();
    assert_eq!(etc_and_var(root.path()), before);
}

#[test]
fn a50_tidying_goes_on_above_a_directory_that_is_gone() {
    if !root_only("the marks of directories are trusted attributes") {
        return;
    }
    let World { root, store } = world();
    let web = name("web1");
    for top in ["etc", "var/lib", "run"] {
        fs::create_dir_all(root.path().join(top)).unwrap();
    }
    let lock = store.lock(&web, |_| {}).unwrap();
    store
        .begin(beginning("web1", 1), NONE)
        .unwrap()
        .finish()
        .unwrap();
    store.save(&config("web1", 1)).unwrap();
    store.remove(&web, Uuid::from_u128(1)).unwrap();
    // killed after the inner ones, and amid making one anew
    fs::remove_dir(store.places().services()).unwrap();
    fs::remove_dir(store.places().state.join(".journal")).unwrap();
    fs::remove_dir(&store.places().state).unwrap();
    fs::create_dir(store.places().state.with_file_name(".libvirt-sandbox.new")).unwrap();
    store.tidy(lock).unwrap();
    let left = |top: &str| fs::read_dir(root.path().join(top)).unwrap().count();
    assert_eq!((left("etc"), left("var/lib")), (0, 0));
}

#[test]
fn a_directory_made_half_is_finished_by_the_next_attempt() {
    let World { root: _root, store } = world();
    let state = store.places().state.clone();
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    fs::create_dir(state.with_file_name(".libvirt-sandbox.new")).unwrap();
    store.begin(beginning("web1", 1), NONE).unwrap();
    assert!(!state.with_file_name(".libvirt-sandbox.new").exists());
}

#[test]
fn content_that_others_could_enter_is_refused_unless_it_is_our_own_place() {
    let World { root, store } = world();
    let wide = root.path().join("srv");
    fs::create_dir(&wide).unwrap();
    fs::set_permissions(&wide, fs::Permissions::from_mode(0o755)).unwrap();
    let error = store.make_content_parent(&wide, || done(())).unwrap_err();
    assert!(error.to_string().contains("chmod 0700"), "{error}");
    assert_eq!(mode(&wide), 0o755);
    fs::set_permissions(&wide, fs::Permissions::from_mode(0o700)).unwrap();
    store.make_content_parent(&wide, || done(())).unwrap();
}
