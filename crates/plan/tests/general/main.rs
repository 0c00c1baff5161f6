//! The rules of the general plan, each on a host made for it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail: only its own functions are known as tests to clippy"
)]

mod confinement;
mod explained;
mod instances;
mod links;
mod masks;
mod packages;
mod paths;
mod requests;
mod secrets;
mod shares;
mod units;
mod world;

/// The file of the service that every host has.
const WEB: &str = "/usr/lib/systemd/system/web.service";
