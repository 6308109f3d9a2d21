//! A product takes a post back.
//!
//! The wish is written at the target, and whichever worker has the target next sees to it: nobody but
//! the holder of a target knows whether a call is under way. What comes too late changes nothing.

use std::time::Duration;

use domain::{AttemptId, PostId, TargetId, TargetStatus, UserId};
use store::Target;

use crate::create::Composer;
use crate::error::PostsError;
use crate::queue::Message;
use crate::view::{PostView, TargetView};

impl Composer {
    /// Asks for one target to be cancelled. Answers how it stands: `cancel_requested` until a worker
    /// has seen to it. A target that was cancelled before is answered the same; one that ended
    /// otherwise is refused.
    pub async fn cancel(
        &self,
        user: &UserId,
        post: &PostId,
        target: &TargetId,
    ) -> Result<TargetView, PostsError> {
        let post = self.find(user, post).await?;
        let seen = self.targets.get(&post.post_id, target).await?;
        let seen = seen.ok_or(PostsError::not_found("target"))?;
        let asked = self.ask(&seen).await?;
        Ok(TargetView::of(&asked.ok_or(TOO_LATE)?))
    }

    /// Asks for every target of the post that is not at its end; refused where there is none.
    pub async fn cancel_all(&self, user: &UserId, post: &PostId) -> Result<PostView, PostsError> {
        let post = self.find(user, post).await?;
        let mut any = false;
        let mut targets = Vec::new();
        for seen in self.targets.of_post(&post.post_id).await? {
            let asked = self.ask(&seen).await?;
            any |= asked.is_some();
            targets.push(asked.unwrap_or(seen));
        }
        if !any {
            return Err(TOO_LATE);
        }
        Ok(PostView::of(&post, &targets))
    }

    /// `None`: it has come to another end.
    async fn ask(&self, seen: &Target) -> Result<Option<Target>, PostsError> {
        if seen.status == TargetStatus::Cancelled {
            return Ok(Some(seen.clone()));
        }
        if seen.status.is_settled() {
            return Ok(None);
        }
        let now = self.clock.now();
        let attempt = AttemptId::new(now, self.entropy.as_ref());
        let asked = self.targets.ask_cancel(seen, now, &attempt).await?;
        if let Some(asked) = &asked {
            tracing::info!(target.id = %asked.target_id, "cancelling asked for");
            let message = Message::of(asked);
            self.queue.send_or_leave(&message, Duration::ZERO).await;
        }
        Ok(asked)
    }
}

const TOO_LATE: PostsError = PostsError::Conflict {
    code: "nothing_to_cancel",
    sentence: "It has come to its end: read the post for where it stands. What was published can be deleted in the platform's app.",
};
