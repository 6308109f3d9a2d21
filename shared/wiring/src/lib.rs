//! Builds the rooms that functions need out of their environment, so that no two functions read the
//! same variable in two ways. Holds no rules.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Entropy};
use lambda::variables as var;
use lambda::{Aws, CachedSecret, Env, OsEntropy, SecretError, SecretsManager, SystemClock};
use platforms::Apps;
use statistics::{Calendar, InsightsQueue, Settings};
use store::{Accounts, Connections, Events, Flows, Platforms, Revocations};
use tokens::{Parts, Timing, Tokens};
use transport::{HostOverrides, Limits, Transport};
use vault::Vault;

/// What everything else is built from.
pub struct Wiring {
    /// The way to AWS.
    pub aws: Aws,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Wiring {
    /// Reads what every function has.
    pub fn new(env: &Env) -> Self {
        let aws = Aws::from_env(env);
        let dynamodb = aws_sdk_dynamodb::Client::new(aws.config());
        Self {
            aws,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            dynamodb,
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
    }

    /// Where hosts are found, for the redirect to a consent page and for [`Wiring::transport`].
    pub fn overrides(&self, env: &Env) -> HostOverrides {
        env.parse(&var::HOST_OVERRIDES, HostOverrides::parse)
            .unwrap_or_default()
    }

    /// The way out to platforms.
    pub fn transport(&self, env: &Env) -> Result<Transport, lambda::Error> {
        Ok(Transport::new(self.overrides(env), Limits::default())?)
    }

    /// The token protocols.
    pub fn tokens(&self, env: &Env) -> Result<Tokens, lambda::Error> {
        let table = |variable| env.text(variable);
        Ok(Tokens::new(Parts {
            connections: Connections::new(self.dynamodb(), table(&var::TABLE_CONNECTIONS)),
            accounts: Accounts::new(self.dynamodb(), table(&var::TABLE_ACCOUNTS)),
            events: Events::new(self.dynamodb(), table(&var::TABLE_EVENTS)),
            revocations: Revocations::new(self.dynamodb(), table(&var::TABLE_REVOCATIONS)),
            flows: Flows::new(self.dynamodb(), table(&var::TABLE_FLOWS)),
            platforms: Platforms::new(self.dynamodb(), table(&var::TABLE_PLATFORMS)),
            vault: self.vault(env),
            transport: self.transport(env)?,
            sqs: self.sqs(),
            rescue_queue: env.text(&var::QUEUE_RESCUE),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            timing: Timing {
                settle: env.seconds(&var::SETTLE_SECONDS),
                rescue_delay: env.seconds(&var::RESCUE_DELAY_SECONDS),
                lease: env.seconds(&var::REFRESH_LEASE_SECONDS),
                http_timeout: env
                    .seconds(&var::HTTP_TIMEOUT_SECONDS)
                    .max(Duration::from_millis(1)),
            },
        }))
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
