//! Builds the rooms that functions need out of their environment, so that no two functions read the
//! same variable in two ways. Holds no rules.

mod bus;
mod requests;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use audit::Trail;
use crm::{Credentials, Database, KeepsCredentials, Schema};
use domain::{Clock, Entropy, Meter, RecordKind, Silent};
use lambda::variables as var;
use lambda::{
    Aws, CachedSecret, Env, Metrics, OsEntropy, SecretError, SecretSource as _, SecretsManager,
    SystemClock,
};
use ledger::{Ledger, Tables};
use limits::Limiter;
use outbox::{Bus, LaneQueue, Pace, Relay, Retries, Sender};
use platforms::Apps;
use posts::Files;
use rewrap::Desk;
use statistics::{Calendar, InsightsQueue, Settings};
use store::stream::Source;
use store::{
    Accounts, AuditTable, Connections, Endpoints, Events, Flows, Jobs, Lanes, Limits, Messages,
    Platforms, RecordTable, Revocations,
};
use tokens::{Parts, Timing, Tokens};
use transport::{HostOverrides, Transport, Wire};
use vault::Vault;

/// What everything else is built from.
pub struct Wiring {
    /// The way to AWS.
    pub aws: Aws,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Where figures go.
    pub meter: Arc<dyn Meter>,
    dynamodb: aws_sdk_dynamodb::Client,
    wire: Option<Arc<dyn Wire>>,
    transport: OnceLock<Transport>,
}

impl Wiring {
    /// Reads what every function has.
    pub fn new(env: &Env) -> Self {
        let wiring = Self::of(
            Aws::from_env(env),
            Arc::new(SystemClock),
            Arc::new(OsEntropy),
            None,
        );
        Self {
            meter: Arc::new(Metrics::new(env)),
            ..wiring
        }
    }

    /// Over parts of the caller's own: a harness has its own AWS, time, chance and platforms.
    pub fn of(
        aws: Aws,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        wire: Option<Arc<dyn Wire>>,
    ) -> Self {
        let dynamodb = aws_sdk_dynamodb::Client::new(aws.config());
        Self {
            aws,
            clock,
            entropy,
            meter: Arc::new(Silent),
            dynamodb,
            wire,
            transport: OnceLock::new(),
        }
    }

