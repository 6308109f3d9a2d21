//! The publishing machine's state.
//!
//! One fact rules it: when TikTok *can* publish. Of a file that we upload it cannot publish anything
//! while no byte that could complete the upload was sent, so until then a publish may be abandoned and a
//! new one begun. What it fetches by itself it can publish from the start on, so a start whose answer is
//! lost must never be made again: [`Source`] keeps the two apart. From that point on, only TikTok's word
//! allows a new beginning: that the publish failed, or that bytes are missing which can no longer be sent
//! ([`Machine::is_closed`]). How it moves is in `moves`.

use domain::{Fault, FaultKind, PublishedPost, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::cancel::Asked;
use super::chunks::Plan;
use super::creator::Known;
use crate::State;

/// The upload address lives 1 hour (tiktok.md §4.2). No chunk is begun in its last quarter, since a
/// sender that has decided to send lives up to 15 minutes more (Lambda's limit): so an answer to a
/// request that was sent after the hour is surely no chunk's.
pub(super) const SEND_FOR: i64 = 45 * 60;
pub(super) const URL_LIFE: i64 = 60 * 60;
/// From then on an upload whose bytes are not all there by TikTok's count never gets whole: its address
/// has died. How far the count lags behind what the address took is not stated (§4.9), so it is given ten
/// minutes more.
pub(super) const CLOSED: i64 = URL_LIFE + 10 * 60;

/// Everything about one target's publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// How TikTok gets the files.
    #[serde(flatten)]
    pub(super) source: Source,
    /// How many publishes were begun.
    pub(super) inits: u8,
    /// How many starts, and questions before them, brought no clear word in a row.
    #[serde(default)]
    pub(super) unclear: u8,
    /// Whether TikTok's own trouble already cost one publish.
    #[serde(default)]
    pub(super) retried: bool,
    /// How far a wish to cancel has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel: Option<Asked>,
    #[serde(flatten)]
    pub(super) phase: Phase,
}

/// How TikTok gets the files: decided once, so that a changed setting cannot split a publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    /// FILE_UPLOAD, cut so. A lost start publishes nothing, since none of its bytes was sent and none
    /// ever will be: it may be made again.
    #[serde(rename = "plan")]
    Upload(Plan),
    /// PULL_FROM_URL. A lost start may publish: it is never made again.
    #[serde(rename = "pull")]
    Pull(Pull),
}

/// A publish whose files TikTok fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pull {
    /// How often TikTok said that it could not fetch them.
    pub(super) failures: u8,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(super) enum Phase {
    /// A publish is to be begun; a direct one after a question about its creator.
    Init {
        not_before: Timestamp,
        /// What was learnt of the creator for this start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        creator: Option<Known>,
        /// How often that was forgotten again.
        #[serde(default, skip_serializing_if = "none")]
        forgotten: u8,
    },
    /// Bytes are under way to the sealed upload address.
    Uploading {
        publish_id: String,
        /// The chunk to send.
        next: u64,
        opened_at: Timestamp,
        not_before: Timestamp,
        /// Since when TikTok may hold the whole file.
        since: Option<Timestamp>,
        stalls: u8,
        resends: u8,
        /// Why TikTok is asked what it holds before the chunk is sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doubt: Option<Doubt>,
    },
    /// TikTok may hold all that it needs, or fetches it; it is asked.
    Processing {
        publish_id: String,
        opened_at: Timestamp,
        since: Timestamp,
        ask_at: Timestamp,
        polls: u32,
        /// How many questions in a row brought nothing to go by.
        #[serde(default, skip_serializing_if = "none")]
        idle: u8,
        /// Whether nothing is left for us to send: TikTok has said that it holds the whole file, or it
        /// fetches it by itself.
        complete: bool,
        resends: u8,
        /// What is wrong with the last chunk, where TikTok refused it: asked about once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Fault>,
    },
    /// Nobody must wait for it any more; it may be looked at now and then: see `follow`.
    Done {
        publish_id: Option<String>,
        outcome: Outcome,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        /// When it was last looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_at: Option<Timestamp>,
    },
}

