//! The start of a publish of photos, which TikTok always fetches by itself (tiktok.md §4.4).

use domain::{Fault, FaultKind, Mode, TokenBundle};
use serde::Serialize;

use super::creator::Disabled;
use super::{API, init, wire};
use crate::{Call, Job, Repeat};

#[derive(Serialize)]
struct Body<'a> {
    media_type: &'static str,
    post_mode: &'static str,
    post_info: PostInfo<'a>,
    source_info: SourceInfo<'a>,
}

#[derive(Serialize)]
struct PostInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(flatten)]
    direct: Option<Direct<'a>>,
    // The table lists both as required, of either mode.
    brand_content_toggle: bool,
    brand_organic_toggle: bool,
}

/// What the creator of a draft sets in the TikTok app.
#[derive(Serialize)]
struct Direct<'a> {
    privacy_level: &'a str,
    disable_comment: bool,
    auto_add_music: bool,
}

#[derive(Serialize)]
struct SourceInfo<'a> {
    source: &'static str,
    photo_images: Vec<&'a str>,
    photo_cover_index: u32,
}

pub(super) fn request(
    job: &Job<'_>,
    disabled: Option<Disabled>,
    bundle: &TokenBundle,
) -> Result<Call, Fault> {
    let options = job.options;
    let (post_mode, direct) = match options.mode {
        Mode::Direct => {
            let disabled = disabled.ok_or(Fault::new(FaultKind::OurBug))?;
            let direct = Direct {
                privacy_level: init::privacy(job)?,
                disable_comment: disabled.comment,
                auto_add_music: options.add_music,
            };
            ("DIRECT_POST", Some(direct))
        }
        Mode::Inbox => ("MEDIA_UPLOAD", None),
    };
    let body = Body {
        media_type: "PHOTO",
        post_mode,
        post_info: PostInfo {
            title: options.title.as_deref(),
            description: job.text,
            direct,
            brand_content_toggle: options.branded_content,
            brand_organic_toggle: options.own_brand,
        },
        source_info: SourceInfo {
            source: "PULL_FROM_URL",
            photo_images: init::addresses(job)?,
            photo_cover_index: options.cover_index.unwrap_or(0),
        },
    };
    wire::json(
        "tiktok.publish.photo_init",
        &format!("{API}/v2/post/publish/content/init/"),
        Repeat::Once,
        bundle,
        &body,
    )
}
