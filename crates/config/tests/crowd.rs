//! Many at once, and no space left: threads and processes that all want the same, and a store on a
//! file system that is full.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "the test starts itself again")]
#![expect(clippy::print_stderr, reason = "a test is skipped loudly")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;

use tempfile::TempDir;
use vss_config::{Beginning, Error, Phase, Places, RuntimeState, Store, parse};
use vss_model::{Category, CategorySet, SandboxConfig, SandboxName, Uuid};

/// Where a process that this test started again works.
const ROOT: &str = "VSS_CONFIG_TEST_ROOT";
/// Which of them it is.
const NUMBER: &str = "VSS_CONFIG_TEST_NUMBER";

fn name(text: &str) -> SandboxName {
    text.parse().unwrap()
}

fn store(root: &Path) -> Store {
    Store::open(Places::under(root))
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

fn pair(a: u16, b: u16) -> CategorySet {
    CategorySet::pair(Category::new(a).unwrap(), Category::new(b).unwrap()).unwrap()
}

/// Takes the first pair of a line that all go along: whoever comes later finds it taken.
fn first_free(store: &Store, uuid: u128) -> u16 {
    let sandbox = name(&format!("s{uuid}"));
    (1..1024)
        .find(|n| {
            store
                .reserve_label(&pair(0, *n), &sandbox, Uuid::from_u128(uuid))
                .unwrap()
        })
        .unwrap()
}

/// This test once more, in a process of its own.
fn again(test: &str, root: &Path, number: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command.env(ROOT, root).env(NUMBER, number.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// What a process that was started again is told; `None` in the test itself.
fn told() -> Option<(PathBuf, u128)> {
    let root = std::env::var_os(ROOT)?;
    Some((root.into(), std::env::var(NUMBER).unwrap().parse().unwrap()))
}

#[test]
fn a26_threads_never_reserve_the_same() {
    let root = TempDir::new().unwrap();
    let barrier = Barrier::new(16);
    let taken: Vec<u16> = std::thread::scope(|scope| {
        let one = |n: u128| {
            let (root, barrier) = (root.path(), &barrier);
            scope.spawn(move || {
                let store = store(root);
                barrier.wait();
                [n * 2 + 1, n * 2 + 2].map(|uuid| first_free(&store, uuid))
            })
        };
        let threads: Vec<_> = (0..16).map(one).collect();
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    let different: BTreeSet<u16> = taken.iter().copied().collect();
    assert_eq!(different.len(), 32, "{taken:?}");
    assert_eq!(store(root.path()).in_use().unwrap().labels.len(), 32);
}

#[test]
fn a52_processes_never_reserve_the_same_and_one_creates_a_name() {
    if let Some((root, number)) = told() {
        let store = store(&root);
        // all begin at once: when the test closes the pipes
        let _ = std::io::read_to_string(std::io::stdin());
        let label = first_free(&store, number + 1);
        let winner = {
            let _lock = store.lock(&name("web1"), |_| {}).unwrap();
            match store.begin(beginning("web1", number + 1), NONE) {
                Ok(journal) => {
                    let won = store.save(&config("web1", number + 1)).is_ok();
                    journal.finish().unwrap();
                    won
                }
                Err(error) => panic!("{error}"),
            }
        };
        println!("result {label} {winner}");
        return;
    }
    let root = TempDir::new().unwrap();
    let test = "a52_processes_never_reserve_the_same_and_one_creates_a_name";
    let mut children: Vec<_> = (0..12)
        .map(|n| again(test, root.path(), n).spawn().unwrap())
        .collect();
    for child in &mut children {
        drop(child.stdin.take());
    }
    let mut labels = BTreeSet::new();
    let mut winners = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let at = text.find("result ").unwrap();
        let mut words = text[at..].split_whitespace().skip(1);
        assert!(labels.insert(words.next().unwrap().to_owned()), "{text}");
        winners += usize::from(words.next() == Some("true"));
    }
    assert_eq!(winners, 1);
    assert!(store(root.path()).load(&name("web1")).is_ok());
    assert!(store(root.path()).pending().unwrap().is_empty());
}

#[test]
fn a52_creates_and_deletes_of_the_same_name_take_turns() {
    let root = TempDir::new().unwrap();
    let lost = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 1..=8_u128 {
            let (root, lost) = (root.path(), &lost);
            scope.spawn(move || {
                let store = store(root);
                for _ in 0..20 {
                    let outcome = create_and_delete(&store, n);
                    if let Err(error) = outcome {
                        lost.lock().unwrap().push(error.to_string());
                    }
                }
            });
        }
    });
    assert_eq!(lost.into_inner().unwrap(), Vec::<String>::new());
    let store = store(root.path());
    assert!(store.names().unwrap().is_empty());
    assert!(store.pending().unwrap().is_empty());
    assert!(store.in_use().unwrap().labels.is_empty());
}

/// All that `create` and `delete` do with the store, and the directories taken away after it.
fn create_and_delete(store: &Store, n: u128) -> vss_config::Result<()> {
    let web = name("web1");
    let uuid = Uuid::from_u128(n);
    let lock = store.lock(&web, |_| {})?;
    if store.exists(&web) {
        // another has created it and not deleted it yet
        return Ok(());
    }
    let mut journal = store.begin(beginning("web1", n), NONE)?;
    assert!(store.reserve_label(&pair(1, 2), &web, uuid)?);
    journal.record(&"config")?;
    store.save(&config("web1", n))?;
    journal.finish()?;
    drop(lock);
    let lock = store.lock(&web, |_| {})?;
    assert!(store.remove(&web, uuid)?);
    assert!(store.release(uuid)?);
    store.tidy(lock)
}

#[test]
fn a52_a_lock_is_waited_for_and_says_who_has_it() {
    let root = TempDir::new().unwrap();
    let (own, other) = (store(root.path()), store(root.path()));
    let web = name("web1");
    let lock = own.lock(&web, |_| panic!("nobody has it")).unwrap();
    assert!(other.try_lock(&web).unwrap().is_none());
    assert!(other.try_lock(&name("web2")).unwrap().is_some());
    std::thread::scope(|scope| {
        let (noticed, notice) = std::sync::mpsc::channel();
        let waiting =
            scope.spawn(move || other.lock(&name("web1"), |holder| noticed.send(holder).unwrap()));
        assert_eq!(notice.recv().unwrap().pid, Some(std::process::id()));
        // its file goes with it: whoever waited on that file takes a new one
        own.tidy(lock).unwrap();
        let late = waiting.join().unwrap().unwrap();
        assert!(own.try_lock(&web).unwrap().is_none());
        drop(late);
    });
}

/// The command says that it stops what its runner says is ready: neither has a lock of the other.
#[test]
fn whoever_says_what_runs_is_heard_whole() {
    // in memory, as the runtime directory is
    let root = TempDir::new_in("/dev/shm").unwrap();
    let web = name("web1");
    let say = |phase: Phase, started: u64| {
        let state = RuntimeState {
            uuid: Uuid::from_u128(1),
            init_pid: 10,
            init_start: 20,
            controller_pid: 11,
            waiter_pid: 12,
            waiter_start: 21,
            started,
            phase,
            confined: None,
        };
        let store = store(root.path());
        for _ in 0..1000 {
            store.save_state(&web, &state).unwrap();
            assert!(store.state(&web).unwrap().is_some());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| say(Phase::Ready, 1));
        scope.spawn(|| say(Phase::Stopping, u64::MAX));
    });
    let runtime = store(root.path()).places().runtime(&web);
    assert_eq!(fs::read_dir(runtime).unwrap().count(), 1);
}

#[test]
fn a_run_lock_goes_along_through_an_exec() {
    let web = name("web1");
    if let Some((root, descriptor)) = told() {
        let store = store(&root);
        let descriptor = i32::try_from(descriptor).unwrap();
        let adopted = store.adopt_run_lock(&web, descriptor).unwrap();
        assert!(matches!(
            store.adopt_run_lock(&web, descriptor),
            Err(Error::NotTheLock { .. })
        ));
        println!("adopted");
        std::io::stdout().flush().unwrap();
        let _ = std::io::read_to_string(std::io::stdin());
        drop(adopted);
        return;
    }
    let root = TempDir::new().unwrap();
    let store = store(root.path());
    assert!(!store.is_run(&web).unwrap());
    let lock = store.run_lock(&web).unwrap().unwrap();
    assert!(store.run_lock(&web).unwrap().is_none());
    assert!(store.is_run(&web).unwrap());
    for wrong in [0, 1, 2, 900, -1] {
        assert!(
            matches!(
                store.adopt_run_lock(&web, wrong),
                Err(Error::NotTheLock { .. })
            ),
            "{wrong}"
        );
    }
    let descriptor = lock.inherit().unwrap();
    let number = usize::try_from(descriptor).unwrap();
    let mut child = again("a_run_lock_goes_along_through_an_exec", root.path(), number)
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("adopted") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0);
    }
    // this process gives it up; the other holds it
    drop(store.adopt_run_lock(&web, descriptor).unwrap());
    assert!(store.is_run(&web).unwrap());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert!(!store.is_run(&web).unwrap());
    store.run_lock(&web).unwrap().unwrap().discard().unwrap();
}

