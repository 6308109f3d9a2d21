//! Posts: accepted whole or not at all, listed, shown.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use domain::{
    AttemptId, Clock, ConnectionId, Entropy, EventKind, MediaId, MediaStatus, PostId, PostOptions,
    TargetId, TargetStatus, Timestamp, UserId, Who,
};
use futures_util::future::try_join_all;
use platforms::Apps;
use serde::{Deserialize, Serialize};
use store::media::{Created, IdempotencyKey, Repeated};
use store::targets::TargetMedia;
use store::{
    Connection, Connections, Events, Media, MediaTable, Post, Posts, StoreError, Target, Targets,
};

use crate::error::PostsError;
use crate::files::Files;
use crate::queue::{Message, PublishQueue};
use crate::view::PostView;
use crate::{check, events};

/// How many connections one post may go to.
pub const MAX_TARGETS: usize = 10;
/// How many files one post may hold: as many as any platform takes.
pub const MAX_MEDIA: usize = 35;
/// How long a caption may be: more than any platform takes. Platforms' own limits are checked too.
pub const MAX_TEXT_BYTES: usize = 20_000;
/// Writers that meet at one file make each other try again.
const TRIES: u32 = 4;

/// A post that is about to be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPost {
    /// The caption, for every target that has none of its own.
    #[serde(default)]
    pub text: String,
    /// The files, in order.
    #[serde(default)]
    pub media: Vec<MediaId>,
    /// Where it goes.
    pub targets: Vec<NewTarget>,
}

/// Where a post goes, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTarget {
    /// Through which connection.
    pub connection_id: ConnectionId,
    /// A caption for this target alone.
    #[serde(default)]
    pub text: Option<String>,
    /// What the caller chooses.
    #[serde(default)]
    pub options: PostOptions,
}

