//! What root inside a container tries to get out.
//!
//! An attempt has a name, runs in a process of its own, and ends in one of three ways: it got `out`,
//! with evidence; it was `refused`, by a step and for a reason; or it was `untried`, because what it
//! needs was not there, which never counts as refused. What the host sees of it is for the case to
//! look at (`tests/vm/cases/breakout`); `docs/breakouts.md` says which level holds what.
//!
//! Some attempts harm the host where nothing holds them. So the program only does anything on a
//! machine that was made for it, which it knows by [`facts`].

mod attempt;
mod careless;
mod cgroups;
mod descriptors;
mod devices;
mod facts;
mod files;
mod handles;
mod kernel;
mod keys;
mod mounts;
mod namespaces;
mod network;
mod outcome;
mod proc;
mod processes;
mod race;
mod resources;
mod run;
mod secret;
mod superblock;
mod sys;
mod terminal;

use std::process::ExitCode;

const USAGE: &str = "usage: breakout list
       breakout all [--to FILE]       each attempt in a process of its own, a line for each
       breakout try [--root DIR] NAME
       breakout race DIR VICTIM       swaps what is in DIR for links to VICTIM until it is killed
       breakout careless copy|remove|own|label DIR [TO]
       breakout leave-set-uid PATH    a program that tells who runs it
       breakout whoami";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["list"] => run::list(),
        ["all"] => run::all(None),
        ["all", "--to", file] => run::all(Some(file)),
        ["try", name] => run::one(name, None),
        ["try", "--root", root, name] => run::one(name, Some(root)),
        ["race", place, victim] => race::run(place, victim),
        ["careless", what, place] => careless::run(what, place, None),
        ["careless", what, place, to] => careless::run(what, place, Some(to)),
        ["leave-set-uid", path] => run::leave_set_uid(path),
        ["whoami"] => run::whoami(),
        _ => run::complain(USAGE),
    }
}
