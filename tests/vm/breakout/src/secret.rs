//! What is the host's alone to know: texts that the case leaves in places and compares with what an
//! attempt brings back.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::outcome::{Outcome, Step, refused};

const MARK: &[u8] = b"breakout-secret-";
/// No file that is read here is longer.
const LIMIT: u64 = 1 << 20;

/// The first secret in a text.
pub(crate) fn find(bytes: &[u8]) -> Option<String> {
    let start = bytes.windows(MARK.len()).position(|w| w == MARK)?;
    let word = bytes[start..]
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-');
    Some(word.map(|b| char::from(*b)).collect())
}

/// The secret in an open file.
pub(crate) fn in_file(file: File, name: &str) -> Outcome {
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).step("read")?;
    match find(&bytes) {
        Some(secret) => Ok(secret),
        None => refused(name, "not the host's"),
    }
}

pub(crate) fn at(path: impl AsRef<Path>) -> Outcome {
    let path = path.as_ref();
    in_file(File::open(path).step("open")?, &path.display().to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_secret_is_found_and_ends_with_its_word() {
        let found = super::find(b"root:breakout-secret-shadow-12ab:1::");
        assert_eq!(found.as_deref(), Some("breakout-secret-shadow-12ab"));
        assert_eq!(super::find(b"root:*:1::"), None);
    }
}
