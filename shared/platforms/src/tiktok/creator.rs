//! What a creator may choose at present (tiktok.md §4.1): asked before every direct start, and obeyed.

use domain::{Fault, FaultKind, PostOptions, Timestamp, TokenBundle};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::errors::{self, Place};
use super::settings::{self, EVERYONE};
use super::state::{Machine, Phase};
use super::{API, limits, moves, wire};
use crate::{Answer, Call, Job, Repeat, State};

/// The longest video that TikTok takes from apps, in seconds (§4.6).
pub(super) const LONGEST: u64 = 600;
/// What was learnt is acted on for so long, in seconds. Older, it is asked for again.
const FRESH: i64 = 60;
/// The first pause before it is asked for the third time for one start, and so on: a start that is
/// refused again and again must not be preceded by a question every minute.
const AGAIN: i64 = 30;

/// What a start needs of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// When it was asked for.
    pub(super) at: Timestamp,
    /// What the creator has switched off altogether.
    #[serde(default)]
    pub(super) comment_off: bool,
    #[serde(default)]
    pub(super) duet_off: bool,
    #[serde(default)]
    pub(super) stitch_off: bool,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) username: Option<String>,
    pub(super) nickname: Option<String>,
    pub(super) avatar_url: Option<String>,
    pub(super) privacy: Vec<String>,
    pub(super) comment_off: bool,
    pub(super) duet_off: bool,
    pub(super) stitch_off: bool,
    pub(super) max_seconds: Option<u64>,
}

/// The question. Its body is empty.
pub(super) fn request(bundle: &TokenBundle) -> Result<Call, Fault> {
    let url = format!("{API}/v2/post/publish/creator_info/query/");
    let call = wire::empty("tiktok.publish.creator", &url, Repeat::Repeatable, bundle)?;
    Ok(call.within([limits::CREATOR]))
}

/// Reads the answer. Its refusals come with HTTP 200.
pub(super) fn read(answer: Answer<'_>) -> Result<Info, Fault> {
    let data = wire::data(answer.response)
        .map_err(|problem| errors::fault(Place::Creator, &problem, answer.sent_at))?;
    let text = |name: &str| {
        let value = data.get(name).and_then(Value::as_str);
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let off = |name: &str| data.get(name).and_then(Value::as_bool) == Some(true);
    let options = data.get("privacy_level_options").and_then(Value::as_array);
    // Without them nothing can be checked, and no documented answer lacks them.
    let options = options.ok_or(Fault::new(FaultKind::PlatformDown))?;
    let options = options.iter().filter_map(Value::as_str);
    Ok(Info {
        username: text("creator_username"),
        nickname: text("creator_nickname"),
        avatar_url: text("creator_avatar_url").filter(|url| url.starts_with("https://")),
        privacy: options.filter(is_name).map(str::to_owned).collect(),
        comment_off: off("comment_disabled"),
        duet_off: off("duet_disabled"),
        stitch_off: off("stitch_disabled"),
        max_seconds: data
            .get("max_video_post_duration_sec")
            .and_then(wire::whole),
    })
}

/// They are repeated in sentences: nothing but what looks like one of them is.
fn is_name(text: &&str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// The state after an answer, in which the start may be made; or why it may not.
pub(super) fn answered(
    mut machine: Machine,
    job: &Job<'_>,
    answer: Answer<'_>,
) -> Result<State, Fault> {
    let mut known = Known {
        at: answer.sent_at,
        comment_off: false,
        duet_off: false,
        stitch_off: false,
    };
    if !is_nowhere(answer) {
        let info = read(answer)?;
        obey(job, &info)?;
        known.comment_off = info.comment_off;
        known.duet_off = info.duet_off;
        known.stitch_off = info.stitch_off;
    }
    if let Phase::Init { creator, .. } = &mut machine.phase {
        *creator = Some(known);
    }
    Ok(machine.close(None))
}

/// Whether there is nothing at the question's address: none of its documented refusals has such a
/// status. The start itself is then left to say what the creator may not do; the question only saves it.
fn is_nowhere(answer: Answer<'_>) -> bool {
    matches!(answer.response.status().as_u16(), 404 | 405 | 501)
}

/// What the creator cannot post now.
fn obey(job: &Job<'_>, info: &Info) -> Result<(), Fault> {
    let offers = |privacy: &str| info.privacy.iter().any(|option| option == privacy);
    if settings::audited(job.app) == Some(false) && offers(EVERYONE) {
        return Err(Fault::new(FaultKind::AppNotApproved).sentence(errors::PUBLIC_ACCOUNT));
    }
    let chosen = job.options.privacy.as_deref().unwrap_or_default();
    if !offers(chosen) {
        return Err(Fault::new(FaultKind::InvalidRequest).sentence(match info.privacy.as_slice() {
            [] => "TikTok offers this account no privacy to choose from at present. The creator must look into the TikTok app.".to_owned(),
            options => format!(
                "This account cannot post with the chosen privacy. Ask the creator to choose one of {}.",
                options.join(", ")
            ),
        }));
    }
    let most = info.max_seconds.unwrap_or(LONGEST).min(LONGEST);
    let long = |millis: u64| millis > most.saturating_mul(1_000);
    if job
        .media
        .iter()
        .filter_map(|file| file.duration_ms)
        .any(long)
    {
        return Err(Fault::new(FaultKind::MediaRejected).sentence(format!(
            "The video is too long: this account may post at most {most} seconds. Post a shorter one."
        )));
    }
    Ok(())
}

/// Forgets what was learnt too long ago; whether there was any such thing. What comes out depends on
/// nothing but the state, so it is the same however often it is asked.
pub(super) fn aged(machine: &mut Machine, now: Timestamp) -> bool {
    let Phase::Init {
        not_before,
        creator,
        forgotten,
    } = &mut machine.phase
    else {
        return false;
    };
    let Some(known) = creator.filter(|known| now >= known.at.plus_secs(FRESH)) else {
        return false;
    };
    let pause = match forgotten.checked_sub(1) {
        None => 0,
        Some(before) => moves::grown(AGAIN, before),
    };
    *not_before = (*not_before).max(known.at.plus_secs(FRESH + pause));
    *creator = None;
    *forgotten = forgotten.saturating_add(1);
    true
}

impl Known {
    /// What is switched off under a post: what its options say, and what the creator has off anyway.
    pub(super) const fn disabled(&self, options: &PostOptions) -> Disabled {
        Disabled {
            comment: options.disable_comment || self.comment_off,
            duet: options.disable_duet || self.duet_off,
            stitch: options.disable_stitch || self.stitch_off,
        }
    }
}

/// What viewers may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disabled {
    pub(super) comment: bool,
    pub(super) duet: bool,
    pub(super) stitch: bool,
}
