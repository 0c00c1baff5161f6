//! What any container gets, out of the table.

use std::net::Ipv4Addr;

use vss_model::{AbsPath, Cause, Generated, SandboxName};

use crate::accounts::Accounts;
use crate::draft::{Draft, Source};
use crate::facts::{EntryKind, PathFacts};
use crate::paths::Scope;
use crate::rules::{BaselineKind, Computed};

/// What the computed entries depend on.
#[derive(Debug)]
pub(crate) struct Identity<'n> {
    pub(crate) name: &'n SandboxName,
    /// Its address and its resolver, where it has a network.
    pub(crate) network: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl Scope<'_, '_> {
    /// Claims the table's entries, less the accounts, which depend on what the other sources say.
    pub(crate) fn baseline(&self, draft: &mut Draft, identity: &Identity<'_>) {
        for entry in &self.rules.baseline {
            let cause = Cause::Baseline {
                why: entry.why.clone(),
            };
            for path in &entry.paths {
                self.baseline_entry(draft, path, &entry.what, &cause, identity);
                if entry.needed {
                    draft.need(path, cause.clone());
                }
            }
        }
    }

    fn baseline_entry(
        &self,
        draft: &mut Draft,
        path: &AbsPath,
        what: &BaselineKind,
        cause: &Cause,
        identity: &Identity<'_>,
    ) {
        let made = match what {
            BaselineKind::Copy | BaselineKind::Tree => {
                self.baseline_copy(draft, path, matches!(what, BaselineKind::Tree), cause);
                return;
            }
            BaselineKind::Share => {
                draft.claim(
                    Source::Baseline,
                    path,
                    vss_model::Disposition::Share,
                    cause.clone(),
                );
                return;
            }
            BaselineKind::Directory { mode } => Generated::Directory {
                mode: u32::from_str_radix(mode, 8).unwrap_or(0o755),
                uid: 0,
                gid: 0,
            },
            BaselineKind::File { text } => public_file(text.clone()),
            BaselineKind::Link { target } => Generated::Link {
                target: target.clone(),
            },
            BaselineKind::Computed {
                what: Computed::Hosts,
            } => public_file(hosts(identity)),
            BaselineKind::Computed {
                what: Computed::Hostname,
            } => public_file(format!("{}\n", identity.name.host_name())),
            BaselineKind::Computed {
                what: Computed::MachineId,
            } => Generated::MachineId,
            BaselineKind::Computed {
                what: Computed::Resolver,
            } => public_file(resolver(identity)),
            BaselineKind::Computed {
                what: Computed::RootLinks,
            } => {
                self.root_links(draft, cause);
                return;
            }
            BaselineKind::Computed {
                what: Computed::RootHome,
            } => {
                self.root_home(draft, path, cause);
                return;
            }
            BaselineKind::Computed { .. } => return,
        };
        draft.generate(Source::Baseline, path, made, cause.clone());
    }

    fn baseline_copy(&self, draft: &mut Draft, path: &AbsPath, whole: bool, cause: &Cause) {
        match self.ask.path(path) {
            None | Some(PathFacts::Missing | PathFacts::Special) => {}
            Some(PathFacts::Directory { .. }) if whole => {
                draft.tree(Source::Baseline, path, cause.clone());
            }
            Some(PathFacts::Link { .. }) => {
                draft.node(Source::Baseline, path, cause.clone());
                // /etc/resolv.conf and the like lead out of what is shared
                if let Some(target) = self.ask.link_target(path).flatten() {
                    self.claim(
                        draft,
                        Source::Baseline,
                        &target,
                        &Cause::Link { from: path.clone() },
                    );
                }
            }
            Some(_) => draft.node(Source::Baseline, path, cause.clone()),
        }
    }

    /// `/bin -> usr/bin` and its like.
    fn root_links(&self, draft: &mut Draft, cause: &Cause) {
        for (name, target) in self.ask.host().map(|h| &h.root_links).into_iter().flatten() {
            if matches!(
                name.as_str(),
                "bin" | "sbin" | "lib" | "lib32" | "lib64" | "libx32" | "libo32"
            ) && let Ok(path) = AbsPath::root().join(name)
            {
                let target = target.clone();
                draft.generate(
                    Source::Baseline,
                    &path,
                    Generated::Link { target },
                    cause.clone(),
                );
                draft.need(&path, cause.clone());
            }
        }
    }

    /// The files of `/etc/skel`, in root's home.
    fn root_home(&self, draft: &mut Draft, home: &AbsPath, cause: &Cause) {
        let Ok(skel) = "/etc/skel".parse::<AbsPath>() else {
            return;
        };
        for entry in self.ask.list(&skel).flatten().unwrap_or_default() {
            let (Some(from), Some(to)) = (entry.path(&skel), entry.path(home)) else {
                continue;
            };
            if entry.kind == EntryKind::File
                && let Some(Some(text)) = self.ask.text(&from)
            {
                draft.generate(
                    Source::Baseline,
                    &to,
                    public_file(text.to_owned()),
                    cause.clone(),
                );
            }
        }
    }

    /// The accounts of the container.
    pub(crate) fn accounts(&self, draft: &mut Draft, inside: &Accounts) {
        for entry in &self.rules.baseline {
            let BaselineKind::Computed { what } = &entry.what else {
                continue;
            };
            let (text, secret) = match what {
                Computed::Passwd => (inside.passwd(), false),
                Computed::Group => (inside.group(), false),
                Computed::Shadow => (inside.shadow(), true),
                Computed::Gshadow => (inside.gshadow(), true),
                _ => continue,
            };
            let gid = inside.gid("shadow").filter(|_| secret);
            let mode = match (secret, gid) {
                (false, _) => 0o644,
                (true, Some(_)) => 0o640,
                (true, None) => 0o600,
            };
            let made = Generated::File {
                text,
                mode,
                uid: 0,
                gid: gid.unwrap_or(0),
            };
            for path in &entry.paths {
                let cause = Cause::Baseline {
                    why: entry.why.clone(),
                };
                draft.generate(Source::Baseline, path, made.clone(), cause);
            }
        }
    }
}

fn public_file(text: String) -> Generated {
    Generated::File {
        text,
        mode: 0o644,
        uid: 0,
        gid: 0,
    }
}

fn hosts(identity: &Identity<'_>) -> String {
    let host = identity.name.host_name();
    let name = identity.name.as_str();
    let names = if name == host {
        host
    } else {
        format!("{host} {name}")
    };
    let own = identity.network.map_or_else(
        || "127.0.1.1".to_owned(),
        |(address, _)| address.to_string(),
    );
    format!(
        "127.0.0.1\tlocalhost\n{own}\t{names}\n\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
    )
}

fn resolver(identity: &Identity<'_>) -> String {
    match identity.network {
        Some((_, resolver)) => format!("nameserver {resolver}\n"),
        None => "# no network, no resolver\n".to_owned(),
    }
}
