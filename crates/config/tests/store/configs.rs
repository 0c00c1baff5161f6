//! Configs, manifests and what a runner leaves: whose file it is, and what is read of it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};

use vss_config::{Confined, Error, Failure, Phase, RuntimeState, Saved, Store, Untrusted, render};
use vss_model::{Confinement, Manifest, SandboxConfig, SandboxName, Uuid};

use crate::world::{NONE, World, beginning, config, mode, name, root_only, set, world};

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
        confined: Some(Confined::of(&config("web1", 1))),
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
        hint: Some("look".to_owned()),
        killed: true,
    };
    store.save_failure(&web, &failure).unwrap();
    store.clear_state(&web).unwrap();
    assert_eq!(store.failure(&web).unwrap(), Some(failure));
    assert_eq!(mode(&store.places().runtime(&web)), 0o700);
    store.clear_runtime(&web).unwrap();
    assert!(!store.places().runtime(&web).exists());
}

#[test]
fn what_a_crash_left_of_the_runner_s_words_is_no_word_and_goes_with_them() {
    let World { root: _root, store } = world();
    let web = name("web1");
    store.make_runtime(&web).unwrap();
    let runtime = store.places().runtime(&web);
    for left in [".state.7.0.new", ".failure.7.1.new", ".state.new"] {
        fs::write(runtime.join(left), "{").unwrap();
    }
    fs::write(runtime.join("host"), "of the runner").unwrap();
    assert_eq!(store.state(&web).unwrap(), None);
    assert_eq!(store.failure(&web).unwrap(), None);
    store.clear_runtime(&web).unwrap();
    let left = fs::read_dir(&runtime)
        .unwrap()
        .map(|e| e.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["host"]);
    fs::remove_file(runtime.join("host")).unwrap();
    store.clear_runtime(&web).unwrap();
    assert!(!runtime.exists());
    store.clear_runtime(&web).unwrap();
}

#[test]
fn what_confines_a_running_sandbox_is_what_it_was_started_with() {
    let World { root: _root, store } = world();
    let web = name("web1");
    let started = config("web1", 1);
    let state = RuntimeState {
        uuid: started.uuid,
        init_pid: 10,
        init_start: 20,
        controller_pid: 11,
        waiter_pid: 12,
        waiter_start: 21,
        started: 1_700_000_000,
        phase: Phase::Ready,
        confined: Some(Confined::of(&started)),
    };
    store.save_state(&web, &state).unwrap();
    let edited = SandboxConfig {
        confinement: Confinement::None,
        ..started.clone()
    };
    assert_ne!(started.confinement, edited.confinement);
    let state = store.state(&web).unwrap().unwrap();
    assert_eq!(state.confined(&edited), Confined::of(&started));

    // an earlier version did not say
    let path = store.places().runtime(&web).join("state");
    let mut said: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    said.as_object_mut().unwrap().remove("confined").unwrap();
    fs::write(&path, said.to_string()).unwrap();
    let state = store.state(&web).unwrap().unwrap();
    assert_eq!(state.confined, None);
    assert_eq!(state.confined(&edited), Confined::of(&edited));
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
