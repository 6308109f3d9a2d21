//! Reading statistics: user info's counts (tiktok.md §3.1), the list of public videos (§3.2), and some
//! videos by their ids (§3.3).
//!
//! The list is read newest first, at most [`MOST_PAGES`] pages of it. Cover images are left out: their
//! addresses expire after 6 hours (§3.4).

use std::collections::HashSet;
use std::time::Duration;

use domain::{
    Fault, FaultKind, Figures, MediaItem, MediaItemKind, OwnFigure, Timestamp, TokenBundle,
};
use serde_json::{Value, json};

use super::errors::{self, Place};
use super::{API, TikTok, limits, scope, wire};
use crate::{
    Answer, Call, Extent, PartOff, Reading, Repeat, Statistics, StatisticsBudget,
    StatisticsReading, Wanted,
};

/// TikTok's own largest page, and its largest query by ids.
const PAGE: usize = 20;
/// So many pages of the list are read in one sync: the 80 newest videos.
const MOST_PAGES: usize = 4;
/// So many videos are asked for by id in one sync; further ones are left out.
const MOST_IDS: usize = 100;

const COUNTS: &str = "follower_count,following_count,likes_count,video_count";
const VIDEO: &str = "id,create_time,title,video_description,duration,share_url,view_count,like_count,comment_count,share_count";

impl Statistics for TikTok {
    fn budget(&self) -> StatisticsBudget {
        StatisticsBudget {
            // 600 pages a minute hold 150 syncs of four pages; more than half is left for what is
            // asked for in between.
            syncs_per_minute: 60,
            spread: Duration::from_secs(110 * 60),
            micros_per_sync: 0,
        }
    }

    fn start(&self, wanted: &Wanted<'_>) -> Box<dyn StatisticsReading> {
        Box::new(InProgress::new(wanted))
    }
}

/// What is asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    Counts,
    Page { number: usize, cursor: Option<i64> },
    Videos(usize),
    Nothing,
}

struct InProgress {
    ask: Ask,
    lists: bool,
    ids: Vec<String>,
    seen: HashSet<String>,
    reading: Reading,
}

impl InProgress {
    fn new(wanted: &Wanted<'_>) -> Self {
        let granted = |scope: &str| wanted.scopes.iter().any(|one| one == scope);
        let (counts, lists) = (granted(scope::STATS), granted(scope::LIST));
        let mut off = Vec::new();
        if wanted.media.is_none() && !counts {
            off.push(PartOff {
                part: "account",
                scope: scope::STATS,
            });
        }
        if !lists {
            off.push(PartOff {
                part: "media",
                scope: scope::LIST,
            });
        }
        let ids: Vec<String> = match wanted.media {
            Some(ids) => ids.iter().take(MOST_IDS).cloned().collect(),
            None => Vec::new(),
        };
        let ask = match wanted.media {
            Some(_) if lists && !ids.is_empty() => Ask::Videos(0),
            Some(_) => Ask::Nothing,
            None if counts => Ask::Counts,
            None => first_page(lists),
        };
        let fault =
            (ask == Ask::Nothing && !off.is_empty()).then(|| Fault::new(FaultKind::ScopeMissing));
        Self {
            ask,
            lists,
            ids,
            seen: HashSet::new(),
            reading: Reading {
                off,
                fault,
                ..Reading::default()
            },
        }
    }

    fn chunk(&self, from: usize) -> &[String] {
        let to = self.ids.len().min(from + PAGE);
        self.ids.get(from..to).unwrap_or_default()
    }

    fn keep(&mut self, data: &Value) {
        let videos = data.get("videos").and_then(Value::as_array);
        for video in videos.into_iter().flatten() {
            // A list that grows while it is read shows a video on two pages.
            if let Some(video) = medium(video)
                && self.seen.insert(video.id.clone())
            {
                self.reading.media.push(video);
            }
        }
    }

    /// Where the list goes on. A cursor that is missing or does not go back would have the same page
    /// read again.
    fn after_page(&mut self, number: usize, cursor: Option<i64>, data: &Value) -> Ask {
        let more = data.get("has_more").and_then(Value::as_bool) == Some(true);
        let next = data.get("cursor").and_then(Value::as_i64);
        let goes_back = match (next, cursor) {
            (Some(next), Some(cursor)) => next < cursor,
            (Some(_), None) => true,
            (None, _) => false,
        };
        self.reading.extent = if more { Extent::Newest } else { Extent::Whole };
        if more && goes_back && number + 1 < MOST_PAGES {
            self.reading.extent = Extent::Unfinished;
            return Ask::Page {
                number: number + 1,
                cursor: next,
            };
        }
        Ask::Nothing
    }
}

