//! Time and chance, as arguments.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::digest;

use crate::Timestamp;

/// What time it is. The real one is in `lambda`; tests hold their own.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Where random bytes come from. The real one is in `lambda`; tests hold their own.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random ones, fit for keys and nonces.
    fn fill(&self, bytes: &mut [u8]);

    /// A random number below `bound`; 0 where `bound` is 0. For jitter: its bias is below 2⁻³².
    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0u8; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }
}

/// A clock that stands where it was put, for tests and simulations.
#[derive(Debug, Default)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.millis()))
    }

    /// Moves the clock by `secs`.
    pub fn advance(&self, secs: i64) {
        self.0
            .fetch_add(secs.saturating_mul(1_000), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Repeatable bytes from a seed, for tests and simulations. Never for keys.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<(u64, u64)>);

impl SeededEntropy {
    /// The stream of bytes that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new((seed, 0)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            let mut context = digest::Context::new(&digest::SHA256);
            context.update(&state.0.to_be_bytes());
            context.update(&state.1.to_be_bytes());
            state.1 += 1;
            chunk.copy_from_slice(&context.finish().as_ref()[..chunk.len()]);
        }
    }
}
