//! Who owns which path: the file lists of all packages as one sorted table.
//!
//! The lists are kept as they were read, in one block of memory; the table holds positions in it,
//! twelve bytes a path. 125,000 paths of 800 packages take some 10 MB and about 30 ms.

use std::ops::Range;
use std::path::Path;

use vss_model::Sanitized;

use super::diversions::Diversions;
use super::lines;
use crate::error::{Error, Result};
use crate::spelling::Spelling;

/// The longest path that the kernel takes (`PATH_MAX`, with its NUL byte).
const MAX_PATH: usize = 4095;

/// The paths of all packages.
#[derive(Debug, Default)]
pub(crate) struct Index {
    arena: Vec<u8>,
    /// In the order of the lists: the paths of a package stand together.
    entries: Vec<Entry>,
    /// The paths of package `n`, as a range of `entries`.
    packages: Vec<Range<usize>>,
    /// Positions in `entries`, by path and then by package.
    sorted: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    length: u16,
    package: u32,
}

/// What decides where a listed path really is.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) spelling: &'a Spelling,
    pub(crate) diversions: &'a Diversions,
}

impl Index {
    /// Reads the list of the next package and appends what can't be used to `notes`. `false` where
    /// there is no such file.
    ///
    /// # Errors
    /// Where the file can't be read, or breaks off inside a line.
    pub(crate) fn add_list(
        &mut self,
        path: &Path,
        package: &str,
        places: &Places<'_>,
        notes: &mut Vec<String>,
    ) -> Result<bool> {
        let from = self.arena.len();
        if !lines::append(path, &mut self.arena)? {
            return Ok(false);
        }
        let too_large = || Error::Read {
            path: path.to_owned(),
            source: std::io::Error::from(std::io::ErrorKind::FileTooLarge),
        };
        // Twice: rewritten paths are appended behind the list.
        if self.arena.len() + (self.arena.len() - from) > u32::MAX as usize {
            return Err(too_large());
        }
        let to = self.arena.len();
        if to > from && self.arena[to - 1] != b'\n' {
            return Err(Error::Corrupt {
                path: path.to_owned(),
                line: self.arena[from..].split(|&c| c == b'\n').count(),
                reason: "the line has no end: the list was cut short".to_owned(),
            });
        }
        let first_entry = self.entries.len();
        let mut start = from;
        while start < to {
            let length = self.arena[start..to]
                .iter()
                .position(|&c| c == b'\n')
                .unwrap_or(to - start);
            self.add_line(start..start + length, package, places, notes);
            start += length + 1;
        }
        self.packages.push(first_entry..self.entries.len());
        Ok(true)
    }

    /// A package without a list: it has no files.
    pub(crate) fn add_nothing(&mut self) {
        self.packages.push(self.entries.len()..self.entries.len());
    }

    fn add_line(
        &mut self,
        line: Range<usize>,
        package: &str,
        places: &Places<'_>,
        notes: &mut Vec<String>,
    ) {
        let text = &self.arena[line.clone()];
        let mut rewritten: Option<Vec<u8>> = None;
        if !is_plain(text) {
            if let Err(reason) = check(text) {
                notes.push(format!(
                    "left out of its list: {:?}, {reason}",
                    Sanitized::bytes(&text[..text.len().min(200)]).to_string()
                ));
                return;
            }
            rewritten = Some(clean(text));
        }
        if !places.diversions.is_empty() {
            let current = rewritten.as_deref().unwrap_or(text);
            if let Some(to) = places.diversions.apply(current, package) {
                rewritten = Some(to.to_vec());
            }
        }
        if let Some(spelled) = places
            .spelling
            .rewrite(rewritten.as_deref().unwrap_or(text))
        {
            rewritten = Some(spelled);
        }
        let range = match rewritten {
            None => line,
            Some(bytes) => {
                let start = self.arena.len();
                self.arena.extend_from_slice(&bytes);
                start..self.arena.len()
            }
        };
        self.push(range);
    }

    fn push(&mut self, range: Range<usize>) {
        // `check` bounds the length and `add_list` the position, so neither is ever lost here.
        if let (Ok(start), Ok(length), Ok(package)) = (
            u32::try_from(range.start),
            u16::try_from(range.len()),
            u32::try_from(self.packages.len()),
        ) {
            self.entries.push(Entry {
                start,
                length,
                package,
            });
        }
    }

    /// Sorts the table, after the last package.
    pub(crate) fn finish(&mut self) {
        let mut sorted: Vec<u32> = (0..self.entries.len())
            .filter_map(|n| u32::try_from(n).ok())
            .collect();
        // Stable, and lists are nearly sorted already: runs are merged, not sorted anew.
        sorted.sort_by(|&a, &b| self.path_at(a).cmp(self.path_at(b)));
        self.sorted = sorted;
        self.arena.shrink_to_fit();
    }

    fn path(&self, entry: Entry) -> &[u8] {
        let start = entry.start as usize;
        &self.arena[start..start + usize::from(entry.length)]
    }

    fn path_at(&self, position: u32) -> &[u8] {
        self.path(self.entries[position as usize])
    }

