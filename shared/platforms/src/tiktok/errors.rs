//! The one table from what TikTok answers to our faults.

use domain::{Fault, FaultKind, Timestamp};
use http::StatusCode;

use FaultKind as K;

/// Which conversation an answer belongs to: the same code means different things in different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The browser's way back from the consent page.
    Consent,
    /// The code's exchange.
    Exchange,
    /// The refresh of a token.
    Refresh,
    /// The revocation.
    Revoke,
    /// User info.
    Identify,
    /// What a creator may choose, asked before a direct start.
    Creator,
    /// Counts and videos.
    Statistics,
    /// The start of a publish.
    Init,
    /// A chunk sent to the upload address, which answers by status alone.
    Upload,
    /// The status of a publish.
    Status,
    /// The wish to take a publish back.
    Cancel,
    /// The `fail_reason` of a publish, from its status or by webhook.
    Outcome,
}

/// What an answer complains of.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// TikTok's code, if it gave one.
    pub(super) code: Option<String>,
    /// TikTok's own words: only ever searched for hints, never kept or shown.
    pub(super) text: String,
    /// Whether the body was no JSON object at all.
    pub(super) unreadable: bool,
}

impl Problem {
    /// An answer whose body says nothing.
    pub(super) fn unreadable(status: StatusCode) -> Self {
        Self {
            status,
            code: None,
            text: String::new(),
            unreadable: true,
        }
    }
}

struct Row {
    at: &'static [Place],
    /// 0: any.
    status: u16,
    /// Empty: any, and none.
    code: &'static str,
    kind: FaultKind,
    /// After how many minutes it is over; 0 where time does not mend it, or the kind says how.
    minutes: i64,
    /// Empty: the kind's own.
    sentence: &'static str,
}

const LOGIN: &[Place] = &[Place::Consent, Place::Exchange];
const OAUTH: &[Place] = &[
    Place::Consent,
    Place::Exchange,
    Place::Refresh,
    Place::Revoke,
];
const RENEW: &[Place] = &[Place::Refresh, Place::Revoke];
const API: &[Place] = &[
    Place::Identify,
    Place::Statistics,
    Place::Creator,
    Place::Init,
    Place::Status,
    Place::Cancel,
];
const INIT: &[Place] = &[Place::Init];
const UPLOAD: &[Place] = &[Place::Upload];
const ENDING: &[Place] = &[Place::Init, Place::Status, Place::Cancel, Place::Outcome];
const POSTING: &[Place] = &[
    Place::Creator,
    Place::Init,
    Place::Status,
    Place::Cancel,
    Place::Outcome,
];
const VERDICT: &[Place] = &[Place::Creator, Place::Init, Place::Outcome];
const BY_ID: &[Place] = &[Place::Status, Place::Cancel];
const OUTCOME: &[Place] = &[Place::Outcome];

const fn row(
    at: &'static [Place],
    code: &'static str,
    kind: FaultKind,
    sentence: &'static str,
) -> Row {
    Row {
        at,
        status: 0,
        code,
        kind,
        minutes: 0,
        sentence,
    }
}

const fn daily(
    at: &'static [Place],
    code: &'static str,
    kind: FaultKind,
    sentence: &'static str,
) -> Row {
    Row {
        minutes: 24 * 60,
        ..row(at, code, kind, sentence)
    }
}

const fn soon(
    at: &'static [Place],
    code: &'static str,
    kind: FaultKind,
    sentence: &'static str,
) -> Row {
    Row {
        minutes: 10,
        ..row(at, code, kind, sentence)
    }
}

const fn by_status(
    at: &'static [Place],
    status: u16,
    kind: FaultKind,
    sentence: &'static str,
) -> Row {
    Row {
        status,
        ..row(at, "", kind, sentence)
    }
}

const APP_CREDENTIALS: &str = "TikTok does not accept the app's credentials. The operator must check `client_key` and `client_secret` in the platforms secret.";
const APP_REDIRECT: &str = "TikTok does not know this redirect URI. The operator must register it in TikTok's developer portal, or correct `redirect_uri` in the platforms secret.";
const APP_PKCE: &str = "TikTok did not accept the login's code challenge. The operator must change the setting `pkce` (`none` or `hex`) in the platforms secret.";
const PARAMETERS: &str = "TikTok does not accept the post's settings or the way its file was to be cut. Check the options; the operator can change `chunk_bytes`.";

