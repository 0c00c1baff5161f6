//! Trees on a real file system, some of them hostile. What needs root says so when it is skipped.

mod attack;
mod copying;
mod faults;
mod making;
mod removing;
mod support;
mod walking;
