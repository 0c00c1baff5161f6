//! The homes of the users that units run as.

use vss_model::{AbsPath, Cause};

use crate::accounts::Accounts;
use crate::draft::{Draft, Source};
use crate::facts::UnitFacts;
use crate::paths::Scope;

/// The home of the user that a unit runs as; root's is the container's own.
pub(crate) fn home_of(unit: &UnitFacts, accounts: &Accounts) -> Option<AbsPath> {
    let home = accounts.home(unit.last("User")?)?;
    (!home.as_path().starts_with("/root")).then_some(home)
}

/// Whether a home is where people have theirs, and not what a service keeps its data in.
pub(crate) fn is_home_of_people(home: &AbsPath) -> bool {
    home.as_path().starts_with("/home")
}

fn starts_at_home(unit: &UnitFacts) -> bool {
    let directory = unit.last("WorkingDirectory");
    directory.is_some_and(|d| d.trim_start_matches('-') == "~")
}

impl Scope<'_, '_> {
    /// The homes of the users that units run as. Those of people are told of and not taken
    /// ([`data_left`](crate::data::data_left)), but for the place itself where a unit starts in it.
    pub(crate) fn homes(&self, draft: &mut Draft, accounts: &Accounts) {
        for member in self.units.members.values() {
            let Some(home) = home_of(member.facts, accounts) else {
                continue;
            };
            let directive = match starts_at_home(member.facts) {
                true => "WorkingDirectory=",
                false if is_home_of_people(&home) => continue,
                false => "User=",
            };
            let cause = Cause::Unit {
                unit: member.facts.name.clone(),
                directive: directive.to_owned(),
            };
            self.claim(draft, Source::Unit, &home, &cause);
        }
    }
}
