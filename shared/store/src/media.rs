//! Media: files that were or are being uploaded.
//!
//! | access | by |
//! |---|---|
//! | read one; list a user's | `user_id`, `media_id` |
//! | find what a repeated request made | `user_id`, `idem#<hash of the key>` |

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    AttemptId, Fault, Holder, MediaId, MediaKind, MediaStatus, PostId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{self, key, value};
use crate::transaction::{Transacted, Transaction, put_new};
use crate::{StoreError, Table, Written};

/// A request is recognised as a repetition for this long.
const IDEMPOTENCY_SECONDS: i64 = 24 * 3600;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub media_id: MediaId,
    /// Its object key in the media bucket.
    pub object_key: String,
    /// The bucket's id of the multipart upload.
    pub upload_id: String,
    /// How many bytes it has, as declared; checked when it is completed.
    pub size: u64,
    /// How many bytes each part has, but the last.
    pub part_size: u64,
    /// Where it stands.
    pub status: MediaStatus,
    /// What it is, once it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MediaKind>,
    /// How long it plays, in milliseconds, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The address that it was or is fetched from, where its owner gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// What the address called the version that is being fetched: another one begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// Which worker fetches it just now, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_lease: Option<FetchLease>,
    /// Tries to fetch it that failed in a row.
    #[serde(default)]
    pub fetch_tries: u32,
    /// Why it could not be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The posts that were made with it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub posted_in: BTreeSet<PostId>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// From then on the bucket may have dropped it: it counts as absent.
    pub expires_at: Timestamp,
}

/// A worker's hold on a file that it fetches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchLease {
    /// Who.
    pub holder: Holder,
    /// Until when.
    pub until: Timestamp,
}

#[derive(Serialize)]
struct MediaRow<'a> {
    ttl: i64,
    #[serde(flatten)]
    media: &'a Media,
}

impl Media {
    /// Whether its bytes lie in the bucket, or will. The others stay where their owner keeps them.
    pub fn stored(&self) -> bool {
        !self.object_key.is_empty()
    }

    /// How many parts it has.
    pub fn parts(&self) -> u64 {
        self.size.div_ceil(self.part_size.max(1)).max(1)
    }
}

/// A request that was answered before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// What it made.
    pub made: String,
    /// Hash of what it said: a key used again for something else is an error.
    pub request_hash: String,
}

/// A request's own key against repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Hash of the caller's key, hex.
    pub key_hash: String,
    /// Hash of what the request said, hex.
    pub request_hash: String,
}

/// How a creation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New,
    /// The same key made something before.
    Before(Repeated),
}

#[derive(Serialize)]
pub(crate) struct IdempotencyRow<'a> {
    pub(crate) user_id: &'a UserId,
    pub(crate) made: &'a str,
    pub(crate) request_hash: &'a str,
    pub(crate) expires_at: Timestamp,
    pub(crate) ttl: i64,
}

/// The table of media.
#[derive(Clone, Debug)]
pub struct MediaTable(Table);

impl MediaTable {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The file, unless it was deleted or has expired.
    pub async fn get(
        &self,
        user: &UserId,
        media: &MediaId,
        now: Timestamp,
    ) -> Result<Option<Media>, StoreError> {
        let found: Option<Media> = self
            .0
            .get(key([
                ("user_id", user.as_str()),
                ("media_id", media.as_str()),
            ]))
            .await?;
        Ok(found.filter(|media| media.status != MediaStatus::Deleted && media.expires_at > now))
    }