#[test]
fn a51_a_full_disk_is_told_with_its_path_and_nothing_is_lost() {
    let test = "a51_a_full_disk_is_told_with_its_path_and_nothing_is_lost";
    if let Some((root, _)) = told() {
        full_disk(&root);
        return;
    }
    in_a_namespace(test);
}

/// This test once more, in a mount namespace of its own and with a small file system as its root: the
/// machine's mounts stay as they are.
fn in_a_namespace(test: &str) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED, needs root: {test}");
        assert!(std::env::var_os("CI").is_none(), "{test} needs root");
        return;
    }
    let root = TempDir::new().unwrap();
    let own = std::env::current_exe().unwrap();
    let script =
        "mount -t tmpfs -o size=256k none \"$1\" && exec \"$2\" --exact \"$3\" --nocapture";
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(root.path())
        .arg(own)
        .arg(test)
        .env(ROOT, root.path())
        .env(NUMBER, "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_directory_that_something_is_mounted_on_stays() {
    let test = "a_directory_that_something_is_mounted_on_stays";
    let Some((root, _)) = told() else {
        return in_a_namespace(test);
    };
    let store = store(&root);
    let lock = store.lock(&name("web1"), |_| {}).unwrap();
    let journal = store.begin(beginning("web1", 1), NONE).unwrap();
    let state = store.places().state.clone();
    let mounted = Command::new("mount")
        .arg("--bind")
        .args([&state, &state])
        .status()
        .unwrap();
    assert!(mounted.success());
    journal.finish().unwrap();
    store.tidy(lock).unwrap();
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    assert!(root.join("var/lib").is_dir());
}

