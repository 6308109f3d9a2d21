//! The videos that exist, and how the Display API writes them (tiktok.md §3.4).

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::people::User;
use super::publish::{Publish, Source};
use super::state::State;
use super::text::{html, signed_image};

/// Life of a cover's address.
const COVER_SECONDS: i64 = 6 * 3_600;
/// Longest title and description, in characters.
const TITLE: usize = 150;

/// One video or photo post of one person.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Video {
    /// Digits; made up when empty.
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) user: String,
    /// Seconds; now when 0.
    pub(crate) create_time: i64,
    pub(crate) title: String,
    pub(crate) video_description: String,
    pub(crate) duration: i64,
    pub(crate) height: i64,
    pub(crate) width: i64,
    /// Made up when empty, as the four addresses below.
    pub(crate) cover_image_url: String,
    pub(crate) share_url: String,
    pub(crate) embed_html: String,
    pub(crate) embed_link: String,
    pub(crate) like_count: i32,
    pub(crate) comment_count: i32,
    pub(crate) share_count: i32,
    pub(crate) view_count: i64,
    /// Not public: seen by no call of the Display API.
    pub(crate) hidden: bool,
    /// A photo post.
    pub(crate) photo: bool,
    /// When it was made; no two of one person are equal, so that a cursor parts them.
    #[serde(skip)]
    pub(crate) created_ms: i64,
}

impl Video {
    /// One field as the API writes it; `None` for no field.
    pub(crate) fn field(&self, field: &str, now_ms: i64) -> Option<Value> {
        let (id, user) = (&self.id, &self.user);
        let or = |text: &String, made: String| if text.is_empty() { made } else { text.clone() };
        let player = format!("https://www.tiktok.com/player/v1/{id}");
        Some(match field {
            "id" => json!(id),
            "create_time" => json!(self.created_ms / 1000),
            "cover_image_url" => json!(or(
                &self.cover_image_url,
                signed_image(&format!("cover/{id}"), now_ms, COVER_SECONDS)
            )),
            "share_url" => json!(or(
                &self.share_url,
                format!("https://www.tiktok.com/@{user}/video/{id}?utm_campaign=tt4d_open_api")
            )),
            "video_description" => json!(cut(&self.video_description)),
            "duration" => json!(self.duration),
            "height" => json!(self.height),
            "width" => json!(self.width),
            "title" => json!(cut(&self.title)),
            "embed_html" => json!(or(
                &self.embed_html,
                format!(
                    r#"<blockquote class="tiktok-embed" data-video-id="{id}">{}</blockquote>"#,
                    html(&self.title)
                )
            )),
            "embed_link" => json!(or(&self.embed_link, player)),
            "like_count" => json!(self.like_count),
            "comment_count" => json!(self.comment_count),
            "share_count" => json!(self.share_count),
            "view_count" => json!(self.view_count),
            _ => return None,
        })
    }
}

impl State {
    /// Keeps a new video; its id.
    pub(crate) fn add_video(&mut self, mut video: Video, now_ms: i64) -> anyhow::Result<u64> {
        ensure!(self.users.contains_key(&video.user), "no such user");
        let number = if video.id.is_empty() {
            7_600_000_000_000_000_000 + self.next()
        } else {
            let digits = video.id.bytes().all(|byte| byte.is_ascii_digit());
            ensure!(digits, "an id is digits");
            video.id.parse().context("an id is below 2^64")?
        };
        ensure!(!self.videos.contains_key(&number), "the id is taken");
        video.id = number.to_string();
        video.created_ms = match video.create_time {
            0 => now_ms,
            seconds => seconds * 1000,
        };
        self.keep_video(number, video);
        Ok(number)
    }

    /// Keeps a video, its instant moved by milliseconds if another of the person has it.
    pub(crate) fn keep_video(&mut self, number: u64, mut video: Video) {
        self.videos.remove(&number);
        let taken = |at: i64| {
            let mut others = self.videos.values();
            others.any(|other| other.user == video.user && other.created_ms == at)
        };
        while taken(video.created_ms) {
            video.created_ms += 1;
        }
        video.create_time = video.created_ms / 1000;
        self.videos.insert(number, video);
    }

    /// What the Display API shows of a person, newest first.
    pub(crate) fn public_videos(&self, user: &str) -> Vec<&Video> {
        let photos = self.settings.photos_in_video_list;
        let mut list: Vec<&Video> = self
            .videos
            .values()
            .filter(|video| video.user == user && !video.hidden && (photos || !video.photo))
            .collect();
        list.sort_by_key(|video| std::cmp::Reverse(video.created_ms));
        list
    }
}

/// The video that a publish became.
pub(crate) fn of(publish: &Publish, user: &User, post_id: u64) -> Video {
    let caption = publish.post_info.get("title").and_then(Value::as_str);
    let probe = match &publish.source {
        Source::File(upload) => Some(&upload.probe),
        Source::Pull(files) => files.first().map(|file| &file.probe),
    };
    let facts = probe.map(super::probe::Probe::facts).unwrap_or_default();
    Video {
        id: post_id.to_string(),
        user: user.username.clone(),
        title: caption.unwrap_or_default().to_owned(),
        video_description: caption.unwrap_or_default().to_owned(),
        duration: facts.seconds.map_or(0, |seconds| seconds.round() as i64),
        height: facts.height.map_or(0, i64::from),
        width: facts.width.map_or(0, i64::from),
        photo: publish.photo,
        ..Video::default()
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TITLE).collect()
}