impl StatisticsReading for InProgress {
    fn next(&self, bundle: &TokenBundle) -> Result<Option<Call>, Fault> {
        let post = |name, path: &str, body: &Value| {
            // `fields` is a parameter of the query even for these posts (§3.4).
            let url = format!("{API}{path}?fields={VIDEO}");
            wire::json(name, &url, Repeat::Repeatable, bundle, body)
        };
        let call = match &self.ask {
            Ask::Nothing => return Ok(None),
            Ask::Counts => {
                let url = format!("{API}/v2/user/info/?fields={COUNTS}");
                wire::get("tiktok.user.info", &url, bundle)?.within([limits::USER_INFO])
            }
            Ask::Page { cursor, .. } => {
                let mut body = json!({ "max_count": PAGE });
                if let Some(cursor) = cursor {
                    body["cursor"] = json!(cursor);
                }
                post("tiktok.video.list", "/v2/video/list/", &body)?.within([limits::VIDEO_LIST])
            }
            Ask::Videos(from) => {
                let body = json!({ "filters": { "video_ids": self.chunk(*from) } });
                post("tiktok.video.query", "/v2/video/query/", &body)?.within([limits::VIDEO_QUERY])
            }
        };
        Ok(Some(call))
    }

    fn answered(&mut self, answer: Answer<'_>) -> Result<(), Fault> {
        let data = wire::data(answer.response)
            .map_err(|problem| errors::fault(Place::Statistics, &problem, answer.sent_at))?;
        self.ask = match self.ask.clone() {
            Ask::Counts => {
                let user = data.get("user").ok_or(Fault::new(FaultKind::OurBug))?;
                self.reading.account = Some(account(user));
                first_page(self.lists)
            }
            Ask::Page { number, cursor } => {
                let videos = data.get("videos").filter(|videos| !videos.is_null());
                let more = data.get("has_more").and_then(Value::as_bool) == Some(true);
                // No videos may be told by an empty list, or by none.
                if !videos.map_or(!more, Value::is_array) {
                    return Err(Fault::new(FaultKind::OurBug));
                }
                self.keep(&data);
                self.after_page(number, cursor, &data)
            }
            Ask::Videos(from) => {
                self.keep(&data);
                match self.chunk(from + PAGE) {
                    [] => Ask::Nothing,
                    _ => Ask::Videos(from + PAGE),
                }
            }
            Ask::Nothing => Ask::Nothing,
        };
        Ok(())
    }

    fn give_up(&mut self, fault: Fault) {
        let scope_missing = fault.kind == FaultKind::ScopeMissing;
        let (part, scope) = match self.ask {
            Ask::Counts => ("account", scope::STATS),
            _ => ("media", scope::LIST),
        };
        self.ask = match self.ask {
            Ask::Counts if scope_missing => first_page(self.lists),
            _ => Ask::Nothing,
        };
        // The creator may take a scope back without our hearing of it: the part is off from now on.
        if scope_missing {
            self.reading.off.push(PartOff { part, scope });
        }
        let something = self.reading.account.is_some() || self.ask != Ask::Nothing;
        if !(scope_missing && something) {
            self.reading.fault = Some(fault);
        }
    }

    fn finish(self: Box<Self>) -> Reading {
        self.reading
    }
}

fn first_page(lists: bool) -> Ask {
    if lists {
        Ask::Page {
            number: 0,
            cursor: None,
        }
    } else {
        Ask::Nothing
    }
}

fn account(user: &Value) -> Figures {
    let count = |name: &str| user.get(name).and_then(wire::whole);
    Figures {
        followers: count("follower_count"),
        following: count("following_count"),
        likes: count("likes_count"),
        posts: count("video_count"),
        ..Figures::default()
    }
}

fn medium(video: &Value) -> Option<MediaItem> {
    let count = |name: &str| video.get(name).and_then(wire::whole);
    let text = |name: &str| {
        let value = video.get(name).and_then(Value::as_str);
        value.filter(|text| !text.is_empty())
    };
    let duration = video.get("duration").and_then(Value::as_i64);
    Some(MediaItem {
        id: video.get("id").and_then(wire::id)?,
        // The scope lists public videos and nothing else (§2).
        kind: Some(MediaItemKind::Video),
        title: text("title").map(str::to_owned),
        caption: text("video_description").map(str::to_owned),
        permalink: text("share_url")
            .filter(|url| url.starts_with("https://") && url.len() <= 1_000)
            .map(str::to_owned),
        // Seconds, while the cursor is in milliseconds (§3.2).
        published_at: video
            .get("create_time")
            .and_then(Value::as_i64)
            .map(Timestamp::from_secs),
        removed: Some(false),
        figures: Some(
            Figures {
                views: count("view_count"),
                likes: count("like_count"),
                comments: count("comment_count"),
                shares: count("share_count"),
                ..Figures::default()
            }
            .with_own("duration", duration.map(OwnFigure::Number)),
        ),
    })
}
