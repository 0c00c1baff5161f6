//! A table of the file, read key by key, so that keys that nobody asked for stand out.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::ConfigProblem;

pub(super) type Outcome<T> = Result<T, Box<ConfigProblem>>;

/// The file that is being read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn problem(
        &self,
        at: Option<Range<usize>>,
        key: &str,
        problem: impl Into<String>,
    ) -> Box<ConfigProblem> {
        let line = at.map(|span| {
            let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
            1 + before.iter().filter(|&&b| b == b'\n').count()
        });
        Box::new(ConfigProblem {
            path: self.path.to_owned(),
            line,
            key: key.to_owned(),
            problem: problem.into(),
        })
    }
}

/// A table of the file.
pub(super) struct Section<'a> {
    source: Source<'a>,
    /// Its name, empty for the top.
    name: &'a str,
    table: &'a DeTable<'a>,
    /// Where its header is; `None` for the top.
    at: Option<Range<usize>>,
    asked: RefCell<Vec<&'static str>>,
}

/// A value and where it came from.
pub(super) struct Item<'a> {
    source: Source<'a>,
    key: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        source: Source<'a>,
        name: &'a str,
        table: &'a DeTable<'a>,
        at: Option<Range<usize>>,
    ) -> Self {
        Self {
            source,
            name,
            table,
            at,
            asked: RefCell::default(),
        }
    }

    fn key(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    pub(super) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.asked.borrow_mut().push(key);
        let value = self.table.get(key)?;
        Some(Item {
            source: self.source,
            key: self.key(key),
            value,
        })
    }

    pub(super) fn require(&self, key: &'static str) -> Outcome<Item<'a>> {
        self.get(key).ok_or_else(|| {
            let problem =
                format!("the key {key} is missing; add it, or delete and create the sandbox anew");
            self.source
                .problem(self.at.clone(), &self.key(key), problem)
        })
    }

    pub(super) fn section(&self, key: &'static str) -> Outcome<Option<Section<'a>>> {
        self.get(key).map(|item| item.section(key)).transpose()
    }

    pub(super) fn require_section(&self, key: &'static str) -> Outcome<Section<'a>> {
        self.require(key)?.section(key)
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) -> Outcome<()> {
        let asked = self.asked.into_inner();
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if asked.contains(&name) {
                continue;
            }
            let problem = match nearest(name, asked.iter().copied()) {
                Some(near) => format!("there is no such key; did you mean {near}?"),
                None => format!("there is no such key; there are {}", asked.join(", ")),
            };
            let full = if self.name.is_empty() {
                name.to_owned()
            } else {
                format!("{}.{name}", self.name)
            };
            return Err(self.source.problem(Some(key.span()), &full, problem));
        }
        Ok(())
    }
}

impl<'a> Item<'a> {
    pub(super) fn problem(&self, problem: impl Into<String>) -> Box<ConfigProblem> {
        self.source
            .problem(Some(self.value.span()), &self.key, problem)
    }

    fn wrong_type(&self, wanted: &str) -> Box<ConfigProblem> {
        let found = self.value.get_ref().type_str();
        self.problem(format!("this is a value of type {found}; give {wanted}"))
    }

    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    pub(super) fn text(&self) -> Outcome<&'a str> {
        self.value()
            .as_str()
            .ok_or_else(|| self.wrong_type("a text in quotes"))
    }

    /// Reads the text by its type's own rule.
    pub(super) fn parse<T: std::str::FromStr>(&self) -> Outcome<T>
    where
        T::Err: std::fmt::Display,
    {
        self.text()?
            .parse()
            .map_err(|error: T::Err| self.problem(error.to_string()))
    }

    /// A whole number that isn't negative; `None` where the value is no number.
    pub(super) fn number(&self) -> Option<u64> {
        let number = self.value().as_integer()?;
        u64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    pub(super) fn require_number(&self) -> Outcome<u64> {
        self.number()
            .ok_or_else(|| self.wrong_type("a whole number, 0 or more"))
    }

    pub(super) fn items(&self) -> Outcome<Vec<Item<'a>>> {
        let array = self
            .value()
            .as_array()
            .ok_or_else(|| self.wrong_type("a list, [ … ]"))?;
        let item = |value| Item {
            source: self.source,
            key: self.key.clone(),
            value,
        };
        Ok(array.iter().map(item).collect())
    }

    pub(super) fn section(&self, name: &'a str) -> Outcome<Section<'a>> {
        let table = self
            .value()
            .as_table()
            .ok_or_else(|| self.wrong_type(&format!("a section, [{name}]")))?;
        Ok(Section::new(
            self.source,
            name,
            table,
            Some(self.value.span()),
        ))
    }
}

/// The candidate that is most like a word, if one is like it.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(d, candidate)| *d <= 2.max(candidate.len() / 4))
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many characters have to be added, removed or changed (Levenshtein).
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