fn full_disk(root: &Path) {
    let store = store(root);
    let old = config("web1", 1);
    store.save(&old).unwrap();
    let mut journal = store.begin(beginning("web1", 1), NONE).unwrap();
    journal.record(&"before").unwrap();
    let lock = store.lock(&name("web1"), |_| {}).unwrap();
    assert!(
        store
            .reserve_label(&pair(1, 2), &name("web1"), old.uuid)
            .unwrap()
    );
    fill(root);

    let mut new = old.clone();
    new.shared = (0..200)
        .map(|n| format!("/opt/{n}").parse().unwrap())
        .collect();
    let no_space = |error: Error, object: &str| {
        let text = error.to_string();
        assert!(text.contains(object), "{text}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("No space left"), "{text}: {source}");
    };
    no_space(store.save(&new).unwrap_err(), "web1.sandbox");
    no_space(store.save(&config("web2", 2)).unwrap_err(), "web2.sandbox");
    let error = store
        .reserve_label(&pair(3, 4), &name("web2"), Uuid::from_u128(2))
        .unwrap_err();
    no_space(error, "c3,c4");
    let error = store.begin(beginning("web2", 2), NONE).unwrap_err();
    no_space(error, ".journal/.web2.new");
    let long = "x".repeat(100_000);
    no_space(journal.record(&long).unwrap_err(), "journal/web1");

    // what was there is as it was, and nothing half is
    assert_eq!(store.load(&old.name).unwrap(), old);
    assert_eq!(store.names().unwrap(), [name("web1")]);
    assert_eq!(store.pending().unwrap(), [name("web1")]);
    assert_eq!(store.in_use().unwrap().labels.len(), 1);
    let again = store.journal(&name("web1")).unwrap().unwrap();
    assert_eq!(again.steps::<String>().unwrap(), ["before"]);
    let services = fs::read_dir(store.places().services()).unwrap().count();
    assert_eq!(services, 1, "no temporary file stays behind");

    // to remove needs no space, and gives it back
    store.release(old.uuid).unwrap();
    fs::remove_file(root.join("filler")).unwrap();
    journal.record(&"after").unwrap();
    assert_eq!(journal.steps::<String>().unwrap(), ["before", "after"]);
    store.save(&new).unwrap();
    drop(lock);
}

/// Takes what space there is, to the last byte.
fn fill(root: &Path) {
    let mut file = fs::File::create(root.join("filler")).unwrap();
    while file.write(&[0; 512]).is_ok_and(|count| count > 0) {}
}

#[test]
fn a_journal_that_is_finished_while_it_is_read_is_none() {
    let root = TempDir::new().unwrap();
    let store = store(root.path());
    let web = name("web1");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..300 {
                let journal = store.begin(beginning("web1", 1), NONE).unwrap();
                journal.finish().unwrap();
            }
        });
        while !writer.is_finished() {
            store.journal(&web).unwrap();
        }
    });
}
