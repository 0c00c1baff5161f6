//! Decides, without input or output, what a container is made of and why.
//!
//! The one question of this project is which files of a host a service needs. Its answer is a
//! value here, a [`RootPlan`] in which each path has its causes, computed from a [`CreateRequest`],
//! the [`Rules`] and recorded [`Facts`]:
//!
//! 1. [`discover`] names the [`Query`]s that are still open; a reader answers them; again, until it
//!    is [`Progress::Done`]. It is the same computation as [`plan`], made with what is known so
//!    far, so that the two can't disagree.
//! 2. [`plan`] makes the [`SandboxPlan`]: *units* (those asked for and what they require),
//!    *packages* (owners of the units and of their programs, siblings of one source, plug-ins,
//!    dependencies less a base set), and *paths*, each source in its turn: the baseline table, the
//!    units, the packages' lists, snippets of tmpfiles.d, what bears the service's name, where
//!    links and configuration lead, rules, the user; what is another instance's stays behind, the
//!    deny list comes last, and what a share would cover is taken out or refused.
//! 3. Label, address and hardware address come from the [`allocator`], users of a container's own
//!    from [`id_ranges`]; [`domain_spec`] and
//!    [`host_unit`] follow from the config alone, so that they can be made again at any time.
//!
//! What holds for every service is code; what holds for a distribution or for one service is a
//! table in `data/`, or a file of `rules.d`.

mod accounts;
mod adapt;
pub mod allocator;
mod ask;
mod baseline;
mod confine;
mod data;
mod deny;
mod derive;
mod draft;
pub mod facts;
mod follow;
pub mod glob;
mod homes;
pub mod id_ranges;
mod inside;
mod instances;
mod links;
pub mod mentions;
mod options;
pub mod outcome;
mod packages;
mod paths;
mod place;
mod plan;
mod region;
pub mod request;
mod review;
pub mod root_plan;
mod rules;
mod shares;
mod snippets;
mod suitable;
mod timespan;
mod units;
mod values;

pub use derive::{
    HOST_INSIDE, MEMORY_UNLIMITED_KIB, SYSTEMD, bridged, domain_spec, host_directory, host_unit,
    unlabelled,
};
pub use facts::{Answer, Facts, Query};
pub use outcome::{PlanError, PlannedPackage, Progress, SandboxPlan, Skipped, Warning};
pub use place::CONTENT;
pub use plan::{discover, plan};
pub use request::CreateRequest;
pub use root_plan::{Because, Explanation, Fate, PlanEntry, RootPlan};
pub use rules::{Rules, RulesError};
