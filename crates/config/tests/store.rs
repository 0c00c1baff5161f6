//! The store in a directory of its own: what stands where, whose it is, and what a crash, a full
//! disk or a hundred others at once leave of it.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::FlockOperation;
use tempfile::TempDir;
use vss_config::{
    Beginning, Error, Failure, InUse, Phase, Places, RuntimeState, Saved, Store, Untrusted, parse,
    render,
};
use vss_model::{
    Category, CategorySet, Level, Manifest, NetworkConfig, SandboxConfig, SandboxName, Uuid,
};

struct World {
    root: TempDir,
    store: Store,
}

fn world() -> World {
    let root = TempDir::new().unwrap();
    let store = Store::open(Places::under(root.path()));
    World { root, store }
}

fn name(text: &str) -> SandboxName {
    text.parse().unwrap()
}

fn config(sandbox: &str, uuid: u128) -> SandboxConfig {
    let text = include_str!("web1.sandbox");
    let mut config = parse(Path::new("web1"), text, &name("web1")).unwrap();
    config.name = name(sandbox);
    config.uuid = Uuid::from_u128(uuid);
    config
}

/// A change begins without a step.
const NONE: &[String] = &[];

fn beginning(sandbox: &str, uuid: u128) -> Beginning {
    Beginning {
        verb: "create".to_owned(),
        name: name(sandbox),
        uuid: Uuid::from_u128(uuid),
        content: "/var/lib/libvirt/filesystems/web1".parse().unwrap(),
        began: 1,
    }
}

fn set(level: &str) -> CategorySet {
    level.parse::<Level>().unwrap().categories().clone()
}

fn network(last: u8) -> NetworkConfig {
    let mut network = config("web1", 1).network.unwrap();
    network.address = [192, 168, 155, last].into();
    network.mac = format!("52:54:00:00:00:{last:02x}").parse().unwrap();
    network
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn root_only(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED, needs root: {test}");
    }
    root
}

#[test]
fn a_config_is_stored_listed_and_removed() {
    let World { root: _root, store } = world();
    assert!(store.names().unwrap().is_empty());
    assert!(store.load(&name("web1")).unwrap_err().is_not_found());

    let stored = config("web1", 1);
    assert_eq!(store.save(&stored).unwrap(), Saved::Created);
    assert_eq!(store.save(&stored).unwrap(), Saved::Replaced);
    assert_eq!(store.load(&name("web1")).unwrap(), stored);
    assert_eq!(store.uuid_of(&name("web1")).unwrap(), Some(stored.uuid));
    assert_eq!(mode(&store.places().config(&name("web1"))), 0o600);

    let services = store.places().services();
    for foreign in ["Web.sandbox", "web.conf", ".web3.sandbox.new", "..sandbox"] {
        fs::write(services.join(foreign), "x").unwrap();
    }
    store.save(&config("a", 2)).unwrap();
    assert_eq!(store.names().unwrap(), [name("a"), name("web1")]);
    let error = store.load(&name("web2")).unwrap_err().to_string();
    assert!(error.contains("did you mean web1?"), "{error}");

    assert!(store.remove(&name("web1"), stored.uuid).unwrap());
    assert!(!store.remove(&name("web1"), stored.uuid).unwrap());
    assert!(!store.exists(&name("web1")));
}

