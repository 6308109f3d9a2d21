//! The figures that an operator watches: one table of them all, and the trait that takes them.
//!
//! Names never vary: alarms and dashboards hold them. Every combination of dimensions is a metric
//! that is paid for, so each metric says which it has; all have the stack, and no label is an id.

use std::sync::{Mutex, PoisonError};

use crate::Platform;

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// CloudWatch's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
        }
    }
}

/// What a metric is told apart by, beside the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The platform.
    Platform,
    /// How it ended: one of few fixed words.
    Outcome,
    /// A platform's limit, by its name in `platforms`.
    Limit,
}

impl Dimension {
    /// Its name in CloudWatch.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Outcome => "outcome",
            Self::Limit => "limit",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// The sets of dimensions under which it is kept; the stack is in each.
    pub sets: &'static [&'static [Dimension]],
    /// What one value of it says.
    pub meaning: &'static str,
}

/// What a value is about. A set of dimensions that a value has no label for is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    /// The platform.
    pub platform: Option<Platform>,
    /// How it ended.
    pub outcome: Option<&'a str>,
    /// The platform's limit.
    pub limit: Option<&'a str>,
}

impl<'a> Labels<'a> {
    /// About nothing in particular.
    pub const NONE: Labels<'static> = Labels {
        platform: None,
        outcome: None,
        limit: None,
    };

    /// With how it ended.
    #[must_use]
    pub const fn outcome(self, outcome: &'a str) -> Self {
        Self {
            outcome: Some(outcome),
            ..self
        }
    }

    /// With the platform's limit.
    #[must_use]
    pub const fn limit(self, limit: &'a str) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// The label of a dimension.
    pub fn of(&self, dimension: Dimension) -> Option<&'a str> {
        match dimension {
            Dimension::Platform => self.platform.map(Platform::as_str),
            Dimension::Outcome => self.outcome,
            Dimension::Limit => self.limit,
        }
    }
}

impl From<Platform> for Labels<'_> {
    fn from(platform: Platform) -> Self {
        Self {
            platform: Some(platform),
            ..Self::NONE
        }
    }
}

