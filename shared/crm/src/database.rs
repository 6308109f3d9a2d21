//! The one session with the database that a process has.
//!
//! Behind a pooler (RDS Proxy, PgBouncer by transactions) nothing may be left in the session that the
//! next transaction relies on: there is no prepared statement with a name, no temporary table, no
//! cursor, and every setting is `SET LOCAL`, so it ends with its transaction. Locks are those of a
//! transaction (`pg_advisory_xact_lock`), for which RDS Proxy does not pin a session. Settings in the
//! start-up message (`options=-c …`) are refused by RDS Proxy, so there are none.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::Secret;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row as Answer};

use crate::{Credentials, CrmError, Schema, Tls};

/// The way to the host, TLS and the login together.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The database ends a statement after this; written batches take some ten milliseconds.
const STATEMENT_SECONDS: u32 = 15;
/// For one lock.
const LOCK_SECONDS: u32 = 10;
/// What we wait beyond that before the session is given up.
const GRACE: Duration = Duration::from_secs(3);

/// Gives the credentials; again from where they are kept, where the database refused those at hand.
pub trait KeepsCredentials: Send + Sync {
    /// The credentials.
    fn credentials(
        &self,
        again: bool,
    ) -> Pin<Box<dyn Future<Output = Arc<Credentials>> + Send + '_>>;
}

/// Always the same ones, for tools and tests.
impl KeepsCredentials for Arc<Credentials> {
    fn credentials(&self, _: bool) -> Pin<Box<dyn Future<Output = Arc<Credentials>> + Send + '_>> {
        Box::pin(std::future::ready(self.clone()))
    }
}

/// The database that holds the projection.
pub struct Database {
    keeper: Box<dyn KeepsCredentials>,
    /// Authorities in PEM beside those of the secret.
    ca: Option<String>,
    pub(crate) schema: Schema,
    session: Mutex<Option<Session>>,
}

/// An open session.
struct Session {
    client: Client,
    /// Whether the schema was found to be as new as this version.
    ready: bool,
    _socket: Socket,
}

/// What drives a session's socket. The client's own end waits for an answer that is under way; a
/// session that is given up must not hold its locks for so long.
struct Socket(JoinHandle<()>);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A transaction that is open; dropped without [`Work::commit`] it ends the session.
pub(crate) struct Work {
    session: Session,
    limit: Duration,
}

impl Database {
    /// Not connected yet. `ca` (PEM) is trusted where the secret has no authority of its own; without
    /// both, those of the operating system are.
    pub fn new(
        keeper: impl KeepsCredentials + 'static,
        ca: Option<String>,
        schema: Schema,
    ) -> Self {
        Self {
            keeper: Box::new(keeper),
            ca,
            schema,
            session: Mutex::new(None),
        }
    }

    /// The schema.
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Runs `work` in a transaction under these advisory locks, taken in their order. A session that
    /// turned out dead, a password that was changed and a schema that was dropped are each met once by
    /// a second try: everything here may be done twice.
    pub(crate) async fn transact<T>(
        &self,
        locks: &[i32],
        work: impl AsyncFn(&mut Work) -> Result<T, CrmError>,
    ) -> Result<T, CrmError> {
        let mut again = false;
        loop {
            let tried = self.try_once(locks, again, true, &work).await;
            let helps = matches!(
                tried,
                Err(CrmError::Unreachable(_) | CrmError::Credentials(_) | CrmError::Schema(_))
            );
            if again || !helps {
                return tried;
            }
            again = true;
        }
    }

    /// The same for migrations, which make the schema that others find.
    pub(crate) async fn transact_unready<T>(
        &self,
        locks: &[i32],
        work: impl AsyncFn(&mut Work) -> Result<T, CrmError>,
    ) -> Result<T, CrmError> {
        self.try_once(locks, false, false, &work).await
    }

