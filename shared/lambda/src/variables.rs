//! Every environment variable that a function reads, in one table. The reference in the documents is
//! checked against [`ALL`].

/// One variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is for, as the report of a missing one shows it.
    pub meaning: &'static str,
    /// What holds where it is absent or empty. `None`: it must be there, or the code that reads it
    /// says what its absence means.
    pub default: Option<&'static str>,
}

macro_rules! variables {
    ($($name:ident: $meaning:literal $(= $default:literal)?;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`: ", $meaning, ".")]
            pub const $name: Variable = Variable {
                name: stringify!($name),
                meaning: $meaning,
                default: variables!(@default $($default)?),
            };
        )*

        /// All of them, in the order of the reference.
        pub const ALL: &[Variable] = &[$($name),*];
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

variables! {
    ENVIRONMENT: "name of the stack";
    LOG_LEVEL: "the least level that is logged: error, warn, info, debug or trace" = "info";
    PUBLIC_BASE_URL: "where browsers and platforms reach this deployment; empty: the gateway's own address";
    PLATFORMS_SECRET_ID: "the secret that holds the platforms' app credentials";
    SCOPE_PREFIX: "what stands before every scope name in tokens, e.g. passerelle/; may be empty";
    PRODUCT_NAME: "the product's name as creators read it" = "Passerelle";
    RETURN_TO_ORIGINS: "origins that a session may return to, comma separated";

    TABLE_USERS: "name of the table of users";
    TABLE_SESSIONS: "name of the table of sessions";
    TABLE_FLOWS: "name of the table of OAuth attempts";
    TABLE_CONNECTIONS: "name of the table of connections";
    TABLE_ACCOUNTS: "name of the table of accounts";
    TABLE_MEDIA: "name of the table of media";
    TABLE_POSTS: "name of the table of posts";
    TABLE_TARGETS: "name of the table of targets";
    TABLE_DELIVERIES: "name of the table of webhook deliveries";
    TABLE_AUDIT: "name of the table of the audit trail";
    TABLE_EVENTS: "name of the table of events";
    TABLE_REVOCATIONS: "name of the table of revocations that are owed";
    TABLE_PLATFORMS: "name of the table of platforms (circuit breakers)";
    TABLE_LIMITS: "name of the table of platforms' limits, kept before the call";
    TABLE_JOBS: "name of the table of jobs";
    TABLE_SNAPSHOTS: "name of the table of daily snapshots";
    TABLE_FIGURES: "name of the table of latest figures";
    TABLE_MEDIA_ITEMS: "name of the table of accounts' media items";
    TABLE_COMMENTS: "name of the table of comments";
    TABLE_FANS: "name of the table of fans";
    TABLE_MESSAGES: "name of the table of messages";
    TABLE_ANALYTICS_EVENTS: "name of the table of earnings, follows and the like";
    TABLE_SYNC_LOGS: "name of the table of sync logs";
    TABLE_WEBHOOK_ENDPOINTS: "name of the table of webhook endpoints";
    TABLE_EVENT_LANES: "name of the table of lanes of events";
    TABLE_EVENT_MESSAGES: "name of the table of messages to webhook endpoints";
    TABLE_MAILS: "name of the table of mails that were sent";
    TABLE_MAIL_SUPPRESSIONS: "name of the table of addresses that get no mail";
    QUEUE_REFRESH: "URL of the queue of refreshes";
    QUEUE_RESCUE: "URL of the queue of rescued tokens";
    QUEUE_PUBLISH: "URL of the queue of publishing steps";
    QUEUE_WEBHOOK: "URL of the queue of webhook deliveries";
    QUEUE_REWRAP: "URL of the queue of the move to another KMS key";
    QUEUE_DATA_REQUESTS: "URL of the queue of erasures and exports of users";
    QUEUE_EVENTS: "URL of the queue of lanes of events";
    QUEUE_REFRESH_DEAD: "URL of the dead letters of the refresh queue";
    QUEUE_RESCUE_DEAD: "URL of the dead letters of the rescue queue";
    QUEUE_PUBLISH_DEAD: "URL of the dead letters of the publish queue";
    QUEUE_WEBHOOK_DEAD: "URL of the dead letters of the webhook queue";
    QUEUE_INSIGHTS_DEAD: "URL of the dead letters of the queue of statistics syncs";
    QUEUE_REWRAP_DEAD: "URL of the dead letters of the queue of the move to another KMS key";
    QUEUE_CRM_BACKFILL: "URL of the queue of the rebuilding of the PostgreSQL projection; empty: there is no projection";
    QUEUE_CRM_BACKFILL_DEAD: "URL of the dead letters of that queue";
    QUEUE_CRM_SYNC_DEAD: "URL of the records of streams that could not become rows of PostgreSQL";
    QUEUE_DATA_REQUESTS_DEAD: "URL of the dead letters of the queue of erasures and exports";
    QUEUE_EVENTS_DEAD: "URL of the dead letters of the queue of lanes of events";
    QUEUE_MAILS_DEAD: "URL of the dead letters of the queue of mails; empty where no mails are sent";
    QUEUE_MAIL_FEEDBACK_DEAD: "URL of the dead letters of the queue of bounces and complaints; empty where no mails are sent";
    QUEUE_SCHEDULE_DEAD: "URL of the ticks that reached no function";
    FUNCTION_WEBHOOK: "name of the function that takes webhooks";
    SCHEDULES: "what schedules wake, as JSON: for each name, the function and, if it needs one, its input";
    QUEUE_INSIGHTS: "URL of the queue of statistics syncs";
    QUEUE_MAILS: "URL of the queue of users whose mails are due";
    QUEUE_MAIL_FEEDBACK: "URL of the queue of bounces and complaints";
    MAIL_FROM_ADDRESS: "address that mails come from";
    MAIL_CONFIGURATION_SET: "name of SES's configuration set for mails";
    MAIL_SECRET_ID: "the secret that holds the key of opt-out links; empty where no mails are sent";
    MAIL_COLOUR: "colour of buttons in mails, e.g. #0b57d0" = "#0b57d0";
    MAIL_SUPPORT_URL: "where mails send who needs help: an https address or mailto:; empty: nowhere";
    MAIL_PRODUCT_URL: "where mails send people on, an https address; empty: nowhere";
    KMS_KEY_ID: "ARN of the key that seals tokens";
    MEDIA_BUCKET: "name of the bucket of uploaded media";
    MEDIA_BASE_URL: "https address below which platforms fetch files of the media bucket; empty: they cannot";
    VERIFIED_MEDIA_PREFIXES: "prefixes of the product's own https addresses that platforms may fetch from directly, comma separated";
    DELIVERIES_BUCKET: "name of the bucket of large webhook bodies";

    FLOW_SECONDS: "how long a creator may take to come back from the platform, in seconds" = "600";
    SETTLE_SECONDS: "how long a holder that took over a refresh waits for a rescued token, in seconds" = "120";
    RESCUE_DELAY_SECONDS: "how long a rescued token waits in its queue, in seconds" = "5";
    REFRESH_LEASE_SECONDS: "how long one refresh holds a connection, in seconds" = "30";
    PUBLISH_LEASE_SECONDS: "how long one publishing step holds a target, in seconds; longer than the function's time-out" = "150";
    DELIVERY_LEASE_SECONDS: "how long one worker holds a delivery, in seconds; longer than the function's time-out" = "45";
    ORPHAN_SECONDS: "how long a delivery for an unknown account is tried, in seconds" = "600";
    HTTP_TIMEOUT_SECONDS: "time-out of one request to a platform, in seconds; under a third of the lease" = "9";
    WEBHOOK_TOLERANCE_SECONDS: "how old a signed webhook may be, in seconds; 0 accepts any age" = "0";
    SWEEP_LATE_SECONDS: "how late a due target must be for the sweeper to wake it, in seconds" = "60";
    STATISTICS_TIME_ZONE: "IANA name of the zone in which days of statistics are counted" = "UTC";
    STATISTICS_OFF: "platforms whose statistics are switched off, comma separated";
    STATISTICS_DAILY_CAPS: "what statistics may cost in a day in US dollars, e.g. x=2.50; comma separated";
    STATISTICS_LEASE_SECONDS: "how long one worker holds a sync of statistics, in seconds; longer than the function's time-out" = "90";
    ERASURE_SETTLE_SECONDS: "how long after a walk of an erasure that found something the next one begins, in seconds; longer than ORPHAN_SECONDS" = "900";
    TARGETED_SYNC_SECONDS: "how long after news of a post its statistics are read, in seconds; at most 900" = "600";

    CRM_DATABASE_SECRET_ID: "the secret that says where PostgreSQL is and who we are there, as RDS writes it";
    CRM_DATABASE_CA_SECRET_ID: "the secret that holds certificate authorities (PEM) of PostgreSQL's certificate; empty: those of the operating system";
    CRM_SCHEMA: "the PostgreSQL schema that holds the projection" = "passerelle";
    CRM_SETTLE_SECONDS: "how long the streams have to bring what a backfill touched before it looks for what is gone, in seconds; at most 900" = "60";
    EVENT_BUS_ARN: "ARN of the EventBridge bus that events are put on; empty: none";
    EVENT_SETTLE_MILLISECONDS: "how old an event must be to be sent to an endpoint, in milliseconds; what another writer commits meanwhile keeps its place" = "1000";
    EVENT_RETRY_SECONDS: "pauses between the tries of one event at one endpoint, in seconds, comma separated" = "5,300,1800,7200,18000,36000,50400,72000,86400";
    EVENT_GIVE_UP_SECONDS: "how long an endpoint may accept nothing before it is disabled, and how long an event may wait behind others, in seconds" = "259200";
    EVENT_TIMEOUT_SECONDS: "time-out of one request to an endpoint, in seconds" = "15";
    EVENT_LEASE_SECONDS: "how long one worker holds a lane, in seconds; longer than the function's time-out" = "90";
    EVENT_UNSENT_SECONDS: "how long an event may stay unsent before the sweeper sends it, in seconds" = "300";

    HOST_OVERRIDES: "set by the local host alone: JSON from host pattern to loopback base URL";

    AWS_REGION: "set by Lambda: the region";
    AWS_ACCESS_KEY_ID: "set by Lambda: the function's credentials";
    AWS_SECRET_ACCESS_KEY: "set by Lambda: the function's credentials";
    AWS_SESSION_TOKEN: "set by Lambda: the function's credentials";
    AWS_LAMBDA_FUNCTION_NAME: "set by Lambda: the function's name";
    AWS_ENDPOINT_URL: "set by the local host alone: where AWS is found; AWS_ENDPOINT_URL_KMS and the like win over it";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
