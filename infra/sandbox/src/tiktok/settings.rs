//! The knobs that stay as set, each with the reading of the sheet that it starts from.

use serde::{Deserialize, Serialize};

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
    /// Whether processing and moderation go on by themselves.
    pub processing: Pace,
    /// From the last byte to the end of processing.
    pub processing_ms: i64,
    /// Whether a public post passes moderation by itself.
    pub moderation: Pace,
    /// From the end of processing to the public post id.
    pub moderation_ms: i64,
    /// `fail_reason`s of the next publishes to be processed; when used up, they succeed.
    pub fail_next: Vec<String>,
    /// Type of post ids in the status.
    pub post_id: IdType,
    /// Spelling of the status's post id field.
    pub post_id_spelling: PostIdSpelling,
    /// Type of post ids in webhooks.
    pub webhook_post_id: IdType,
    /// Name of a parameter error in posting calls: `invalid_param`, seen as `invalid_params` too.
    pub posting_param_error: String,
    /// Inits per minute and access token, each endpoint by itself.
    pub inits_per_minute: usize,
    /// Status calls per minute and access token.
    pub status_per_minute: usize,
    /// creator_info calls per minute and access token.
    pub creator_info_per_minute: usize,
    /// user/info calls per minute and access token.
    pub user_info_per_minute: usize,
    /// Drafts pending per user in 24 hours.
    pub pending_shares_max: usize,
    /// What ends a draft's pending state.
    pub pending_released_by: PendingRelease,
    /// Direct posts per creator in 24 hours, across all apps ("typically around 15").
    pub direct_posts_per_day: usize,
    /// Users who may post through an unaudited app in 24 hours.
    pub unaudited_users_per_day: usize,
    /// Deliveries wait while this is on.
    pub webhooks_paused: bool,
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
            oauth_errors_http200: false,
            revoke_body: RevokeBody::Object,
            web_pkce: WebPkce::Optional,
            megabyte: Megabyte::Either,
            progress_header: ProgressHeader::Count,
            upload_host: None,
            upload_url_seconds: 3_600,
            keep_bytes_max: 0,
            processing: Pace::Auto,
            processing_ms: 200,
            moderation: Pace::Auto,
            moderation_ms: 200,
            fail_next: Vec::new(),
            post_id: IdType::Number,
            post_id_spelling: PostIdSpelling::Publicaly,
            webhook_post_id: IdType::String,
            posting_param_error: "invalid_param".into(),
            inits_per_minute: 6,
            status_per_minute: 30,
            creator_info_per_minute: 20,
            user_info_per_minute: 600,
            pending_shares_max: 5,
            pending_released_by: PendingRelease::Post,
            direct_posts_per_day: 15,
            unaudited_users_per_day: 5,
            webhooks_paused: false,
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
    /// On an unknown key or a value of the wrong type.
    pub(crate) fn with(&self, patch: serde_json::Value) -> anyhow::Result<Self> {
        let mut all = serde_json::to_value(self)?;
        match (all.as_object_mut(), patch) {
            (Some(all), serde_json::Value::Object(patch)) => all.extend(patch),
            _ => anyhow::bail!("an object of settings is expected"),
        }
        Ok(serde_json::from_value(all)?)
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
    )+};
}

choices! {
    /// What a refresh does to the refresh token that it used.
    Rotation {
        /// A new one is given and the used one dies.
        Strict,
        /// The same one is given back.
        None,
    }
    /// The body of a successful revoke.
    RevokeBody {
        /// `{}`.
        Object,
        /// Nothing.
        Empty,
    }
    /// PKCE on web redirects.
    WebPkce {
        /// Not needed; hexadecimal when sent.
        Optional,
        /// Needed, as some reports say (tiktok.md, addenda).
        Required,
    }
    /// The meaning of MB in the chunk rules (tiktok.md §4.6 does not say).
    Megabyte {
        /// Refuses only what both readings refuse.
        Either,
        /// 10⁶ bytes.
        Decimal,
        /// 2²⁰ bytes.
        Binary,
        /// Refuses what one of the readings refuses.
        Both,
    }
    /// The number in the upload's `Content-Range: bytes 0-{n}/{total}`.
    ProgressHeader {
        /// Bytes received.
        Count,
        /// Index of the last byte received.
        LastByte,
    }
    /// Whether something happens by itself.
    Pace {
        /// After its delay.
        Auto,
        /// When a control call says so.
        Held,
    }
    /// How an id is written in JSON.
    IdType {
        /// As a number above 2⁵³.
        Number,
        /// As a string.
        String,
    }
    /// How the status spells its post id field.
    PostIdSpelling {
        /// `publicaly_available_post_id`, the real misspelling.
        Publicaly,
        /// `publicly_available_post_id`.
        Publicly,
    }
    /// When a draft stops counting as pending.
    PendingRelease {
        /// When the user posts or discards it, or it fails.
        Post,
        /// When it reaches the inbox.
        Delivery,
        /// Only after 24 hours.
        Never,
    }
}
