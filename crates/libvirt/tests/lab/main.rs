//! Real starts on a real libvirtd, each test in a private world (`tests/lab/world`):
//! `VSS_LAB=1 cargo test -p vss-libvirt --test lab`, as root.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; clippy.toml's exception does not reach their helper functions"
)]

mod domains;
mod networks;
mod race;
mod world;