    async fn try_once<T>(
        &self,
        locks: &[i32],
        again: bool,
        needs_schema: bool,
        work: &impl AsyncFn(&mut Work) -> Result<T, CrmError>,
    ) -> Result<T, CrmError> {
        let mut kept = self.session.lock().await;
        let open = kept.take().filter(|session| !session.client.is_closed());
        let mut session = match open {
            Some(session) => session,
            None => self.connect(again).await?,
        };
        if needs_schema && !session.ready {
            session = self.migrated(session).await?;
        }
        let mut work_at = Work::begin(session, locks, self.schema.as_str()).await?;
        match work(&mut work_at).await {
            Ok(done) => {
                *kept = Some(work_at.commit().await?);
                Ok(done)
            }
            // The session is as good as before; anything else ends it.
            Err(error) if error.is_the_rows_fault() => {
                *kept = work_at.roll_back().await.ok();
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn connect(&self, again: bool) -> Result<Session, CrmError> {
        match self.login(&*self.keeper.credentials(again).await).await {
            // The secret may have been rotated since it was read.
            Err(CrmError::Credentials(_)) if !again => {
                self.login(&*self.keeper.credentials(true).await).await
            }
            other => other,
        }
    }

    async fn login(&self, credentials: &Credentials) -> Result<Session, CrmError> {
        let authority = credentials.ca.as_deref().or(self.ca.as_deref());
        let tls = Tls::trusting(authority)?;
        let mut config = tokio_postgres::Config::new();
        config
            .host(&credentials.host)
            .port(credentials.port)
            .user(&credentials.username)
            .password(Secret::expose(&credentials.password))
            .dbname(&credentials.dbname)
            .application_name("passerelle")
            .ssl_mode(SslMode::Require)
            .channel_binding(ChannelBinding::Disable)
            .connect_timeout(CONNECT_WITHIN)
            // A process that was frozen must notice soon that its session is gone.
            .tcp_user_timeout(Duration::from_secs(10))
            .keepalives_idle(Duration::from_secs(30));
        let opened = tokio::time::timeout(CONNECT_WITHIN, config.connect(tls)).await;
        let opened = opened.map_err(|_| CrmError::TimedOut)?;
        let (client, connection) = opened.map_err(|error| match error.code() {
            // PgBouncer says the second where the password is wrong.
            Some(state)
                if state.code().starts_with("28") || *state == SqlState::PROTOCOL_VIOLATION =>
            {
                CrmError::Credentials(state.code().to_owned())
            }
            _ => CrmError::of(error),
        })?;
        // What it ended of is what the client's calls say.
        let driven = tokio::spawn(async move { drop(connection.await) });
        Ok(Session {
            client,
            ready: false,
            _socket: Socket(driven),
        })
    }

    async fn migrated(&self, session: Session) -> Result<Session, CrmError> {
        let mut session = session;
        let found = crate::migrate::version(&session.client, &self.schema).await?;
        if found < crate::migrate::LATEST {
            let locks = [crate::migrate::LOCK];
            let mut work = Work::begin(session, &locks, self.schema.as_str()).await?;
            crate::migrate::catch_up(&mut work, &self.schema).await?;
            session = work.commit().await?;
        }
        session.ready = true;
        Ok(session)
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.schema).finish()
    }
}

impl Work {
    async fn begin(session: Session, locks: &[i32], schema: &str) -> Result<Self, CrmError> {
        let limit = Duration::from_secs(STATEMENT_SECONDS.into()) + GRACE;
        let work = Self { session, limit };
        let mut begin = format!(
            "BEGIN; SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; \
             SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; \
             SET LOCAL idle_in_transaction_session_timeout = '{STATEMENT_SECONDS}s'; "
        );
        for lock in locks {
            // The first number is the schema's, so that two projections do not wait for each other.
            begin.push_str(&format!(
                "SELECT pg_advisory_xact_lock(hashtext('passerelle.{schema}'), {lock}); "
            ));
        }
        work.run(&begin).await?;
        Ok(work)
    }

    /// Runs statements without parameters.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), CrmError> {
        self.within(self.session.client.batch_execute(sql)).await
    }

    /// Runs one statement with parameters that are texts; how many rows it touched.
    pub(crate) async fn execute(&self, sql: &str, texts: &[&str]) -> Result<u64, CrmError> {
        let texts = typed(texts);
        self.within(self.session.client.execute_typed(sql, &texts))
            .await
    }

    /// Runs one query with parameters that are texts.
    pub(crate) async fn query(&self, sql: &str, texts: &[&str]) -> Result<Vec<Answer>, CrmError> {
        let texts = typed(texts);
        self.within(self.session.client.query_typed(sql, &texts))
            .await
    }

    async fn commit(self) -> Result<Session, CrmError> {
        self.run("COMMIT").await?;
        Ok(self.session)
    }

    async fn roll_back(self) -> Result<Session, CrmError> {
        self.run("ROLLBACK").await?;
        Ok(self.session)
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, CrmError> {
        let answered = tokio::time::timeout(self.limit, call).await;
        answered
            .map_err(|_| CrmError::TimedOut)?
            .map_err(CrmError::of)
    }
}

fn typed<'a>(texts: &'a [&'a str]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    let text = |text: &'a &'a str| (text as &(dyn ToSql + Sync), Type::TEXT);
    texts.iter().map(text).collect()
}
