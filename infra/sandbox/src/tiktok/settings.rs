//! The knobs that stay as set, each with the reading of the sheet that it starts from.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use url::Url;

use super::app::is_loopback;
use super::call::Endpoint;
use super::choices::{
    CancelEffect, IdType, LimitBy, Megabyte, Pace, PendingRelease, PostIdSpelling, ProgressHeader,
    PullFault, RevokeBody, Rotation, Toggles, WebPkce, WebhookOrder,
};

/// How the stand-in behaves where the sheet leaves a choice, and what its limits are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Life of an authorisation code.
    pub code_seconds: i64,
    /// Life of an access token: 7,200 in the newest papers, 86,400 in the older ones.
    pub access_token_seconds: i64,
    /// Life of a refresh token: 15,552,000 (180 d), 31,536,000 (365 d) in the older papers.
    pub refresh_token_seconds: i64,
    /// Whether a refresh kills the refresh token that it used.
    pub rotation: Rotation,
    /// Whether authorising again kills the refresh tokens given before; undocumented, so off.
    pub reconnect_kills_previous: bool,
    /// Whether a person has one `open_id` for all apps. The papers say one per app (tiktok.md §3.1),
    /// and not whether a portal sandbox counts as an app of its own.
    pub shared_open_ids: bool,
    /// OAuth errors with HTTP 200 (tiktok.md §1.7).
    pub oauth_errors_http200: bool,
    /// What a revoke answers: the papers say empty, and show `{}`.
    pub revoke_body: RevokeBody,
    /// PKCE on redirects that are not loopback.
    pub web_pkce: WebPkce,
    /// Which MB the chunk rules mean.
    pub megabyte: Megabyte,
    /// What the progress header's number is.
    pub progress_header: ProgressHeader,
    /// Host of upload URLs, e.g. `open-upload.tiktokapis.com`; none gives the sandbox's own address.
    pub upload_host: Option<String>,
    /// Life of an upload URL.
    pub upload_url_seconds: i64,
    /// Files up to this size are kept and can be read back; 0 keeps none.
    pub keep_bytes_max: u64,
    /// Whether media is looked at (kind, length in seconds, size in pixels) before it is posted.
    pub check_media: bool,
    /// Which https origins can be reached, and where on this machine they are served:
    /// `https://media.example.com` to `http://127.0.0.1:9000/bucket`. Nothing else is fetched.
    pub pull_origins: BTreeMap<String, String>,
    /// Whether pulling begins by itself.
    pub pulling: Pace,
    /// What befalls the next files to be pulled, one entry each.
    pub pull_next: Vec<PullFault>,
    /// Speed of pulling, on the stand-in's clock; 0 is as fast as the bytes come.
    pub pull_bytes_per_second: i64,
    /// A pull that takes longer fails (tiktok.md §4.7).
    pub pull_timeout_seconds: i64,
    /// What an accepted cancel does.
    pub cancel: CancelEffect,
    /// Whether processing goes on by itself.
    pub processing: Pace,
    /// From the last byte to the end of processing.
    pub processing_ms: i64,
    /// Whether a public post passes moderation by itself.
    pub moderation: Pace,
    /// From the end of processing to the public post id.
    pub moderation_ms: i64,
    /// `fail_reason`s of the next publishes to be processed; when used up, they succeed.
    pub fail_next: Vec<String>,
    /// Status calls, counted from completion on, that do not show a post id yet.
    pub post_id_after_polls: u32,
    /// Type of post ids in the status.
    pub post_id: IdType,
    /// Spelling of the status's post id field.
    pub post_id_spelling: PostIdSpelling,
    /// Type of post ids in webhooks.
    pub webhook_post_id: IdType,
    /// Name of a parameter error in posting calls: `invalid_param`, seen as `invalid_params` too.
    pub posting_param_error: String,
    /// Whether direct posts must send the brand toggles that the tables list as required: video
    /// `brand_content_toggle`, photos both (tiktok.md, addenda).
    pub brand_toggles: Toggles,
    /// Refuse branded content for the account alone: documented only as a rule for forms.
    pub refuse_branded_private: bool,
    /// Whether calls per minute are limited at all.
    pub rate_limits: bool,
    /// Whether pending shares, posts per day and users per day are capped at all.
    pub posting_caps: bool,
    /// Inits per minute and access token, each endpoint by itself.
    pub inits_per_minute: usize,
    /// Status calls per minute and access token.
    pub status_per_minute: usize,
    /// creator_info calls per minute and access token.
    pub creator_info_per_minute: usize,
    /// user/info calls per minute and access token.
    pub user_info_per_minute: usize,
    /// Video list calls per minute.
    pub video_list_per_minute: usize,
    /// Video query calls per minute.
    pub video_query_per_minute: usize,
    /// Cancels per minute and access token; that there is a limit is documented, not which.
    pub cancel_per_minute: usize,
    /// Whose calls the three limits of the Display API count; the papers do not say.
    pub display_limit_by: LimitBy,
    /// Drafts pending per user in 24 hours.
    pub pending_shares_max: usize,
    /// What ends a draft's pending state.
    pub pending_released_by: PendingRelease,
    /// Direct posts per creator in 24 hours, across all apps ("typically around 15").
    pub direct_posts_per_day: usize,
    /// Users who may post through an unaudited app in 24 hours.
    pub unaudited_users_per_day: usize,
    /// Whether photo posts are among the videos of the Display API; the papers speak of videos only.
    pub photos_in_video_list: bool,
    /// Deliveries wait while this is on.
    pub webhooks_paused: bool,
    /// Order of `complete` and `publicly_available` of one post; either is possible (tiktok.md §5.2).
    pub webhook_order: WebhookOrder,
    /// Whether a redelivery is signed with a fresh time.
    pub webhook_resign: bool,
    /// First wait before a redelivery; doubles each time.
    pub webhook_backoff_ms: i64,
    /// Longest wait between redeliveries.
    pub webhook_backoff_max_ms: i64,
    /// A delivery older than this is dropped.
    pub webhook_give_up_seconds: i64,
    /// Time that a receiver has to answer.
    pub webhook_timeout_ms: u64,
    /// Key of the reason in `post.publish.failed`: `reason`, or `fail_reason`.
    pub webhook_fail_key: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            code_seconds: 600,
            access_token_seconds: 7_200,
            refresh_token_seconds: 15_552_000,
            rotation: Rotation::Strict,
            reconnect_kills_previous: false,
            shared_open_ids: false,
            oauth_errors_http200: false,
            revoke_body: RevokeBody::Object,
            web_pkce: WebPkce::Optional,
            megabyte: Megabyte::Either,
            progress_header: ProgressHeader::Count,
            upload_host: None,
            upload_url_seconds: 3_600,
            keep_bytes_max: 0,
            check_media: true,
            pull_origins: BTreeMap::new(),
            pulling: Pace::Auto,
            pull_next: Vec::new(),
            pull_bytes_per_second: 0,
            pull_timeout_seconds: 3_600,
            cancel: CancelEffect::AtOnce,
            processing: Pace::Auto,
            processing_ms: 200,
            moderation: Pace::Auto,
            moderation_ms: 200,
            fail_next: Vec::new(),
            post_id_after_polls: 0,
            post_id: IdType::Number,
            post_id_spelling: PostIdSpelling::Publicaly,
            webhook_post_id: IdType::String,
            posting_param_error: "invalid_param".into(),
            brand_toggles: Toggles::Required,
            refuse_branded_private: false,
            rate_limits: true,
            posting_caps: true,
            inits_per_minute: 6,
            status_per_minute: 30,
            creator_info_per_minute: 20,
            user_info_per_minute: 600,
            video_list_per_minute: 600,
            video_query_per_minute: 600,
            cancel_per_minute: 30,
            display_limit_by: LimitBy::Token,
            pending_shares_max: 5,
            pending_released_by: PendingRelease::Post,
            direct_posts_per_day: 15,
            unaudited_users_per_day: 5,
            photos_in_video_list: false,
            webhooks_paused: false,
            webhook_order: WebhookOrder::Any,
            webhook_resign: true,
            webhook_backoff_ms: 1_000,
            webhook_backoff_max_ms: 3_600_000,
            webhook_give_up_seconds: 72 * 3_600,
            webhook_timeout_ms: 10_000,
            webhook_fail_key: "reason".into(),
        }
    }
}

