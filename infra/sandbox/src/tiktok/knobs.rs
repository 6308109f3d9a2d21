//! Faults that wait for a call, and calls that wait for a release.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::World;
use super::call::{Answer, Endpoint, Mode};
use super::errors::{refuse, status_of};
use super::state::State;

/// Where a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HoldAt {
    /// Before its effect.
    Before,
    /// After its effect, before its answer.
    After,
}

/// What happens to the next matching calls.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) endpoint: Endpoint,
    /// How many calls it meets.
    #[serde(default = "once")]
    pub(crate) times: u32,
    /// How many matching calls pass first.
    #[serde(default)]
    pub(crate) skip: u32,
    /// Fields of the request log that must be equal, e.g. `{"client_key": "aw…"}`.
    #[serde(default, rename = "match")]
    pub(crate) fields: Map<String, Value>,
    /// Real milliseconds before anything else.
    #[serde(default)]
    pub(crate) delay_ms: Option<u64>,
    /// Wait for a release.
    #[serde(default)]
    pub(crate) hold: Option<HoldAt>,
    /// Close the connection before the effect.
    #[serde(default)]
    pub(crate) cut_before: bool,
    /// Close the connection after the effect, without an answer.
    #[serde(default)]
    pub(crate) cut_after: bool,
    /// Uploads: close the connection once this many bytes of the chunk came; the chunk is lost.
    #[serde(default)]
    pub(crate) cut_after_bytes: Option<u64>,
    /// Answer with this status instead.
    #[serde(default)]
    pub(crate) status: Option<u16>,
    /// Answer with this error code instead, in the endpoint's shape.
    #[serde(default)]
    pub(crate) error: Option<String>,
    /// Answer with this body instead: a string as it is, anything else as JSON.
    #[serde(default)]
    pub(crate) body: Option<Value>,
    /// The effect happens although another answer is sent.
    #[serde(default)]
    pub(crate) effect: bool,
    /// An error is sent with HTTP 200.
    #[serde(default)]
    pub(crate) http200: bool,
}

impl Fault {
    /// No fault.
    pub(crate) fn none(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            times: 1,
            skip: 0,
            fields: Map::new(),
            delay_ms: None,
            hold: None,
            cut_before: false,
            cut_after: false,
            cut_after_bytes: None,
            status: None,
            error: None,
            body: None,
            effect: false,
            http200: false,
        }
    }

    /// Refuses a fault that could not do what it says.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.times > 0, "times is at least 1");
        if let Some(status) = self.status {
            anyhow::ensure!(
                (200..=599).contains(&status),
                "status is between 200 and 599"
            );
        }
        if let Some(code) = &self.error {
            anyhow::ensure!(
                self.status.is_some() || status_of(code, self.endpoint).is_some(),
                "{code} is no known error: give a status with it"
            );
        }
        anyhow::ensure!(
            self.cut_after_bytes.is_none() || self.endpoint == Endpoint::Upload,
            "cut_after_bytes is for uploads"
        );
        Ok(())
    }

    /// The answer sent in place of the real one, if any.
    pub(crate) fn answer(&self, endpoint: Endpoint) -> Option<Answer> {
        let status = self.status.and_then(|code| StatusCode::from_u16(code).ok());
        match (&self.error, &self.body, status) {
            (_, Some(Value::String(text)), status) => {
                Some(Answer::text(status.unwrap_or(StatusCode::OK), text))
            }
            (_, Some(body), status) => Some(Answer::json(status.unwrap_or(StatusCode::OK), body)),
            (Some(code), None, status) => {
                Some(refuse(code, "a fault was asked for").answer(endpoint, status))
            }
            (None, None, Some(status)) => Some(Answer::empty(status)),
            (None, None, None) => None,
        }
    }

    /// How the effect runs under this fault.
    pub(crate) fn mode(&self) -> Mode {
        self.cut_after_bytes.map_or(Mode::Run, Mode::CutAfterBytes)
    }
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The call's number in the request log.
    pub(crate) seq: u64,
    pub(crate) endpoint: Endpoint,
    pub(crate) at: HoldAt,
    /// Dropping it releases the call too.
    pub(crate) release: oneshot::Sender<()>,
}

impl State {
    /// The next fault for this call, used up by it.
    pub(crate) fn take_fault(
        &mut self,
        endpoint: Endpoint,
        fields: &Map<String, Value>,
    ) -> Option<Fault> {
        let meets = |fault: &Fault| {
            fault.endpoint == endpoint && fault.fields.iter().all(|(k, v)| fields.get(k) == Some(v))
        };
        let at = self.faults.iter().position(meets)?;
        let fault = &mut self.faults[at];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        let taken = fault.clone();
        if fault.times == 0 {
            self.faults.remove(at);
        }
        Some(taken)
    }
}

impl World {
    /// Waits until a control call releases call `seq`.
    pub(crate) async fn hold(&self, seq: u64, endpoint: Endpoint, at: HoldAt) {
        let (release, released) = oneshot::channel();
        {
            let mut state = self.state();
            state.log_outcome(seq, "held");
            state.holds.push(Hold {
                seq,
                endpoint,
                at,
                release,
            });
        }
        // A dropped sender (reset, stop) releases as well.
        let _ = released.await;
        self.state().log_outcome(seq, "pending");
    }

    /// Releases the call `seq`, or all; says how many.
    pub(crate) fn release(&self, seq: Option<u64>) -> usize {
        let mut state = self.state();
        let (released, kept): (Vec<Hold>, Vec<Hold>) = std::mem::take(&mut state.holds)
            .into_iter()
            .partition(|hold| seq.is_none_or(|seq| seq == hold.seq));
        state.holds = kept;
        drop(state);
        let count = released.len();
        for hold in released {
            // The call's task never ends while held, so the send cannot fail.
            let _ = hold.release.send(());
        }
        count
    }
}

fn once() -> u32 {
    1
}
