//! Labels, addresses and users: each once, from before a config until after it.

use std::fs::{self, File};

use rustix::fs::FlockOperation;
use vss_config::InUse;
use vss_model::{Category, CategorySet, Uuid};

use crate::world::{World, config, name, network, set, world};

#[test]
fn a24_a_label_excludes_its_subsets_and_supersets() {
    let World { root: _root, store } = world();
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let reserve = |level: &str, sandbox: &str, uuid| {
        store
            .reserve_label(&set(level), &name(sandbox), uuid)
            .unwrap()
    };
    assert!(reserve("s0:c1,c2", "a", a));
    assert!(reserve("s0:c1,c2", "a", a), "the same once more");
    for related in [
        "s0:c1,c2",
        "s0:c1",
        "s0:c2",
        "s0:c1,c2,c3",
        "s0:c0.c1023",
        "s0",
    ] {
        assert!(!reserve(related, "b", b), "{related}");
    }
    assert!(reserve("s0:c1,c3", "b", b));
    assert!(reserve("s0:c7", "b", b), "a lone one leaves the pool");
    assert!(!reserve("s0:c7,c8", "c", Uuid::from_u128(3)));

    store
        .reserve_shared_label(&set("s0:c1,c2"), &name("d"), Uuid::from_u128(4))
        .unwrap();
    assert_eq!(store.in_use().unwrap().labels.len(), 4);
    store.release(a).unwrap();
    assert!(
        !reserve("s0:c1,c2", "e", Uuid::from_u128(5)),
        "the sharer still has it"
    );
    store.release(Uuid::from_u128(4)).unwrap();
    assert!(reserve("s0:c1,c2", "e", Uuid::from_u128(5)));
}

#[test]
fn a27_labels_of_many_categories_are_reserved_too() {
    let World { root: _root, store } = world();
    let wide: CategorySet = (0..1024).step_by(2).filter_map(Category::new).collect();
    assert!(
        store
            .reserve_label(&wide, &name("a"), Uuid::from_u128(1))
            .unwrap()
    );
    assert!(
        !store
            .reserve_label(&set("s0:c0,c2"), &name("b"), Uuid::from_u128(2))
            .unwrap()
    );
    assert!(
        store
            .reserve_label(&set("s0:c0,c1"), &name("b"), Uuid::from_u128(2))
            .unwrap()
    );
    let reserved = store.in_use().unwrap().labels;
    assert!(reserved.iter().any(|label| label.categories == wide));
}

/// A label that everyone reaches, or that reaches everyone, can't be kept clear of: the planner
/// doesn't, and what is reserved by hand for one sandbox must not be in the way of all later ones.
#[test]
fn a_label_that_no_choice_avoids_is_in_nobodys_way() {
    for shared in [CategorySet::default(), set("s0:c0.c1023")] {
        let World { root: _root, store } = world();
        store
            .reserve_shared_label(&shared, &name("a"), Uuid::from_u128(1))
            .unwrap();
        let reserve = |sandbox: &str, uuid| {
            store
                .reserve_label(&set("s0:c1,c2"), &name(sandbox), Uuid::from_u128(uuid))
                .unwrap()
        };
        assert!(reserve("b", 2), "{shared}");
        assert!(!reserve("c", 3), "{shared}");
    }
}

#[test]
fn an_address_is_reserved_with_its_hardware_address_or_not_at_all() {
    let World { root: _root, store } = world();
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert!(store.reserve_address(&network(2), &name("a"), a).unwrap());
    assert!(store.reserve_address(&network(2), &name("a"), a).unwrap());
    assert!(!store.reserve_address(&network(2), &name("b"), b).unwrap());

    let mut same_address = network(3);
    same_address.address = network(2).address;
    assert!(!store.reserve_address(&same_address, &name("b"), b).unwrap());
    let mut same_mac = network(4);
    same_mac.mac = network(2).mac;
    assert!(!store.reserve_address(&same_mac, &name("b"), b).unwrap());
    assert_eq!(store.in_use().unwrap().addresses.len(), 1);
    assert!(
        store.reserve_address(&network(3), &name("b"), b).unwrap(),
        "its MAC was given back"
    );

    let mut elsewhere = network(5);
    elsewhere.network = "other".to_owned();
    elsewhere.address = network(2).address;
    assert!(
        store
            .reserve_address(&elsewhere, &name("c"), Uuid::from_u128(3))
            .unwrap()
    );
    assert!(store.release(a).unwrap());
    assert!(!store.release(a).unwrap());
    assert!(
        store
            .reserve_address(&network(2), &name("d"), Uuid::from_u128(4))
            .unwrap()
    );
}

