//! TikTok's error codes, their HTTP statuses and their three body shapes.

use axum::http::StatusCode;
use serde_json::json;

use super::call::{Answer, Endpoint};

/// How an endpoint writes an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"error","error_description","log_id"}` (tiktok.md §1.7).
    OAuth,
    /// `{"data","error":{"code","message","log_id"}}` (tiktok.md §2).
    Envelope,
    /// A page for a person.
    Page,
    /// The status alone counts (tiktok.md §4.6).
    Plain,
}

/// A refusal: the code and a sentence.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// A refusal with this code and sentence.
pub(crate) fn refuse(code: &str, message: impl Into<String>) -> Refusal {
    Refusal {
        code: code.to_owned(),
        message: message.into(),
    }
}

impl Refusal {
    /// Writes the refusal as the endpoint does, with the code's own status unless another is given.
    pub(crate) fn answer(&self, endpoint: Endpoint, status: Option<StatusCode>) -> Answer {
        let shape = endpoint.shape();
        let status = status
            .or_else(|| status_of(&self.code, endpoint))
            .unwrap_or(StatusCode::BAD_REQUEST);
        let answer = match shape {
            Shape::OAuth => Answer::json(
                status,
                &json!({"error": self.code, "error_description": self.message, "log_id": log_id()}),
            ),
            Shape::Envelope => Answer::json(
                status,
                &json!({"data": {}, "error":
                    {"code": self.code, "message": self.message, "log_id": log_id()}}),
            ),
            Shape::Page => super::consent::error_page(status, &self.code, &self.message),
            Shape::Plain => Answer::text(status, &self.message),
        };
        answer.with_error(&self.code)
    }
}

/// The success envelope around `data`.
pub(crate) fn ok(data: &serde_json::Value) -> Answer {
    Answer::json(
        StatusCode::OK,
        &json!({"data": data, "error": {"code": "ok", "message": "", "log_id": log_id()}}),
    )
}

/// The status that goes with a code at an endpoint; `None` for a code that TikTok does not have.
pub(crate) fn status_of(code: &str, endpoint: Endpoint) -> Option<StatusCode> {
    // Refusals of creator_info come with 200 on purpose (tiktok.md §4.1).
    let refused = if endpoint == Endpoint::CreatorInfo {
        200
    } else {
        403
    };
    let status = match code {
        "access_denied"
        | "invalid_grant"
        | "invalid_request"
        | "invalid_scope"
        | "unauthorized_client"
        | "unsupported_grant_type"
        | "unsupported_response_type" => 400,
        "invalid_client" => 401,
        "server_error" => 500,
        "temporarily_unavailable" => 503,
        "access_token_invalid" | "scope_not_authorized" => 401,
        "scope_permission_missed"
        | "invalid_params"
        | "invalid_param"
        | "invalid_file_upload"
        | "app_version_check_failed"
        | "invalid_publish_id"
        | "token_not_authorized_for_specified_publish_id"
        | "publish_not_cancellable" => 400,
        "rate_limit_exceeded" => 429,
        "internal_error" => 500,
        "spam_risk_too_many_posts"
        | "spam_risk_user_banned_from_posting"
        | "reached_active_user_cap" => refused,
        "spam_risk_too_many_pending_share"
        | "unaudited_client_can_only_post_to_private_accounts"
        | "url_ownership_unverified"
        | "privacy_level_option_mismatch" => 403,
        // The upload's own refusals have no names in the papers; these are the stand-in's.
        "upload_bad_request" => 400,
        "upload_url_expired" => 403,
        "upload_not_found" => 404,
        "upload_range_mismatch" => 416,
        _ => return None,
    };
    StatusCode::from_u16(status).ok()
}

/// 34 digits, as in the documented examples.
fn log_id() -> String {
    super::text::digits(34)
}
