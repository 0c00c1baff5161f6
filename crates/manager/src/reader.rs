//! Answers what the plan asks of the host, round by round, until it asks no more.
//!
//! Every question is answered once; the recorded [`Facts`] are all that the plan sees, and a
//! recorded lot of them is a test case.

mod containers;
mod paths;
mod ranges;
mod units;

use vss_model::UnitName;
use vss_plan::{Answer, CreateRequest, Facts, Progress, Query, Rules};

use crate::error::Result;
use crate::host::{Host, has_processors};

/// Asks the plan what it needs to know and answers it from the host, until it knows enough. What
/// is in `facts` already is not read again. `go_on` is asked before each answer and at each node of a
/// tree, and ends it with its error: a tree may be huge, or on a network that hangs.
pub(crate) fn read(
    host: &Host,
    request: &CreateRequest,
    rules: &Rules,
    facts: &mut Facts,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let containers = host.containers();
    std::thread::scope(|scope| {
        // takes as long as all the rest, and neither needs the other
        let mut in_use = (has_processors() && facts.get(&Query::InUse).is_none())
            .then(|| scope.spawn(|| containers::in_use(containers, &request.name)));
        while let Progress::Need(queries) = vss_plan::discover(request, rules, facts)? {
            let late = queries.len() == 1;
            for query in queries {
                go_on()?;
                let answer = match query {
                    // asked for again, until it is all that is missing
                    Query::InUse if !late => continue,
                    Query::InUse => match in_use.take().and_then(|thread| thread.join().ok()) {
                        Some(found) => Answer::InUse(found?),
                        None => Answer::InUse(containers::in_use(containers, &request.name)?),
                    },
                    ref query => answer(host, request, rules, query, go_on)?,
                };
                facts.insert(query, answer);
            }
        }
        Ok(())
    })
}

fn answer(
    host: &Host,
    request: &CreateRequest,
    rules: &Rules,
    query: &Query,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Answer> {
    Ok(match query {
        Query::Host => Answer::Host(Box::new(containers::host(host)?)),
        Query::Identity => Answer::Identity(uuid::Uuid::new_v4()),
        Query::InUse => Answer::InUse(containers::in_use(host.containers(), &request.name)?),
        Query::IdRanges => Answer::IdRanges(ranges::held(host)?),
        Query::Network(name) => Answer::Network(containers::network(host, name)?),
        Query::Accounts => Answer::Accounts(paths::accounts(host)?),
        Query::Unit(unit) => {
            let is_of = |asked: &UnitName| unit.template().as_ref() == Some(asked);
            let asked_for = request
                .units
                .iter()
                .any(|asked| asked == unit || is_of(asked));
            Answer::Unit(units::unit(host, unit, asked_for)?.map(Box::new))
        }
        Query::UnitNames => Answer::UnitNames(units::names(host)?),
        Query::HostUnit(unit) => Answer::HostUnit(units::host_unit(host, unit)?),
        Query::Owners(path) => Answer::Packages(host.packages()?.owners(path)?),
        Query::OwnersBelow(path) => Answer::Packages(host.packages()?.owners_below(path)?),
        Query::Package(name) => {
            let package = host.packages()?.package(name)?.map(|mut package| {
                package
                    .files
                    .retain(|file| vss_plan::facts::matters(&file.path));
                Box::new(package)
            });
            Answer::Package(package)
        }
        Query::OfSource(source) => Answer::Packages(host.packages()?.of_source(source)?),
        Query::Dependents(name) => Answer::Dependents(host.packages()?.dependents(name)?),
        Query::Path(path) => Answer::Path(paths::path(host.tree()?, path)?),
        Query::List(path) => Answer::List(paths::list(host.tree()?, path)?),
        Query::Tree(path) => {
            let watches = |path: &vss_model::AbsPath| rules.watches(path);
            Answer::Tree(paths::tree(host.tree()?, path, &watches, go_on)?)
        }
        Query::Directories(path) => {
            Answer::Directories(paths::directories(host.tree()?, path, go_on)?)
        }
        Query::Text(path) => Answer::Text(paths::text(host.tree()?, path)?),
        Query::Mentions(path) => Answer::Mentions(paths::mentions(host.tree()?, path, go_on)?),
        Query::Writers(path) => Answer::Writers(containers::writers(host, path)),
    })
}
