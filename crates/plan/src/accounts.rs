//! Users and groups: the system's are taken over, its people are not, and no hash of either.

use std::collections::BTreeSet;

use vss_model::AbsPath;

use crate::facts;

/// The first uid of people (`UID_MIN` of login.defs(5)).
const FIRST_HUMAN: u32 = 1000;
/// `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
    /// Comment, home and shell, as they are.
    rest: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// The host's users and groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

impl Accounts {
    /// Reads passwd(5) and group(5); lines that are none (NIS, damage) are left out.
    pub(crate) fn parse(texts: &facts::Accounts) -> Self {
        let user = |line: &str| {
            let parts: Vec<&str> = line.splitn(5, ':').collect();
            let &[name, _, uid, gid, rest] = parts.as_slice() else {
                return None;
            };
            Some(User {
                name: valid(name)?,
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
                rest: rest.to_owned(),
            })
        };
        let group = |line: &str| {
            let parts: Vec<&str> = line.splitn(4, ':').collect();
            let &[name, _, gid, members] = parts.as_slice() else {
                return None;
            };
            Some(Group {
                name: valid(name)?,
                gid: gid.parse().ok()?,
                members: members
                    .split(',')
                    .filter(|m| !m.is_empty())
                    .map(str::to_owned)
                    .collect(),
            })
        };
        Self {
            users: texts.passwd.lines().filter_map(user).collect(),
            groups: texts.group.lines().filter_map(group).collect(),
        }
    }

    pub(crate) fn uid(&self, name: &str) -> Option<u32> {
        let by_name = self.users.iter().find(|u| u.name == name).map(|u| u.uid);
        by_name.or_else(|| name.parse().ok())
    }

    /// The home directory of a user, named or numbered as in `User=`.
    pub(crate) fn home(&self, user: &str) -> Option<AbsPath> {
        let is_meant = |u: &&User| u.name == user || u.uid.to_string() == user;
        let found = self.users.iter().find(is_meant)?;
        found.rest.split(':').nth(1)?.parse().ok()
    }

    pub(crate) fn gid(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|g| g.name == name).map(|g| g.gid)
    }

    /// The accounts of a container: of the system and, whatever their number, those that the
    /// service names.
    pub(crate) fn inside(&self, named: &BTreeSet<String>) -> Self {
        let is_system = |id: u32| id < FIRST_HUMAN || id == NOBODY;
        let users: Vec<User> = self
            .users
            .iter()
            .filter(|u| {
                is_system(u.uid) || named.contains(&u.name) || named.contains(&u.uid.to_string())
            })
            .cloned()
            .collect();
        let needed: BTreeSet<u32> = users.iter().map(|u| u.gid).collect();
        let mut groups: Vec<Group> = self
            .groups
            .iter()
            .filter(|g| is_system(g.gid) || needed.contains(&g.gid) || named.contains(&g.name))
            .cloned()
            .collect();
        for group in &mut groups {
            group.members.retain(|m| users.iter().any(|u| u.name == *m));
        }
        Self { users, groups }
    }

    /// Adds a system user with a group of its own, unless there is one of that name: with the
    /// highest number that neither a user nor a group of the host has.
    pub(crate) fn add_system(&mut self, name: &str, host: &Self) {
        if self.users.iter().any(|u| u.name == name) {
            return;
        }
        let taken = |id: u32| {
            let mut ids = [host, self].into_iter().flat_map(|a| {
                let groups = a.groups.iter().map(|g| g.gid);
                a.users.iter().map(|u| u.uid).chain(groups)
            });
            ids.any(|other| other == id)
        };
        let Some(id) = (1..FIRST_HUMAN).rev().find(|&id| !taken(id)) else {
            return;
        };
        self.users.push(User {
            name: name.to_owned(),
            uid: id,
            gid: id,
            rest: ":/:/usr/sbin/nologin".to_owned(),
        });
        if !self.groups.iter().any(|g| g.name == name) {
            self.groups.push(Group {
                name: name.to_owned(),
                gid: id,
                members: Vec::new(),
            });
        }
    }

    pub(crate) fn passwd(&self) -> String {
        let line = |u: &User| format!("{}:x:{}:{}:{}\n", u.name, u.uid, u.gid, u.rest);
        self.users.iter().map(line).collect()
    }

    /// shadow(5): `*` is no hash of any password, and unlike `!` does not keep sshd from letting
    /// somebody in by a key.
    pub(crate) fn shadow(&self) -> String {
        self.users
            .iter()
            .map(|u| format!("{}:*:::::::\n", u.name))
            .collect()
    }

    pub(crate) fn group(&self) -> String {
        let line = |g: &Group| format!("{}:x:{}:{}\n", g.name, g.gid, g.members.join(","));
        self.groups.iter().map(line).collect()
    }

    pub(crate) fn gshadow(&self) -> String {
        let line = |g: &Group| format!("{}:*::{}\n", g.name, g.members.join(","));
        self.groups.iter().map(line).collect()
    }
}

fn valid(name: &str) -> Option<String> {
    let good = !name.is_empty() && !name.starts_with(['+', '-', '#']);
    good.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a34_people_and_hashes_stay_on_the_host() {
        let accounts = Accounts::parse(&facts::Accounts {
            passwd: "root:$6$old:0:0:root:/root:/bin/bash\nmysql:x:105:111:,,,:/nonexistent:/bin/false\n\
                     ann:x:1000:1000:Ann:/home/ann:/bin/bash\nbuild:x:1500:1500::/srv/b:/bin/sh\n\
                     nobody:x:65534:65534::/:/bin/false\n+::::::\nbroken\n"
                .to_owned(),
            group: "root:x:0:\nmysql:x:111:ann,mysql\nann:x:1000:\nbuild:x:1500:\nstaff:x:50:ann\n"
                .to_owned(),
        });
        let home = |user: &str| accounts.home(user).map(|h| h.to_string());
        assert_eq!(home("build").as_deref(), Some("/srv/b"));
        assert_eq!(home("105").as_deref(), Some("/nonexistent"));
        assert_eq!(home("absent"), None);
        let inside = accounts.inside(&BTreeSet::from(["build".to_owned()]));
        assert_eq!(
            inside.passwd(),
            "root:x:0:0:root:/root:/bin/bash\nmysql:x:105:111:,,,:/nonexistent:/bin/false\n\
             build:x:1500:1500::/srv/b:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
        );
        assert_eq!(
            inside.group(),
            "root:x:0:\nmysql:x:111:mysql\nbuild:x:1500:\nstaff:x:50:\n"
        );
        assert!(
            inside
                .shadow()
                .lines()
                .all(|l| l.split(':').nth(1) == Some("*"))
        );
        assert!(!inside.passwd().contains("$6$"));
        let mut more = inside.clone();
        more.add_system("mysql", &accounts);
        assert_eq!(more.passwd(), inside.passwd());
        more.add_system("made", &accounts);
        assert!(
            more.passwd()
                .ends_with("made:x:999:999::/:/usr/sbin/nologin\n")
        );
    }
}
