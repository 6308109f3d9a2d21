//! A secret that is read at the start and again when it may have changed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Secret, Timestamp};
use tokio::sync::Mutex;

use crate::logging::chain;
use crate::start::Error;

/// How old a value may grow before it is read again.
const FRESH_FOR: Duration = Duration::from_secs(300);

/// The least time between two readings, forced and failed ones included.
const NOT_SOONER_THAN: Duration = Duration::from_secs(60);

/// Why a secret cannot be had. Never shows a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("the secret cannot be read")]
    Unreadable(#[source] Error),
    /// It has no text.
    #[error("the secret holds no text")]
    NoText,
    /// The text is not what it should be.
    #[error("the secret is not what it should be")]
    Malformed(#[source] Error),
}

/// Where a secret's text comes from.
pub trait SecretSource: Send + Sync {
    /// Reads it.
    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Secret, SecretError>> + Send + '_>>;
}

/// One secret of Secrets Manager.
#[derive(Clone, Debug)]
pub struct SecretsManager {
    client: aws_sdk_secretsmanager::Client,
    id: String,
}

impl SecretsManager {
    /// The secret of this id or ARN.
    pub fn new(aws: &crate::Aws, id: impl Into<String>) -> Self {
        Self {
            client: aws_sdk_secretsmanager::Client::new(aws.config()),
            id: id.into(),
        }
    }
}

impl SecretSource for SecretsManager {
    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Secret, SecretError>> + Send + '_>> {
        let request = self.client.get_secret_value().secret_id(&self.id);
        Box::pin(async move {
            let answer = request
                .send()
                .await
                .map_err(|error| SecretError::Unreadable(error.into()))?;
            let text = answer.secret_string.ok_or(SecretError::NoText)?;
            Ok(Secret::new(text))
        })
    }
}

type Parse<T> = Box<dyn Fn(&Secret) -> Result<T, Error> + Send + Sync>;

/// A parsed secret. A value that turned stale is kept where reading it again fails, so that trouble
/// at Secrets Manager or a mistyped edit stops nothing that runs.
pub struct CachedSecret<T> {
    source: Box<dyn SecretSource>,
    parse: Parse<T>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    value: Arc<T>,
    read_at: Timestamp,
    /// The last try to read it again, by age and by force; none before the first.
    tried_at: [Option<Timestamp>; 2],
}

/// Why a secret is read again.
#[derive(Clone, Copy)]
enum Because {
    Old,
    Forced,
}

impl<T> CachedSecret<T> {
    /// Reads the secret for the first time; a function starts with it or not at all.
    pub async fn load<E: Into<Error>>(
        source: impl SecretSource + 'static,
        parse: impl Fn(&Secret) -> Result<T, E> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SecretError> {
        let parse: Parse<T> = Box::new(move |text| parse(text).map_err(Into::into));
        let now = clock.now();
        let value = Arc::new(parse(&source.read().await?).map_err(SecretError::Malformed)?);
        Ok(Self {
            source: Box::new(source),
            parse,
            clock,
            held: Mutex::new(Held {
                value,
                read_at: now,
                tried_at: [None; 2],
            }),
        })
    }

    /// The value, read again where it is older than 5 minutes.
    pub async fn get(&self) -> Arc<T> {
        self.get_because(Because::Old).await
    }

    /// The value, read again unless that was done within the last minute: for a signature that no
    /// secret matches, since a rotation may just have happened. Compare with [`Arc::ptr_eq`] to see whether trying
    /// again makes sense.
    pub async fn get_again(&self) -> Arc<T> {
        self.get_because(Because::Forced).await
    }

    async fn get_because(&self, because: Because) -> Arc<T> {
        // Held while reading: whoever comes meanwhile waits for the one reading.
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let tried_at = held.tried_at[because as usize];
        let rested = tried_at.is_none_or(|at| now.since(at) >= NOT_SOONER_THAN);
        let wanted = match because {
            Because::Old => now.since(held.read_at) >= FRESH_FOR,
            Because::Forced => true,
        };
        if wanted && rested {
            held.tried_at[because as usize] = Some(now);
            match self.read().await {
                Ok(value) => {
                    held.value = Arc::new(value);
                    held.read_at = now;
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "a secret is kept as it was");
                }
            }
        }
        held.value.clone()
    }

    async fn read(&self) -> Result<T, SecretError> {
        (self.parse)(&self.source.read().await?).map_err(SecretError::Malformed)
    }
}

impl<T> std::fmt::Debug for CachedSecret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CachedSecret")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use domain::FixedClock;

    use super::*;

    /// Gives 1, 2, 3 …; every text in `broken` is no number.
    struct Counter {
        reads: Arc<AtomicUsize>,
        broken: &'static [usize],
    }

    impl SecretSource for Counter {
        fn read(&self) -> Pin<Box<dyn Future<Output = Result<Secret, SecretError>> + Send + '_>> {
            let read = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
            let text = match self.broken.contains(&read) {
                true => "broken".to_owned(),
                false => read.to_string(),
            };
            Box::pin(async move { Ok(Secret::new(text)) })
        }
    }

    async fn cached(
        broken: &'static [usize],
    ) -> (CachedSecret<usize>, Arc<AtomicUsize>, Arc<FixedClock>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_000)));
        let source = Counter {
            reads: reads.clone(),
            broken,
        };
        let parse = |text: &Secret| text.expose().parse::<usize>();
        let secret = CachedSecret::load(source, parse, clock.clone()).await;
        (secret.unwrap(), reads, clock)
    }

    #[tokio::test]
    async fn read_again_after_five_minutes() {
        let (secret, _, clock) = cached(&[]).await;
        clock.advance(299);
        assert_eq!(*secret.get().await, 1);
        clock.advance(1);
        assert_eq!(*secret.get().await, 2);
        assert_eq!(*secret.get().await, 2);
    }

    #[tokio::test]
    async fn forced_at_most_once_a_minute() {
        let (secret, reads, clock) = cached(&[]).await;
        assert_eq!(
            *secret.get_again().await,
            2,
            "a rotation just after the start is met at once"
        );
        clock.advance(59);
        assert_eq!(*secret.get_again().await, 2);
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failed_reading_keeps_the_old_value_and_waits_a_minute() {
        let (secret, reads, clock) = cached(&[2]).await;
        clock.advance(300);
        assert_eq!(*secret.get().await, 1);
        clock.advance(59);
        assert_eq!(*secret.get().await, 1);
        assert_eq!(reads.load(Ordering::SeqCst), 2);
        clock.advance(1);
        assert_eq!(*secret.get().await, 3);
    }

    #[tokio::test]
    async fn a_first_reading_that_fails_stops_the_start() {
        let source = Counter {
            reads: Arc::default(),
            broken: &[1],
        };
        let parse = |text: &Secret| text.expose().parse::<usize>();
        let clock = Arc::new(FixedClock::default());
        let failed = CachedSecret::load(source, parse, clock).await;
        assert!(matches!(failed, Err(SecretError::Malformed(_))));
    }
}
