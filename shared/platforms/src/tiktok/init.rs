//! The start of a publish (tiktok.md §4.2, §4.3).

use domain::{Fault, FaultKind, Mode, Secret, TokenBundle};
use http::Uri;
use serde::Serialize;
use serde_json::Value;

use super::chunks::Plan;
use super::errors::{self, Place};
use super::{API, wire};
use crate::{Answer, Call, Job, Repeat};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    post_info: Option<PostInfo<'a>>,
    source_info: SourceInfo,
}

#[derive(Serialize)]
struct PostInfo<'a> {
    title: &'a str,
    privacy_level: &'a str,
    disable_duet: bool,
    disable_comment: bool,
    disable_stitch: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    video_cover_timestamp_ms: Option<u32>,
    // The tables list the toggles as required where the examples omit them: both are always sent.
    brand_content_toggle: bool,
    brand_organic_toggle: bool,
    is_aigc: bool,
}

#[derive(Serialize)]
struct SourceInfo {
    source: &'static str,
    video_size: u64,
    chunk_size: u64,
    total_chunk_count: u64,
}

pub(super) fn request(job: &Job<'_>, plan: &Plan, bundle: &TokenBundle) -> Result<Call, Fault> {
    let source_info = SourceInfo {
        source: "FILE_UPLOAD",
        video_size: plan.size,
        chunk_size: plan.chunk_size,
        total_chunk_count: plan.count,
    };
    let (name, path, post_info) = match job.options.mode {
        Mode::Direct => (
            "tiktok.publish.init",
            "/v2/post/publish/video/init/",
            Some(post_info(job)?),
        ),
        Mode::Inbox => (
            "tiktok.publish.inbox_init",
            "/v2/post/publish/inbox/video/init/",
            None,
        ),
    };
    let body = Body {
        post_info,
        source_info,
    };
    wire::json(name, &format!("{API}{path}"), Repeat::Once, bundle, &body)
}

fn post_info<'a>(job: &Job<'a>) -> Result<PostInfo<'a>, Fault> {
    let options = job.options;
    let privacy = options.privacy.as_deref().ok_or_else(|| {
        Fault::new(FaultKind::InvalidRequest)
            .sentence("A direct post needs `options.privacy`: let the creator choose it.")
    })?;
    Ok(PostInfo {
        title: job.text,
        privacy_level: privacy,
        disable_duet: options.disable_duet,
        disable_comment: options.disable_comment,
        disable_stitch: options.disable_stitch,
        video_cover_timestamp_ms: options.cover_at_ms,
        brand_content_toggle: options.branded_content,
        brand_organic_toggle: options.own_brand,
        is_aigc: options.ai_generated,
    })
}

/// What an answer to the start says.
pub(super) enum Begun {
    /// Here the bytes go.
    Yes { publish_id: String, url: Secret },
    /// TikTok refused and nothing has begun.
    Refused(Fault),
    /// A publish may have begun, but there is no way into it.
    Unclear(Fault),
}

pub(super) fn read(plan: &Plan, answer: Answer<'_>) -> Begun {
    let data = match wire::data(answer.response) {
        Ok(data) => data,
        Err(problem) => {
            let fault = errors::fault(Place::Init, &problem, answer.sent_at);
            let parameter = matches!(
                problem.code.as_deref(),
                Some("invalid_param" | "invalid_params")
            );
            return match fault.kind {
                FaultKind::PlatformDown => Begun::Unclear(fault),
                // Refusals of multi-chunk plans were reported without a known cause (addenda), so
                // the fault tells the refused plan.
                _ if parameter && problem.text.to_ascii_lowercase().contains("chunk") => {
                    Begun::Refused(fault.sentence(format!(
                        "TikTok does not accept how the file was to be cut ({} bytes in {} chunks of {}). The operator can set another `chunk_bytes` in the platforms secret.",
                        plan.size, plan.count, plan.chunk_size
                    )))
                }
                _ => Begun::Refused(fault),
            };
        }
    };
    let publish_id = data.get("publish_id").and_then(wire::id);
    let url = data.get("upload_url").and_then(Value::as_str);
    let url = url.filter(|url| url.len() <= 2_048 && url.parse::<Uri>().is_ok());
    match (publish_id, url) {
        (Some(publish_id), Some(url)) => Begun::Yes {
            publish_id,
            url: Secret::new(url),
        },
        _ => Begun::Unclear(Fault::new(FaultKind::PlatformDown)),
    }
}
