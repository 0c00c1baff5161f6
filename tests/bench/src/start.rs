//! `start` beside systemd-nspawn, the network beside the loopback, and `stop`.

use std::fs::File;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::answer;
use crate::create::apache;
use crate::nspawn::Nspawn;
use crate::program::{Running, VSS, milliseconds, run, time};
use crate::table::{Aim, Table, interval, median};

/// Before each: the kernel goes on with a network namespace after its last process, and holds up who
/// makes another meanwhile; who begins at once also finds the processor's caches warm.
const REST: Duration = Duration::from_millis(500);

/// So many times as many rounds as for other figures: two starts differ by more than what is looked for.
const MORE: usize = 3;

/// The link of the project's own network on the host.
const LINK: &str = "virbr-sandbox";

/// The address of a sandbox, which runs or not.
fn address(name: &str) -> Result<Ipv4Addr> {
    let text = run(&[VSS, "list", "--format", "json"])?;
    let list: Value = serde_json::from_str(&text)?;
    let entry = list
        .as_array()
        .and_then(|all| all.iter().find(|entry| entry["name"] == name));
    let address = entry.and_then(|entry| entry["address"].as_str());
    let address = address.with_context(|| format!("no address of {name} in {text}"))?;
    Ok(address.parse()?)
}

/// Starts a sandbox; the milliseconds from there to its first HTTP 200.
fn start(name: &str, address: Ipv4Addr) -> Result<f64> {
    let begin = Instant::now();
    let mut command = Running::start(&[VSS, "start", name])?;
    let answered = answer::first(address, || command.check())?;
    command.ends()?;
    Ok(milliseconds(answered - begin))
}

pub(crate) fn measure(table: &mut Table, rounds: usize) -> Result<()> {
    let name = "start";
    apache(name)?;
    let address = address(name)?;
    // makes the network, as the first start on a machine has to
    start(name, address)?;
    answer::look_often(LINK)?;
    let waiter = waiter()?;
    run(&[VSS, "stop", name])?;
    beside_nspawn(table, name, address, rounds * MORE)?;
    network_beside_loopback(table, name, address, rounds)?;
    let aim = Aim::new(1024.0, "KiB", "");
    table.aimed("virt-sandbox-wait at rest, PSS", waiter, "KiB", &aim);
    Ok(())
}

/// The same root, started by the command and booted by systemd-nspawn, in turns.
fn beside_nspawn(table: &mut Table, name: &str, address: Ipv4Addr, rounds: usize) -> Result<()> {
    let nspawn = Nspawn::new(name)?;
    let (mut ours, mut theirs, mut stops) = (Vec::new(), Vec::new(), Vec::new());
    // each in turn is the first of a round: who comes after whom makes a difference
    for turn in (0..rounds).flat_map(|round| [round % 2, (round + 1) % 2]) {
        std::thread::sleep(REST);
        if turn == 0 {
            ours.push(start(name, address)?);
            stops.push(time(&[VSS, "stop", name])?);
        } else {
            theirs.push(boot(&nspawn)?);
        }
    }
    nspawn.remove()?;
    table.plain("start to the first HTTP 200, Apache", median(&ours), "ms");
    table.plain("  systemd-nspawn, same root", median(&theirs), "ms");
    let slower: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a - b).collect();
    table.plain("  slower by, round by round", median(&slower), "ms");
    if let Some((least, most)) = interval(&slower) {
        table.plain("    at most, at 95 %", most, "ms");
        let aim = Aim::new(0.0, "ms", "not shown slower");
        table.aimed("    at least", least, "ms", &aim);
    }
    let aim = Aim::new(500.0, "ms", "");
    table.aimed("stop, Apache", median(&stops), "ms", &aim);
    Ok(())
}

/// Boots the same root; the milliseconds from there to its first HTTP 200.
fn boot(nspawn: &Nspawn) -> Result<f64> {
    let begin = Instant::now();
    let mut booted = nspawn.boot()?;
    let answered = answer::first(nspawn.address(), || booted.check())?;
    nspawn.end(booted)?;
    Ok(milliseconds(answered - begin))
}

/// The PSS of the waiter of the one sandbox that runs, in KiB.
fn waiter() -> Result<f64> {
    let pid = run(&["pgrep", "-f", "^/usr/libexec/virt-sandbox-wait"])?;
    crate::many::pss(pid.trim()).with_context(|| format!("no process {pid}"))
}

/// One start, asked over the network and, by a thread in the container's network namespace, over
/// its own loopback.
fn network_beside_loopback(
    table: &mut Table,
    name: &'static str,
    address: Ipv4Addr,
    rounds: usize,
) -> Result<()> {
    let mut later = Vec::new();
    for _ in 0..rounds {
        let mut command = Running::start(&[VSS, "start", name])?;
        let inner = std::thread::spawn(move || {
            enter_network(name)?;
            answer::first(Ipv4Addr::LOCALHOST, || Ok(()))
        });
        let outer = answer::first(address, || command.check())?;
        let inner = inner
            .join()
            .map_err(|_| anyhow::anyhow!("a thread died"))??;
        command.ends()?;
        later.push(milliseconds(outer.saturating_duration_since(inner)));
        run(&[VSS, "stop", name])?;
    }
    let aim = Aim::new(300.0, "ms", "");
    let what = "first answer: network after loopback";
    table.aimed(what, median(&later), "ms", &aim);
    Ok(())
}

/// Moves this thread to the network of a sandbox that starts, as soon as that is there.
fn enter_network(name: &str) -> Result<()> {
    let state = format!("/run/libvirt-sandbox/{name}/state");
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(&state).unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(pid) = value["init_pid"].as_u64()
            && let Ok(namespace) = File::open(format!("/proc/{pid}/ns/net"))
        {
            return Ok(move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&namespace),
                Some(LinkNameSpaceType::Network),
            )?);
        }
        anyhow::ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "{state} names no first process"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}
