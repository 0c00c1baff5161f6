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

pub(crate) fn delete(name: &str) -> Result<()> {
    run(&[VSS, "delete", "--force", "--yes", name]).map(drop)
}

/// `create -C` of Apache and `cp -a` of what it made, in turns.
pub(crate) fn beside_cp(table: &mut Table, rounds: usize) -> Result<()> {
    let (content, copy) = (format!("{CONTENT}/bench"), format!("{CONTENT}/copy"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // the first round warms the caches
    for round in 0..=rounds {
        let create = apache("bench")?;
        rustix::fs::sync();
        let cp = time(&["cp", "-a", &content, &copy])?;
        run(&["rm", "-rf", &copy])?;
        delete("bench")?;
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

/// Two sets of the directories that the project keeps, one of which is in its place: without
/// sandboxes and with many, on the same file system.
#[derive(Debug)]
pub(crate) struct Sets {
    dir: PathBuf,
}

impl Sets {
    /// The present directories become the set `empty`.
    pub(crate) fn new() -> Result<Self> {
        let dir = crate::state_dir().join("sets");
        for set in ["empty", "full"] {
            for (n, kept) in KEPT.iter().enumerate() {
                std::fs::create_dir_all(kept)?;
                let to = dir.join(set).join(n.to_string());
                std::fs::create_dir_all(to.parent().context("no parent")?)?;
                run(&["cp", "-a", kept, path(&to)?])?;
            }
        }
        Ok(Self { dir })
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

/// `create` with the set `full` in its place, beside `create` with none, in turns.
pub(crate) fn with_many_beside_none(table: &mut Table, sets: &Sets, rounds: usize) -> Result<()> {
    let (mut none, mut many) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        sets.put("empty")?;
        let first = apache("bench")?;
        delete("bench")?;
        sets.take()?;
        let last = apache("bench")?;
        delete("bench")?;
        if round > 0 {
            none.push(first);
            many.push(last);
        }
    }
    let (none, many) = (median(&none), median(&many));
    let aim = Aim::new(none * 1.05, "ms", "the first, 5 % for noise");
    table.aimed(
        &format!("create, {} others existing", crate::MANY - 1),
        many,
        "ms",
        &aim,
    );
    table.plain("  create, no other existing", none, "ms");
    Ok(())
}
