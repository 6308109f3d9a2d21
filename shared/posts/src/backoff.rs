//! Pauses between tries.

use std::time::Duration;

use domain::Entropy;

/// A call that fails again and again with nothing gained is given up at this try: after about an hour.
pub(crate) const TRIES: u32 = 8;
const FIRST: Duration = Duration::from_secs(4);
const GROWTH: u32 = 3;
const LONGEST: Duration = Duration::from_secs(3_600);

/// The pause after `tries` failures in a row: 4 seconds, three times as long each time, an hour at
/// most; of it between half and all, so that those who failed together do not come back together.
pub(crate) fn pause(tries: u32, entropy: &dyn Entropy) -> Duration {
    let exponent = tries.saturating_sub(1).min(16);
    let full = FIRST
        .saturating_mul(GROWTH.saturating_pow(exponent))
        .min(LONGEST);
    let half = full / 2;
    half + jitter(half, entropy)
}

/// The least pause where a platform says until when, after `tries` such answers in a row: it bounds
/// what a platform that keeps saying "now" can cost.
pub(crate) fn least(tries: u32) -> Duration {
    Duration::from_secs(5) * tries.clamp(1, 60)
}

/// Up to `most`.
pub(crate) fn jitter(most: Duration, entropy: &dyn Entropy) -> Duration {
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(entropy.below(millis.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use domain::SeededEntropy;

    use super::*;

    #[test]
    fn pauses_grow_by_three_and_stay_in_their_halves() {
        let entropy = SeededEntropy::new(3);
        for (tries, full) in [
            (0, 4),
            (1, 4),
            (2, 12),
            (3, 36),
            (7, 2_916),
            (8, 3_600),
            (99, 3_600),
        ] {
            for _ in 0..20 {
                let pause = pause(tries, &entropy);
                let full = Duration::from_secs(full);
                assert!(pause >= full / 2 && pause <= full, "{tries}: {pause:?}");
            }
        }
    }

    #[test]
    fn a_failing_call_is_tried_for_about_an_hour() {
        let entropy = SeededEntropy::new(4);
        let total: Duration = (1..TRIES).map(|tries| pause(tries, &entropy)).sum();
        assert!((2_000..4_500).contains(&total.as_secs()), "{total:?}");
    }
}