#[test]
fn a_network_goes_when_nobody_is_on_it_and_nobody_comes_meanwhile() {
    let World { root, store } = world();
    let a = Uuid::from_u128(1);
    let own = network(2).network;
    assert!(store.reserve_address(&network(2), &name("a"), a).unwrap());
    let released = store.unless_reserved(&own, || panic!("it is in use"));
    assert_eq!(released.unwrap(), None);
    let released = store.unless_reserved("other", || 1);
    assert_eq!(released.unwrap(), Some(1));

    store.release(a).unwrap();
    let lock = root.path().join("run/libvirt-sandbox/.locks/reservations");
    let is_locked = || {
        let file = File::open(&lock).unwrap();
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    };
    assert!(!is_locked());
    assert_eq!(store.unless_reserved(&own, is_locked).unwrap(), Some(true));
}

#[test]
fn users_are_reserved_once_and_never_overlap() {
    let World { root: _root, store } = world();
    let reserve = |range: &str, sandbox: &str, uuid: u128| {
        let users = range.parse().unwrap();
        store
            .reserve_users(users, &name(sandbox), Uuid::from_u128(uuid))
            .unwrap()
    };
    assert!(reserve("131072:65536", "a", 1));
    assert!(reserve("131072:65536", "a", 1), "once more");
    for overlapping in [
        "131072:65536",
        "131071:65536",
        "65537:65536",
        "196607:65536",
        "65536:200000",
    ] {
        assert!(!reserve(overlapping, "b", 2), "{overlapping}");
    }
    assert!(reserve("196608:65536", "b", 2));
    assert!(reserve("65536:65536", "c", 3));
    assert_eq!(store.in_use().unwrap().users.len(), 3);
    assert!(store.release(Uuid::from_u128(1)).unwrap());
    assert!(reserve("131072:65536", "d", 4), "given back");
}

#[test]
fn a28_an_empty_reservation_of_a_loss_of_power_reserves_nothing() {
    let World { root: _root, store } = world();
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let reserve = |sandbox: &str, uuid| {
        store
            .reserve_label(&set("s0:c1,c2"), &name(sandbox), uuid)
            .unwrap()
            && store
                .reserve_address(&network(2), &name(sandbox), uuid)
                .unwrap()
    };
    assert!(reserve("a", a));
    assert!(!reserve("b", b), "while it is whole");
    let files: Vec<_> = [".labels", ".addresses"]
        .iter()
        .flat_map(|directory| fs::read_dir(store.places().state.join(directory)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 3);
    let empty = || files.iter().for_each(|file| fs::write(file, "").unwrap());
    empty();
    assert_eq!(store.in_use().unwrap(), InUse::default());
    assert!(!store.release(a).unwrap());
    assert!(reserve("b", b), "another gets it");
    assert_eq!(store.in_use().unwrap().labels[0].uuid, b);
    empty();
    let torn = store.places().state.join(".labels/.c8,c9.new");
    fs::write(&torn, "{").unwrap();
    assert!(!store.release(b).unwrap());
    assert!(files.iter().all(|file| !file.exists()) && !torn.exists());
}

#[test]
fn reservations_that_a_config_tells_of_are_not_read_once_more() {
    let World { root: _root, store } = world();
    let stored = config("web1", 1);
    let categories = stored.label.level().categories();
    let address = stored.network.as_ref().unwrap();
    assert!(
        store
            .reserve_label(categories, &stored.name, stored.uuid)
            .unwrap()
    );
    assert!(
        store
            .reserve_address(address, &stored.name, stored.uuid)
            .unwrap()
    );
    let b = Uuid::from_u128(2);
    assert!(
        store
            .reserve_label(&set("s0:c7,c8"), &name("b"), b)
            .unwrap()
    );
    assert!(store.reserve_address(&network(77), &name("b"), b).unwrap());
    let all = store.in_use().unwrap();
    assert_eq!((all.labels.len(), all.addresses.len()), (2, 2));
    // an edited config tells of another label, and the reservation is there all the same
    let mut edited = stored.clone();
    edited.label = "system_u:system_r:container_t:s0:c20,c21".parse().unwrap();
    for (configs, left) in [
        (&[stored][..], vec![b]),
        (&[edited][..], vec![b, Uuid::from_u128(1)]),
    ] {
        let beside = store.in_use_beside(configs).unwrap();
        let mut uuids: Vec<_> = beside.labels.iter().map(|label| label.uuid).collect();
        uuids.sort_by_key(|uuid| *uuid != b);
        assert_eq!(uuids, left);
        assert_eq!(beside.addresses.len(), 1);
        assert_eq!(beside.addresses[0].uuid, b);
    }
}
