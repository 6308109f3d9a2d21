//! What stands between one function instance and everything that it calls: each call is counted, told
//! to whoever directs the world, and may end the instance.

use std::sync::{Arc, Mutex};

use model::{BoxFuture, Call, Fate, Outcome, Seam};
use tokio::sync::Notify;

/// Decides what becomes of calls.
pub(crate) trait Director: Send + Sync {
    /// The fate of call number `number` (from 1) of a run.
    fn fate<'a>(&'a self, run: &'a Run, number: usize, call: &'a Call) -> BoxFuture<'a, Fate>;
}

/// Nothing goes wrong.
pub(crate) struct Calm;

impl Director for Calm {
    fn fate<'a>(&'a self, _: &'a Run, _: usize, _: &'a Call) -> BoxFuture<'a, Fate> {
        Box::pin(std::future::ready(Fate::default()))
    }
}

/// One invocation of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The function.
    pub(crate) function: &'static str,
    /// Its number in the world.
    pub(crate) number: usize,
}

/// A call as it happened.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    pub(crate) at_ms: u128,
    pub(crate) run: Run,
    pub(crate) number: usize,
    pub(crate) call: Call,
    pub(crate) fate: Fate,
}

impl std::fmt::Display for Met {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            at_ms,
            run,
            number,
            call,
            fate,
        } = self;
        let (function, of) = (run.function, run.number);
        let (action, resource) = (&call.action, &call.resource);
        write!(
            f,
            "{:>11.3} {function}#{of} {number:>2} {action} {resource}",
            *at_ms as f64 / 1_000.0
        )?;
        // The usual latency is not worth a word.
        let late = fate.before + fate.after > std::time::Duration::from_secs(1);
        if fate.outcome != Outcome::Done || late {
            write!(f, "  <- {}", short(fate))?;
        }
        Ok(())
    }
}

fn short(fate: &Fate) -> String {
    let outcome = match &fate.outcome {
        Outcome::Refused(refusal) => format!("refused {}", refusal.code),
        Outcome::DoneAndRefused(refusal) => format!("done and refused {}", refusal.code),
        other => format!("{other:?}"),
    };
    format!("{outcome} before {:?} after {:?}", fate.before, fate.after)
}

/// The gate of one instance. One invocation passes it at a time.
pub(crate) struct Gate {
    director: Arc<Mutex<Arc<dyn Director>>>,
    trace: Arc<Mutex<Vec<Met>>>,
    run: Mutex<(Run, usize)>,
    dead: Notify,
    origin: tokio::time::Instant,
}

impl Gate {
    pub(crate) fn new(
        director: Arc<Mutex<Arc<dyn Director>>>,
        trace: Arc<Mutex<Vec<Met>>>,
        origin: tokio::time::Instant,
    ) -> Self {
        let run = Run {
            function: "nobody",
            number: 0,
        };
        Self {
            director,
            trace,
            run: Mutex::new((run, 0)),
            dead: Notify::new(),
            origin,
        }
    }

    /// A new invocation begins.
    pub(crate) fn begin(&self, run: Run) {
        *self.run.lock().unwrap() = (run, 0);
    }

    /// The number of the present invocation.
    pub(crate) fn running(&self) -> usize {
        self.run.lock().unwrap().0.number
    }

    /// Ends once the invocation is to be dropped.
    pub(crate) async fn death(&self) {
        self.dead.notified().await;
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Seam for Gate {
    fn meet<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Fate> {
        let (run, number) = {
            let mut run = self.run.lock().unwrap();
            run.1 += 1;
            run.clone()
        };
        let director = self.director.lock().unwrap().clone();
        Box::pin(async move {
            let fate = director.fate(&run, number, call).await;
            self.trace.lock().unwrap().push(Met {
                at_ms: self.origin.elapsed().as_millis(),
                run,
                number,
                call: call.clone(),
                fate: fate.clone(),
            });
            fate
        })
    }

    fn ended(&self) {
        self.dead.notify_one();
    }
}
