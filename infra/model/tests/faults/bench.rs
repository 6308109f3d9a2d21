//! Many worlds: each on a paused runtime of its own, some at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Runs a world to its end.
pub(crate) fn paused<T>(world: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let done = tokio::task::LocalSet::new().block_on(&runtime, world);
    runtime.shutdown_background();
    done
}

/// What many runs came to.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) runs: usize,
    pub(crate) seconds: f64,
    /// Run, and what is wrong with it.
    pub(crate) wrong: Vec<(usize, String)>,
}

impl Tally {
    /// Prints the figures in one line, and fails with everything that is wrong.
    pub(crate) fn end(self, what: &str) {
        let violations = self.wrong.len();
        println!(
            "{what}: {} runs, {violations} violations, {:.1} s",
            self.runs, self.seconds
        );
        let shown: Vec<_> = self
            .wrong
            .iter()
            .take(5)
            .map(|(run, text)| format!("run {run}: {text}"))
            .collect();
        assert!(violations == 0, "{what}\n{}", shown.join("\n\n"));
    }
}

/// Runs numbers `0..count`, as many at once as there are processors; each tells what is wrong.
pub(crate) fn all(count: usize, run: impl Fn(usize) -> Result<(), String> + Sync) -> Tally {
    let begun = Instant::now();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        return;
                    }
                    let told = match catch_unwind(AssertUnwindSafe(|| run(number))) {
                        Ok(Ok(())) => continue,
                        Ok(Err(text)) => text,
                        Err(panic) => {
                            let text = panic.downcast_ref::<String>().cloned();
                            let text = text
                                .or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
                            format!("panicked: {}", text.unwrap_or_default())
                        }
                    };
                    wrong.lock().unwrap().push((number, told));
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    Tally {
        runs: count,
        seconds: begun.elapsed().as_secs_f64(),
        wrong,
    }
}
