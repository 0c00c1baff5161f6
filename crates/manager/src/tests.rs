//! The verbs on a host in a temporary directory: the file system, package database, unit files,
//! store and plan are real, the daemons are fakes.

mod confinement;
mod crash;
mod create;
mod delete;
mod lifecycle;
mod read_only;
mod status;
mod users;
mod world;
