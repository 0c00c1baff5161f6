//! What a detached runner says on its standard error, which nobody else hears.

/// The most that is kept.
const LIMIT: usize = 16 * 1024;

/// Its last words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said(Vec<u8>);

impl Said {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let excess = self.0.len().saturating_sub(LIMIT);
        self.0.drain(..excess);
    }

    /// Why it failed: its last line that is no hint.
    pub(crate) fn message(&self) -> Option<String> {
        let lines = self.lines();
        let line = lines
            .iter()
            .rfind(|line| !line.starts_with("hint: ") && !line.trim().is_empty())?;
        let bare = line.strip_prefix("virt-sandbox-run: ").unwrap_or(line);
        Some(bare.to_owned())
    }

    /// What it says to do about that.
    pub(crate) fn hint(&self) -> Option<String> {
        let lines = self.lines();
        let hint = lines.last()?.strip_prefix("hint: ")?;
        Some(hint.to_owned())
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0);
        text.lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_has_no_last_words() {
        assert_eq!(Said::default().message(), None);
        assert_eq!(Said::default().hint(), None);
    }

    #[test]
    fn a_flood_takes_no_memory_and_its_end_is_kept() {
        let mut said = Said::default();
        for _ in 0..100 {
            said.push(&[b'x'; 4096]);
        }
        said.push(b"\nvirt-sandbox-run: the end\n");
        assert!(said.0.len() <= LIMIT);
        assert_eq!(said.message().as_deref(), Some("the end"));
    }
}
