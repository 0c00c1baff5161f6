//! What an edited config names of another sandbox's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use vss_config::Store;
use vss_model::{Level, SandboxConfig, Uuid};

use crate::world::{World, config, network, world};

/// A sandbox with a config and all that it names reserved.
fn made(store: &Store, name: &str, number: u8, level: &str) -> SandboxConfig {
    let mut config = config(name, number.into());
    config.label = config.label.with_level(level.parse::<Level>().unwrap());
    config.network = Some(network(number));
    let first = 100_000 + u32::from(number) * 65_536;
    config.private_users = Some(format!("{first}:65536").parse().unwrap());
    reserve(store, &config);
    store.save(&config).unwrap();
    config
}

fn reserve(store: &Store, config: &SandboxConfig) {
    let (name, uuid) = (&config.name, config.uuid);
    let categories = config.label.level().categories();
    assert!(store.reserve_label(categories, name, uuid).unwrap());
    let network = config.network.as_ref().unwrap();
    assert!(store.reserve_address(network, name, uuid).unwrap());
    let users = config.private_users.unwrap();
    assert!(store.reserve_users(users, name, uuid).unwrap());
}

#[test]
fn what_is_another_sandboxes_is_told_with_its_owner() {
    let World { root: _root, store } = world();
    let a = made(&store, "a", 1, "s0:c1,c2");
    let b = made(&store, "b", 2, "s0:c3,c4");
    assert_eq!(store.claim(&a).unwrap(), None);
    assert_eq!(store.claim(&b).unwrap(), None);
    let told = |edit: &dyn Fn(&mut SandboxConfig)| {
        let mut edited = b.clone();
        edit(&mut edited);
        let claim = store.claim(&edited).unwrap()?;
        assert_eq!(claim.owner, a.name);
        claim.what.split(' ').next().map(str::to_owned)
    };
    let relabelled = |level: &str| b.label.with_level(level.parse().unwrap());
    for level in ["s0:c1,c2", "s0:c1", "s0", "s0:c1,c2,c3"] {
        let found = told(&|config| config.label = relabelled(level));
        assert_eq!(found.as_deref(), Some("label"), "{level}");
    }
    assert_eq!(told(&|config| config.label = relabelled("s0:c1,c3")), None);
    let (theirs, users) = (a.network.as_ref().unwrap(), a.private_users);
    let found = told(&|config| config.network.as_mut().unwrap().address = theirs.address);
    assert_eq!(found.as_deref(), Some("address"));
    let found = told(&|config| config.network.as_mut().unwrap().mac = theirs.mac);
    assert_eq!(found.as_deref(), Some("mac"));
    let found = told(&|config| config.private_users = users);
    assert_eq!(found.as_deref(), Some("private-users"));
}

/// Neither has reserved it, so that only the configs tell.
#[test]
fn two_that_were_edited_to_the_same_are_told_of_each_other() {
    let World { root: _root, store } = world();
    let a = made(&store, "a", 5, "s0:c1,c2");
    let b = made(&store, "b", 6, "s0:c3,c4");
    let relabel = |config: &mut SandboxConfig, level: &str| {
        config.label = config.label.with_level(level.parse().unwrap());
    };
    type Edit<'a> = &'a dyn Fn(&mut SandboxConfig);
    let edits: [(&str, Edit<'_>, Edit<'_>); 5] = [
        ("label", &|c| relabel(c, "s0:c8,c9"), &|c| {
            relabel(c, "s0:c8,c9");
        }),
        ("label", &|c| relabel(c, "s0:c8"), &|c| {
            relabel(c, "s0:c8-s0:c8,c9");
        }),
        (
            "address",
            &|c| c.network.as_mut().unwrap().address = network(9).address,
            &|c| c.network.as_mut().unwrap().address = network(9).address,
        ),
        (
            "mac",
            &|c| c.network.as_mut().unwrap().mac = network(9).mac,
            &|c| c.network.as_mut().unwrap().mac = network(9).mac,
        ),
        (
            "private-users",
            &|c| c.private_users = Some("1000000:65536".parse().unwrap()),
            &|c| c.private_users = Some("1000001:65536".parse().unwrap()),
        ),
    ];
    for (key, edit_a, edit_b) in edits {
        store.save(&b).unwrap();
        let (mut a, mut b) = (a.clone(), b.clone());
        edit_a(&mut a);
        store.save(&a).unwrap();
        assert_eq!(store.claim(&a).unwrap(), None, "{key}");
        assert_eq!(store.claim(&b).unwrap(), None, "{key}");
        edit_b(&mut b);
        store.save(&b).unwrap();
        for (mine, other) in [(&a, &b), (&b, &a)] {
            let claim = store.claim(mine).unwrap().unwrap();
            assert_eq!(claim.owner, other.name);
            assert_eq!(claim.what.split(' ').next(), Some(key));
        }
    }
}

