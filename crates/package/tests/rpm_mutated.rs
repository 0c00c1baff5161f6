//! Headers that are damaged in some thousand ways: each is read or refused, and nothing worse.
//! `fuzz/` looks for ways that nobody thought of; this is what every run of the tests repeats.
//!
//! The corpus is `data/headers`, real ones and those that were found to matter, and the headers of
//! the recorded database.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use vss_package::rpm::Record;

/// Reads a header, and looks at all that comes of it. Whether it was taken.
fn read(blob: &[u8]) -> bool {
    match Record::read(blob) {
        Ok((record, files)) => {
            assert!(!record.name.is_empty());
            // a file has a number of four bytes and a NUL byte at least
            assert!(files.len() * 5 <= blob.len());
            let text: usize = files
                .iter()
                .map(|f| f.directory.len().min(1) + f.name.len())
                .sum();
            assert!(text <= blob.len() * 2);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/headers");
    let files = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut out: Vec<Vec<u8>> = files
        .into_iter()
        .map(|file| fs::read(file).unwrap())
        .collect();
    assert!(out.len() > 10);
    out.extend(support::headers().into_iter().filter(|h| h.len() < 20_000));
    out
}

#[test]
fn the_corpus_is_read_or_refused_as_its_names_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/headers");
    let mut kinds = [0; 2];
    for file in fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let sound = name.starts_with("real-");
        assert!(sound || name.starts_with("damaged-"), "{name}");
        assert_eq!(read(&fs::read(file.path()).unwrap()), sound, "{name}");
        kinds[usize::from(sound)] += 1;
    }
    assert!(kinds.iter().all(|&count| count > 3), "{kinds:?}");
}

#[test]
fn a35_a_header_cut_anywhere_is_refused() {
    for header in corpus().iter().filter(|h| read(h)) {
        for length in (0..header.len()).step_by(header.len() / 97 + 1) {
            assert!(!read(&header[..length]), "{length} of {}", header.len());
        }
    }
}

#[test]
fn a35_every_number_of_the_index_may_be_any_other() {
    let mut refused = 0;
    for header in corpus().iter().filter(|h| read(h)) {
        let entries = u32::from_be_bytes(*header.first_chunk().unwrap()) as usize;
        for at in (0..8 + entries * 16).step_by(4) {
            for value in [0, 1, 2, 9, 0x7fff_ffff, 0x8000_0000, u32::MAX - 3, u32::MAX] {
                let mut damaged = header.clone();
                damaged[at..at + 4].copy_from_slice(&value.to_be_bytes());
                refused += usize::from(!read(&damaged));
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Number(Index, u32),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Swap(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>();
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (at.clone(), any::<u32>()).prop_map(|(at, number)| Damage::Number(at, number)),
        (at.clone(), 0..70_000_u32).prop_map(|(at, number)| Damage::Number(at, number)),
        (at.clone(), proptest::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, b)| Damage::Insert(at, b)),
        (at.clone(), 1..20_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (at.clone(), at).prop_map(|(a, b)| Damage::Swap(a, b)),
    ]
}

impl Damage {
    fn apply(&self, blob: &mut Vec<u8>) {
        if blob.len() < 16 {
            return;
        }
        match self {
            Self::Set(at, byte) => {
                let at = at.index(blob.len());
                blob[at] = *byte;
            }
            Self::Number(at, number) => {
                let at = at.index(blob.len() / 4 - 1) * 4;
                blob[at..at + 4].copy_from_slice(&number.to_be_bytes());
            }
            Self::Insert(at, bytes) => {
                let at = at.index(blob.len());
                blob.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(blob.len());
                let end = (at + count).min(blob.len());
                blob.drain(at..end);
            }
            Self::Swap(a, b) => {
                let entries = blob.len() / 16;
                let (a, b) = (a.index(entries), b.index(entries));
                for byte in 0..16.min(blob.len() - 8 - a.max(b) * 16) {
                    blob.swap(8 + a * 16 + byte, 8 + b * 16 + byte);
                }
            }
        }
    }
}

/// Makes the lengths true again, so that what lies behind their check is reached.
fn repair(blob: &mut [u8]) {
    if blob.len() < 24 {
        return;
    }
    let most = (blob.len() - 8) / 16;
    let entries = u32::from_be_bytes(*blob.first_chunk().unwrap()) as usize;
    let entries = entries.min(most);
    let data = blob.len() - 8 - entries * 16;
    blob[..4].copy_from_slice(&u32::try_from(entries).unwrap().to_be_bytes());
    blob[4..8].copy_from_slice(&u32::try_from(data).unwrap().to_be_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, ..ProptestConfig::default() })]

    #[test]
    fn a46_any_damage_is_read_or_refused(
        chosen in any::<Index>(),
        damages in proptest::collection::vec(damage(), 1..6),
        repaired in any::<bool>(),
    ) {
        let corpus = CORPUS.get_or_init(corpus);
        let mut blob = corpus[chosen.index(corpus.len())].clone();
        for damage in &damages {
            damage.apply(&mut blob);
        }
        if repaired {
            repair(&mut blob);
        }
        read(&blob);
    }

    #[test]
    fn a46_any_bytes_are_read_or_refused(mut blob in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&blob);
        repair(&mut blob);
        read(&blob);
    }
}

static CORPUS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
