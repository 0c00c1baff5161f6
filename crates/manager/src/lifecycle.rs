//! Start, stop and restart.

mod detached;
