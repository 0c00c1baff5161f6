//! Users and groups out of the container's own files, which may say anything.

use std::collections::BTreeSet;

use crate::error::Error;

/// A user, as the container's files tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its name; the number as text where no line has it.
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// The most supplementary groups that are taken from a file; the kernel has room for 65536.
const MOST_GROUPS: usize = 1024;

/// The longest line of a user that counts; one of a group may have any number of members.
const LONGEST_LINE: usize = 4096;

/// One line of passwd(5).
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

/// Finds who is meant by `NAME`, `UID`, either with `:GROUP` or `:GID`; root where nobody is.
///
/// A text of digits is a number, whatever names there are (A23), and needs no line of its own.
pub(crate) fn find(wanted: Option<&str>, passwd: &[u8], group: &[u8]) -> Result<Account, Error> {
    let (user, wanted_group) = match wanted {
        None => ("0", None),
        Some(text) => match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        },
    };
    let no_user = || Error::User(user.to_owned());
    let line = match number(user) {
        Some(Ok(uid)) => users(passwd).find(|line| line.uid == uid),
        Some(Err(())) => return Err(no_user()),
        None => Some(
            users(passwd)
                .find(|line| line.name == user)
                .ok_or_else(no_user)?,
        ),
    };
    let mut account = match (line, number(user)) {
        (Some(line), _) => Account {
            name: line.name.to_owned(),
            uid: line.uid,
            gid: line.gid,
            groups: groups_of(line.name, group),
            home: path_or(line.home, "/"),
            shell: path_or(line.shell, "/bin/sh"),
        },
        (None, Some(Ok(0))) => bare("root", 0, "/root"),
        (None, Some(Ok(uid))) => bare(user, uid, "/"),
        (None, _) => return Err(no_user()),
    };
    if let Some(wanted) = wanted_group {
        let no_group = || Error::Group(wanted.to_owned());
        account.gid = match number(wanted) {
            Some(gid) => gid.map_err(|()| no_group())?,
            None => group_line(wanted, group).ok_or_else(no_group)?,
        };
        account.groups.clear();
    }
    Ok(account)
}

fn bare(name: &str, uid: u32, home: &str) -> Account {
    Account {
        name: name.to_owned(),
        uid,
        gid: if uid == 0 { 0 } else { uid },
        groups: Vec::new(),
        home: home.to_owned(),
        shell: "/bin/sh".to_owned(),
    }
}

/// A text of digits as an id; `None` where it isn't one, an error where no id is that large:
/// 4294967295 means "leave it as it is" to the kernel.
fn number(text: &str) -> Option<Result<u32, ()>> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok().filter(|id| *id != u32::MAX).ok_or(()))
}

fn lines(file: &[u8]) -> impl Iterator<Item = &str> {
    file.split(|&b| b == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
}

fn users(passwd: &[u8]) -> impl Iterator<Item = User<'_>> {
    let lines = lines(passwd).filter(|line| line.len() <= LONGEST_LINE);
    lines.filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else {
            return None;
        };
        let id = |text| number(text)?.ok();
        (is_name(name)).then_some(User {
            name,
            uid: id(uid)?,
            gid: id(gid)?,
            home,
            shell,
        })
    })
}

fn groups(group: &[u8]) -> impl Iterator<Item = (&str, u32, &str)> {
    lines(group).filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else {
            return None;
        };
        Some((name, number(gid)?.ok()?, members))
    })
}

fn group_line(name: &str, group: &[u8]) -> Option<u32> {
    groups(group)
        .find(|(other, ..)| *other == name)
        .map(|(_, gid, _)| gid)
}

fn groups_of(user: &str, group: &[u8]) -> Vec<u32> {
    let named = groups(group).filter(|(_, _, members)| members.split(',').any(|m| m == user));
    let ids: BTreeSet<u32> = named.map(|(_, gid, _)| gid).take(MOST_GROUPS).collect();
    ids.into_iter().collect()
}

/// A name that may stand in an environment; `+` and `-` begin lines of NIS.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['+', '-', '#'])
        && name.chars().all(|c| !c.is_control() && !c.is_whitespace())
}

