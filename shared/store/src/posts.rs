//! Posts: what a caller asked to be published. Their targets are in `targets`.
//!
//! | access | by |
//! |---|---|
//! | read one; list a user's, newest first | `user_id`, `post_id` (ids sort by age) |
//! | find what a repeated request made | `user_id`, `idem#<hash of the key>` |

use domain::{Act, AttemptId, MediaId, Outcome, PostId, TargetId, Timestamp, UserId, Who};
use serde::{Deserialize, Serialize};

use crate::item::{self, key};
use crate::media::{Created, IdempotencyKey, Repeated};
use crate::table::Page;
use crate::transaction::{Transaction, put_new};
use crate::{AuditEntry, Events, Media, MediaTable, StoreError, Table, Target, Targets};

/// A post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub post_id: PostId,
    /// The caption.
    pub text: String,
    /// The files, in order.
    pub media: Vec<MediaId>,
    /// Its targets, in the order asked.
    pub targets: Vec<TargetId>,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// The table of posts.
#[derive(Clone, Debug)]
pub struct Posts(Table);

impl Posts {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The post.
    pub async fn get(&self, user: &UserId, post: &PostId) -> Result<Option<Post>, StoreError> {
        self.0
            .get(key([
                ("user_id", user.as_str()),
                ("post_id", post.as_str()),
            ]))
            .await
    }

    /// A user's posts, newest first, from before `before`; with where to go on.
    pub async fn list(
        &self,
        user: &UserId,
        before: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<Post>, Option<String>), StoreError> {
        let page = Page {
            prefix: Some(PostId::PREFIX),
            after: before,
            limit,
            newest_first: true,
        };
        self.0
            .page(("user_id", user.as_str()), "post_id", page)
            .await
    }

    /// What this idempotency key made before, if anything.
    pub async fn repeated(
        &self,
        user: &UserId,
        idempotency: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<Repeated>, StoreError> {
        self.0.repeated(user, "post_id", idempotency, now).await
    }

    /// Keeps a new post with its targets, their events and the request's idempotency key, together,
    /// if all its files are still ready.
    pub async fn create(
        &self,
        post: &Post,
        media: (&MediaTable, &[Media]),
        targets: (&Targets, &[Target]),
        events: (&Events, &[domain::Event]),
        idempotency: Option<&IdempotencyKey>,
        attempt: AttemptId,
    ) -> Result<Created, StoreError> {
        let item = item::write(&self.0.name, post)?;
        let mut made = Transaction::new(attempt).put(put_new(&self.0.name, item, "post_id")?);
        for target in targets.1 {
            made = targets.0.add(made, target)?;
        }
        for file in media.1 {
            made = media.0.used(made, file, &post.post_id, post.created_at)?;
        }
        made = events.0.note(made, |who| AuditEntry {
            id: post.post_id.to_string(),
            at: post.created_at,
            who,
            act: Act::PostCreated,
            user_id: Some(post.user_id.clone()),
            object: Some(post.post_id.to_string()),
            outcome: Outcome::Done,
            note: None,
        })?;
        // The post has its row: its targets need none.
        let events = (events.0.acting(Who::SYSTEM), events.1);
        for event in events.1 {
            made = events.0.tell(made, event)?;
        }
        let made = self.0.remember(
            made,
            &post.user_id,
            "post_id",
            post.post_id.as_str(),
            idempotency,
            post.created_at,
        )?;
        self.0
            .created(made, &post.user_id, "post_id", idempotency, post.created_at)
            .await
    }
}