/// Said of a public account before a start as well: it would be refused.
pub(super) const PUBLIC_ACCOUNT: &str = "TikTok has not audited this app, so it can post to private accounts only. The operator must pass TikTok's audit; until then the creator can set the account to private.";

/// The first row that fits counts.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // OAuth: tiktok.md §1.7.
    row(LOGIN, "access_denied", K::ReauthNeeded, "The creator did not allow the connection. Start connecting again to allow it."),
    row(RENEW, "access_denied", K::ReauthNeeded, ""),
    row(OAUTH, "invalid_client", K::AppRefused, APP_CREDENTIALS),
    row(OAUTH, "unauthorized_client", K::AppRefused, "TikTok does not allow this app to log creators in. The operator must check the app's products and its review in TikTok's developer portal."),
    row(LOGIN, "invalid_grant", K::ReauthNeeded, "The login took too long or was used twice. Start connecting again."),
    row(RENEW, "invalid_grant", K::ReauthNeeded, ""),
    row(OAUTH, "invalid_request", K::OurBug, "TikTok does not accept the login request. The operator must check `redirect_uri`, `client_key` and `pkce` in the platforms secret."),
    row(OAUTH, "invalid_scope", K::AppRefused, "TikTok does not let this app ask for one of its scopes. The operator must add the scope to the app in TikTok's developer portal, or set `scopes` in the platforms secret."),
    row(OAUTH, "unsupported_grant_type", K::OurBug, ""),
    row(OAUTH, "unsupported_response_type", K::OurBug, ""),
    row(OAUTH, "server_error", K::PlatformDown, ""),
    row(OAUTH, "temporarily_unavailable", K::PlatformDown, ""),
    // Every API: §2.
    row(API, "access_token_invalid", K::TokenRejected, ""),
    row(API, "scope_not_authorized", K::ScopeMissing, ""),
    row(API, "scope_permission_missed", K::ScopeMissing, ""),
    row(INIT, "invalid_params", K::InvalidRequest, PARAMETERS),
    row(INIT, "invalid_param", K::InvalidRequest, PARAMETERS),
    row(API, "invalid_params", K::OurBug, ""),
    row(API, "invalid_param", K::OurBug, ""),
    row(API, "invalid_file_upload", K::MediaRejected, "TikTok does not accept this file. Post an MP4, MOV or WebM video of at most 4 GB."),
    row(API, "rate_limit_exceeded", K::RateLimited, ""),
    row(API, "internal_error", K::PlatformDown, ""),
    // Starting a publish: §4.5. Caps may come as a `fail_reason` as well: §4.9.
    row(INIT, "app_version_check_failed", K::AccountRestricted, "The creator's TikTok app is too old for this. The creator must update it to version 31.8 or newer."),
    // A refused start is made again by itself once the day is over. A publish that TikTok took and then
    // failed is not: its end was told, so beginning another one is the product's choice.
    daily(OUTCOME, "spam_risk_too_many_posts", K::QuotaUsed, "TikTok's daily number of posts by apps is used up for this account. Post it again after 24 hours."),
    daily(POSTING, "spam_risk_too_many_posts", K::QuotaUsed, "TikTok's daily number of posts by apps is used up for this account. Try again after 24 hours."),
    row(POSTING, "spam_risk_user_banned_from_posting", K::AccountRestricted, "TikTok does not let this account post at present. The creator must settle it in the TikTok app."),
    // Over whenever one of them is posted or discarded, which is not always told: asked again soon.
    soon(ENDING, "spam_risk_too_many_pending_share", K::QuotaUsed, "Five drafts of the last 24 hours wait in the creator's TikTok inbox. The creator must post or discard some of them."),
    daily(POSTING, "reached_active_user_cap", K::QuotaUsed, "The app's daily number of posting creators on TikTok is used up. Try again after 24 hours."),
    row(ENDING, "unaudited_client_can_only_post_to_private_accounts", K::AppNotApproved, PUBLIC_ACCOUNT),
    row(ENDING, "url_ownership_unverified", K::AppRefused, "TikTok does not know that the file's address belongs to the app. The operator must verify its domain in TikTok's developer portal, or its URL prefix ending with a slash, for the production configuration, and set the parameter `MediaBaseUrl` to it."),
    row(ENDING, "privacy_level_option_mismatch", K::InvalidRequest, "This account cannot post with the chosen privacy. Ask the creator to choose another one."),
    // The upload address: §4.6.
    by_status(UPLOAD, 400, K::OurBug, "TikTok did not accept a piece of the file. It has been recorded."),
    by_status(UPLOAD, 401, K::PlatformDown, "TikTok's upload address was no longer valid, again and again. It was given up: post it again later."),
    by_status(UPLOAD, 403, K::PlatformDown, "TikTok's upload address was no longer valid, again and again. It was given up: post it again later."),
    by_status(UPLOAD, 404, K::PlatformDown, "TikTok no longer knew the upload, again and again. It was given up: post it again later."),
    by_status(UPLOAD, 416, K::PlatformDown, "TikTok and we did not agree on how much of the file has arrived, again and again. It was given up: post it again later."),
    // Calls by publish id: §4.8, §4.9.
    row(BY_ID, "invalid_publish_id", K::NotFound, "TikTok no longer knows this publish."),
    row(BY_ID, "token_not_authorized_for_specified_publish_id", K::NotFound, "TikTok does not show this publish to the connected account."),
    row(BY_ID, "publish_not_cancellable", K::InvalidRequest, "TikTok cannot cancel this publish any more."),
    // `fail_reason`: §4.9.
    row(OUTCOME, "file_format_check_failed", K::MediaRejected, "TikTok does not accept the file's format. Post an MP4, MOV or WebM video (H.264, H.265, VP8 or VP9)."),
    row(OUTCOME, "duration_check_failed", K::MediaRejected, "The video is too long or too short for TikTok and this account. Post one of at most 10 minutes."),
    row(OUTCOME, "frame_rate_check_failed", K::MediaRejected, "TikTok does not accept the video's frame rate. Post one of 23 to 60 frames a second."),
    row(OUTCOME, "picture_size_check_failed", K::MediaRejected, "TikTok does not accept the picture's size. Both sides must have 360 to 4096 pixels."),
    row(OUTCOME, "internal", K::PlatformDown, "TikTok could not process the post. Post it again later."),
    row(OUTCOME, "video_pull_failed", K::InvalidRequest, "TikTok could not fetch the video, twice. The operator must check that its address answers from the internet over https without a redirect for as long as the download lasts; then post it again, or post it with `transfer` set to `upload`."),
    row(OUTCOME, "photo_pull_failed", K::InvalidRequest, "TikTok could not fetch a photo, twice. The operator must check that its address answers from the internet over https without a redirect; then post it again."),
    row(OUTCOME, "publish_cancelled", K::InvalidRequest, "The publish was cancelled. Post it again if that was not meant."),
    row(OUTCOME, "auth_removed", K::ReauthNeeded, "The creator removed the app while TikTok processed the post. Connect the account again."),
    row(VERDICT, "spam_risk_text", K::ContentRejected, "TikTok takes the caption for spam. Change it before posting again."),
    row(VERDICT, "spam_risk", K::ContentRejected, "TikTok takes the post for spam. Change it before posting again."),
];

