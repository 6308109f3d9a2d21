//! A wheel of minutes: which connections have something to do in each. Entries are never taken out;
//! whoever turns the wheel asks the connection whether the minute still is the one.

/// One slot for each minute of the run.
#[derive(Debug)]
pub(crate) struct Wheel {
    first: u32,
    slots: Vec<Vec<u32>>,
}

impl Wheel {
    pub(crate) fn new(first: u32, minutes: u32) -> Self {
        Self {
            first,
            slots: vec![Vec::new(); minutes as usize],
        }
    }

    /// Puts `entry` into its minute, or into the first one that is left; beyond the end it is dropped.
    pub(crate) fn put(&mut self, minute: u32, entry: u32) {
        let at = minute.saturating_sub(self.first) as usize;
        if let Some(slot) = self.slots.get_mut(at) {
            slot.push(entry);
        }
    }

    /// The entries of a minute; its slot is empty afterwards.
    pub(crate) fn take(&mut self, minute: u32) -> Vec<u32> {
        let at = minute.saturating_sub(self.first) as usize;
        self.slots
            .get_mut(at)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// How many entries it has room for.
    pub(crate) fn entries(&self) -> usize {
        self.slots.iter().map(Vec::capacity).sum()
    }
}
