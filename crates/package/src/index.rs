//! Who owns which path: the file lists of all packages as one sorted table.
//!
//! The lists are kept as they were read, in one block of memory, and the table holds positions in
//! it. It is sorted by directory and then by name: paths share long beginnings, so sorting few
//! directories and then short names is several times faster than comparing whole paths.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

/// The longest path that the kernel takes (`PATH_MAX`, with its NUL byte).
pub(crate) const MAX_PATH: usize = 4095;
/// The most bytes of paths, some ten times what the largest distributions have.
pub(crate) const MAX_TEXT: usize = 1 << 30;

/// The paths of all packages.
#[derive(Debug, Default)]
pub(crate) struct Index {
    arena: Vec<u8>,
    /// In the order of the lists: the paths of a package stand together.
    entries: Vec<Entry>,
    /// The paths of package `n`, as a range of `entries`.
    packages: Vec<Range<usize>>,
    /// Positions in `entries`, by directory, then by name, then by package.
    sorted: Vec<u32>,
    /// The directories that hold listed paths, sorted by bytes.
    directories: Vec<Directory>,
}

/// A directory: where its path stands in the arena, and its entries in `sorted`.
#[derive(Debug, Clone)]
struct Directory {
    path: Range<usize>,
    entries: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    length: u16,
    /// Where the name begins, behind the last slash.
    name: u16,
    package: u32,
}

