//! What a change says before it does it, and what a crash leaves of that.

use std::fs;

use vss_config::Error;

use crate::world::{NONE, World, beginning, name, world};

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
fn a50_only_a_journal_that_nobody_works_on_is_abandoned() {
    let World { root: _root, store } = world();
    let web = name("web1");
    assert!(!store.is_pending(&web).unwrap() && !store.is_abandoned(&web).unwrap());
    let lock = store.try_lock(&web).unwrap().unwrap();
    let journal = store.begin(beginning("web1", 1), NONE).unwrap();
    assert!(store.is_pending(&web).unwrap() && !store.is_abandoned(&web).unwrap());
    drop(lock);
    assert!(store.is_pending(&web).unwrap() && store.is_abandoned(&web).unwrap());
    journal.finish().unwrap();
    assert!(!store.is_pending(&web).unwrap() && !store.is_abandoned(&web).unwrap());
}
