//! The text of a `.sandbox` file.
//!
//! [`parse`] goes from text to the checked [`SandboxConfig`](vss_model::SandboxConfig) by way of
//! the spanned tables of the toml crate, so that whatever is wrong is told with its line and key;
//! [`render`] writes the text for people, with comments. What one writes the other reads.

mod read;
mod section;
mod value;
mod write;

pub use read::parse;
pub(crate) use read::uuid_of;
pub(crate) use section::distance;
pub use write::render;

/// The version of the format that is written, and the only one that is read.
pub(crate) const VERSION: u64 = 1;

/// The most bytes of a config file.
pub(crate) const LIMIT: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
