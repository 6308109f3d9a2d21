//! Medians and percentiles of times.

use std::time::Duration;

/// Times of one thing.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1_000.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The median, in milliseconds.
    pub(super) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// What 99 of 100 do not exceed, in milliseconds; of fewer than 100 samples the greatest.
    pub(super) fn p99(&self) -> f64 {
        self.percentile(99)
    }

    /// By nearest rank: a value that was measured.
    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(range: std::ops::RangeInclusive<u64>) -> Samples {
        let mut samples = Samples::default();
        for time in range.rev() {
            samples.add(Duration::from_millis(time));
        }
        samples
    }

    #[test]
    fn by_nearest_rank() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(samples(1..=200).median(), 100.0));
        assert!(close(samples(1..=200).p99(), 198.0));
        assert!(close(samples(1..=30).p99(), 30.0));
        assert!(close(samples(7..=7).median(), 7.0));
        assert!(Samples::default().median().is_nan());
    }
}