    /// What this idempotency key made before, if anything.
    pub async fn repeated(
        &self,
        user: &UserId,
        idempotency: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<Repeated>, StoreError> {
        self.0.repeated(user, "media_id", idempotency, now).await
    }

    /// Keeps a new file together with the request's idempotency key.
    pub async fn create(
        &self,
        media: &Media,
        idempotency: Option<&IdempotencyKey>,
        attempt: AttemptId,
    ) -> Result<Created, StoreError> {
        let ttl = media.expires_at.secs();
        let item = item::write(&self.0.name, &MediaRow { ttl, media })?;
        let made = Transaction::new(attempt).put(put_new(&self.0.name, item, "media_id")?);
        let made = self.0.remember(
            made,
            &media.user_id,
            "media_id",
            media.media_id.as_str(),
            idempotency,
            media.created_at,
        )?;
        self.0
            .created(
                made,
                &media.user_id,
                "media_id",
                idempotency,
                media.created_at,
            )
            .await
    }

    /// Marks the file as complete, as it was found: its kind, size and duration are those of `media`;
    /// it then lives until `expires_at`. Done again it changes nothing. `None`: it was deleted in the
    /// meantime.
    pub async fn ready(
        &self,
        media: &Media,
        expires_at: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Option<Media>, StoreError> {
        let change = Change::new()
            .set("status", value(MediaStatus::Ready))
            .set_or_remove("kind", media.kind.map(value))
            .set("size", value(media.size))
            .set_or_remove("duration_ms", media.duration_ms.map(value))
            .set("expires_at", value(expires_at))
            .set("ttl", value(expires_at.secs()))
            .remove(["fetch_lease", "fault"])
            .when("attribute_exists(#media_id) AND #status <> :deleted")
            .bind("deleted", value(MediaStatus::Deleted));
        self.changed(media, change, attempt).await
    }

    /// Takes a file that is being fetched for a worker, unless another one has it. Gives the row as of
    /// now.
    pub async fn take_fetch(
        &self,
        seen: &Media,
        lease: &FetchLease,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Option<Media>, StoreError> {
        let change = Change::new()
            .set("fetch_lease", value(lease))
            .when("#status = :fetching")
            .when("attribute_not_exists(#fetch_lease) OR #fetch_lease.#until <= :now")
            .bind("fetching", value(MediaStatus::Fetching))
            .bind("now", value(now));
        self.changed(seen, change, attempt).await
    }

    /// Writes what its address calls the file that is being fetched, before any of it is kept: what
    /// comes later must be of the same version. `None`: it is no longer this worker's.
    pub async fn fetches(
        &self,
        seen: &Media,
        holder: &Holder,
        attempt: &AttemptId,
    ) -> Result<Option<Media>, StoreError> {
        let change = Change::new()
            .set_or_remove(
                "source_version",
                seen.source_version.as_ref().map(item::text),
            )
            .when("#status = :fetching AND #fetch_lease.#holder = :me")
            .bind("fetching", value(MediaStatus::Fetching))
            .bind("me", value(holder));
        self.changed(seen, change, attempt).await
    }

    /// Writes how far a worker came with a file that is being fetched, and gives it back: `seen` with
    /// its new status, fault, tries, upload and source version. `None`: it is no longer this worker's.
    pub async fn fetched(
        &self,
        seen: &Media,
        holder: &Holder,
        attempt: &AttemptId,
    ) -> Result<Option<Media>, StoreError> {
        let change = Change::new()
            .set("status", value(seen.status))
            .set("upload_id", item::text(&seen.upload_id))
            .set("fetch_tries", value(seen.fetch_tries))
            .set_or_remove("fault", seen.fault.as_ref().map(value))
            .set_or_remove(
                "source_version",
                seen.source_version.as_ref().map(item::text),
            )
            .remove(["fetch_lease"])
            .when("#status = :fetching AND #fetch_lease.#holder = :me")
            .bind("fetching", value(MediaStatus::Fetching))
            .bind("me", value(holder));
        self.changed(seen, change, attempt).await
    }

    /// Marks the file as given up; `false` if a post was made with it since it was read.
    pub async fn deleted(&self, seen: &Media, attempt: &AttemptId) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("status", value(MediaStatus::Deleted))
            .when("attribute_exists(#media_id)");
        let change = if seen.posted_in.is_empty() {
            change.when("attribute_not_exists(#posted_in)")
        } else {
            let posts = seen.posted_in.iter().map(PostId::to_string).collect();
            change
                .when("#posted_in = :seen")
                .bind("seen", AttributeValue::Ss(posts))
        };
        Ok(self.changed(seen, change, attempt).await?.is_some())
    }

    /// Adds to the transaction that makes a post that the file is part of it: refused unless the
    /// file is ready, and from then on it is not deleted unseen.
    pub(crate) fn used(
        &self,
        transaction: Transaction,
        media: &Media,
        post: &PostId,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let change = Change::new()
            .add_member("posted_in", post.as_str())
            .when("#status = :ready AND #expires_at > :now")
            .bind("ready", value(MediaStatus::Ready))
            .bind("now", value(now));
        let key = key([
            ("user_id", media.user_id.as_str()),
            ("media_id", media.media_id.as_str()),
        ]);
        Ok(transaction.update(change.in_transaction(&self.0.name, key)?))
    }

    async fn changed(
        &self,
        media: &Media,
        change: Change,
        attempt: &AttemptId,
    ) -> Result<Option<Media>, StoreError> {
        let key = key([
            ("user_id", media.user_id.as_str()),
            ("media_id", media.media_id.as_str()),
        ]);
        Ok(match self.0.change(key, change, attempt).await? {
            Written::Done(media) => Some(media),
            Written::Refused(_) => None,
        })
    }
}

impl Table {
    /// What this key made before, unless that was long ago.
    pub(crate) async fn repeated(
        &self,
        user: &UserId,
        sort: &str,
        idempotency: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<Repeated>, StoreError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(flatten)]
            repeated: Repeated,
            expires_at: Timestamp,
        }
        let sort_key = idempotency.sort_key();
        let found: Option<Found> = self
            .get(key([("user_id", user.as_str()), (sort, &sort_key)]))
            .await?;
        Ok(found
            .filter(|found| found.expires_at > now)
            .map(|found| found.repeated))
    }

