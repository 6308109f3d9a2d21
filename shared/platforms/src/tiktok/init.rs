//! The start of a publish (tiktok.md §4.2, §4.3, §4.4).

use domain::{Fault, FaultKind, Mode, Secret, TokenBundle};
use http::Uri;
use serde::Serialize;
use serde_json::Value;

use super::creator::{Disabled, Known};
use super::errors::{self, Place};
use super::state::Source;
use super::{API, limits, photo, wire};
use crate::{Answer, Call, Job, Limit, Repeat};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    post_info: Option<PostInfo<'a>>,
    source_info: SourceInfo<'a>,
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
#[serde(tag = "source")]
enum SourceInfo<'a> {
    #[serde(rename = "FILE_UPLOAD")]
    Upload {
        video_size: u64,
        chunk_size: u64,
        total_chunk_count: u64,
    },
    #[serde(rename = "PULL_FROM_URL")]
    Pull { video_url: &'a str },
}

/// The start; `known` is what was learnt of the creator, which a direct one cannot do without.
pub(super) fn request(
    job: &Job<'_>,
    source: &Source,
    known: Option<&Known>,
    bundle: &TokenBundle,
) -> Result<Call, Fault> {
    let disabled = known.map(|known| known.disabled(job.options));
    let limits = match job.options.mode {
        Mode::Direct => limits::direct(job.app),
        Mode::Inbox => vec![limits::START, limits::PENDING],
    };
    let call = match job.media {
        [file] if file.kind.is_video() => video(job, source, disabled, bundle)?,
        _ => photo::request(job, disabled, bundle)?,
    };
    Ok(call.within(limits))
}

/// The limit of drafts that wait in the inbox, where a post becomes one.
pub(super) fn open_limit(mode: Mode) -> Option<Limit> {
    match mode {
        Mode::Direct => None,
        Mode::Inbox => Some(limits::PENDING),
    }
}

fn video(
    job: &Job<'_>,
    source: &Source,
    disabled: Option<Disabled>,
    bundle: &TokenBundle,
) -> Result<Call, Fault> {
    let source_info = match source {
        Source::Upload(plan) => SourceInfo::Upload {
            video_size: plan.size,
            chunk_size: plan.chunk_size,
            total_chunk_count: plan.count,
        },
        Source::Pull(_) => SourceInfo::Pull {
            video_url: addresses(job)?.first().copied().unwrap_or_default(),
        },
    };
    let (name, path, post_info) = match job.options.mode {
        Mode::Direct => (
            "tiktok.publish.init",
            "/v2/post/publish/video/init/",
            Some(post_info(job, disabled)?),
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

fn post_info<'a>(job: &Job<'a>, disabled: Option<Disabled>) -> Result<PostInfo<'a>, Fault> {
    let disabled = disabled.ok_or(Fault::new(FaultKind::OurBug))?;
    let options = job.options;
    Ok(PostInfo {
        title: job.text,
        privacy_level: privacy(job)?,
        disable_duet: disabled.duet,
        disable_comment: disabled.comment,
        disable_stitch: disabled.stitch,
        video_cover_timestamp_ms: options.cover_at_ms,
        brand_content_toggle: options.branded_content,
        brand_organic_toggle: options.own_brand,
        is_aigc: options.ai_generated,
    })
}

/// Never one of our own choice.
pub(super) fn privacy<'a>(job: &Job<'a>) -> Result<&'a str, Fault> {
    job.options.privacy.as_deref().ok_or_else(|| {
        Fault::new(FaultKind::InvalidRequest)
            .sentence("A direct post needs `options.privacy`: let the creator choose it.")
    })
}

/// Where TikTok fetches the files: as they are now, since earlier addresses may have died.
pub(super) fn addresses<'a>(job: &Job<'a>) -> Result<Vec<&'a str>, Fault> {
    let address = |file: &'a crate::MediaInfo| file.address.as_ref().map(Secret::expose);
    let addresses: Option<Vec<_>> = job.media.iter().map(address).collect();
    addresses
        .ok_or_else(|| Fault::new(FaultKind::AppRefused).sentence(super::check::NO_MEDIA_ADDRESS))
}

/// What an answer to the start says.
pub(super) enum Begun {
    /// A publish has begun; the address is where the bytes of an upload go.
    Yes {
        publish_id: String,
        url: Option<Secret>,
    },
    /// TikTok refused and nothing has begun.
    Refused(Fault),
    /// A publish may have begun, but there is no way into it.
    Unclear(Fault),
}

pub(super) fn read(source: &Source, answer: Answer<'_>) -> Begun {
    let data = match wire::data(answer.response) {
        Ok(data) => data,
        Err(problem) => {
            let fault = errors::fault(Place::Init, &problem, answer.sent_at);
            let parameter = matches!(
                problem.code.as_deref(),
                Some("invalid_param" | "invalid_params")
            );
            return match (fault.kind, source) {
                (FaultKind::PlatformDown, _) => Begun::Unclear(fault),
                (_, Source::Pull(_)) if parameter => Begun::Refused(fault.sentence(
                    "TikTok does not accept the post's settings or the addresses of its files. Check the options.",
                )),
                // Refusals of multi-chunk plans were reported without a known cause (addenda), so
                // the fault tells the refused plan.
                (_, Source::Upload(plan))
                    if parameter && problem.text.to_ascii_lowercase().contains("chunk") =>
                {
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
    match (publish_id, url, source) {
        (Some(publish_id), Some(url), Source::Upload(_)) => Begun::Yes {
            publish_id,
            url: Some(Secret::new(url)),
        },
        (Some(publish_id), _, Source::Pull(_)) => Begun::Yes {
            publish_id,
            url: None,
        },
        _ => Begun::Unclear(Fault::new(FaultKind::PlatformDown)),
    }
}