/// The fault for an answer that came at `at`.
pub(super) fn fault(place: Place, problem: &Problem, at: Timestamp) -> Fault {
    let code = problem.code.as_deref().unwrap_or_default();
    let status = problem.status.as_u16();
    let fits = |row: &&Row| {
        row.at.contains(&place)
            && (row.status == 0 || row.status == status)
            && (row.code.is_empty() || row.code == code)
    };
    // A server in trouble does not know what it says: no grant is dead by a 5xx (§1.7: retry).
    let in_trouble = RENEW.contains(&place) && status >= 500;
    let row = TABLE.iter().find(fits).filter(|_| !in_trouble);
    let mut fault = match (hint(place, problem), row) {
        (Some(sentence), _) => Fault::new(K::AppRefused).sentence(sentence),
        (None, Some(row)) => {
            let fault = Fault::new(row.kind);
            let fault = match row.sentence {
                "" => fault,
                sentence => fault.sentence(sentence),
            };
            match row.minutes {
                0 => fault,
                minutes => fault.until(at.plus_secs(minutes * 60)),
            }
        }
        (None, None) => Fault::new(by_class(place, problem)),
    };
    if place != Place::Upload && !code.is_empty() {
        fault = fault.code(kept(code));
    }
    fault
}

/// The fault for a publish that TikTok says has failed.
pub(super) fn outcome(reason: Option<&str>, at: Timestamp) -> Fault {
    let problem = Problem {
        status: StatusCode::OK,
        code: reason.map(str::to_owned),
        text: String::new(),
        unreadable: false,
    };
    let fault = fault(Place::Outcome, &problem, at);
    match fault.kind {
        K::OurBug => {
            fault.sentence("TikTok did not publish the post and gave a reason that is not known.")
        }
        _ => fault,
    }
}

