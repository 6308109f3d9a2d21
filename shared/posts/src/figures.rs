//! What an operator is told of targets that settle.

use domain::metric::{PUBLISH_MILLISECONDS, PUBLISHES};
use domain::{Labels, Meter, TargetStatus, Timestamp};
use store::Target;

/// Tells that `seen` has become `status` at `now`, if that settles it. What becomes of a settled target
/// later (a draft that its creator posts, the product's word on an unknown outcome) is not told: the
/// time would be theirs.
pub fn settled(meter: &dyn Meter, seen: &Target, status: TargetStatus, now: Timestamp) {
    if seen.status.is_settled() || !status.is_settled() {
        return;
    }
    let millis = now.since(seen.queued_at).as_secs_f64() * 1_000.0;
    let labels = Labels::from(seen.platform).outcome(status.as_str());
    meter.put(
        &[(&PUBLISHES, 1.0), (&PUBLISH_MILLISECONDS, millis)],
        labels,
    );
}

#[cfg(test)]
mod tests {
    use domain::metric::Tally;

    use super::*;
    use crate::decide::tests::{NOW, target};

    #[test]
    fn only_the_settling_is_told() {
        use TargetStatus::{Failed, Inbox, OutcomeUnknown, Published, Publishing, Queued};
        for (from, to, told) in [
            (Queued, Publishing, false),
            (Queued, Failed, true),
            (Publishing, Published, true),
            (Publishing, OutcomeUnknown, true),
            (Inbox, Published, false),
            (OutcomeUnknown, Queued, false),
        ] {
            let tally = Tally::default();
            let seen = Target {
                queued_at: NOW.plus_secs(-90),
                ..target(from)
            };
            settled(&tally, &seen, to, NOW);
            let expected = format!("platform=tiktok outcome={}", to.as_str());
            let expected = [
                format!("Publishes {expected} 1"),
                format!("PublishMilliseconds {expected} 90000"),
            ];
            let expected = if told { &expected[..] } else { &[] };
            assert_eq!(tally.lines(), expected, "{from:?} to {to:?}");
        }
    }
}
