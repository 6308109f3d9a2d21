//! Faults by number: "call n of this run, and then …".

use std::collections::BTreeMap;
use std::time::Duration;

use model::{BoxFuture, Call, Fate, Fault};

use crate::gate::{Director, Run};

/// The faults that one call may meet. `Conflict` is for DynamoDB's writes alone.
pub(crate) fn faults() -> Vec<Fault> {
    vec![
        Fault::KillBefore,
        Fault::KillAfter,
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Throttle,
        Fault::Conflict,
        Fault::error(500, "InternalServerError"),
        Fault::ErrorAfter {
            status: 500,
            code: "InternalServerError".to_owned(),
        },
        // Longer than the SDK waits for one try, and than a platform's call may take.
        Fault::Delay(Duration::from_secs(12)),
    ]
}

/// Run number → call number → what happens to it.
pub(crate) struct Script {
    function: &'static str,
    faults: BTreeMap<(usize, usize), Fault>,
    runs: std::sync::Mutex<Vec<usize>>,
}

impl Script {
    /// Faults at calls of the first, second, … run of a function.
    pub(crate) fn new(
        function: &'static str,
        faults: impl IntoIterator<Item = ((usize, usize), Fault)>,
    ) -> Self {
        Self {
            function,
            faults: faults.into_iter().collect(),
            runs: std::sync::Mutex::default(),
        }
    }
}

impl Director for Script {
    fn fate<'a>(&'a self, run: &'a Run, number: usize, call: &'a Call) -> BoxFuture<'a, Fate> {
        let fate = || {
            if run.function != self.function {
                return Fate::default();
            }
            let place = {
                let mut runs = self.runs.lock().unwrap();
                if !runs.contains(&run.number) {
                    runs.push(run.number);
                }
                runs.iter().position(|one| *one == run.number).unwrap() + 1
            };
            let fault = self.faults.get(&(place, number));
            fault.map_or_else(Fate::default, |fault| met(fault, call))
        };
        Box::pin(std::future::ready(fate()))
    }
}

/// What a fault makes of a call; platforms have their own words for "too fast".
pub(crate) fn met(fault: &Fault, call: &Call) -> Fate {
    match fault {
        Fault::Throttle if call.service == "tiktok" => {
            Fault::error(429, "rate_limit_exceeded").fate(call)
        }
        fault => fault.fate(call),
    }
}