impl Settings {
    /// These settings with the keys of `patch` replaced.
    ///
    /// # Errors
    /// On an unknown key, a value of the wrong type, or an origin that is not served on loopback.
    pub(crate) fn with(&self, patch: serde_json::Value) -> anyhow::Result<Self> {
        let mut all = serde_json::to_value(self)?;
        match (all.as_object_mut(), patch) {
            (Some(all), serde_json::Value::Object(patch)) => all.extend(patch),
            _ => anyhow::bail!("an object of settings is expected"),
        }
        let all: Self = serde_json::from_value(all)?;
        all.check()?;
        Ok(all)
    }

    /// Refuses settings under which the stand-in would leave the machine.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (origin, base) in &self.pull_origins {
            let url = Url::parse(origin).with_context(|| format!("pull_origins: {origin}"))?;
            ensure!(
                url.scheme() == "https" && url.origin().ascii_serialization() == *origin,
                "pull_origins: {origin} is not an origin like https://media.example.com"
            );
            let url = Url::parse(base).with_context(|| format!("pull_origins: {base}"))?;
            ensure!(
                is_loopback(&url) && url.query().is_none() && url.fragment().is_none(),
                "pull_origins: {base} is not a base on loopback"
            );
        }
        Ok(())
    }

    /// Calls per minute at an endpoint; `None` where nothing is limited.
    pub(crate) fn per_minute(&self, endpoint: Endpoint) -> Option<usize> {
        let limit = match endpoint {
            Endpoint::UserInfo => self.user_info_per_minute,
            Endpoint::VideoList => self.video_list_per_minute,
            Endpoint::VideoQuery => self.video_query_per_minute,
            Endpoint::CreatorInfo => self.creator_info_per_minute,
            Endpoint::Init | Endpoint::InboxInit | Endpoint::PhotoInit => self.inits_per_minute,
            Endpoint::Status => self.status_per_minute,
            Endpoint::Cancel => self.cancel_per_minute,
            _ => return None,
        };
        self.rate_limits.then_some(limit)
    }
}
