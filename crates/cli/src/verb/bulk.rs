//! One verb on several containers: all are tried, what failed is summed up last.

use serde::Serialize;
use vss_manager::Host;
use vss_manager::outcome::ListEntry;
use vss_model::SandboxName;

use crate::failure::{Failure, Status};
use crate::options::{Format, FormatOptions};
use crate::ui::Ui;
use crate::{render, signals};

/// What became of one of them, as JSON shows it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Item<'a, T> {
    Done(T),
    Failed {
        name: &'a SandboxName,
        error: String,
        hints: Vec<String>,
    },
}

/// Does `act` for each name. As text, `say` is written for each as it is done; as JSON, an array
/// is written at the end. A failure is told at once, the names of those that failed once more last.
pub(super) fn run<T: Serialize>(
    names: &[SandboxName],
    output: FormatOptions,
    ui: &mut Ui,
    act: impl FnMut(&SandboxName) -> Result<T, Failure>,
    say: impl Fn(&T) -> String,
) -> Result<Status, Failure> {
    run_until(signals::caught, names, output, ui, act, say)
}

/// As [`run`]; no more of them are tried once `caught` has a signal.
fn run_until<T: Serialize>(
    caught: impl Fn() -> Option<i32>,
    names: &[SandboxName],
    output: FormatOptions,
    ui: &mut Ui,
    mut act: impl FnMut(&SandboxName) -> Result<T, Failure>,
    say: impl Fn(&T) -> String,
) -> Result<Status, Failure> {
    ui.set_quiet(output.quiet);
    let mut items = Vec::new();
    let mut failed: Vec<&str> = Vec::new();
    let mut last = Status::OK;
    for name in names {
        match act(name) {
            Ok(done) => {
                if output.format == Format::Table {
                    for line in say(&done).lines() {
                        ui.line(line)?;
                    }
                    ui.flush()?;
                }
                items.push(Item::Done(done));
            }
            Err(failure) if failure.status == Status::PIPE => return Err(failure),
            Err(failure) => {
                let failure = failure.or_interrupted(caught());
                ui.failure(&failure);
                failed.push(name.as_str());
                last = failure.status;
                items.push(Item::Failed {
                    name,
                    error: failure.message,
                    hints: failure.hints,
                });
            }
        }
        if caught().is_some() {
            break;
        }
    }
    if output.format == Format::Json {
        render::json(ui.out(), &items)?;
    }
    if names.len() == 1 || (failed.is_empty() && items.len() == names.len()) {
        return Ok(last);
    }
    Err(Failure::new(sum_up(&failed, names.len(), items.len())))
}

/// A dry run of a verb that changes nothing but whether a container runs: that each of them exists,
/// and how it is now.
pub(super) fn would(
    host: &Host,
    names: &[SandboxName],
    output: FormatOptions,
    ui: &mut Ui,
    verb: &str,
) -> Result<Status, Failure> {
    let act = |name: &_| Ok(vss_manager::inventory::status(host, name)?.entry);
    let say = |entry: &ListEntry| format!("Would {verb} {}, which is {}", entry.name, entry.state);
    run(names, output, ui, act, say)
}

fn sum_up(failed: &[&str], asked: usize, tried: usize) -> String {
    let mut text = format!("{} of {asked} failed", failed.len());
    if !failed.is_empty() {
        text.push_str(&format!(": {}", failed.join(", ")));
    }
    if tried < asked {
        text.push_str(&format!("; {} not tried", asked - tried));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a56_each_signal_has_its_own_status_with_one_name_too() {
        let output = FormatOptions {
            format: Format::Table,
            quiet: true,
        };
        let names = ["web1".parse().unwrap()];
        for (signal, status) in [(1, 129), (2, 130), (15, 143)] {
            let ended = run_until(
                || Some(signal),
                &names,
                output,
                &mut Ui::new(),
                |_| Err::<(), _>(Failure::new("interrupted").status(Status::of_signal(2))),
                |()| String::new(),
            );
            assert_eq!(ended.unwrap().code(), status);
        }
    }

    #[test]
    fn what_failed_is_named() {
        assert_eq!(sum_up(&["a", "b"], 3, 3), "2 of 3 failed: a, b");
        assert_eq!(sum_up(&[], 3, 1), "0 of 3 failed; 2 not tried");
    }
}
