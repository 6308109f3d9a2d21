//! Sessions: the links that a product hands out, and the browsers that spent one.
//!
//! | access | by |
//! |---|---|
//! | read, spend a link | `id` = `link#<SHA-256 of the link's secret>` |
//! | read a browser's session | `id` = `browser#<SHA-256 of the cookie>` |
//!
//! Secrets are stored hashed: a copy of the table opens nothing.

use domain::{AttemptId, Environment, Platform, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{self, key, value};
use crate::transaction::{Transacted, Transaction, put_new};
use crate::{StoreError, Table};

/// A link that opens a session once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLink {
    /// Hash of the link's secret, hex.
    pub hash: String,
    /// For whom.
    pub user_id: UserId,
    /// What pages call them.
    pub user_label: String,
    /// Where the browser goes in the end, validated when the link was made; without it the creator
    /// ends on a page of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// The platform to connect.
    pub platform: Platform,
    /// With its production or its sandbox; the deployment's only app where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The user's locale, for the pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// From then on it counts as absent.
    pub expires_at: Timestamp,
    /// Set when a browser pressed the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_at: Option<Timestamp>,
    /// Hash of the cookie of the browser that pressed it, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_by: Option<String>,
}

impl SessionLink {
    /// Whether the browser with this cookie hash may press the button: nobody did, or this browser
    /// did a moment ago and its answer may have got lost (a double click aborts the first one).
    pub fn may_be_spent_by(&self, browser: &str, now: Timestamp) -> bool {
        match self.spent_at {
            None => true,
            Some(at) => {
                self.spent_by.as_deref() == Some(browser) && now < at.plus_secs(AGAIN_SECONDS)
            }
        }
    }
}

/// For so long the browser that spent a link may spend it again.
const AGAIN_SECONDS: i64 = 60;

/// A browser that pressed the button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserSession {
    /// Hash of the cookie, hex.
    pub hash: String,
    /// Who sits before it.
    pub user_id: UserId,
    /// What pages call them.
    pub user_label: String,
    /// With the app of which environment platforms are connected; see [`SessionLink::environment`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Where the browser goes in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// The user's locale, for the pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// From then on it counts as absent.
    pub expires_at: Timestamp,
}

/// The table of sessions.
#[derive(Clone, Debug)]
pub struct Sessions(Table);

#[derive(Serialize)]
struct Row<'a, T> {
    id: String,
    ttl: i64,
    #[serde(flatten)]
    of: &'a T,
}

impl Sessions {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Keeps a new link.
    pub async fn put_link(&self, link: &SessionLink) -> Result<(), StoreError> {
        self.0
            .put(&Row {
                id: link_id(&link.hash),
                ttl: link.expires_at.secs(),
                of: link,
            })
            .await
    }

    /// The link of this hash, spent or not, unless it expired.
    pub async fn link(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<SessionLink>, StoreError> {
        let link: Option<SessionLink> = self.0.get(key([("id", &link_id(hash))])).await?;
        Ok(link.filter(|link| link.expires_at > now))
    }

    /// Spends the link for the browser with this cookie hash and opens the browser's session, together; `false` if the link was spent or
    /// has expired in the meantime.
    pub async fn spend(
        &self,
        link: &SessionLink,
        by: &str,
        session: &BrowserSession,
        now: Timestamp,
        attempt: AttemptId,
    ) -> Result<bool, StoreError> {
        let table = &self.0.name;
        let spend = Change::new()
            .set("spent_at", value(now))
            .set("spent_by", item::text(by))
            .when("attribute_exists(#id) AND #expires_at > :now")
            .when("attribute_not_exists(#spent_at) OR (#spent_by = :spent_by AND #spent_at > :lately)")
            .bind("now", value(now))
            .bind("lately", value(now.plus_secs(-AGAIN_SECONDS)))
            .in_transaction(table, key([("id", &link_id(&link.hash))]))?;
        let id = browser_id(&session.hash);
        let row = item::write(
            table,
            &Row {
                id,
                ttl: session.expires_at.secs(),
                of: session,
            },
        )?;
        let done = Transaction::new(attempt)
            .update(spend)
            .put(put_new(table, row, "id")?)
            .run(&self.0.client)
            .await?;
        Ok(done == Transacted::Done)
    }

    /// The session of the browser with this cookie hash, unless it expired.
    pub async fn browser(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<BrowserSession>, StoreError> {
        let session: Option<BrowserSession> = self.0.get(key([("id", &browser_id(hash))])).await?;
        Ok(session.filter(|session| session.expires_at > now))
    }
}

fn link_id(hash: &str) -> String {
    format!("link#{hash}")
}

fn browser_id(hash: &str) -> String {
    format!("browser#{hash}")
}
