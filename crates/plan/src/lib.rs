//! Decides, without input or output, what a container is made of and why.
pub mod allocator;
pub mod facts;
pub mod mentions;
pub mod outcome;
pub mod request;
pub mod root_plan;

pub use facts::{Answer, Facts, Query};
pub use outcome::{PlanError, Progress, SandboxPlan, Skipped, Warning};
pub use request::CreateRequest;
pub use root_plan::{Explanation, Fate, PlanEntry, RootPlan};
