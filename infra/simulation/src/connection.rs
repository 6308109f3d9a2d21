//! One connection, in 32 bytes: a million of them fit into 32 MB.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::{Entropy, Timestamp};
use tokens::Life;

/// Stands for "never" and "nothing".
pub(crate) const NEVER: u32 = u32::MAX;

/// Instants are minutes of the virtual clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) issued: u32,
    /// When the access token dies.
    pub(crate) expires: u32,
    /// When the refresh token dies, whether the platform says so or not.
    pub(crate) refresh_ends: u32,
    pub(crate) used: u32,
    pub(crate) due: u32,
    /// A refresh of this version was sent then and never answered.
    pub(crate) spent_since: u32,
    pub(crate) kind: u8,
    pub(crate) shard: u8,
    pub(crate) bucket: u8,
    pub(crate) failures: u8,
    pub(crate) habit: Habit,
    pub(crate) state: State,
}

/// How often a creator's connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Habit {
    Daily,
    Weekly,
    Rarely,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Active,
    /// Given up although the platform would have refreshed it.
    Lost,
    /// Its refresh token died of age.
    Expired,
}

impl Connection {
    /// What the due time depends on. `told`: whether the platform says when the refresh token dies.
    pub(crate) fn life(&self, told: bool) -> Life {
        Life {
            issued_at: at(self.issued),
            expires_at: instant(self.expires),
            refresh_expires_at: instant(self.refresh_ends).filter(|_| told),
            used_at: at(self.used),
        }
    }
}

/// The instant of a minute.
pub(crate) fn at(minute: u32) -> Timestamp {
    Timestamp::from_secs(i64::from(minute) * 60)
}

/// The instant of a minute that may be never.
pub(crate) fn instant(minute: u32) -> Option<Timestamp> {
    (minute != NEVER).then(|| at(minute))
}

/// The first minute at which an instant has come: the schedule runs on the minute.
pub(crate) fn minute(instant: Timestamp) -> u32 {
    u32::try_from((instant.secs() + 59).div_euclid(60)).unwrap_or(0)
}

/// SplitMix64: fast, repeatable, and good enough for jitter.
#[derive(Debug)]
pub(crate) struct Chance(AtomicU64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut z = self
            .0
            .load(Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.store(z, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn under(&self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound.max(1))).unwrap_or(0)
    }
}

impl Entropy for Chance {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }

    fn below(&self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }
}