/// Takes figures. The one that writes them down is in `lambda`; a lost figure never fails anything.
pub trait Meter: Send + Sync {
    /// Values that belong together, about the same thing.
    fn put(&self, values: &[(&'static Metric, f64)], labels: Labels<'_>);

    /// One more of something.
    fn count(&self, metric: &'static Metric, labels: Labels<'_>) {
        self.put(&[(metric, 1.0)], labels);
    }
}

/// Takes figures and forgets them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Meter for Silent {
    fn put(&self, _: &[(&'static Metric, f64)], _: Labels<'_>) {}
}

/// Takes figures and keeps them as texts, for tests: `Refreshed platform=tiktok 1`.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Vec<String>>);

impl Tally {
    /// What was put, in order.
    pub fn lines(&self) -> Vec<String> {
        self.kept().clone()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter for Tally {
    fn put(&self, values: &[(&'static Metric, f64)], labels: Labels<'_>) {
        let told: String = [Dimension::Platform, Dimension::Outcome, Dimension::Limit]
            .into_iter()
            .filter_map(|dimension| Some((dimension.as_str(), labels.of(dimension)?)))
            .map(|(name, label)| format!(" {name}={label}"))
            .collect();
        let lines = values
            .iter()
            .map(|(metric, value)| format!("{}{told} {value}", metric.name));
        self.kept().extend(lines);
    }
}

const PLAIN: &[Dimension] = &[];
const BY_PLATFORM: &[&[Dimension]] = &[PLAIN, &[Dimension::Platform]];
const BY_OUTCOME: &[&[Dimension]] = &[
    &[Dimension::Outcome],
    &[Dimension::Platform, Dimension::Outcome],
];

macro_rules! metrics {
    ($($name:ident = $text:literal, $unit:ident, $sets:expr, $meaning:literal;)*) => {
        $(
            #[doc = concat!("`", $text, "`: ", $meaning, ".")]
            pub static $name: Metric = Metric {
                name: $text,
                unit: Unit::$unit,
                sets: $sets,
                meaning: $meaning,
            };
        )*

        /// All of them, in the order of the reference.
        pub static ALL: &[&Metric] = &[$(&$name),*];
    };
}

metrics! {
    REFRESHED = "Refreshed", Count, BY_PLATFORM, "a refresh that brought new tokens";
    REFRESH_DEAD = "RefreshDead", Count, BY_PLATFORM,
        "a refresh that found the grant dead; its creator must connect again";
    REFRESH_LATER = "RefreshLater", Count, BY_PLATFORM,
        "a refresh put off by trouble that passes: network, 5xx, a limit";
    REFRESH_OUR_FAULT = "RefreshOurFault", Count, BY_PLATFORM,
        "a refresh stopped by our own app or our own failing";
    ROTATION_LOST = "RotationLost", Count, BY_PLATFORM,
        "a connection that ended because the token that would have followed was lost";
    RESCUE_SENT = "RescueSent", Count, BY_PLATFORM,
        "renewed tokens that the table did not take, sent to the rescue queue";
    RESCUED = "Rescued", Count, BY_PLATFORM, "renewed tokens written out of the rescue queue";
    BREAKER_OPEN = "BreakerOpen", Count, BY_PLATFORM,
        "each minute, 1 while the circuit breaker is open and 0 while it is not";
    REFRESHES_DUE = "RefreshesDue", Count, &[PLAIN], "each minute, the connections found due";
    REFRESH_LATENESS = "RefreshLateness", Seconds, &[PLAIN],
        "each minute, how long the most overdue connection has been due";
    CONNECTIONS_ACTIVE = "ConnectionsActive", Count, BY_PLATFORM,
        "each minute, connections of the sample in order";
    CONNECTIONS_EXPIRED = "ConnectionsExpired", Count, BY_PLATFORM,
        "each minute, connections of the sample whose access token died although its renewal was due";
    CONNECTIONS_FAILING = "ConnectionsFailing", Count, BY_PLATFORM,
        "each minute, connections of the sample whose last refresh failed";
    CONNECTIONS_NEED_REAUTH = "ConnectionsNeedReauth", Count, BY_PLATFORM,
        "each minute, connections of the sample that came to need their creator within 30 days";
    REVOCATIONS_FAILED = "RevocationsFailed", Count, BY_PLATFORM,
        "a revocation given up after 24 hours";
    KEY_CALLS_FAILED = "KeyCallsFailed", Count, &[PLAIN],
        "a call to KMS that failed after its retries, throttled ones included";
    FLOWS = "Flows", Count, BY_OUTCOME,
        "an attempt to connect that ended: connected, or the code of the page that stopped it";
    PUBLISHES = "Publishes", Count, BY_OUTCOME,
        "a target that settled: published, inbox, failed or outcome_unknown";
    PUBLISH_MILLISECONDS = "PublishMilliseconds", Milliseconds,
        &[PLAIN, &[Dimension::Platform, Dimension::Outcome]],
        "from accepting a target to its settling";
    DELIVERY_MILLISECONDS = "DeliveryMilliseconds", Milliseconds, BY_PLATFORM,
        "from receiving a webhook to applying it";
    DELIVERY_PLATFORM_MILLISECONDS = "DeliveryPlatformMilliseconds", Milliseconds, BY_PLATFORM,
        "from what a webhook tells of to receiving it";
    DELIVERIES_ORPHANED = "DeliveriesOrphaned", Count, BY_PLATFORM,
        "a delivery about something that nobody here knows";
    WEBHOOKS_REFUSED = "WebhooksRefused", Count, BY_PLATFORM,
        "a webhook whose signature matches no secret";
    WEBHOOKS_FAILED = "WebhooksFailed", Count, BY_PLATFORM,
        "a webhook that was answered 5xx because it could not be kept";
    LIMIT_WAITS = "LimitWaits", Count,
        &[PLAIN, &[Dimension::Platform, Dimension::Limit]],
        "a call put off because a platform's limit is used up";
    SYNC_SUCCEEDED = "SyncSucceeded", Count, BY_PLATFORM, "a synchronisation of statistics that succeeded";
    SYNC_FAILED = "SyncFailed", Count, BY_PLATFORM, "a synchronisation of statistics that failed";
    SYNC_MILLISECONDS = "SyncMilliseconds", Milliseconds, BY_PLATFORM,
        "how long a synchronisation of statistics took";
    CRM_LAG = "CrmLag", Seconds, &[PLAIN],
        "how long ago the oldest change of a batch happened when PostgreSQL had it, or did not take it";
    CRM_CHANGES = "CrmChanges", Count, &[PLAIN], "changes written to PostgreSQL";
    CRM_PUT_OFF = "CrmPutOff", Count, &[PLAIN],
        "a batch of changes that PostgreSQL did not take and that comes again";
    CRM_POISONED = "CrmPoisoned", Count, &[PLAIN],
        "a change that can never become a row of PostgreSQL, sent to the dead letters";
    EVENTS_RELAYED = "EventsRelayed", Count, &[PLAIN],
        "an event put into the lanes of all endpoints that want it, and on the bus";
    BUS_REFUSED = "BusRefused", Count, &[PLAIN], "an event that the event bus did not take; it comes again";
    EVENT_SENDS = "EventSends", Count, &[PLAIN, &[Dimension::Outcome]],
        "a try to send an event to an endpoint: accepted or failed";
    EVENT_MILLISECONDS = "EventMilliseconds", Milliseconds, &[PLAIN],
        "from committing an event to an endpoint's accepting it";
    EVENTS_DEAD = "EventsDead", Count, &[PLAIN], "an event that became a dead letter of an endpoint";
    ENDPOINTS_DISABLED = "EndpointsDisabled", Count, &[PLAIN, &[Dimension::Outcome]],
        "an endpoint disabled by itself: gone or failing";
    EVENTS_UNSENT = "EventsUnsent", Seconds, &[PLAIN],
        "each minute, the age of the oldest event that stayed unsent for five minutes; 0 without one";
    LANE_LATENESS = "LaneLateness", Seconds, &[PLAIN],
        "each minute, how long the most overdue lane has been due; 0 without one";
    MAILS_SENT = "MailsSent", Count, &[PLAIN], "a mail that SES took";
    MAILS_PUT_OFF = "MailsPutOff", Count, &[PLAIN],
        "a mail that SES refused for now, to be tried again: a quota, a pause, an unverified sender";
    MAILS_FAILED = "MailsFailed", Count, &[PLAIN],
        "a mail that was given up: SES refused it for good, or whether SES took it is unknown";
    MAILS_BOUNCED = "MailsBounced", Count, &[PLAIN], "an address that bounced for good";
    MAILS_COMPLAINED = "MailsComplained", Count, &[PLAIN], "an address that complained of a mail";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_readable() {
        for (index, metric) in ALL.iter().enumerate() {
            let twin = |other: &&Metric| other.name == metric.name;
            assert!(!ALL[index + 1..].iter().any(twin), "{}", metric.name);
            let letters = metric.name.bytes().all(|byte| byte.is_ascii_alphabetic());
            assert!(letters && metric.name.starts_with(char::is_uppercase));
            assert!(!metric.sets.is_empty(), "{}", metric.name);
        }
    }

    #[test]
    fn a_tally_keeps_values_with_their_labels() {
        let tally = Tally::default();
        let labels = Labels::from(Platform::TikTok);
        tally.count(&REFRESHED, labels);
        tally.put(
            &[(&PUBLISHES, 1.0), (&PUBLISH_MILLISECONDS, 12.5)],
            labels.outcome("failed"),
        );
        tally.count(&LIMIT_WAITS, labels.limit("publish.start"));
        Silent.count(&REFRESHED, Labels::NONE);
        assert_eq!(
            tally.lines(),
            [
                "Refreshed platform=tiktok 1",
                "Publishes platform=tiktok outcome=failed 1",
                "PublishMilliseconds platform=tiktok outcome=failed 12.5",
                "LimitWaits platform=tiktok limit=publish.start 1",
            ]
        );
    }
}
