//! Categories, and sets of them.

use std::collections::BTreeSet;
use std::fmt;

/// A category of the policy, `c0` to `c1023` (the `NCATS` of the reference policy's mcs build).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(u16);

impl Category {
    /// How many categories there are.
    pub const COUNT: u16 = 1024;

    /// The category of that number; `None` from 1024 on.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// A set of categories, as in the level of a security context.
///
/// One label's process may read another label's files where its set contains the other's
/// (mcs constraints of the reference policy): that is why equal sets, subsets and supersets all
/// count as [overlapping](CategorySet::relates_to).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CategorySet(BTreeSet<Category>);

impl CategorySet {
    /// The set of two categories; `None` where they are the same.
    #[must_use]
    pub fn pair(a: Category, b: Category) -> Option<Self> {
        (a != b).then(|| Self(BTreeSet::from([a, b])))
    }

    /// The categories in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Category> + '_ {
        self.0.iter().copied()
    }

    /// How many categories there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none (`s0` alone).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a category is in the set.
    #[must_use]
    pub fn contains(&self, category: Category) -> bool {
        self.0.contains(&category)
    }

    /// Whether one of the two sets equals or contains the other, so that a process of one could
    /// reach what the other labels.
    #[must_use]
    pub fn relates_to(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0) || other.0.is_subset(&self.0)
    }
}

impl FromIterator<Category> for CategorySet {
    fn from_iter<I: IntoIterator<Item = Category>>(categories: I) -> Self {
        Self(categories.into_iter().collect())
    }
}

impl fmt::Display for CategorySet {
    /// `c1,c2`, ascending, three and more in a row as `c1.c3`: the kernel's own form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if(|next| next.0 == last.0 + 1) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            comma = ",";
            if last != first {
                let joint = if last.0 - first.0 > 1 { "." } else { comma };
                write!(f, "{joint}{last}")?;
            }
        }
        Ok(())
    }
}