#[test]
fn an_edit_of_one_thing_leaves_a_shared_label_shared() {
    let World { root: _root, store } = world();
    let sharers = [3, 4].map(|number| {
        let mut sharer = config(&format!("web{number}"), number.into());
        let categories = sharer.label.level().clearance();
        store
            .reserve_shared_label(categories, &sharer.name, sharer.uuid)
            .unwrap();
        sharer.network = Some(network(number));
        store.save(&sharer).unwrap();
        sharer
    });
    for sharer in &sharers {
        assert_eq!(store.claim(sharer).unwrap(), None);
    }
}

#[test]
fn a_label_that_was_to_be_shared_is_nobody_elses() {
    let World { root: _root, store } = world();
    let a = made(&store, "a", 1, "s0:c1,c2");
    let mut sharer = config("c", 3);
    sharer.label = a.label.clone();
    let categories = a.label.level().categories();
    store
        .reserve_shared_label(categories, &sharer.name, sharer.uuid)
        .unwrap();
    sharer.network = None;
    assert_eq!(store.claim(&sharer).unwrap(), None);
    assert_eq!(store.claim(&a).unwrap(), None);
}

#[test]
fn a_label_that_no_choice_avoids_claims_nothing() {
    for shared in ["s0", "s0:c0.c1023", "s0-s0:c0.c1023"] {
        let World { root: _root, store } = world();
        let a = made(&store, "a", 1, "s0:c1,c2");
        let mut sharer = config("c", 3);
        sharer.label = sharer.label.with_level(shared.parse().unwrap());
        sharer.network = None;
        let clearance = sharer.label.level().clearance();
        store
            .reserve_shared_label(clearance, &sharer.name, sharer.uuid)
            .unwrap();
        store.save(&sharer).unwrap();
        assert_eq!(store.claim(&sharer).unwrap(), None, "{shared}");
        let mut edited = a.clone();
        edited.label = a.label.with_level("s0:c5,c6".parse().unwrap());
        assert_eq!(store.claim(&edited).unwrap(), None, "{shared}");
    }
}

#[test]
fn a_range_claims_what_its_upper_end_reaches() {
    let World { root: _root, store } = world();
    made(&store, "a", 1, "s0:c1,c2");
    let b = made(&store, "b", 2, "s0:c3,c4");
    for level in ["s0:c3,c4-s0:c1.c4", "s0:c3,c4-s0:c0.c1023"] {
        let mut edited = b.clone();
        edited.label = b.label.with_level(level.parse().unwrap());
        let claim = store.claim(&edited).unwrap().unwrap();
        assert_eq!(claim.owner.as_str(), "a", "{level}");
    }
}

#[test]
fn what_a_crash_left_reserved_is_nobodys() {
    let World { root: _root, store } = world();
    let a = made(&store, "a", 1, "s0:c1,c2");
    let mut anew = a.clone();
    anew.uuid = Uuid::from_u128(9);
    store.save_over(&anew).unwrap();
    assert_eq!(store.claim(&anew).unwrap(), None);
}

#[test]
fn one_whose_config_can_t_be_read_has_what_it_reserved() {
    let World { root: _root, store } = world();
    let a = made(&store, "a", 1, "s0:c1,c2");
    let mut b = made(&store, "b", 2, "s0:c3,c4");
    b.label = a.label.clone();
    let file = store.places().config(&a.name);
    for damaged in ["[[[", ""] {
        fs::write(&file, damaged).unwrap();
        let claim = store.claim(&b).unwrap().unwrap();
        assert_eq!(claim.owner, a.name, "{damaged:?}");
    }
    // nor can one that anybody may have written
    store.save_over(&a).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(store.claim(&b).unwrap().unwrap().owner, a.name);
    fs::remove_file(&file).unwrap();
    assert_eq!(store.claim(&b).unwrap(), None);
}