/// Codes that no row knows are told by the status alone.
fn by_class(place: Place, problem: &Problem) -> FaultKind {
    let token_endpoint = matches!(place, Place::Exchange | Place::Refresh | Place::Revoke);
    let silent = problem.code.is_none();
    match problem.status.as_u16() {
        429 => K::RateLimited,
        408 | 425 | 500.. => K::PlatformDown,
        200..=299 if silent && problem.unreadable => K::PlatformDown,
        // A bare refusal at the token endpoint concerns the app and never one connection:
        // oauth-hardening.md §3.5 (11).
        401..=403 if silent && token_endpoint => K::AppRefused,
        401 if silent => K::TokenRejected,
        _ if VERDICT.contains(&place) => match problem.code.as_deref() {
            Some(code) if code.starts_with("spam_risk_user") => K::AccountRestricted,
            Some(code) if code.starts_with("spam_risk") => K::ContentRejected,
            _ => K::OurBug,
        },
        _ => K::OurBug,
    }
}

/// During a login, TikTok's words tell which of the operator's settings is wrong; its code
/// (`invalid_request`, mostly) does not. See the addenda of tiktok.md on PKCE.
fn hint(place: Place, problem: &Problem) -> Option<&'static str> {
    let code = problem.code.as_deref().unwrap_or_default();
    let passing = ["server_error", "temporarily_unavailable", "access_denied"];
    if !LOGIN.contains(&place) || passing.contains(&code) {
        return None;
    }
    let words = format!("{code} {}", problem.text).to_ascii_lowercase();
    let has = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    let redirect = has(&["redirect_uri", "redirect uri", "redirecturi"]);
    if code == "invalid_grant" {
        // OAuth's usual sentence for it names everything that may be wrong with a grant (RFC 6749
        // §5.2): only one that speaks of the redirect URI alone is about the operator's setting.
        return (redirect && !speaks_of_the_code(&problem.text)).then_some(APP_REDIRECT);
    }
    if has(&[
        "code_challenge",
        "code challenge",
        "code_verifier",
        "code verifier",
        "pkce",
    ]) {
        Some(APP_PKCE)
    } else if redirect {
        Some(APP_REDIRECT)
    } else if has(&["client_key", "client key", "client_secret", "client secret"]) {
        Some(APP_CREDENTIALS)
    } else {
        None
    }
}

/// Whether a text about a grant blames its code. "When requesting code" only says which request.
fn speaks_of_the_code(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let text = text
        .replace("requesting the code", "")
        .replace("requesting code", "");
    let words = ["code", "codes", "expired", "expires", "revoked", "verifier"];
    text.split(|sign: char| !sign.is_ascii_alphanumeric())
        .any(|word| words.contains(&word))
}

/// Codes go into tables, metrics and answers: one that does not look like a code is not repeated.
fn kept(code: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if code.len() <= 64 && code.bytes().all(plain) {
        code.to_owned()
    } else {
        "unreadable_code".to_owned()
    }
}
