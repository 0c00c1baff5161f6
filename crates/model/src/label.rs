//! SELinux security contexts and their multi-category levels.

mod category;
mod context;
mod level;

pub use category::{Category, CategorySet};
pub use context::{ContextError, SecurityContext};
pub use level::{Level, LevelError};