/// What callers do with posts.
#[derive(Clone)]
pub struct Composer {
    /// Posts.
    pub posts: Posts,
    /// Their targets.
    pub targets: Targets,
    /// What the product is told.
    pub events: Events,
    /// Files.
    pub media: MediaTable,
    /// Their bytes.
    pub files: Files,
    /// Where posts can go.
    pub connections: Connections,
    /// Publishing steps.
    pub queue: PublishQueue,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Composer {
    /// The same for what `who` does: the audit trail says so.
    #[must_use]
    pub fn acting(&self, who: Who) -> Self {
        Self {
            events: self.events.acting(who),
            ..self.clone()
        }
    }

    /// Accepts a post: everything is checked that can be known before a platform is asked. The same
    /// `key` for the same request gives the same post again.
    pub async fn create(
        &self,
        apps: &Apps,
        user: &UserId,
        new: &NewPost,
        key: Option<&str>,
    ) -> Result<PostView, PostsError> {
        let broken = check::shape(new);
        if !broken.is_empty() {
            return Err(PostsError::Invalid(broken));
        }
        let asked = serde_json::to_vec(new).unwrap_or_default();
        let key = key.map(|key| idempotency(key, &asked));
        if let Some(key) = &key {
            let before = self.posts.repeated(user, key, self.clock.now()).await?;
            if let Some(before) = before {
                return self.made_before(user, key, &before).await;
            }
        }
        let mut tries = 1;
        let (post, targets) = loop {
            let media = self.media_of(user, new).await?;
            let connections = self.connections_of(user, new).await?;
            let files: Vec<_> = media.iter().filter_map(file).collect();
            let infos = self.files.infos(&files).await;
            let broken = check::fits(apps, new, &media, &infos, &connections);
            if !broken.is_empty() {
                return Err(PostsError::Invalid(broken));
            }
            let (post, targets) = self.drawn(user, new, &media, &connections);
            match self.keep(&post, &media, &targets, key.as_ref()).await {
                Ok(Created::New) => break (post, targets),
                Ok(Created::Before(before)) => {
                    let key = key.as_ref().ok_or(PostsError::KeyReused)?;
                    return self.made_before(user, key, &before).await;
                }
                // A file was deleted, or taken for another post, at the same moment.
                Err(StoreError::Unavailable(_)) if tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(self.entropy.below(40) + 10)).await;
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        };
        for target in &targets {
            self.queue
                .send_or_leave(&Message::of(target), Duration::ZERO)
                .await;
        }
        tracing::info!(post.id = %post.post_id, targets = targets.len(), "post accepted");
        Ok(PostView::of(&post, &targets))
    }

    /// The post with its targets.
    pub async fn get(&self, user: &UserId, post: &PostId) -> Result<PostView, PostsError> {
        let post = self.find(user, post).await?;
        let targets = self.targets.of_post(&post.post_id).await?;
        Ok(PostView::of(&post, &targets))
    }

    /// The user's posts, newest first, from before `before`, at most `limit`; with where to go on.
    pub async fn list(
        &self,
        user: &UserId,
        before: Option<&PostId>,
        limit: u8,
    ) -> Result<(Vec<PostView>, Option<String>), PostsError> {
        let before = before.map(PostId::as_str);
        let (posts, next) = self.posts.list(user, before, i32::from(limit)).await?;
        let views = posts.iter().map(|post| async {
            let targets = self.targets.of_post(&post.post_id).await?;
            Ok::<_, StoreError>(PostView::of(post, &targets))
        });
        Ok((try_join_all(views).await?, next))
    }

    pub(crate) async fn find(&self, user: &UserId, post: &PostId) -> Result<Post, PostsError> {
        let found = self.posts.get(user, post).await?;
        found.ok_or(PostsError::not_found("post"))
    }

    async fn media_of(&self, user: &UserId, new: &NewPost) -> Result<Vec<Media>, PostsError> {
        let now = self.clock.now();
        try_join_all(new.media.iter().enumerate().map(|(index, id)| async move {
            let found = self.media.get(user, id, now).await?;
            found.ok_or_else(|| PostsError::not_found_at("media", format!("media[{index}]")))
        }))
        .await
    }

    async fn connections_of(
        &self,
        user: &UserId,
        new: &NewPost,
    ) -> Result<Vec<Connection>, PostsError> {
        try_join_all(
            new.targets
                .iter()
                .enumerate()
                .map(|(index, target)| async move {
                    let found = self.connections.get(user, &target.connection_id).await?;
                    let field = format!("targets[{index}].connection_id");
                    found.ok_or_else(|| PostsError::not_found_at("connection", field))
                }),
        )
        .await
    }

    /// The rows of an accepted post.
    fn drawn(
        &self,
        user: &UserId,
        new: &NewPost,
        media: &[Media],
        connections: &[Connection],
    ) -> (Post, Vec<Target>) {
        let now = self.clock.now();
        let post_id = PostId::new(now, self.entropy.as_ref());
        let files: Vec<_> = media.iter().filter_map(file).collect();
        let targets: Vec<_> = new
            .targets
            .iter()
            .zip(connections)
            .map(|(target, connection)| Target {
                post_id: post_id.clone(),
                target_id: TargetId::new(now, self.entropy.as_ref()),
                user_id: user.clone(),
                connection_id: connection.connection_id.clone(),
                platform: connection.platform,
                account: connection.account.clone(),
                text: target.text.clone().unwrap_or_else(|| new.text.clone()),
                options: target.options.clone(),
                media: files.clone(),
                status: TargetStatus::Queued,
                state: None,
                sealed: None,
                sealed_step: 0,
                step: 0,
                intent: None,
                holder: None,
                lease_until: Timestamp::default(),
                // Should its message get lost, the sweeper sends another.
                due_at: Some(now),
                cancel_asked_at: None,
                tries: 0,
                fault: None,
                published: None,
                publish_key: None,
                sent_bytes: 0,
                queued_at: now,
                created_at: now,
                updated_at: now,
            })
            .collect();
        let post = Post {
            user_id: user.clone(),
            post_id,
            text: new.text.clone(),
            media: new.media.clone(),
            targets: targets
                .iter()
                .map(|target| target.target_id.clone())
                .collect(),
            created_at: now,
        };
        (post, targets)
    }

    async fn keep(
        &self,
        post: &Post,
        media: &[Media],
        targets: &[Target],
        key: Option<&IdempotencyKey>,
    ) -> Result<Created, StoreError> {
        let now = post.created_at;
        let events: Vec<_> = targets
            .iter()
            .map(|target| events::event(target, EventKind::PostQueued, 0, now, None, None))
            .collect();
        self.posts
            .create(
                post,
                (&self.media, media),
                (&self.targets, targets),
                (&self.events, &events),
                key,
                AttemptId::new(now, self.entropy.as_ref()),
            )
            .await
    }

    async fn made_before(
        &self,
        user: &UserId,
        key: &IdempotencyKey,
        before: &Repeated,
    ) -> Result<PostView, PostsError> {
        if before.request_hash != key.request_hash {
            return Err(PostsError::KeyReused);
        }
        let id = before.made.parse();
        let id = id.map_err(|_| PostsError::not_found("post"))?;
        self.get(user, &id).await
    }
}

fn file(media: &Media) -> Option<TargetMedia> {
    Some(TargetMedia {
        media_id: media.media_id.clone(),
        object_key: media.object_key.clone(),
        kind: media.kind.filter(|_| media.status == MediaStatus::Ready)?,
        size: media.size,
        duration_ms: media.duration_ms,
        source_url: media.source_url.clone().filter(|_| !media.stored()),
    })
}

/// A caller's key and request as the table keeps them: hashes, under the user's own partition.
pub(crate) fn idempotency(key: &str, request: &[u8]) -> IdempotencyKey {
    let hash = |bytes: &[u8]| HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref());
    IdempotencyKey {
        key_hash: hash(key.as_bytes()),
        request_hash: hash(request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_same_by_what_they_say() {
        let read = |text: &str| -> NewPost { serde_json::from_str(text).unwrap() };
        let hash = |post: &NewPost| idempotency("k", &serde_json::to_vec(post).unwrap());
        let connection = ConnectionId::of(&"u".parse().unwrap(), domain::Platform::TikTok, "a");
        let one = read(&format!(
            r#"{{"text":"a","targets":[{{"connection_id":"{connection}"}}]}}"#
        ));
        let same = read(&format!(
            r#"{{ "targets": [ {{"options":{{}}, "connection_id":"{connection}"}} ], "text":"a" }}"#
        ));
        let other = NewPost {
            text: "b".into(),
            ..one.clone()
        };
        assert_eq!(hash(&one), hash(&same));
        assert_ne!(hash(&one), hash(&other));
        assert_eq!(hash(&one).key_hash, hash(&other).key_hash);
        assert!(serde_json::from_str::<NewPost>(r#"{"targets":[],"captoin":"x"}"#).is_err());
    }
}
