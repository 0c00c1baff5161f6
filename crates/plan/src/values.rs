//! What the values of a unit's settings are to systemd.

use vss_model::UnitName;

/// How a service says that it is up (systemd.service(5)).
const TYPES: [&str; 8] = [
    "simple",
    "exec",
    "forking",
    "oneshot",
    "dbus",
    "notify",
    "notify-reload",
    "idle",
];
/// What else than a boolean `PrivateUsers=` may be (systemd.exec(5)).
const OF_USERS: [&str; 4] = ["self", "identity", "full", "managed"];
const POLICIES: [&str; 6] = ["other", "batch", "idle", "fifo", "rr", "ext"];
const CLASSES: [&str; 4] = ["none", "realtime", "best-effort", "idle"];

/// Whether systemd takes a value for a setting of one value. It logs what is none, and keeps what
/// was said before.
pub(crate) fn is_taken(key: &str, value: &str) -> bool {
    // an empty value takes these two back
    let is_one_of =
        |words: &[&str]| value.is_empty() || words.contains(&value) || value.parse::<u8>().is_ok();
    match key {
        "Type" => TYPES.contains(&value),
        "BusName" => value.contains('.'),
        "DynamicUser" | "Accept" => boolean(value).is_some(),
        "PrivateUsers" => boolean(value).is_some() || OF_USERS.contains(&value),
        "CPUSchedulingPolicy" => is_one_of(&POLICIES),
        "IOSchedulingClass" => is_one_of(&CLASSES),
        "Service" => value.ends_with(".service") && value.parse::<UnitName>().is_ok(),
        // here a name has to have its type
        "Unit" => value
            .parse::<UnitName>()
            .is_ok_and(|unit| unit.as_str() == value),
        _ => true,
    }
}

/// The words of a list of units: quotes are removed, and backslashes stay, as they are part of
/// names (`config_parse_unit_deps()`). A quote that is never closed ends the list.
pub(crate) fn unit_words(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in value.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, ' ' | '\t' | '\n' | '\r') => out.extend(word.take()),
            None if matches!(c, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word.filter(|_| quote.is_none()));
    out
}

/// A boolean as systemd reads it (`parse_boolean()`).
pub(crate) fn boolean(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 6]| words.iter().any(|w| w.eq_ignore_ascii_case(text));
    if is_one_of(["1", "yes", "y", "true", "t", "on"]) {
        Some(true)
    } else if is_one_of(["0", "no", "n", "false", "f", "off"]) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::UnitFacts;

    #[test]
    fn booleans_are_systemds() {
        let read = ["Yes", "off", "maybe", ""].map(boolean);
        assert_eq!(read, [Some(true), Some(false), None, None]);
    }

    #[test]
    fn names_of_units_keep_their_escapes_and_lose_their_quotes() {
        for (value, expected) in [
            (
                r"foo@a\x2db.service  b.socket",
                &[r"foo@a\x2db.service", "b.socket"][..],
            ),
            (r#""a.service" 'b.service'"#, &["a.service", "b.service"]),
            (r#"a.service "b.service"#, &["a.service"]),
            ("", &[]),
        ] {
            assert_eq!(unit_words(value), expected, "{value}");
        }
    }

    #[test]
    fn the_last_value_that_systemd_takes_counts() {
        for (key, values, expected) in [
            ("Type", &["notify", "oneshot"][..], Some("oneshot")),
            ("Type", &["notify", "notfiy", ""], Some("notify")),
            ("DynamicUser", &["yes", "perhaps"], Some("yes")),
            ("PrivateUsers", &["no", "self", "x"], Some("self")),
            ("CPUSchedulingPolicy", &["fifo", "fastest"], Some("fifo")),
            ("CPUSchedulingPolicy", &["fifo", ""], None),
            ("IOSchedulingClass", &["idle", "1"], Some("1")),
            ("Service", &["a.service", "a.socket"], Some("a.service")),
            ("User", &["a", ""], None),
        ] {
            let settings: Vec<_> = values.iter().map(|&value| (key, value)).collect();
            let unit = UnitFacts::with("a.service", &settings);
            assert_eq!(unit.last(key), expected, "{key}: {values:?}");
        }
    }
}
