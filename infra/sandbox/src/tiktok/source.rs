//! What `source_info` may say (tiktok.md §4.2, §4.4, §4.7).

use aws_lc_rs::digest;
use serde_json::Value;
use url::{Host, Url};

use super::errors::{Refusal, refuse};
use super::plan::Plan;
use super::probe::Probe;
use super::publish::{Pulled, Source, Upload};
use super::settings::Settings;

/// A source whose form is right.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// `FILE_UPLOAD`.
    File(Plan),
    /// `PULL_FROM_URL`.
    Pull(Vec<String>),
}

/// Most photos of one post.
const PHOTOS: usize = 35;

impl Asked {
    /// Reads the source of a video.
    pub(crate) fn video(body: &Value, settings: &Settings) -> Result<Self, Refusal> {
        let param = |text: &str| refuse(&settings.posting_param_error, text);
        let info = info(body, settings)?;
        match info.get("source").and_then(Value::as_str) {
            Some("FILE_UPLOAD") => {
                let number = |key: &str| {
                    let value = info.get(key).and_then(Value::as_u64);
                    value.ok_or_else(|| param(&format!("{key} is not a positive number")))
                };
                let plan = Plan {
                    video_size: number("video_size")?,
                    chunk_size: number("chunk_size")?,
                    total_chunk_count: number("total_chunk_count")?,
                };
                plan.check(settings.megabyte).map(Self::File).map_err(param)
            }
            Some("PULL_FROM_URL") => {
                let url = url(info.get("video_url"), "video_url", settings)?;
                Ok(Self::Pull(vec![url]))
            }
            _ => Err(param("source is FILE_UPLOAD or PULL_FROM_URL")),
        }
    }

    /// Reads the source of photos, which can only be pulled.
    pub(crate) fn photos(body: &Value, settings: &Settings) -> Result<Self, Refusal> {
        let param = |text: &str| refuse(&settings.posting_param_error, text);
        let info = info(body, settings)?;
        if info.get("source").and_then(Value::as_str) != Some("PULL_FROM_URL") {
            return Err(param("source of photos is PULL_FROM_URL"));
        }
        let images = info.get("photo_images").and_then(Value::as_array);
        let images = images.ok_or_else(|| param("photo_images is not a list"))?;
        if !(1..=PHOTOS).contains(&images.len()) {
            return Err(param("photo_images is a list of 1 to 35 URLs"));
        }
        let cover = info.get("photo_cover_index").and_then(Value::as_u64);
        if cover.is_none_or(|at| at >= images.len() as u64) {
            return Err(param(
                "photo_cover_index is not the index of one of the photos",
            ));
        }
        let urls = images
            .iter()
            .map(|image| url(Some(image), "photo_images", settings));
        Ok(Self::Pull(urls.collect::<Result<_, _>>()?))
    }

    /// The URLs to be pulled.
    pub(crate) fn urls(&self) -> &[String] {
        match self {
            Self::File(_) => &[],
            Self::Pull(urls) => urls,
        }
    }

    /// Begins the source. `number` makes the upload's id.
    pub(crate) fn begin(self, settings: &Settings, number: u64, now: i64) -> Source {
        match self {
            Self::Pull(urls) => {
                let file = |url| Pulled {
                    url,
                    ..Pulled::default()
                };
                Source::Pull(urls.into_iter().map(file).collect())
            }
            Self::File(plan) => Source::File(Box::new(Upload {
                upload_id: (7_100_000_000_000_000_000 + number).to_string(),
                upload_token: super::text::random(48),
                expires_ms: now + settings.upload_url_seconds * 1000,
                plan,
                received: 0,
                hash: digest::Context::new(&digest::SHA256),
                probe: Probe::default(),
                chunks: Vec::new(),
                kept: (plan.video_size <= settings.keep_bytes_max).then(Vec::new),
            })),
        }
    }
}

fn info<'a>(body: &'a Value, settings: &Settings) -> Result<&'a Value, Refusal> {
    body.get("source_info")
        .filter(|info| info.is_object())
        .ok_or_else(|| refuse(&settings.posting_param_error, "source_info is missing"))
}

/// An https URL on a named host.
fn url(value: Option<&Value>, key: &str, settings: &Settings) -> Result<String, Refusal> {
    let param = |text: &str| refuse(&settings.posting_param_error, format!("{key} {text}"));
    let text = value
        .and_then(Value::as_str)
        .ok_or_else(|| param("is missing"))?;
    let url = Url::parse(text).map_err(|_| param("is no URL"))?;
    if text.contains(char::is_whitespace)
        || url.scheme() != "https"
        || !matches!(url.host(), Some(Host::Domain(_)))
    {
        return Err(param("is not https on a named host"));
    }
    Ok(text.to_owned())
}
