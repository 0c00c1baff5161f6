//! What is left when `create` or `delete` is cut short, or meets an error, at any call that changes
//! something: the same command run again finishes, and after `delete` nothing is left.
//!
//! A traced run lists the calls; then `strace` injects a fault at one of them per run: the process
//! is killed instead of it, or it fails. `strace` counts the calls of a name for each thread by
//! itself, so the traced command has one processor, for which it starts no thread: a name and a
//! number are one call, the same one in each run. What is killed with its threads at work is tested
//! apart.
//!
//! So that every call can be done, the command runs on a host of a few files ([`host`]), and as
//! many of these as there are processors are at work side by side. `VSS_CRASH=all` adds what tells
//! little more: both errors at each call instead of the likelier one, and faults at the calls that
//! would have failed.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests, which fail by panicking and say what they did"
)]

mod cases;
mod create;
mod delete;
mod full;
mod ground;
mod host;
mod running;
mod trace;
