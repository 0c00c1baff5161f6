//! The store in a directory of its own: what stands where, whose it is, and what a crash, a full
//! disk or a hundred others at once leave of it.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod claims;
mod configs;
mod directories;
mod journals;
mod reservations;
mod world;