fn path_or(path: &str, otherwise: &str) -> String {
    let fits = path.starts_with('/') && !path.chars().any(char::is_control);
    if fits { path } else { otherwise }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\
        www-data:x:33:33:w:/var/www:/usr/sbin/nologin\n\
        33:x:1000:1000::/home/odd:/bin/sh\n\
        noshell:x:7:8:::\n";
    const GROUP: &[u8] =
        b"root:x:0:\nssl-cert:x:110:dovecot,www-data\nadm:x:4:www-data,www-data2\n";

    fn found(wanted: &str) -> Account {
        find(Some(wanted), PASSWD, GROUP).unwrap()
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let root = find(None, PASSWD, GROUP).unwrap();
        assert_eq!(
            (root.uid, root.gid, root.home.as_str(), root.shell.as_str()),
            (0, 0, "/root", "/bin/bash")
        );
        let www = found("www-data");
        assert_eq!(
            (www.uid, www.gid, www.groups.clone()),
            (33, 33, vec![4, 110])
        );
        assert_eq!(found("33"), www);
        let with_group = found("www-data:ssl-cert");
        assert_eq!((with_group.gid, with_group.groups.len()), (110, 0));
        assert_eq!(found("33:5").gid, 5);
        let unlisted = found("4000");
        assert_eq!(
            (unlisted.uid, unlisted.gid, unlisted.name.as_str()),
            (4000, 4000, "4000")
        );
        let bare = found("noshell");
        assert_eq!((bare.home.as_str(), bare.shell.as_str()), ("/", "/bin/sh"));
        assert_eq!(find(None, b"", b"").unwrap().home, "/root");
    }

    #[test]
    fn a_group_may_have_many_members() {
        let members: String = (0..2000).map(|n| format!("member{n},")).collect();
        let group = format!("large:x:600:{members}www-data\n");
        let www = find(Some("www-data"), PASSWD, group.as_bytes()).unwrap();
        assert_eq!(www.groups, [600]);
        let named = find(Some("www-data:large"), PASSWD, group.as_bytes()).unwrap();
        assert_eq!(named.gid, 600);
    }

    #[test]
    fn a23_no_number_wraps_and_no_name_is_a_number() {
        for bad in [
            "",
            "nobody",
            "-1",
            "4294967295",
            "4294967296",
            "99999999999999999999",
            "0x0",
            "+0",
            " 0",
            "root ",
            ":0",
        ] {
            assert!(find(Some(bad), PASSWD, GROUP).is_err(), "{bad:?}");
        }
        for bad in ["root:nosuch", "root:", "root:-1", "root:4294967295"] {
            assert!(
                matches!(find(Some(bad), PASSWD, GROUP), Err(Error::Group(_))),
                "{bad:?}"
            );
        }
        let hostile = b"x:x:4294967295:0::/:/bin/sh\ny:x:-1:0::/:/bin/sh\nz:x::0::/:/bin/sh\n";
        for name in ["x", "y", "z"] {
            assert!(matches!(
                find(Some(name), hostile, b""),
                Err(Error::User(_))
            ));
        }
    }

    #[test]
    fn hostile_files_give_nothing_that_ends_a_line_or_a_path() {
        let hostile =
            b"\xff:x:0:0::/:/x\nu:x:5:5::../..:sh\nv:x:6:6::/a\x1b[2J:/b\rc\nw:x:7:7:/:/:/x:/y\n";
        assert_eq!(found_in("u", hostile).home, "/");
        assert_eq!(found_in("u", hostile).shell, "/bin/sh");
        assert_eq!(
            (found_in("v", hostile).home, found_in("v", hostile).shell),
            ("/".to_owned(), "/bin/sh".to_owned())
        );
        assert!(find(Some("w"), hostile, b"").is_err());
        let mut long = b"l:x:1:1::/".to_vec();
        long.extend(vec![b'a'; 10_000]);
        long.extend(b":/bin/sh\n");
        assert!(find(Some("l"), &long, b"").is_err());
        let many: String = (1..5000).map(|n| format!("g{n}:x:{n}:u\n")).collect();
        assert_eq!(
            find(Some("u"), hostile, many.as_bytes())
                .unwrap()
                .groups
                .len(),
            1024
        );
    }

    fn found_in(name: &str, passwd: &[u8]) -> Account {
        find(Some(name), passwd, b"").unwrap()
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(
            wanted in "\\PC{0,12}",
            passwd in prop::collection::vec(any::<u8>(), 0..300),
            group in "([a-z]{1,3}:x?:[0-9]{0,11}:[a-z,]{0,9}\n){0,9}",
        ) {
            let _ = find(Some(&wanted), &passwd, group.as_bytes());
            let _ = find(None, &passwd, &passwd);
        }
    }
}
