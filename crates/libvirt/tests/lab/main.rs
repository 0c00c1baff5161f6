//! Real starts on a real libvirtd, each test in a private world (`tests/lab/world`):
//! `cargo test -p vss-libvirt --test lab -- --ignored`, as root.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; clippy.toml's exception does not reach their helper functions"
)]

mod domains;
mod networks;
mod race;
mod world;