#[test]
fn a22_a_file_of_somebody_else_is_neither_replaced_nor_removed() {
    let World { root: _root, store } = world();
    let own = config("web1", 1);
    for foreign in ["", "# mine\n", &render(&config("web1", 2))] {
        fs::create_dir_all(store.places().services()).unwrap();
        let path = store.places().config(&own.name);
        fs::write(&path, foreign).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(store.save(&own), Err(Error::NotOurs { .. })));
        assert!(matches!(
            store.remove(&own.name, own.uuid),
            Err(Error::NotOurs { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
        store.save_over(&own).unwrap();
        assert_eq!(store.load(&own.name).unwrap(), own);
    }
}

#[test]
fn a11_only_a_regular_file_of_root_that_nobody_else_writes_is_read() {
    let World { root, store } = world();
    let own = config("web1", 1);
    store.save(&own).unwrap();
    let path = store.places().config(&own.name);
    let why = |store: &Store| match store.load(&name("web1")) {
        Err(Error::Untrusted { why, .. }) => why,
        other => panic!("{other:?}"),
    };

    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(why(&store), Untrusted::Mode(0o666));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    store.load(&own.name).unwrap();

    let aside = root.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    symlink(&aside, &path).unwrap();
    assert_eq!(why(&store), Untrusted::Kind);
    fs::remove_file(&path).unwrap();

    // reading a FIFO would block for ever
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert_eq!(why(&store), Untrusted::Kind);
    fs::remove_file(&path).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
    assert_eq!(why(&store), Untrusted::Kind);
    fs::remove_dir(&path).unwrap();

    fs::rename(&aside, &path).unwrap();
    if root_only("a11: a file of another user") {
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        assert_eq!(why(&store), Untrusted::Owner(12345));
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    }
    store.load(&own.name).unwrap();
}

#[test]
fn a19_a_huge_file_is_not_read() {
    let World { root: _root, store } = world();
    let own = config("web1", 1);
    store.save(&own).unwrap();
    let path = store.places().config(&own.name);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(10 << 30).unwrap();
    let error = store.load(&own.name).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Untrusted {
                why: Untrusted::Size(65536),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_manifest_comes_back_and_is_of_one_sandbox() {
    let World { root: _root, store } = world();
    let manifest = Manifest {
        name: name("web1"),
        uuid: Uuid::from_u128(1),
        packages: vec![("apache2".into(), "2.4".to_owned())],
        entries: Vec::new(),
        files: Vec::new(),
    };
    assert_eq!(store.manifest_load(&manifest.name).unwrap(), None);
    store.manifest_save(&manifest).unwrap();
    assert_eq!(
        store.manifest_load(&manifest.name).unwrap().as_ref(),
        Some(&manifest)
    );
    let path = store.places().manifest(&manifest.name);
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("{\"version\":1,\"name\":\"web1\""),
        "{text}"
    );
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);

    let mut other = manifest.clone();
    other.uuid = Uuid::from_u128(2);
    assert!(matches!(
        store.manifest_save(&other),
        Err(Error::NotOurs { .. })
    ));
    assert!(matches!(
        store.manifest_remove(&other.name, other.uuid),
        Err(Error::NotOurs { .. })
    ));

    fs::write(&path, text.replace("\"version\":1", "\"version\":9")).unwrap();
    assert!(matches!(
        store.manifest_load(&manifest.name),
        Err(Error::Version { version: 9, .. })
    ));
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert!(matches!(
        store.manifest_load(&manifest.name),
        Err(Error::Damaged { .. })
    ));
    assert!(
        store
            .manifest_remove(&manifest.name, manifest.uuid)
            .unwrap()
    );
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn a_sandbox_may_have_the_name_of_anything_that_the_store_has() {
    let World { root: _root, store } = world();
    for (n, sandbox) in [
        "journal",
        "labels",
        "addresses",
        "locks",
        "run",
        "change",
        "reservations",
    ]
    .into_iter()
    .enumerate()
    {
        let uuid = n as u128 + 1;
        let lock = store
            .lock(&name(sandbox), |_| panic!("nobody has it"))
            .unwrap();
        let journal = store.begin(beginning(sandbox, uuid), NONE).unwrap();
        store.save(&config(sandbox, uuid)).unwrap();
        let manifest = Manifest {
            name: name(sandbox),
            uuid: Uuid::from_u128(uuid),
            packages: Vec::new(),
            entries: Vec::new(),
            files: Vec::new(),
        };
        store.manifest_save(&manifest).unwrap();
        store.make_runtime(&name(sandbox)).unwrap();
        assert_eq!(store.pending().unwrap(), [name(sandbox)]);
        journal.finish().unwrap();
        drop(lock);
    }
    assert!(store.pending().unwrap().is_empty());
    assert_eq!(store.names().unwrap().len(), 7);
}

#[test]
fn a50_a_journal_tells_what_was_begun() {
    let World { root: _root, store } = world();
    let mut journal = store.begin(beginning("web1", 1), NONE).unwrap();
    journal.record(&"copy").unwrap();
    journal.record(&"label").unwrap();
    drop(journal);

    assert!(matches!(
        store.begin(beginning("web1", 2), NONE),
        Err(Error::Unfinished { .. })
    ));
    let mut journal = store.journal(&name("web1")).unwrap().unwrap();
    assert_eq!(*journal.beginning(), beginning("web1", 1));
    assert_eq!(journal.steps::<String>().unwrap(), ["copy", "label"]);
    assert!(journal.steps::<u32>().is_err());
    journal.record(&"unit").unwrap();
    assert_eq!(journal.steps::<String>().unwrap().len(), 3);
    journal.finish().unwrap();
    assert!(store.journal(&name("web1")).unwrap().is_none());
    assert!(store.pending().unwrap().is_empty());
}

#[test]
fn a50_steps_that_a_change_begins_with_are_in_its_journal_from_the_first_moment() {
    let World { root: _root, store } = world();
    let mut journal = store
        .begin(beginning("web1", 1), &["copy", "label"])
        .unwrap();
    journal.record(&"unit").unwrap();
    drop(journal);
    let journal = store.journal(&name("web1")).unwrap().unwrap();
    assert_eq!(*journal.beginning(), beginning("web1", 1));
    assert_eq!(
        journal.steps::<String>().unwrap(),
        ["copy", "label", "unit"]
    );
}

#[test]
fn a21_a_config_that_is_staged_is_seen_by_nobody_until_it_is_put() {
    let World { root: _root, store } = world();
    let stored = config("web1", 1);
    let temporary = store.places().services().join(".web1.sandbox.new");
    drop(store.stage(&stored).unwrap());
    assert!(!temporary.exists(), "dropped, it goes");
    let staged = store.stage(&stored).unwrap();
    assert!(store.names().unwrap().is_empty());
    // what a crash leaves here goes with the config that it would have been
    std::mem::forget(staged);
    assert!(temporary.exists());
    assert!(!store.remove(&stored.name, stored.uuid).unwrap());
    assert!(!temporary.exists());
    let staged = store.stage(&stored).unwrap();
    assert_eq!(store.put(&stored, staged).unwrap(), Saved::Created);
    assert_eq!(store.load(&stored.name).unwrap(), stored);

    // a file of another sandbox stands there meanwhile
    let other = config("web1", 2);
    let staged = store.stage(&other).unwrap();
    assert!(matches!(
        store.put(&other, staged),
        Err(Error::NotOurs { .. })
    ));
    assert_eq!(store.load(&stored.name).unwrap(), stored);
    assert!(!temporary.exists());
}

#[test]
fn a50_a_torn_last_record_is_left_out_at_whatever_byte_it_is_torn() {
    let World { root: _root, store } = world();
    let mut journal = store.begin(beginning("web1", 1), NONE).unwrap();
    journal.record(&"copy").unwrap();
    journal.record(&"label").unwrap();
    let path = store.places().journal(&name("web1"));
    let whole = fs::read(&path).unwrap();
    let ends: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'\n')
        .map(|(n, _)| n + 1)
        .collect();
    for length in ends[0]..=whole.len() {
        for tail in ["", "\0\0\0\0", "\0\0\n"] {
            let mut bytes = whole[..length].to_vec();
            bytes.extend(tail.as_bytes());
            fs::write(&path, &bytes).unwrap();
            let mut journal = store.journal(&name("web1")).unwrap().unwrap();
            let kept = ends.iter().filter(|end| **end <= length).count() - 1;
            let steps = journal.steps::<String>().unwrap();
            assert_eq!(steps, &["copy", "label"][..kept], "cut at {length}");
            journal.record(&"next").unwrap();
            let again = store.journal(&name("web1")).unwrap().unwrap();
            assert_eq!(
                again.steps::<String>().unwrap().len(),
                kept + 1,
                "cut at {length}"
            );
        }
    }
}

#[test]
fn a50_a_damaged_or_later_journal_is_refused_and_kept() {
    let World { root: _root, store } = world();
    let mut journal = store.begin(beginning("web1", 1), NONE).unwrap();
    journal.record(&"copy").unwrap();
    let path = store.places().journal(&name("web1"));
    let text = fs::read_to_string(&path).unwrap();
    for (bad, line) in [
        (format!("garbage\n{text}"), 1),
        (text.replace('\n', "\n###\n"), 2),
        (String::new(), 1),
        ("{\"version\":1}\n".to_owned(), 1),
    ] {
        fs::write(&path, &bad).unwrap();
        match store.journal(&name("web1")) {
            Err(Error::Damaged { line: at, .. }) => assert_eq!(at, line, "{bad}"),
            other => panic!("{other:?}"),
        }
    }
    fs::write(&path, text.replace("\"version\":1", "\"version\":2")).unwrap();
    assert!(matches!(
        store.journal(&name("web1")),
        Err(Error::Version { version: 2, .. })
    ));
    assert_eq!(store.pending().unwrap(), [name("web1")]);
    assert!(store.drop_journal(&name("web1")).unwrap());
}

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
fn content_is_private_with_those_admitted_who_have_a_reservation() {
    let World { root, store } = world();
    let users = "131072:65536".parse().unwrap();
    let parent = store.places().content_parent.clone();
    let elsewhere = root.path().join("srv");
    for parent in [&parent, &elsewhere] {
        store.make_content_parent(parent).unwrap();
        store.admit(parent, users).unwrap();
        let error = store.make_content_parent(parent).unwrap_err();
        assert!(matches!(error, Error::OpenAcl { .. }), "{error}");
        assert!(error.to_string().contains("user 131072"), "{error}");
        assert!(
            store
                .reserve_users(users, &name("a"), Uuid::from_u128(1))
                .unwrap()
        );
        store.make_content_parent(parent).unwrap();
        assert!(store.is_admitted(parent, users).unwrap());
        assert_eq!(mode(parent), 0o710);
        store.release(Uuid::from_u128(1)).unwrap();
        store.dismiss(parent, users).unwrap();
        assert_eq!(mode(parent), 0o700);
        store.make_content_parent(parent).unwrap();
    }
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
    store.collect().unwrap();
    assert!(files.iter().all(|file| !file.exists()));
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

#[test]
fn a28_reservations_that_a_crash_left_are_collected_and_no_others() {
    let World { root: _root, store } = world();
    let reserve = |sandbox: &str, uuid: u128| {
        let categories = CategorySet::pair(
            Category::new(u16::try_from(uuid).unwrap()).unwrap(),
            Category::new(1000).unwrap(),
        );
        let uuid = Uuid::from_u128(uuid);
        assert!(
            store
                .reserve_label(&categories.unwrap(), &name(sandbox), uuid)
                .unwrap()
        );
    };
    store.begin(beginning("changing", 1), NONE).unwrap();
    reserve("changing", 1);
    store.save(&config("stored", 2)).unwrap();
    reserve("stored", 2);
    reserve("crashed", 3);
    assert!(
        store
            .reserve_address(&network(9), &name("crashed"), Uuid::from_u128(3))
            .unwrap()
    );
    let users = "131072:65536".parse().unwrap();
    let crashed = Uuid::from_u128(3);
    assert!(
        store
            .reserve_users(users, &name("crashed"), crashed)
            .unwrap()
    );
    // what it can't read it leaves alone
    reserve("broken", 4);
    let broken = store.places().config(&name("broken"));
    fs::write(&broken, "[[[").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o600)).unwrap();
    // the name of one that is there, with the UUID of one that was
    reserve("stored", 5);
    let torn = store.places().state.join(".labels/.c8,c9.new");
    fs::write(&torn, "{").unwrap();

    let gone = store.collect().unwrap();
    assert_eq!(
        gone.into_iter().collect::<Vec<_>>(),
        [Uuid::from_u128(3), Uuid::from_u128(5)]
    );
    let left = store.in_use().unwrap();
    assert_eq!(left.labels.len(), 3);
    assert!(left.addresses.is_empty() && left.users.is_empty());
    assert!(!torn.exists());
    assert!(store.collect().unwrap().is_empty());
}

#[test]
fn the_runner_s_words_come_back() {
    let World { root: _root, store } = world();
    let web = name("web1");
    assert_eq!(store.state(&web).unwrap(), None);
    assert_eq!(store.failure(&web).unwrap(), None);
    let state = RuntimeState {
        uuid: Uuid::from_u128(1),
        init_pid: 10,
        init_start: 20,
        controller_pid: 11,
        waiter_pid: 12,
        waiter_start: 21,
        started: 1_700_000_000,
        phase: Phase::Starting,
    };
    store.save_state(&web, &state).unwrap();
    let ready = RuntimeState {
        phase: Phase::Ready,
        ..state
    };
    store.save_state(&web, &ready).unwrap();
    assert_eq!(store.state(&web).unwrap(), Some(ready));
    let failure = Failure {
        message: "x".to_owned(),
        log: vec!["\u{1b}[2J".to_owned()],
    };
    store.save_failure(&web, &failure).unwrap();
    store.clear_state(&web).unwrap();
    assert_eq!(store.failure(&web).unwrap(), Some(failure));
    assert_eq!(mode(&store.places().runtime(&web)), 0o700);
    store.clear_runtime(&web).unwrap();
    assert!(!store.places().runtime(&web).exists());
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
    store.make_content_parent(&parent).unwrap();
    store.make_content_parent(&elsewhere).unwrap();
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
    store.tidy_content_parent(&parent).unwrap();
    store.tidy_content_parent(&elsewhere).unwrap();
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
    let error = store.make_content_parent(&wide).unwrap_err();
    assert!(error.to_string().contains("chmod 0700"), "{error}");
    assert_eq!(mode(&wide), 0o755);
    fs::set_permissions(&wide, fs::Permissions::from_mode(0o700)).unwrap();
    store.make_content_parent(&wide).unwrap();
}

#[test]
fn a_full_sandbox_name_fits_everywhere() {
    let World { root: _root, store } = world();
    let long = "x".repeat(63);
    store.save(&config(&long, 1)).unwrap();
    store.begin(beginning(&long, 1), NONE).unwrap();
    assert!(
        store
            .reserve_label(&set("s0:c1,c2"), &name(&long), Uuid::from_u128(1))
            .unwrap()
    );
    store.make_runtime(&name(&long)).unwrap();
    assert!(store.try_lock(&name(&long)).unwrap().is_some());
}

#[test]
fn many_configs_come_in_the_order_of_their_names_and_a_bad_one_is_told_in_its_place() {
    let World { root: _root, store } = world();
    let names: Vec<SandboxName> = (0..200).map(|n| name(&format!("web{n}"))).collect();
    for (number, name) in names.iter().enumerate() {
        store
            .save(&config(name.as_str(), number as u128 + 1))
            .unwrap();
    }
    fs::write(store.places().config(&names[150]), "nonsense").unwrap();
    let missing = name("missing");
    let asked: Vec<_> = names.iter().chain([&missing]).cloned().collect();
    let loaded = store.load_all(&asked);
    assert_eq!(loaded.len(), 201);
    for (name, config) in asked.iter().zip(loaded) {
        match config {
            Ok(config) => assert_eq!(config.name, *name),
            Err(error) => assert!(*name == names[150] || *name == missing, "{error}"),
        }
    }
    assert!(store.load_all(&[]).is_empty());
}