    /// Adds the row that recognises a repetition.
    pub(crate) fn remember(
        &self,
        transaction: Transaction,
        user: &UserId,
        sort: &str,
        made: &str,
        idempotency: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let Some(idempotency) = idempotency else {
            return Ok(transaction);
        };
        let expires_at = now.plus_secs(IDEMPOTENCY_SECONDS);
        let row = IdempotencyRow {
            user_id: user,
            made,
            request_hash: &idempotency.request_hash,
            expires_at,
            ttl: expires_at.secs(),
        };
        let mut row = item::write(&self.name, &row)?;
        row.insert(sort.to_owned(), item::text(idempotency.sort_key()));
        // An expired row that DynamoDB has not cleaned up yet may be written over.
        let put = aws_sdk_dynamodb::types::Put::builder()
            .table_name(&self.name)
            .set_item(Some(row))
            .condition_expression("attribute_not_exists(user_id) OR expires_at <= :now")
            .expression_attribute_values(":now", value(now))
            .build()
            .map_err(|error| crate::transaction::malformed(&self.name, &error))?;
        Ok(transaction.put(put))
    }

    /// Runs a creation; where it was refused, finds what the key made before.
    pub(crate) async fn created(
        &self,
        transaction: Transaction,
        user: &UserId,
        sort: &str,
        idempotency: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        if transaction.run(&self.client).await? == Transacted::Done {
            return Ok(Created::New);
        }
        let before = match idempotency {
            Some(idempotency) => self.repeated(user, sort, idempotency, now).await?,
            None => None,
        };
        // Ids are random and new, so without an earlier request nothing can stand in the way but
        // another writer at the same moment.
        before
            .map(Created::Before)
            .ok_or_else(|| StoreError::Unavailable("conflict".to_owned()))
    }
}

impl IdempotencyKey {
    fn sort_key(&self) -> String {
        format!("idem#{}", self.key_hash)
    }
}
