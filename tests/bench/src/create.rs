//! `create` beside `cp -a`, and with many sandboxes beside none.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::program::{VSS, run, time};
use crate::table::{Aim, Table, median};

pub(crate) const CONTENT: &str = "/var/lib/libvirt/filesystems";

/// What the project keeps of all sandboxes.
const KEPT: [&str; 4] = [
    "/etc/libvirt-sandbox",
    "/etc/systemd/system",
    "/var/lib/libvirt-sandbox",
    CONTENT,
];

/// Makes a sandbox of Apache with its data.
pub(crate) fn apache(name: &str) -> Result<f64> {
    // what others left to be written would be written by the sync of this one
    rustix::fs::sync();
    time(&[
        VSS,
        "create",
        "-C",
        "-u",
        "apache2.service",
        "--confinement",
        "reduced",
        name,
    ])
}

/// `create -C` of Apache and `cp -a` of what it made, in turns. Nothing is deleted in between: ext4
/// spends most of the time of making a file on not taking an inode that was freed seconds ago.
pub(crate) fn beside_cp(table: &mut Table, rounds: usize) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let copies = crate::state_dir().join("copies");
    std::fs::create_dir_all(&copies)?;
    // the first round warms the caches
    for round in 0..=rounds {
        let name = format!("plain{round}");
        let create = apache(&name)?;
        rustix::fs::sync();
        let cp = time(&["cp", "-a", &format!("{CONTENT}/{name}"), path(&copies)?])?;
        if round > 0 {
            ours.push(create);
            theirs.push(cp);
        }
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    let aim = Aim::new(2.0 * theirs + 150.0, "ms", "2 x cp -a + 150");
    table.aimed("create -C, Apache", ours, "ms", &aim);
    table.plain("  cp -a of the same content", theirs, "ms");
    Ok(())
}

/// Sets of the directories that the project keeps, one of which is in its place: without sandboxes
/// and with many, on the same file system.
#[derive(Debug)]
pub(crate) struct Sets {
    dir: PathBuf,
}

impl Sets {
    /// The present directories are what a set begins with.
    pub(crate) fn new() -> Result<Self> {
        let dir = crate::state_dir().join("sets");
        for (n, kept) in KEPT.iter().enumerate() {
            std::fs::create_dir_all(kept)?;
            let to = dir.join("new").join(n.to_string());
            std::fs::create_dir_all(to.parent().context("no parent")?)?;
            if *kept == CONTENT {
                // what others have made there is no part of it, and large
                std::fs::create_dir(&to)?;
                run(&["chmod", "0700", path(&to)?])?;
            } else {
                run(&["cp", "-a", kept, path(&to)?])?;
            }
        }
        Ok(Self { dir })
    }

    /// Makes a set.
    pub(crate) fn add(&self, set: &str) -> Result<()> {
        let (new, to) = (self.dir.join("new"), self.dir.join(set));
        run(&["cp", "-a", path(&new)?, path(&to)?]).map(drop)
    }

    /// Puts a set in its place, over the one before.
    pub(crate) fn put(&self, set: &str) -> Result<()> {
        for (n, kept) in KEPT.iter().enumerate() {
            let from = self.dir.join(set).join(n.to_string());
            run(&["mount", "--bind", path(&from)?, kept])?;
        }
        Ok(())
    }

    /// Takes the last set away.
    pub(crate) fn take(&self) -> Result<()> {
        for kept in KEPT {
            run(&["umount", kept])?;
        }
        Ok(())
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// `create` with the set of many in its place, beside `create` with a new one, in turns.
pub(crate) fn with_many_beside_none(table: &mut Table, sets: &Sets, rounds: usize) -> Result<()> {
    let (mut none, mut many) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let set = format!("empty{round}");
        sets.add(&set)?;
        sets.put(&set)?;
        let first = apache("bench")?;
        sets.take()?;
        let last = apache(&format!("more{round}"))?;
        if round > 0 {
            none.push(first);
            many.push(last);
        }
    }
    let (none, many) = (median(&none), median(&many));
    let aim = Aim::new(none * 1.05, "ms", "the first, 5 % for noise");
    let what = format!("create, {} others existing", crate::MANY);
    table.aimed(&what, many, "ms", &aim);
    table.plain("  create, no other existing", none, "ms");
    Ok(())
}
