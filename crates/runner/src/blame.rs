//! Which unit inside kept another from being started, in the words of the systemd there.

use vss_model::UnitName;

use crate::console::message;

/// The unit that failed before systemd gave up on `unit` for it. systemd says the one and then at
/// once the other, whatever else has failed before.
pub fn required<'a>(lines: impl Iterator<Item = &'a str>, unit: &str) -> Option<String> {
    let mut failed = None;
    for text in lines.filter_map(of_manager) {
        if let Some(rest) = text.strip_prefix("Dependency failed for ")
            && first_word(rest) == unit
        {
            return failed;
        }
        if let Some(name) = failure_in(text).filter(|name| *name != unit) {
            failed = Some(name.to_owned());
        }
    }
    None
}

/// What PID 1 says, through the journal or as its progress on the console.
fn of_manager(line: &str) -> Option<&str> {
    match message(line) {
        Some(text) => text.strip_prefix("systemd[1]: "),
        None => ["[FAILED] ", "[DEPEND] "]
            .iter()
            .find_map(|begin| line.strip_prefix(begin)),
    }
}

fn failure_in(text: &str) -> Option<&str> {
    let name = match text.split_once(": Failed with result ") {
        Some((name, _)) => name,
        // "Failed to listen on a.socket - A."
        None => text
            .strip_prefix("Failed to ")?
            .split(' ')
            .map(|word| word.trim_end_matches('.'))
            .find(|word| is_unit(word))?,
    };
    is_unit(name).then_some(name)
}

fn is_unit(word: &str) -> bool {
    let parsed = word.parse::<UnitName>();
    // a word without a type would be read as a service
    parsed.is_ok_and(|name| name.as_str() == word)
}

fn first_word(text: &str) -> &str {
    let word = text.split(' ').next().unwrap_or_default();
    word.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_that_failed_last_before_it_is_to_blame() {
        let lines = [
            "[    1.0] systemd[1]: other.service: Failed with result 'exit-code'.",
            "[    1.1] systemd[1]: Failed to listen on a.socket - A Socket.",
            "[    1.1] a[7]: Failed to open b.service",
            "[    1.1] systemd[1]: Dependency failed for a.service - A.",
            "[    1.2] systemd[1]: root.mount: Failed with result 'exit-code'.",
        ];
        let blamed = |unit: &str| required(lines.into_iter(), unit);
        assert_eq!(blamed("a.service").as_deref(), Some("a.socket"));
        assert_eq!(blamed("c.service"), None);
    }

    #[test]
    fn progress_on_the_console_tells_as_well() {
        let lines = [
            "[FAILED] Failed to mount srv.mount - /srv.",
            "[DEPEND] Dependency failed for a.service.",
        ];
        let blamed = required(lines.into_iter(), "a.service");
        assert_eq!(blamed.as_deref(), Some("srv.mount"));
    }
}