fn none(count: &u8) -> bool {
    *count == 0
}

/// Why TikTok is asked in the middle of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Doubt {
    /// Sending the chunk brought nothing again.
    Stalled,
    /// TikTok refused the chunk's place and did not say where it stands.
    Place,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Published, under these ids as far as they are known.
    Published(PublishedPost),
    /// A draft for the creator.
    Inbox,
    /// Nothing was published.
    Failed(Fault),
    /// It cannot be known.
    Unknown(Fault),
    /// Cancelled, and nothing was published.
    Cancelled,
}

impl Phase {
    /// A start not before this instant, of which nothing is known yet.
    pub(super) const fn init(not_before: Timestamp) -> Self {
        Self::Init {
            not_before,
            creator: None,
            forgotten: 0,
        }
    }
}

impl Machine {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            inits: 0,
            unclear: 0,
            retried: false,
            cancel: None,
            phase: Phase::init(Timestamp::default()),
        }
    }

    pub(super) fn open(state: &State) -> Result<Self, Fault> {
        Self::deserialize(&state.data).map_err(|_| Fault::new(FaultKind::OurBug))
    }

    /// The state to be written; the upload address only while it can still be of use.
    pub(super) fn close(self, url: Option<&Secret>) -> State {
        let keeps = match &self.phase {
            Phase::Uploading { .. } => true,
            Phase::Processing { complete, .. } => !complete,
            Phase::Init { .. } | Phase::Done { .. } => false,
        };
        State {
            // Derived serialisation of plain fields with text keys cannot fail.
            data: serde_json::to_value(&self).unwrap_or_default(),
            secret: url.filter(|_| keeps).cloned(),
        }
    }

    /// How the file is cut, where it is uploaded.
    pub(super) const fn plan(&self) -> Option<Plan> {
        match self.source {
            Source::Upload(plan) => Some(plan),
            Source::Pull(_) => None,
        }
    }

    pub(super) fn publish_id(&self) -> Option<&str> {
        match &self.phase {
            Phase::Init { .. } => None,
            Phase::Uploading { publish_id, .. } | Phase::Processing { publish_id, .. } => {
                Some(publish_id)
            }
            Phase::Done { publish_id, .. } => publish_id.as_deref(),
        }
    }

    /// Whether TikTok may hold all that it needs to publish.
    pub(super) const fn may_publish(&self) -> bool {
        match &self.phase {
            Phase::Uploading { since, .. } => since.is_some(),
            Phase::Processing { .. } | Phase::Done { .. } => true,
            Phase::Init { .. } => false,
        }
    }

    /// Whether TikTok has said that nothing is left to be sent.
    pub(super) const fn is_complete(&self) -> bool {
        matches!(self.phase, Phase::Processing { complete: true, .. })
    }

    /// Whether the chunk to send is the last one.
    pub(super) fn only_last_left(&self) -> bool {
        match (&self.phase, self.plan()) {
            (Phase::Uploading { next, .. }, Some(plan)) => plan.is_last(*next),
            _ => false,
        }
    }

    /// What TikTok is asked about in the middle of an upload whose address lives.
    pub(super) fn doubt(&self, at: Timestamp) -> Option<Doubt> {
        match &self.phase {
            Phase::Uploading {
                opened_at, doubt, ..
            } if at < opened_at.plus_secs(URL_LIFE) => *doubt,
            _ => None,
        }
    }

    /// Whether nothing can complete the upload any more: no byte can be sent, and TikTok has never said
    /// that it holds them all.
    pub(super) fn is_closed(&self, at: Timestamp) -> bool {
        match &self.phase {
            Phase::Processing {
                opened_at,
                complete: false,
                ..
            } => at >= opened_at.plus_secs(CLOSED),
            _ => false,
        }
    }

    /// What is wrong with the last chunk: see [`Machine::ask_once`].
    pub(super) fn refused(&self) -> Option<Fault> {
        match &self.phase {
            Phase::Processing { refused, .. } => refused.clone(),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
