//! Facts of paths: through a handle of the host's root, so that a test's root is as good.

use std::os::unix::ffi::OsStrExt;

use vss_model::AbsPath;
use vss_model::path::escape_bytes;
use vss_plan::facts::{
    Accounts, EntryKind, ListEntry, MAX_DIRECTORIES, MAX_LINKS, MAX_MENTIONING, MAX_TEXT, Mention,
    PathFacts, TreeFacts,
};
use vss_tree::{Kind, Root};

use crate::error::Result;
use crate::host::Host;

/// The most bytes of `/etc/passwd` and `/etc/group`.
const MAX_ACCOUNTS: u64 = 16 * 1024 * 1024;

pub(super) fn accounts(host: &Host) -> Result<Accounts> {
    let text = |path: &str| -> Result<String> {
        let bytes = host.tree()?.read(path.as_ref(), MAX_ACCOUNTS)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(Accounts {
        passwd: text("/etc/passwd")?,
        group: text("/etc/group")?,
    })
}

pub(super) fn path(root: &Root, path: &AbsPath) -> Result<PathFacts> {
    let Some(found) = root.metadata(path.as_path())? else {
        return Ok(PathFacts::Missing);
    };
    let (mode, uid, gid) = (found.permissions(), found.uid, found.gid);
    Ok(match found.kind {
        Kind::File => PathFacts::File {
            size: found.size,
            mode,
            uid,
            gid,
        },
        Kind::Directory => PathFacts::Directory { mode, uid, gid },
        Kind::Link => PathFacts::Link {
            target: link_target(root, path)?,
        },
        _ => PathFacts::Special,
    })
}

fn link_target(root: &Root, path: &AbsPath) -> Result<String> {
    let target = root.read_link(path.as_path())?;
    Ok(escape_bytes(target.as_os_str().as_bytes()))
}

fn entry_kind(kind: Kind) -> EntryKind {
    match kind {
        Kind::File => EntryKind::File,
        Kind::Directory => EntryKind::Directory,
        Kind::Link => EntryKind::Link,
        _ => EntryKind::Special,
    }
}

pub(super) fn list(root: &Root, path: &AbsPath) -> Result<Option<Vec<ListEntry>>> {
    match root.metadata(path.as_path())? {
        Some(found) if found.is_directory() => {}
        _ => return Ok(None),
    }
    let entries = root.list(path.as_path())?;
    Ok(Some(
        entries
            .into_iter()
            .map(|(name, metadata)| ListEntry {
                name: escape_bytes(name.as_bytes()),
                kind: entry_kind(metadata.kind),
            })
            .collect(),
    ))
}

pub(super) fn tree(
    root: &Root,
    path: &AbsPath,
    watches: &dyn Fn(&AbsPath) -> bool,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<TreeFacts> {
    let mut facts = TreeFacts::default();
    if root.metadata(path.as_path())?.is_none() {
        return Ok(facts);
    }
    root.walk(path.as_path(), &mut |node| -> Result<()> {
        go_on()?;
        match node.metadata.kind {
            Kind::File => {
                facts.bytes += node.metadata.size;
                facts.files += 1;
            }
            Kind::Directory => facts.directories += 1,
            Kind::Link => {
                facts.files += 1;
                if facts.links.len() < MAX_LINKS {
                    let target = node.link_target()?;
                    let target = escape_bytes(target.as_os_str().as_bytes());
                    facts.links.push((node.path.clone(), target));
                }
            }
            _ => facts.specials += 1,
        }
        if watches(node.path) {
            facts.watched.push(node.path.clone());
        }
        Ok(())
    })?;
    facts.links.sort();
    facts.watched.sort();
    Ok(facts)
}

pub(super) fn directories(
    root: &Root,
    path: &AbsPath,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Vec<AbsPath>> {
    let mut found = Vec::new();
    if !matches!(root.metadata(path.as_path())?, Some(m) if m.is_directory()) {
        return Ok(found);
    }
    root.walk(path.as_path(), &mut |node| -> Result<()> {
        go_on()?;
        if node.metadata.is_directory() && node.path != path && found.len() < MAX_DIRECTORIES {
            found.push(node.path.clone());
        }
        Ok(())
    })?;
    found.sort();
    Ok(found)
}

pub(super) fn text(root: &Root, path: &AbsPath) -> Result<Option<String>> {
    // what can't be had for whatever reason is no text: the plan asks about hints
    Ok(root
        .read_start(path.as_path(), MAX_TEXT)?
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) fn mentions(
    root: &Root,
    path: &AbsPath,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Vec<Mention>> {
    let mut files = Vec::new();
    if root.metadata(path.as_path())?.is_none() {
        return Ok(Vec::new());
    }
    root.walk(path.as_path(), &mut |node| -> Result<()> {
        go_on()?;
        let small = node.metadata.kind == Kind::File && node.metadata.size <= MAX_TEXT;
        if small && files.len() < MAX_MENTIONING {
            files.push(node.path.clone());
        }
        Ok(())
    })?;
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let Some(bytes) = root.read_start(file.as_path(), MAX_TEXT)? else {
            continue;
        };
        let paths = vss_plan::mentions::scan(&bytes);
        if !paths.is_empty() {
            found.push(Mention { file, paths });
        }
    }
    Ok(found)
}