    /// The database.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb.clone()
    }

    /// The queues.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(self.aws.config())
    }

    /// The buckets.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        // Path style works for every bucket whose name holds no dot, on AWS and elsewhere.
        let config = aws_sdk_s3::config::Builder::from(self.aws.config()).force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// Sealing and opening.
    pub fn vault(&self, env: &Env) -> Vault {
        Vault::new(
            aws_sdk_kms::Client::new(self.aws.config()),
            env.text(&var::KMS_KEY_ID),
            env.text(&var::ENVIRONMENT),
            self.clock.clone(),
            self.entropy.clone(),
        )
        .measured(self.meter.clone())
    }

    /// What the product is told, with its rows of the audit trail.
    pub fn events(&self, env: &Env) -> Events {
        let events = Events::new(self.dynamodb(), env.text(&var::TABLE_EVENTS));
        events.audited(self.audit_table(env))
    }

    /// The audit trail, for what is not told to the product.
    pub fn trail(&self, env: &Env) -> Trail {
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        Trail::new(self.audit_table(env), clock, entropy)
    }

    /// The table of the audit trail, for reading it.
    pub fn audit_table(&self, env: &Env) -> AuditTable {
        AuditTable::new(self.dynamodb(), env.text(&var::TABLE_AUDIT))
    }

    /// Where hosts are found, for the redirect to a consent page and for [`Wiring::wire`].
    pub fn overrides(&self, env: &Env) -> HostOverrides {
        env.parse(&var::HOST_OVERRIDES, HostOverrides::parse)
            .unwrap_or_default()
    }

    /// The way out to platforms.
    pub fn wire(&self, env: &Env) -> Result<Arc<dyn Wire>, lambda::Error> {
        Ok(match &self.wire {
            Some(wire) => wire.clone(),
            None => Arc::new(self.transport(env)?),
        })
    }

    /// The same with all that it can do, for hosts that callers name. Built once.
    pub fn transport(&self, env: &Env) -> Result<Transport, lambda::Error> {
        if let Some(built) = self.transport.get() {
            return Ok(built.clone());
        }
        let built = Transport::new(self.overrides(env), transport::Limits::default())?;
        Ok(self.transport.get_or_init(|| built).clone())
    }

    /// The token protocols.
    pub fn tokens(&self, env: &Env) -> Result<Tokens, lambda::Error> {
        let table = |variable| env.text(variable);
        let tokens = Tokens::new(Parts {
            connections: Connections::new(self.dynamodb(), table(&var::TABLE_CONNECTIONS)),
            accounts: Accounts::new(self.dynamodb(), table(&var::TABLE_ACCOUNTS)),
            events: self.events(env),
            revocations: Revocations::new(self.dynamodb(), table(&var::TABLE_REVOCATIONS)),
            flows: Flows::new(self.dynamodb(), table(&var::TABLE_FLOWS)),
            platforms: Platforms::new(self.dynamodb(), table(&var::TABLE_PLATFORMS)),
            vault: self.vault(env),
            wire: self.wire(env)?,
            sqs: self.sqs(),
            rescue_queue: env.text(&var::QUEUE_RESCUE),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            timing: timing(env),
        });
        Ok(tokens.measured(self.meter.clone()))
    }

    /// The tables of these kinds of records.
    pub fn record_tables(&self, env: &Env, kinds: &[RecordKind]) -> Tables {
        Tables::new(kinds.iter().map(|kind| {
            let table = match kind {
                RecordKind::MediaItem => &var::TABLE_MEDIA_ITEMS,
                RecordKind::Comment => &var::TABLE_COMMENTS,
                RecordKind::Fan => &var::TABLE_FANS,
                RecordKind::Message => &var::TABLE_MESSAGES,
                RecordKind::AnalyticsEvent => &var::TABLE_ANALYTICS_EVENTS,
            };
            RecordTable::new(self.dynamodb(), env.text(table), *kind)
        }))
    }

    /// Where records of these kinds are kept.
    pub fn ledger(&self, env: &Env, kinds: &[RecordKind]) -> Ledger {
        Ledger {
            tables: self.record_tables(env, kinds),
            accounts: Accounts::new(self.dynamodb(), env.text(&var::TABLE_ACCOUNTS)),
            connections: Connections::new(self.dynamodb(), env.text(&var::TABLE_CONNECTIONS)),
            events: self.events(env),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// The platforms' limits.
    pub fn limiter(&self, env: &Env) -> Limiter {
        let table = Limits::new(self.dynamodb(), env.text(&var::TABLE_LIMITS));
        Limiter::new(table, self.clock.clone(), self.entropy.clone())
    }

    /// The media bucket, with where its content is served.
    pub fn files(&self, env: &Env) -> Files {
        let base = env.optional(&var::MEDIA_BASE_URL).unwrap_or_default();
        Files::new(self.s3(), env.text(&var::MEDIA_BUCKET)).served_at(&base)
    }

    /// Where the move to another KMS key is begun and looked at.
    pub fn rewrap_desk(&self, env: &Env) -> Desk {
        Desk {
            jobs: Jobs::new(self.dynamodb(), env.text(&var::TABLE_JOBS)),
            sqs: self.sqs(),
            queue: env.text(&var::QUEUE_REWRAP),
            kms_key: env.text(&var::KMS_KEY_ID),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// Where the rebuilding of the PostgreSQL projection is begun and looked at.
    pub fn crm_desk(&self, env: &Env) -> crm::Desk {
        crm::Desk {
            jobs: Jobs::new(self.dynamodb(), env.text(&var::TABLE_JOBS)),
            sqs: self.sqs(),
            queue: env.optional(&var::QUEUE_CRM_BACKFILL).unwrap_or_default(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// The PostgreSQL projection. Load it once the environment is known to be whole.
    pub fn crm_database(&self, env: &Env) -> CrmDatabase {
        let secret = |id: String| SecretsManager::new(&self.aws, id);
        CrmDatabase {
            secret: secret(env.text(&var::CRM_DATABASE_SECRET_ID)),
            ca: env.optional(&var::CRM_DATABASE_CA_SECRET_ID).map(secret),
            schema: env.parse(&var::CRM_SCHEMA, Schema::parse),
            clock: self.clock.clone(),
        }
    }

    /// What puts committed events into lanes and on the bus.
    pub fn relay(&self, env: &Env) -> Relay {
        let bus = env.optional(&var::EVENT_BUS_ARN);
        Relay {
            events: Events::new(self.dynamodb(), env.text(&var::TABLE_EVENTS)),
            endpoints: self.endpoints(env),
            lanes: self.lanes(env),
            messages: self.messages(env),
            queue: self.lane_queue(env),
            bus: bus.map(|arn| Arc::new(bus::EventBus::new(&self.aws, &arn)) as Arc<dyn Bus>),
            settle: settle(env),
            meter: self.meter.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// What sends lanes; absent where its times cannot be read.
    pub fn sender(&self, env: &Env) -> Result<Option<Sender>, lambda::Error> {
        let relay = self.relay(env);
        let (vault, trail) = (self.vault(env), self.trail(env));
        let push = Arc::new(self.transport(env)?);
        Ok(pace(env).map(|pace| Sender::new(relay, vault, push, pace, trail)))
    }

    /// What makes up for lost messages and dead workers of events.
    pub fn event_sweep(&self, env: &Env) -> outbox::Sweep {
        outbox::Sweep {
            relay: self.relay(env),
            unsent_after: env.seconds(&var::EVENT_UNSENT_SECONDS),
            late: env.seconds(&var::SWEEP_LATE_SECONDS),
        }
    }

    /// The product's endpoints.
    pub fn outbox_desk(&self, env: &Env) -> outbox::Desk {
        outbox::Desk {
            endpoints: self.endpoints(env),
            lanes: self.lanes(env),
            messages: self.messages(env),
            queue: self.lane_queue(env),
            vault: self.vault(env),
            settle: settle(env),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    fn endpoints(&self, env: &Env) -> Endpoints {
        Endpoints::new(self.dynamodb(), env.text(&var::TABLE_WEBHOOK_ENDPOINTS))
    }

    fn lanes(&self, env: &Env) -> Lanes {
        Lanes::new(self.dynamodb(), env.text(&var::TABLE_EVENT_LANES))
    }

    fn messages(&self, env: &Env) -> Messages {
        Messages::new(self.dynamodb(), env.text(&var::TABLE_EVENT_MESSAGES))
    }

    fn lane_queue(&self, env: &Env) -> LaneQueue {
        LaneQueue::new(self.sqs(), env.text(&var::QUEUE_EVENTS))
    }

    /// What the deployment chose of its statistics.
    pub fn statistics(&self, env: &Env) -> Option<Settings> {
        let calendar = env.parse(&var::STATISTICS_TIME_ZONE, Calendar::of);
        let caps = env.parse(&var::STATISTICS_DAILY_CAPS, statistics::caps);
        Some(Settings {
            calendar: calendar?,
            off: statistics::platforms_of(&env.list(&var::STATISTICS_OFF)),
            caps: caps.unwrap_or_default(),
            lease: env.seconds(&var::STATISTICS_LEASE_SECONDS),
        })
    }

    /// The queue of statistics syncs.
    pub fn insights(&self, env: &Env) -> InsightsQueue {
        InsightsQueue::new(self.sqs(), env.text(&var::QUEUE_INSIGHTS))
    }

    /// Where the operator's apps on the platforms are read from. Load them once the environment is
    /// known to be whole.
    pub fn apps(&self, env: &Env) -> AppsSecret {
        let secret = SecretsManager::new(&self.aws, env.text(&var::PLATFORMS_SECRET_ID));
        AppsSecret {
            secret,
            clock: self.clock.clone(),
        }
    }
}

/// The tables that the PostgreSQL projection follows, by name.
pub fn followed_tables(env: &Env) -> BTreeMap<Source, String> {
    let table = |source: &Source| {
        let name = match source {
            Source::Connections => &var::TABLE_CONNECTIONS,
            Source::Posts => &var::TABLE_POSTS,
            Source::Targets => &var::TABLE_TARGETS,
            Source::Deliveries => &var::TABLE_DELIVERIES,
            Source::Snapshots => &var::TABLE_SNAPSHOTS,
            Source::SyncLogs => &var::TABLE_SYNC_LOGS,
            Source::MediaItems => &var::TABLE_MEDIA_ITEMS,
            Source::Comments => &var::TABLE_COMMENTS,
            Source::Fans => &var::TABLE_FANS,
            Source::Messages => &var::TABLE_MESSAGES,
            Source::AnalyticsEvents => &var::TABLE_ANALYTICS_EVENTS,
        };
        (*source, env.text(name))
    };
    Source::ALL.iter().map(table).collect()
}

/// The PostgreSQL projection's database, its secrets not read yet.
pub struct CrmDatabase {
    secret: SecretsManager,
    ca: Option<SecretsManager>,
    schema: Option<Schema>,
    clock: Arc<dyn Clock>,
}

impl CrmDatabase {
    /// Reads its secrets. Connects when it is first used.
    pub async fn load(self) -> Result<Database, lambda::Error> {
        let ca = match &self.ca {
            Some(secret) => Some(secret.read().await?.expose().to_owned()),
            None => None,
        };
        let keeper = CachedSecret::load(self.secret, Credentials::parse, self.clock).await?;
        let schema = self.schema.ok_or(crm::InvalidSchema)?;
        Ok(Database::new(RotatedSecret(keeper), ca, schema))
    }
}

/// Credentials that may be changed at any time.
struct RotatedSecret(CachedSecret<Credentials>);

impl KeepsCredentials for RotatedSecret {
    fn credentials(
        &self,
        again: bool,
    ) -> Pin<Box<dyn Future<Output = Arc<Credentials>> + Send + '_>> {
        Box::pin(async move {
            match again {
                true => self.0.get_again().await,
                false => self.0.get().await,
            }
        })
    }
}

fn settle(env: &Env) -> Duration {
    Duration::from_millis(env.number(&var::EVENT_SETTLE_MILLISECONDS))
}

/// The times of events on their way to endpoints.
pub fn pace(env: &Env) -> Option<Pace> {
    let retries = env.parse(&var::EVENT_RETRY_SECONDS, Retries::parse);
    let (settle, give_up) = (settle(env), env.seconds(&var::EVENT_GIVE_UP_SECONDS));
    let timeout = env.seconds(&var::EVENT_TIMEOUT_SECONDS);
    let lease = env.seconds(&var::EVENT_LEASE_SECONDS);
    Some(Pace {
        settle,
        retries: retries?,
        give_up,
        timeout,
        lease,
    })
}

/// The times of the token protocols. A lease outlives the request that it covers three times over, so
/// that nobody takes over a connection whose platform may still answer; where platforms state their
/// own times the lesser ones hold, which keep the same proportion.
fn timing(env: &Env) -> Timing {
    let lease = env.seconds(&var::REFRESH_LEASE_SECONDS);
    let http_timeout = env.seconds(&var::HTTP_TIMEOUT_SECONDS);
    if http_timeout * 3 >= lease {
        let problem = format!(
            "is {} s, but must be under a third of {}, which is {} s",
            http_timeout.as_secs(),
            var::REFRESH_LEASE_SECONDS.name,
            lease.as_secs(),
        );
        env.note(&var::HTTP_TIMEOUT_SECONDS, &problem);
    }
    Timing {
        settle: env.seconds(&var::SETTLE_SECONDS),
        rescue_delay: env.seconds(&var::RESCUE_DELAY_SECONDS),
        lease,
        http_timeout: http_timeout.max(Duration::from_millis(1)),
    }
}

/// The platforms secret, not read yet.
pub struct AppsSecret {
    secret: SecretsManager,
    clock: Arc<dyn Clock>,
}

impl AppsSecret {
    /// Reads it now, and keeps it fresh from then on.
    pub async fn load(self) -> Result<CachedSecret<Apps>, SecretError> {
        CachedSecret::load(self.secret, Apps::parse, self.clock).await
    }
}

#[cfg(test)]
mod tests {
    use domain::Platform;

    use super::*;

    fn complaint(http: &str, lease: &str) -> Option<String> {
        let env = Env::from_values([
            ("HTTP_TIMEOUT_SECONDS", http),
            ("REFRESH_LEASE_SECONDS", lease),
        ]);
        let timing = timing(&env);
        env.finish(timing).err().map(|error| error.to_string())
    }

    #[test]
    fn a_request_must_end_within_a_third_of_its_lease() {
        assert_eq!(complaint("9", "30"), None);
        assert_eq!(complaint("", ""), None, "the defaults hold together");
        assert_eq!(complaint("2", "7"), None);
        for (http, lease) in [("10", "30"), ("30", "9"), ("0", "0")] {
            let told = complaint(http, lease).unwrap();
            let wanted = format!(
                "is {http} s, but must be under a third of REFRESH_LEASE_SECONDS, which is {lease} s"
            );
            assert!(told.contains(&wanted), "{told}");
        }
    }

    /// The lesser of two times that keep the proportion keeps it too.
    #[test]
    fn platforms_own_times_keep_the_proportion() {
        for platform in Platform::ALL {
            if let Some(refresh) = platforms::refresh(*platform) {
                let policy = refresh.policy();
                assert!(policy.timeout * 3 < policy.lease, "{platform}");
            }
        }
    }
}
