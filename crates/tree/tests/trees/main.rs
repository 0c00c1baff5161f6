//! Trees on a real file system, some of them hostile. What needs root says so when it is skipped.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and is skipped loudly"
)]

mod attack;
mod copying;
mod faults;
mod making;
mod owners;
mod removing;
mod support;
mod walking;
