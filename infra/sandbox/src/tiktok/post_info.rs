//! What `post_info` may say (tiktok.md §4.2, §4.4): types and lengths, before anybody's rights.

use serde_json::Value;

use super::choices::Toggles;
use super::errors::{Refusal, refuse};
use super::settings::Settings;

/// A form of post, with its own fields and lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A direct video.
    Video,
    /// Direct photos.
    Photo,
    /// Photos sent as a draft.
    PhotoDraft,
}

/// Text fields with their length in UTF-16 code units.
const VIDEO_TEXTS: [(&str, usize); 1] = [("title", 2200)];
const PHOTO_TEXTS: [(&str, usize); 2] = [("title", 90), ("description", 4000)];

const VIDEO_SWITCHES: [&str; 6] = [
    "disable_duet",
    "disable_stitch",
    "disable_comment",
    "brand_content_toggle",
    "brand_organic_toggle",
    "is_aigc",
];
const PHOTO_SWITCHES: [&str; 4] = [
    "disable_comment",
    "auto_add_music",
    "brand_content_toggle",
    "brand_organic_toggle",
];

/// Checks `post_info` and gives it back; null where a draft has none.
pub(crate) fn check(body: &Value, form: Form, settings: &Settings) -> Result<Value, Refusal> {
    let param = |text: String| Err(refuse(&settings.posting_param_error, text));
    let info = match body.get("post_info") {
        Some(info) if info.is_object() => info,
        None | Some(Value::Null) if form == Form::PhotoDraft => return Ok(Value::Null),
        _ => return param("post_info is missing".to_owned()),
    };
    let (texts, switches): (&[(&str, usize)], &[&str]) = match form {
        Form::Video => (&VIDEO_TEXTS, &VIDEO_SWITCHES),
        Form::Photo | Form::PhotoDraft => (&PHOTO_TEXTS, &PHOTO_SWITCHES),
    };
    for (key, longest) in texts {
        let fits = match info.get(key) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.encode_utf16().count() <= *longest,
            Some(_) => false,
        };
        if !fits {
            return param(format!(
                "The {key} is not text of at most {longest} UTF-16 code units"
            ));
        }
    }
    for key in switches {
        if !matches!(info.get(key), None | Some(Value::Null | Value::Bool(_))) {
            return param(format!("{key} is not a boolean"));
        }
    }
    // A wrong cover time means the first frame; only another type is an error.
    if !matches!(
        info.get("video_cover_timestamp_ms"),
        None | Some(Value::Null | Value::Number(_))
    ) {
        return param("video_cover_timestamp_ms is not a number".to_owned());
    }
    if !matches!(
        info.get("privacy_level"),
        None | Some(Value::Null | Value::String(_))
    ) {
        return param("privacy_level is not text".to_owned());
    }
    let required: &[&str] = match form {
        _ if settings.brand_toggles == Toggles::Optional => &[],
        Form::Video => &["brand_content_toggle"],
        Form::Photo => &["brand_content_toggle", "brand_organic_toggle"],
        Form::PhotoDraft => &[],
    };
    if let Some(key) = required.iter().find(|key| !info[**key].is_boolean()) {
        return param(format!("{key} is missing"));
    }
    Ok(info.clone())
}
