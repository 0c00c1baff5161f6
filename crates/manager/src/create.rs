//! `create` and `plan`: facts, a plan, and the changes that make it real.

use rustix::process::Resource;
use vss_plan::{CreateRequest, Facts, Query, Rules, SandboxPlan};

use crate::apply::{self, Applied};
use crate::control::{Control, Notice};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::outcome::CreateOutcome;
use crate::reader;
use crate::recover;
use crate::rules;
use crate::traces;

/// How often a plan is made anew because its label or address was taken meanwhile.
const ROUNDS: u32 = 64;

/// The fewest files that a create has to be allowed to have open: thirty are in use at once where
/// two threads copy. One that runs out of them can't undo itself either.
const OPEN_FILES: u64 = 128;

/// What `create` does beyond making the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreateOptions {
    /// `--enable`: start it at every boot.
    pub enable: bool,
}

/// What `create` would make. Nothing is changed.
///
/// # Errors
/// Where the host can't be read or the request doesn't fit it.
pub fn plan(host: &Host, request: &CreateRequest) -> Result<SandboxPlan> {
    traces::refuse_taken(host, &request.name)?;
    let rules = rules::load(host)?;
    plan_from(host, request, &rules, &mut Facts::new(), &|| Ok(()))
}

/// The facts that the plan of a request is made of: what a bug report needs and what a golden
/// test is made of.
///
/// # Errors
/// As [`plan`].
pub fn record_facts(host: &Host, request: &CreateRequest) -> Result<Facts> {
    let mut facts = Facts::new();
    reader::read(host, request, &rules::load(host)?, &mut facts, &|| Ok(()))?;
    Ok(facts)
}

fn plan_from(
    host: &Host,
    request: &CreateRequest,
    rules: &Rules,
    facts: &mut Facts,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<SandboxPlan> {
    reader::read(host, request, rules, facts, go_on)?;
    Ok(vss_plan::plan(request, rules, facts)?)
}

/// Makes a sandbox: all of it or nothing.
///
/// # Errors
/// Where the host can't be read, the request doesn't fit it, the name is taken, or a change fails;
/// what was done by then is undone.
pub fn create(
    host: &Host,
    request: &CreateRequest,
    options: &CreateOptions,
    control: &Control<'_>,
) -> Result<CreateOutcome> {
    refuse_few_files(rustix::process::getrlimit(Resource::Nofile).current)?;
    recover::recover(host, control)?;
    locked(host, request, options, control).map_err(|error| match error {
        Error::Cancelled => Error::Undone,
        other => other,
    })
}

fn locked(
    host: &Host,
    request: &CreateRequest,
    options: &CreateOptions,
    control: &Control<'_>,
) -> Result<CreateOutcome> {
    let lock = recover::lock(host, &request.name, control)?;
    let made = recover::recover_locked(host, &request.name, false, control)
        .and_then(|_| traces::refuse_taken(host, &request.name))
        .and_then(|()| make(host, request, options, control));
    let tidied = host.store().tidy(lock);
    let outcome = made?;
    tidied?;
    Ok(outcome)
}

/// `None` stands for no limit.
fn refuse_few_files(limit: Option<u64>) -> Result<()> {
    match limit {
        Some(limit) if limit < OPEN_FILES => Err(Error::FewFiles {
            limit,
            needed: OPEN_FILES,
        }),
        _ => Ok(()),
    }
}

fn make(
    host: &Host,
    request: &CreateRequest,
    options: &CreateOptions,
    control: &Control<'_>,
) -> Result<CreateOutcome> {
    let rules = rules::load(host)?;
    let mut facts = Facts::new();
    for _ in 0..ROUNDS {
        let plan = plan_from(host, request, &rules, &mut facts, &|| control.check())?;
        control.check()?;
        host.labeller().check(&plan.config.label)?;
        host.labeller().check(&plan.config.file_label)?;
        if options.enable && host.services()?.is_none() {
            return Err(Error::NoSystemd {
                unit: plan.config.host_unit,
            });
        }
        match apply::apply(host, &plan, &facts, options.enable, control)? {
            Applied::Done(outcome) => return Ok(*outcome),
            Applied::Taken => {
                facts.forget(&Query::InUse);
                facts.forget(&Query::IdRanges);
                control.notice(&Notice::PlannedAnew(request.name.clone()));
            }
        }
    }
    Err(Error::Contended(request.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a51_too_few_open_files_are_told_before_any_change() {
        let error = refuse_few_files(Some(16)).unwrap_err();
        assert!(error.to_string().contains("16"), "{error}");
        assert!(error.hint().unwrap().contains("ulimit -n 128"));
        for enough in [Some(128), Some(1024), None] {
            refuse_few_files(enough).unwrap();
        }
    }
}
