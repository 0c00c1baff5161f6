//! Exit statuses, and what they stand for.

use std::ops::RangeInclusive;

/// Those that the container's first process ends with where it could not set the container up.
pub const OF_INIT: RangeInclusive<u8> = 180..=193;

/// What a program ends with that reports how a service ended, as a shell has it: a signal counts from
/// 128. A failure is never 0. The words are systemd's, `$SERVICE_RESULT`, `$EXIT_CODE` and
/// `$EXIT_STATUS` of systemd.exec(5), in which a signal is named; its number is understood as well.
#[must_use]
pub fn of_service(result: &str, code: &str, status: &str) -> u8 {
    let number = status.parse::<u8>().ok();
    match code {
        _ if result == "success" => 0,
        "killed" | "dumped" => number
            .or_else(|| signal(status))
            .map_or(255, |signal| signal.saturating_add(128)),
        _ => number.filter(|status| *status != 0).unwrap_or(1),
    }
}

/// As `asm-generic/signal.h` numbers them, as do all architectures that containers are confined on.
const SIGNALS: [(&str, u8); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];
/// The first real-time signal of glibc, and the last.
const REAL_TIME: RangeInclusive<u8> = 34..=64;

/// The number of a signal that systemd names: `TERM`, `RTMIN+4`.
fn signal(name: &str) -> Option<u8> {
    if let Some(above) = name.strip_prefix("RTMIN+") {
        let number = above.parse::<u8>().ok()?.checked_add(*REAL_TIME.start())?;
        return REAL_TIME.contains(&number).then_some(number);
    }
    let found = SIGNALS.iter().find(|(word, _)| *word == name)?;
    Some(found.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_counts_from_128_by_name_or_number() {
        for (status, wanted) in [
            ("9", 137),
            ("KILL", 137),
            ("TERM", 143),
            ("SYS", 159),
            ("RTMIN+0", 162),
            ("RTMIN+4", 166),
            ("RTMIN+31", 255),
            ("RTMIN+255", 255),
            ("NONE", 255),
            ("", 255),
        ] {
            assert_eq!(of_service("signal", "killed", status), wanted, "{status}");
        }
        assert_eq!(of_service("core-dump", "dumped", "SEGV"), 139);
    }

    #[test]
    fn a_failure_is_never_0_and_a_success_always() {
        assert_eq!(of_service("exit-code", "exited", "3"), 3);
        assert_eq!(of_service("protocol", "exited", "0"), 1);
        assert_eq!(of_service("timeout", "", ""), 1);
        assert_eq!(of_service("success", "exited", "0"), 0);
        assert_eq!(of_service("success", "exited", "3"), 0);
        assert_eq!(of_service("success", "killed", "TERM"), 0);
    }
}