impl Index {
    /// The text that paths may stand in, for a reader that appends a list as it is.
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// A path of the next package.
    ///
    /// # Errors
    /// Where there are more than any host can have.
    pub(crate) fn add(&mut self, path: &[u8]) -> io::Result<()> {
        let start = self.arena.len();
        if start + path.len() > MAX_TEXT {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.arena.extend_from_slice(path);
        self.push(start..self.arena.len());
        Ok(())
    }

    /// No more paths of this package come.
    pub(crate) fn end_package(&mut self) {
        let start = self.packages.last().map_or(0, |range| range.end);
        self.packages.push(start..self.entries.len());
    }

    /// A path of the next package, which stands in the text already.
    pub(crate) fn push(&mut self, range: Range<usize>) {
        // `check` bounds the length and `MAX_TEXT` the position, so neither is ever lost here.
        let (directory, _) = split(&self.arena[range.clone()]);
        if let (Ok(start), Ok(length), Ok(name), Ok(package)) = (
            u32::try_from(range.start),
            u16::try_from(range.len()),
            u16::try_from(directory.len() + 1),
            u32::try_from(self.packages.len()),
        ) {
            self.entries.push(Entry {
                start,
                length,
                name,
                package,
            });
        }
    }

    /// Sorts the table, after the last package.
    pub(crate) fn finish(&mut self) {
        let mut directories: Vec<Range<usize>> = Vec::new();
        let mut known: HashMap<&[u8], u32> = HashMap::new();
        let mut rows: Vec<Row> = Vec::with_capacity(self.entries.len());
        // Most paths are in the directory of the one before.
        let mut last: (&[u8], u32) = (b"/", 0);
        for (position, &entry) in self.entries.iter().enumerate() {
            let (directory, name) = (self.directory(entry), self.name_at(as_number(position)));
            let start = entry.start as usize;
            if last.0 != directory {
                let number = *known.entry(directory).or_insert_with(|| {
                    directories.push(start..start + directory.len());
                    as_number(directories.len() - 1)
                });
                last = (directory, number);
            }
            rows.push(Row {
                directory: last.1,
                name: beginning(name),
                position: as_number(position),
            });
        }
        drop(known);
        let mut order: Vec<usize> = (0..directories.len()).collect();
        order.sort_by_key(|&n| &self.arena[directories[n].clone()]);
        let mut ranks = vec![0; directories.len()];
        for (rank, &n) in order.iter().enumerate() {
            ranks[n] = as_number(rank);
        }
        for row in &mut rows {
            row.directory = ranks[row.directory as usize];
        }
        rows.sort_unstable_by(|a, b| {
            (a.directory, a.name)
                .cmp(&(b.directory, b.name))
                .then_with(|| self.name_at(a.position).cmp(self.name_at(b.position)))
                .then(a.position.cmp(&b.position))
        });
        let mut end = 0;
        self.directories = (0..)
            .zip(order)
            .map(|(rank, n)| {
                let start = end;
                end += rows[start..].partition_point(|row| row.directory == rank);
                Directory {
                    path: directories[n].clone(),
                    entries: start..end,
                }
            })
            .collect();
        self.sorted = rows.iter().map(|row| row.position).collect();
        self.arena.shrink_to_fit();
    }

    fn path(&self, entry: Entry) -> &[u8] {
        let start = entry.start as usize;
        &self.arena[start..start + usize::from(entry.length)]
    }

    fn directory(&self, entry: Entry) -> &[u8] {
        let start = entry.start as usize;
        &self.arena[start..start + usize::from(entry.name) - 1]
    }

    fn name_at(&self, position: u32) -> &[u8] {
        let entry = self.entries[position as usize];
        let start = entry.start as usize;
        &self.arena[start + usize::from(entry.name)..start + usize::from(entry.length)]
    }

    fn directory_path(&self, directory: &Directory) -> &[u8] {
        &self.arena[directory.path.clone()]
    }

    /// The entries of `sorted` that are in this very directory.
    fn inside(&self, path: &[u8]) -> Range<usize> {
        let found = self
            .directories
            .binary_search_by(|d| self.directory_path(d).cmp(path));
        found.map_or(0..0, |n| self.directories[n].entries.clone())
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
        let (directory, name) = split(path);
        let range = self.inside(directory);
        let inside = &self.sorted[range.clone()];
        let from = inside.partition_point(|&e| self.name_at(e) < name);
        let to = from + inside[from..].partition_point(|&e| self.name_at(e) == name);
        let mut out = self.numbers(range.start + from..range.start + to);
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The numbers of the packages that list this path or anything below it, sorted.
    pub(crate) fn owners_below(&self, path: &[u8]) -> Vec<usize> {
        // The root is spelled as nothing where it is a directory that holds paths.
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let deeper = [path, b"/"].concat();
        let from = self
            .directories
            .partition_point(|d| self.directory_path(d) < deeper.as_slice());
        let count = self.directories[from..]
            .partition_point(|d| self.directory_path(d).starts_with(&deeper));
        // Sorted by bytes, what is deeper stands together, though not right behind the directory.
        let deeper = match &self.directories[from..from + count] {
            [first, .., last] => first.entries.start..last.entries.end,
            [only] => only.entries.clone(),
            [] => 0..0,
        };
        let mut out = self.owners(if path.is_empty() { b"/" } else { path });
        out.extend(self.numbers(self.inside(path)));
        out.extend(self.numbers(deeper));
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

/// What a path is sorted by.
struct Row {
    directory: u32,
    name: u64,
    position: u32,
}

/// Positions fit in 32 bits: the arena is bounded, and each entry has a byte of it.
fn as_number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// A path as its directory, without the slash, and its name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|&c| c == b'/').unwrap_or(0);
    (&path[..slash], path.get(slash + 1..).unwrap_or_default())
}

/// The first bytes of a name as a number that sorts as they do.
fn beginning(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = name.len().min(8);
    bytes[..length].copy_from_slice(&name[..length]);
    u64::from_be_bytes(bytes)
}

/// Why a path of a database can't be used.
pub(crate) fn check(line: &[u8]) -> Result<(), &'static str> {
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

/// Whether it surely is a path without `.`, `..`, doubled or trailing slash: one glance for
/// the many, so that the few are looked at closely. A hidden file is none of the many.
pub(crate) fn is_plain(line: &[u8]) -> bool {
    let mut before = 0;
    for &c in line {
        if c == 0 || (before == b'/' && matches!(c, b'/' | b'.')) {
            return false;
        }
        before = c;
    }
    line.first() == Some(&b'/') && before != b'/' && line.len() <= MAX_PATH
}

/// Without `.`, doubled and trailing slashes.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
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
            let mut index = Index::default();
            for list in &lists {
                for path in list.iter().filter(|p| check(p.as_bytes()).is_ok()) {
                    index.add(&clean(path.as_bytes())).unwrap();
                }
                index.end_package();
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
