//! Calls per minute, and what is told of them.

/// How many calls each minute of the run brought.
#[derive(Clone, Debug, Default)]
pub struct Load(Vec<u32>);

impl Load {
    pub(crate) fn new(minutes: u32) -> Self {
        Self(vec![0; minutes as usize])
    }

    pub(crate) fn add(&mut self, minute: u32) {
        if let Some(count) = self.0.get_mut(minute as usize) {
            *count += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count += more;
        }
    }

    /// The mean of these minutes.
    pub fn mean(&self, minutes: impl IntoIterator<Item = u32>) -> f64 {
        let mut all = (0u64, 0u64);
        for count in self.of(minutes) {
            all = (all.0 + u64::from(count), all.1 + 1);
        }
        all.0 as f64 / all.1.max(1) as f64
    }

    /// The highest of these minutes.
    pub fn peak(&self, minutes: impl IntoIterator<Item = u32>) -> u32 {
        self.of(minutes).max().unwrap_or(0)
    }

    /// Peak over mean; 0 where there is no load.
    pub fn ratio(&self, minutes: impl IntoIterator<Item = u32> + Clone) -> f64 {
        let mean = self.mean(minutes.clone());
        if mean > 0.0 {
            f64::from(self.peak(minutes)) / mean
        } else {
            0.0
        }
    }

    fn of(&self, minutes: impl IntoIterator<Item = u32>) -> impl Iterator<Item = u32> {
        minutes
            .into_iter()
            .filter_map(|minute| self.0.get(minute as usize).copied())
    }
}
