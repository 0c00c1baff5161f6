//! Reading many configs at once.

use std::num::NonZero;
use std::thread;

use vss_model::{SandboxConfig, SandboxName};

use crate::Result;
use crate::store::Store;

/// Fewer configs than this are not worth a thread.
const WORTH_A_THREAD: usize = 32;

impl Store {
    /// The configs of these names, in the same order, each as [`load`](Self::load) has it. With many
    /// names the processors share the work: a parsed config costs some 80 µs, and `list` and
    /// `create` read all there are.
    #[must_use]
    pub fn load_all(&self, names: &[SandboxName]) -> Vec<Result<SandboxConfig>> {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let share = names.len().div_ceil(processors).max(WORTH_A_THREAD);
        thread::scope(|scope| {
            let mut shares = names.chunks(share);
            let first = shares.next().unwrap_or_default();
            let others: Vec<_> = shares
                .map(|names| (names, scope.spawn(|| self.load_each(names))))
                .collect();
            let mut all = self.load_each(first);
            for (names, other) in others {
                // one that panicked has a config that panics here too, and is told by it
                all.extend(other.join().unwrap_or_else(|_| self.load_each(names)));
            }
            all
        })
    }

    fn load_each(&self, names: &[SandboxName]) -> Vec<Result<SandboxConfig>> {
        names.iter().map(|name| self.load(name)).collect()
    }
}
