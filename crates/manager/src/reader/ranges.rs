//! Users and groups of the host that a container may not have.

use vss_model::{IdRange, Sanitized};
use vss_plan::facts::HeldRange;

use crate::error::Result;
use crate::host::Host;

/// The most bytes of a file of users; a host with more of them has a directory service.
const MAX_FILE: u64 = 16 << 20;

/// What sandboxes have, what is handed out to users of the host, and the users themselves.
pub(super) fn held(host: &Host) -> Result<Vec<HeldRange>> {
    let mut held = Vec::new();
    for reserved in host.store().in_use()?.users {
        held.push(of_range(
            reserved.users,
            format!("sandbox {}", reserved.name),
        ));
    }
    let names = host.store().names()?;
    for config in host.store().load_all(&names).into_iter().flatten() {
        // a reservation may be lost
        if let Some(users) = config.private_users {
            let held_once = of_range(users, format!("sandbox {}", config.name));
            if !held.contains(&held_once) {
                held.push(held_once);
            }
        }
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = host.small_file(file, MAX_FILE)?.unwrap_or_default();
        held.extend(text.lines().filter_map(|line| subordinate(file, line)));
    }
    for file in ["/etc/passwd", "/etc/group"] {
        let text = host.small_file(file, MAX_FILE)?.unwrap_or_default();
        held.extend(text.lines().filter_map(|line| account(file, line)));
    }
    Ok(held)
}

fn of_range(range: IdRange, by: String) -> HeldRange {
    HeldRange {
        first: range.base(),
        last: range.last(),
        by,
    }
}

/// `NAME:FIRST:COUNT` of subuid(5).
fn subordinate(file: &str, line: &str) -> Option<HeldRange> {
    let mut fields = line.trim().split(':');
    let name = fields.next()?;
    let first: u32 = fields.next()?.parse().ok()?;
    let count: u32 = fields.next()?.parse().ok()?;
    Some(HeldRange {
        first,
        last: first.saturating_add(count.checked_sub(1)?),
        by: format!("{file}, {}", Sanitized::text(name)),
    })
}

/// `NAME:PASSWORD:NUMBER:…` of passwd(5) and group(5), where a container could have the number.
fn account(file: &str, line: &str) -> Option<HeldRange> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let id: u32 = fields.nth(1)?.parse().ok()?;
    (id >= IdRange::FIRST).then(|| HeldRange {
        first: id,
        last: id,
        by: format!("{file}, {}", Sanitized::text(name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_files_and_broken_ones_hold_nothing() {
        let held = |line| subordinate("/etc/subuid", line).map(|h| (h.first, h.last));
        assert_eq!(held("ann:100000:65536"), Some((100_000, 165_535)));
        assert_eq!(held("1000:4294967295:65536"), Some((u32::MAX, u32::MAX)));
        for nothing in ["", "ann:1", "ann:x:1", "ann:1:0"] {
            assert_eq!(held(nothing), None, "{nothing}");
        }
        let held = |line| account("/etc/passwd", line).map(|h| h.first);
        assert_eq!(held("ann:x:70000:70000::/:/bin/sh"), Some(70_000));
        assert_eq!(held("ann:x:1000:1000::/:/bin/sh"), None);
        assert_eq!(held("+::::::"), None);
    }
}
