//! How far a verb is: notices at once, a bar where copying takes long enough to be waited for.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vss_manager::{Notice, Observer};

use crate::ui::Messages;

/// What is over sooner shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// Hears the manager and tells the administrator.
#[derive(Debug)]
pub(crate) struct Watch {
    messages: Messages,
    quiet: bool,
    bar: Mutex<Option<Bar>>,
}

#[derive(Debug)]
struct Bar {
    began: Instant,
    shown: bool,
    bar: ProgressBar,
}

impl Watch {
    /// Tells it on stderr; under `quiet` without what is only good to know.
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            messages: Messages::new(),
            quiet,
            bar: Mutex::new(None),
        }
    }

    fn with_bar(&self, act: impl FnOnce(&mut Option<Bar>)) {
        // A bar that a thread died with is not worth dying for.
        if let Ok(mut bar) = self.bar.lock() {
            act(&mut bar);
        }
    }
}

impl Observer for Watch {
    fn notice(&self, notice: &Notice) {
        let text = match notice {
            Notice::Waiting(_) | Notice::PlannedAnew(_) if self.quiet => return,
            notice => text_of(notice),
        };
        self.with_bar(|bar| match bar {
            Some(bar) => bar.bar.suspend(|| self.messages.message(&text)),
            None => self.messages.message(&text),
        });
    }

    fn copying(&self, bytes: u64) {
        if self.quiet || !io::stderr().is_terminal() {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template("copying {bar:30} {bytes} of {total_bytes} {eta}")
        {
            bar.set_style(style);
        }
        self.with_bar(|current| {
            *current = Some(Bar {
                began: Instant::now(),
                shown: false,
                bar,
            });
        });
    }

    fn copied(&self, bytes: u64) {
        self.with_bar(|bar| {
            if let Some(bar) = bar {
                bar.bar.inc(bytes);
                if !bar.shown && bar.began.elapsed() > PATIENCE {
                    bar.shown = true;
                    bar.bar.set_draw_target(ProgressDrawTarget::stderr());
                }
            }
        });
    }

    fn copied_all(&self) {
        self.with_bar(|bar| {
            if let Some(bar) = bar.take() {
                bar.bar.finish_and_clear();
            }
        });
    }
}

fn text_of(notice: &Notice) -> String {
    match notice {
        Notice::UndoneCreate(name) => {
            format!("a create of {name} had been cut short: what was left of it is removed")
        }
        Notice::FinishedDelete(name) => {
            format!("a delete of {name} had been cut short: it is finished now")
        }
        Notice::RecoveryFailed { name, error } => {
            format!(
                "what a command that was cut short left of {name} could not be removed: {error}"
            )
        }
        Notice::Waiting(name) => format!("another command works on {name}, waiting for it"),
        Notice::Skipped { path, why } => format!("not copied: {path} {why}"),
        Notice::PlannedAnew(name) => {
            format!("the label or address for {name} was taken meanwhile, planning anew")
        }
        Notice::Killed(name) => format!("{name} did not stop in time and was ended by force"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_copied_is_told_in_one_sentence() {
        let notice = Notice::Skipped {
            path: "/srv/pipe".parse().unwrap(),
            why: "is a named pipe".to_owned(),
        };
        assert_eq!(text_of(&notice), "not copied: /srv/pipe is a named pipe");
    }
}
