//! The product's word on a target whose outcome cannot be known.

use std::time::Duration;

use domain::{AttemptId, EventKind, PostId, PublishedPost, TargetId, TargetStatus, UserId};
use platforms::Violation;
use serde::Deserialize;
use store::Target;
use store::targets::{Progress, SealedPart};

use crate::create::Composer;
use crate::error::PostsError;
use crate::events::event;
use crate::queue::Message;
use crate::view::TargetView;

/// Longer ids and addresses are none of a platform's.
const MAX_ID_BYTES: usize = 256;
const MAX_URL_BYTES: usize = 2_048;

/// What the product has found out, by looking at the account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Resolution {
    /// It was published.
    MarkPublished {
        /// The platform's id of it, where it is known.
        #[serde(default)]
        platform_post_id: Option<String>,
        /// Where it can be seen, where that is known.
        #[serde(default)]
        url: Option<String>,
    },
    /// It was not: begin anew.
    PostAgain {},
}

impl Composer {
    /// Settles a target that is parked as `outcome_unknown`; any other target is refused. Resolving
    /// it twice in the same way is refused the second time, since it no longer is.
    pub async fn resolve(
        &self,
        user: &UserId,
        post: &PostId,
        target: &TargetId,
        resolution: &Resolution,
    ) -> Result<TargetView, PostsError> {
        let broken = check(resolution);
        if !broken.is_empty() {
            return Err(PostsError::Invalid(broken));
        }
        let post = self.find(user, post).await?;
        let seen = self.targets.get(&post.post_id, target).await?;
        let seen = seen.ok_or(PostsError::not_found("target"))?;
        if seen.status != TargetStatus::OutcomeUnknown {
            return Err(NOTHING_TO_RESOLVE);
        }
        let now = self.clock.now();
        let (kind, progress) = settled(&seen, resolution, now);
        let event = event(
            &seen,
            kind,
            seen.step + 1,
            now,
            None,
            progress.published.as_ref(),
        );
        let attempt = AttemptId::new(now, self.entropy.as_ref());
        let events = Some((&self.events, &event));
        let written = self
            .targets
            .advance(&seen, None, &progress, now, events, attempt)
            .await?;
        // A webhook, or another caller, was faster.
        let written = written.ok_or(NOTHING_TO_RESOLVE)?;
        if !written.status.is_settled() {
            self.queue
                .send_or_leave(&Message::of(&written), Duration::ZERO)
                .await;
        }
        tracing::info!(target.id = %target, status = written.status.as_str(), "target resolved");
        Ok(TargetView::of(&written))
    }
}

const NOTHING_TO_RESOLVE: PostsError = PostsError::Conflict {
    code: "nothing_to_resolve",
    sentence: "Only a target whose status is outcome_unknown can be resolved. Read the post for where this one stands.",
};

fn settled(
    seen: &Target,
    resolution: &Resolution,
    now: domain::Timestamp,
) -> (EventKind, Progress) {
    let common = Progress {
        status: TargetStatus::Published,
        // Kept, so that a late webhook can still add the platform's own ids.
        state: seen.state.clone(),
        sealed: SealedPart::Drop,
        due_at: None,
        heeds_cancel: false,
        tries: 0,
        fault: None,
        published: None,
        publish_key: seen.publish_key.clone(),
        sent_bytes: seen.sent_bytes,
        queued_at: seen.queued_at,
        keep_until: None,
    };
    match resolution {
        Resolution::MarkPublished {
            platform_post_id,
            url,
        } => {
            let published = PublishedPost {
                ids: platform_post_id.iter().cloned().collect(),
                url: url.clone(),
            };
            let progress = Progress {
                published: Some(published),
                ..common
            };
            (EventKind::PostPublished, progress)
        }
        Resolution::PostAgain {} => {
            let progress = Progress {
                status: TargetStatus::Queued,
                state: None,
                due_at: Some(now),
                publish_key: None,
                sent_bytes: 0,
                queued_at: now,
                ..common
            };
            (EventKind::PostQueued, progress)
        }
    }
}

fn check(resolution: &Resolution) -> Vec<Violation> {
    let Resolution::MarkPublished {
        platform_post_id,
        url,
    } = resolution
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut broken = |field: &str, code: &'static str, sentence: &str| {
        found.push(Violation {
            field: field.to_owned(),
            code,
            sentence: sentence.to_owned(),
        });
    };
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if platform_post_id
        .as_deref()
        .is_some_and(|id| id.is_empty() || id.len() > MAX_ID_BYTES || !visible(id))
    {
        let sentence = "A post's id on the platform is 1 to 256 visible ASCII characters.";
        broken("platform_post_id", "malformed", sentence);
    }
    let good = |url: &str| {
        url.len() <= MAX_URL_BYTES
            && visible(url)
            && url
                .parse::<http::Uri>()
                .is_ok_and(|url| url.scheme_str() == Some("https") && url.host().is_some())
    };
    if url.as_deref().is_some_and(|url| !good(url)) {
        broken("url", "malformed", "Give a whole https address.");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tests::{NOW, target};

    #[test]
    fn resolutions_are_read_strictly() {
        let read = |text: &str| serde_json::from_str::<Resolution>(text);
        assert_eq!(
            read(r#"{"action":"post_again"}"#).unwrap(),
            Resolution::PostAgain {}
        );
        for good in [
            r#"{"action":"mark_published"}"#,
            r#"{"action":"mark_published","platform_post_id":"7","url":"https://a.example/7"}"#,
        ] {
            assert_eq!(check(&read(good).unwrap()), []);
        }
        for bad in [
            "{}",
            r#"{"action":"forget"}"#,
            r#"{"action":"post_again","url":"https://a.example"}"#,
            r#"{"action":"mark_published","id":"7"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for bad in [
            r#"{"action":"mark_published","platform_post_id":""}"#,
            r#"{"action":"mark_published","url":"javascript:alert(1)"}"#,
            r#"{"action":"mark_published","url":"http://a.example"}"#,
        ] {
            assert_eq!(check(&read(bad).unwrap()).len(), 1, "{bad}");
        }
    }

    #[test]
    fn posting_again_begins_anew_and_marking_keeps_what_webhooks_need() {
        let seen = Target {
            state: Some("{}".into()),
            publish_key: Some("tiktok#p".into()),
            ..target(TargetStatus::OutcomeUnknown)
        };
        let later = NOW.plus_secs(9);
        let (kind, again) = settled(&seen, &Resolution::PostAgain {}, later);
        assert_eq!(kind, EventKind::PostQueued);
        assert_eq!(again.status, TargetStatus::Queued);
        assert_eq!((again.state, again.publish_key), (None, None));
        assert_eq!((again.due_at, again.queued_at), (Some(later), later));
        let marked = Resolution::MarkPublished {
            platform_post_id: Some("7".into()),
            url: None,
        };
        let (kind, marked) = settled(&seen, &marked, later);
        assert_eq!(kind, EventKind::PostPublished);
        assert_eq!(marked.due_at, None);
        assert_eq!(
            (marked.state, marked.publish_key),
            (seen.state, seen.publish_key)
        );
        assert_eq!(marked.published.unwrap().ids, ["7"]);
    }
}
