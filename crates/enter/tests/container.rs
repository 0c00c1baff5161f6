//! Into a container that is made of the kernel's own parts (see `examples/fixture.rs`): what holds
//! PID 1 holds the command, and nothing of the host is there.
#![expect(
    clippy::disallowed_methods,
    reason = "the fixture is a program of its own"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

#[path = "container/fixture.rs"]
mod fixture;
#[path = "container/isolation.rs"]
mod isolation;
#[path = "container/sessions.rs"]
mod sessions;
#[path = "container/streams.rs"]
mod streams;
#[path = "container/users.rs"]
mod users;
