//! With many sandboxes: `create`, `list` and memory.

use anyhow::{Context, Result};

use crate::create::{Sets, apache, with_many_beside_none};
use crate::program::{VSS, run, time};
use crate::table::{Aim, Table, median};

fn name(number: usize) -> String {
    format!("many{number}")
}

pub(crate) fn measure(table: &mut Table, rounds: usize) -> Result<()> {
    let sets = Sets::new()?;
    sets.add("many")?;
    sets.put("many")?;
    fill(crate::MANY)?;
    with_many_beside_none(table, &sets, rounds)?;
    let before = total_pss()?;
    for number in 1..=crate::RUNNING {
        run(&[VSS, "start", &name(number)])?;
    }
    let memory = (total_pss()? - before) / 1024.0 / crate::RUNNING as f64;
    let mut lists = Vec::new();
    for _ in 0..rounds {
        lists.push(time(&[VSS, "list"])?);
    }
    table.aimed(
        &format!("list, {} made and {} running", crate::MANY, crate::RUNNING),
        median(&lists),
        "ms",
        &Aim::new(100.0, "ms", ""),
    );
    table.plain(
        "memory of a running Apache container, PSS in all",
        memory,
        "MiB",
    );
    Ok(())
}

/// Makes sandboxes, two at a time.
fn fill(count: usize) -> Result<()> {
    let names: Vec<String> = (1..=count).map(name).collect();
    std::thread::scope(|scope| {
        let half = count.div_ceil(2);
        let workers: Vec<_> = names
            .chunks(half)
            .map(|chunk| scope.spawn(|| chunk.iter().try_for_each(|n| apache(n).map(drop))))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a thread died"))?
        })
    })
}

/// The proportional set size of a process in KiB; `None` where it is gone.
pub(crate) fn pss(pid: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// The sum over all processes of the world, in KiB: what a container needs outside of itself, in
/// libvirtd say, counts too.
fn total_pss() -> Result<f64> {
    let mut sum = 0.0;
    for entry in std::fs::read_dir("/proc").context("/proc")? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.bytes().all(|b| b.is_ascii_digit()) {
            sum += pss(&name).unwrap_or(0.0);
        }
    }
    Ok(sum)
}
