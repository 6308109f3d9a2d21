//! A seed that decides everything: when people do what, and what becomes of every call.

use std::sync::Mutex;
use std::time::Duration;

use model::{BoxFuture, Call, Fate, Fault, Outcome};
use tokio::time::Instant;

use crate::gate::{Director, Run};
use crate::script::met;

/// A stream of numbers out of a seed (SplitMix64): fast, and the same everywhere.
#[derive(Debug)]
pub(crate) struct Dice(Mutex<u64>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed,
        ))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// So many times in a hundred.
    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&self, list: &'a [T]) -> &'a T {
        &list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    pub(crate) fn millis(&self, most: u64) -> Duration {
        Duration::from_millis(self.below(most))
    }
}

/// One service that fails often for a while.
#[derive(Debug)]
struct Outage {
    service: &'static str,
    from: Instant,
    until: Instant,
}

/// Faults by chance.
pub(crate) struct Weather {
    dice: Dice,
    /// Calls in a thousand that meet a fault, AWS's and the platform's.
    rates: (u64, u64),
    outages: Vec<Outage>,
}

impl Weather {
    /// The weather of a seed, for the coming `span`.
    pub(crate) fn new(seed: u64, span: Duration) -> Self {
        let dice = Dice::new(seed ^ 0x0077_ea74);
        let now = Instant::now();
        let services = ["dynamodb", "sqs", "kms", "s3", "tiktok"];
        let outages = (0..dice.below(3)).map(|_| {
            let from = now + dice.millis(span.as_millis() as u64);
            Outage {
                service: dice.pick::<&'static str>(&services),
                from,
                until: from + dice.millis(60_000),
            }
        });
        Self {
            outages: outages.collect(),
            rates: (8 + dice.below(60), 15 + dice.below(150)),
            dice,
        }
    }

    fn decide(&self, call: &Call) -> Fate {
        let now = Instant::now();
        let dice = &self.dice;
        let latency = dice.millis(if call.service == "tiktok" { 400 } else { 25 });
        let out = self.outages.iter();
        let out = out.filter(|outage| outage.service == call.service);
        let out = out.filter(|outage| (outage.from..outage.until).contains(&now));
        let rate = match (out.count() > 0, call.service) {
            (true, _) => 600,
            (false, "tiktok") => self.rates.1,
            (false, _) => self.rates.0,
        };
        let fate = if dice.below(1_000) < rate {
            met(&self.fault(), call)
        } else {
            Fate::default()
        };
        if fate.outcome == Outcome::NotConnected {
            return fate;
        }
        Fate {
            after: fate.after + latency,
            ..fate
        }
    }

    fn fault(&self) -> Fault {
        let error = |code: &str| (500 + 3 * u16::from(self.dice.chance(50)), code.to_owned());
        match self.dice.below(100) {
            0..12 => Fault::KillBefore,
            12..24 => Fault::KillAfter,
            24..38 => Fault::DropBefore,
            38..56 => Fault::DropAfter,
            56..66 => Fault::Throttle,
            66..72 => Fault::Conflict,
            72..80 => {
                let (status, code) = error("InternalServerError");
                Fault::Error { status, code }
            }
            80..86 => {
                let (status, code) = error("InternalServerError");
                Fault::ErrorAfter { status, code }
            }
            _ => Fault::Delay(self.dice.millis(15_000)),
        }
    }
}

impl Director for Weather {
    fn fate<'a>(&'a self, _: &'a Run, _: usize, call: &'a Call) -> BoxFuture<'a, Fate> {
        Box::pin(std::future::ready(self.decide(call)))
    }
}
