//! The way to an event bus: batches of ten entries at most, and of 256 KiB.

use transport::BoxFuture;

/// `PutEvents` takes so many entries at once.
const MOST_ENTRIES: usize = 10;
/// And so many bytes, the entries' own fields included (EventBridge, "Calculating PutEvents event entry
/// size": 14 for the time, and the bytes of source, type and detail).
const MOST_BYTES: usize = 256 * 1_024;
/// Who says it.
pub(crate) const SOURCE: &str = "passerelle";

/// One event for the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEntry {
    /// The event.
    pub event_id: String,
    /// Its type: the entry's `DetailType`.
    pub kind: String,
    /// Its body: the entry's `Detail`.
    pub body: String,
    /// When it was committed, in seconds since 1970 UTC.
    pub time: i64,
}

/// The bus did not take one entry: its error code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event bus refused an entry: {0}")]
pub struct Refusal(pub String);

/// The bus took none of a batch, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event bus did not answer as needed: {0}")]
pub struct BusError(pub String);

/// What takes entries. Hold it as `Arc<dyn Bus>`.
pub trait Bus: Send + Sync {
    /// Puts one batch on the bus under the given source; for each entry, in the same order, whether the
    /// bus took it.
    fn put<'a>(
        &'a self,
        source: &'a str,
        entries: &'a [BusEntry],
    ) -> BoxFuture<'a, Result<Vec<Result<(), Refusal>>, BusError>>;
}

impl BusEntry {
    fn bytes(&self) -> usize {
        14 + SOURCE.len() + self.kind.len() + self.body.len()
    }
}

/// The entries in batches that the bus takes, in their order. An entry that is too large by itself is a
/// batch of its own: the bus says no to it alone.
pub(crate) fn batches(entries: &[BusEntry]) -> Vec<&[BusEntry]> {
    let (mut batches, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, entry) in entries.iter().enumerate() {
        let full = at - from == MOST_ENTRIES || bytes + entry.bytes() > MOST_BYTES;
        if full && at > from {
            batches.extend(entries.get(from..at));
            (from, bytes) = (at, 0);
        }
        bytes += entry.bytes();
    }
    batches.extend(entries.get(from..).filter(|rest| !rest.is_empty()));
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stay_within_what_the_bus_takes() {
        let entry = |bytes: usize| BusEntry {
            event_id: String::new(),
            kind: String::new(),
            body: "x".repeat(bytes - 14 - SOURCE.len()),
            time: 0,
        };
        for (sizes, expected) in [
            (vec![], vec![]),
            (vec![100; 10], vec![10]),
            (vec![100; 21], vec![10, 10, 1]),
            (vec![200 * 1_024, 56 * 1_024, 100], vec![2, 1]),
            (vec![300 * 1_024, 100], vec![1, 1]),
            (vec![100, 300 * 1_024], vec![1, 1]),
        ] {
            let entries: Vec<_> = sizes.iter().map(|bytes| entry(*bytes)).collect();
            let lengths: Vec<_> = batches(&entries).iter().map(|batch| batch.len()).collect();
            assert_eq!(lengths, expected, "{sizes:?}");
        }
    }
}