    /// How many paths are listed, repeats included.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The paths that package `n` lists, in the order of its list.
    pub(crate) fn paths(&self, n: usize) -> impl Iterator<Item = &[u8]> {
        let range = self.packages.get(n).cloned().unwrap_or(0..0);
        self.entries[range].iter().map(|&entry| self.path(entry))
    }

    /// The numbers of the packages that list this very path, sorted.
    pub(crate) fn owners(&self, path: &[u8]) -> Vec<usize> {
        let from = self.sorted.partition_point(|&e| self.path_at(e) < path);
        let to = from + self.sorted[from..].partition_point(|&e| self.path_at(e) == path);
        let mut out = self.numbers(from..to);
        out.dedup();
        out
    }

    /// The numbers of the packages that list this path or anything below it, sorted.
    pub(crate) fn owners_below(&self, path: &[u8]) -> Vec<usize> {
        let mut inside = path.to_vec();
        if inside.last() != Some(&b'/') {
            inside.push(b'/');
        }
        let from = self
            .sorted
            .partition_point(|&e| self.path_at(e) < inside.as_slice());
        // Sorted by bytes, what is below a directory stands together, though not right behind it.
        let to =
            from + self.sorted[from..].partition_point(|&e| self.path_at(e).starts_with(&inside));
        let mut out = self.owners(path);
        out.extend(self.numbers(from..to));
        out.sort_unstable();
        out.dedup();
        out
    }

    fn numbers(&self, range: Range<usize>) -> Vec<usize> {
        self.sorted[range]
            .iter()
            .map(|&e| self.entries[e as usize].package as usize)
            .collect()
    }
}

/// Why a line of a list is no path that can be used.
fn check(line: &[u8]) -> Result<(), &'static str> {
    if line.is_empty() {
        Err("an empty line")
    } else if line[0] != b'/' {
        Err("not an absolute path")
    } else if line.len() > MAX_PATH {
        Err("longer than the kernel takes")
    } else if line.contains(&0) {
        Err("it has a NUL byte")
    } else if line.split(|&c| c == b'/').any(|part| part == b"..") {
        Err("it has \"..\"")
    } else {
        Ok(())
    }
}

/// Whether a line surely is a path without `.`, `..`, doubled or trailing slash: one glance for
/// the many, so that the few are looked at closely. A hidden file is none of the many.
fn is_plain(line: &[u8]) -> bool {
    let mut before = 0;
    for &c in line {
        if c == 0 || (before == b'/' && matches!(c, b'/' | b'.')) {
            return false;
        }
        before = c;
    }
    line.first() == Some(&b'/') && before != b'/' && line.len() <= MAX_PATH
}

fn clean(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for part in path.split(|&c| c == b'/') {
        if !part.is_empty() && part != b"." {
            out.push(b'/');
            out.extend_from_slice(part);
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a32_only_absolute_paths_that_do_not_climb_pass() {
        for good in ["/.", "/", "/a//b/./c/", "/a/...", "/..a", "/a/b.."] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "a", "/..", "/a/../b", "../a", "/a\0b"] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check(&[b'/'; 5000]).is_err());
        assert_eq!(clean(b"/."), b"/");
        assert_eq!(clean(b"//a/./b/"), b"/a/b");
    }

    proptest! {
        #[test]
        fn a32_what_is_plain_at_a_glance_is_so_at_a_close_look(line in "[/.a\u{0}]{0,8}") {
            let line = line.as_bytes();
            prop_assert!(!is_plain(line) || (check(line).is_ok() && clean(line) == line));
        }

        #[test]
        fn the_table_answers_as_a_plain_search_does(
            lists in proptest::collection::vec(proptest::collection::vec("(/[ab.-]{1,2}){1,3}", 0..8), 1..5),
            asked in "(/[ab.-]{1,2}){0,3}",
        ) {
            let directory = tempfile::tempdir().unwrap();
            let (spelling, diversions) = (Spelling::default(), Diversions::default());
            let places = Places { spelling: &spelling, diversions: &diversions };
            let mut index = Index::default();
            for (n, list) in lists.iter().enumerate() {
                let file = directory.path().join(n.to_string());
                std::fs::write(&file, list.iter().map(|p| format!("{p}\n")).collect::<String>()).unwrap();
                prop_assert!(index.add_list(&file, "p", &places, &mut Vec::new()).unwrap());
            }
            index.finish();
            let asked = if asked.is_empty() { "/".to_owned() } else { asked };
            let usable = |p: &String| check(p.as_bytes()).is_ok();
            let lists_it = |p: &String| clean(p.as_bytes()) == asked.as_bytes();
            let lists_below = |p: &String| asked == "/" || clean(p.as_bytes()) == asked.as_bytes()
                || clean(p.as_bytes()).starts_with(format!("{asked}/").as_bytes());
            let expect = |test: &dyn Fn(&String) -> bool| -> Vec<usize> {
                (0..lists.len()).filter(|&n| lists[n].iter().any(|p| usable(p) && test(p))).collect()
            };
            prop_assert_eq!(index.owners(asked.as_bytes()), expect(&lists_it));
            prop_assert_eq!(index.owners_below(asked.as_bytes()), expect(&lists_below));
        }
    }
}
