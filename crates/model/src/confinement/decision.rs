//! Whether a policy makes an exception for a domain (`semanage permissive`), as the file `access` of
//! selinuxfs tells it along with an access vector: what the domain may not do is logged then, and
//! done, whatever `enforce` says.

use crate::SecurityContext;

/// The flag of a permissive domain (`AVD_FLAGS_PERMISSIVE`).
const PERMISSIVE: u32 = 1;

/// What is written to the file. The class is the first there is, and the permissions none: the flag
/// does not depend on them.
#[must_use]
pub fn question(context: &SecurityContext) -> String {
    format!("{context} {context} 1 0")
}

/// What is read from it then; `None` where it is of another form. The flags are its sixth field.
#[must_use]
pub fn is_permissive(answer: &str) -> Option<bool> {
    let mut fields = answer.trim_end_matches('\0').split_whitespace();
    let flags = u32::from_str_radix(fields.nth(5)?, 16).ok()?;
    Some(flags & PERMISSIVE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_a_decision_are_read() {
        for (answer, expected) in [
            ("0 ffffffff 0 ffffffff 27 0", Some(false)),
            ("0 ffffffff 0 ffffffff 27 1\0", Some(true)),
            ("0 ffffffff 0 ffffffff 27 3\n", Some(true)),
            // before Linux 2.6.32 there were no flags
            ("0 ffffffff 0 ffffffff 27", None),
            ("0 ffffffff 0 ffffffff 27 x", None),
            ("", None),
        ] {
            assert_eq!(is_permissive(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_domain_is_asked_about_itself() {
        let context = "system_u:system_r:virt_sandbox_container_t:s0:c1,c2";
        let asked = question(&context.parse().unwrap());
        assert_eq!(asked, format!("{context} {context} 1 0"));
    }
}
