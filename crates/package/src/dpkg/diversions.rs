//! Diversions: paths that one package took from all others (dpkg-divert(1)).

use std::collections::HashMap;
use std::path::Path;

use super::lines::{self, Lines};
use crate::error::Result;

/// The diversions of a host, by the path as packages list it. They are applied before a merged
/// `/usr` is considered: dpkg compares the text of paths.
#[derive(Debug, Default)]
pub(crate) struct Diversions {
    by_path: HashMap<Vec<u8>, Diversion>,
}

#[derive(Debug)]
struct Diversion {
    to: Vec<u8>,
    /// The package that keeps the path; `:` where the administrator diverted it from all.
    keeper: Vec<u8>,
}

impl Diversions {
    /// Reads the file of triples; a host without it has no diversions.
    ///
    /// # Errors
    /// Where it can't be read or breaks off inside a triple.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut out = Self::default();
        let Some(file) = lines::open(path)? else {
            return Ok(out);
        };
        let mut lines = Lines::new(path, file);
        while let Some(from) = lines.next()?.map(<[u8]>::to_vec) {
            let to = lines.next()?.map(<[u8]>::to_vec);
            let keeper = lines.next()?.map(<[u8]>::to_vec);
            let (Some(to), Some(keeper)) = (to, keeper) else {
                return Err(lines.corrupt("a diversion breaks off"));
            };
            if from.first() != Some(&b'/') || to.first() != Some(&b'/') {
                return Err(lines.corrupt("a diversion is not of absolute paths"));
            }
            out.by_path.insert(from, Diversion { to, keeper });
        }
        Ok(out)
    }

    /// Where the file that `package` lists as `path` really is; `None` where that is `path`.
    pub(crate) fn apply(&self, path: &[u8], package: &str) -> Option<&[u8]> {
        self.by_path
            .get(path)
            .filter(|diversion| diversion.keeper != package.as_bytes())
            .map(|diversion| diversion.to.as_slice())
    }

    /// Whether there are none, so that asking for each path can be spared.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }
}
