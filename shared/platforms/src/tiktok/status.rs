//! What became of a publish (tiktok.md §4.9).

use domain::{Fault, FaultKind, PublishedPost, Secret, Timestamp, TokenBundle};
use serde_json::{Value, json};

use super::errors::{self, Place};
use super::moves::Heard;
use super::state::{Doubt, Machine, Outcome};
use super::{API, limits, wire};
use crate::{Answer, Call, Repeat, State};

pub(super) fn request(publish_id: &str, bundle: &TokenBundle) -> Result<Call, Fault> {
    let call = wire::json(
        "tiktok.publish.status",
        &format!("{API}/v2/post/publish/status/fetch/"),
        Repeat::Repeatable,
        bundle,
        &json!({ "publish_id": publish_id }),
    )?;
    Ok(call.within([limits::STATUS]))
}

/// The state after an answer to the status question.
pub(super) fn answered(
    machine: Machine,
    url: Option<&Secret>,
    answer: Answer<'_>,
) -> Result<State, Fault> {
    let at = answer.sent_at;
    let data = match wire::data(answer.response) {
        Ok(data) => data,
        Err(problem) => {
            let fault = errors::fault(Place::Status, &problem, at);
            return unanswered(machine, url, answer, fault);
        }
    };
    let status = data.get("status").and_then(Value::as_str).unwrap_or("");
    let machine = match status {
        "PUBLISH_COMPLETE" => {
            let post = PublishedPost {
                ids: post_ids(&data),
                url: None,
            };
            machine.published(&post, at)
        }
        "SEND_TO_USER_INBOX" => machine.done(Outcome::Inbox, at),
        "FAILED" => {
            let reason = data.get("fail_reason").and_then(Value::as_str);
            machine.failed(reason, at)
        }
        _ => {
            let bytes = data.get("uploaded_bytes").and_then(wire::whole);
            under_way(machine, url, status, bytes, answer.sent_at)
        }
    };
    Ok(machine.close(url))
}

/// Not ended yet: ask again, send what TikTok says is missing, or begin anew where that can no longer be
/// sent.
fn under_way(
    machine: Machine,
    url: Option<&Secret>,
    status: &str,
    bytes: Option<u64>,
    at: Timestamp,
) -> Machine {
    let uploading = status == "PROCESSING_UPLOAD";
    let Some(plan) = machine.plan() else {
        // TikTok fetches: there is nothing to send.
        let heard = match status {
            "PROCESSING_DOWNLOAD" | "PROCESSING_UPLOAD" => Heard::Busy,
            _ => Heard::Nothing,
        };
        return machine.ask_again(heard, None, at);
    };
    let holds_all = bytes.is_some_and(|bytes| bytes >= plan.size);
    if !machine.may_publish() {
        return match (machine.doubt(at), bytes) {
            _ if holds_all => machine.ask(true, at),
            // Asked in the middle of the upload: it goes on at the first byte that is missing.
            (Some(_), Some(bytes)) => machine.resume(Some(plan.chunk_after(bytes))),
            (Some(Doubt::Stalled), None) => machine.resume(None),
            // Asked because the upload address died, or refused the chunk's place, before the last
            // chunk was sent: nothing can come of this publish. But where only the last chunk was
            // left and TikTok does not say that it is missing, our notes alone are not enough to
            // begin another.
            (_, None) if machine.only_last_left() => machine.ask(false, at),
            _ => machine.restart(at, super::upload::stuck()),
        };
    }
    // An upload whose address expired on it goes on as a question.
    let machine = machine.ask(holds_all, at);
    if let Some(fault) = machine.refused().filter(|_| !holds_all) {
        // The refused chunk was the only one that could complete the upload, and it did not.
        let outcome = match uploading {
            true => Outcome::Failed(fault),
            false => Outcome::Unknown(fault),
        };
        return machine.done(outcome, at);
    }
    if uploading && !holds_all && url.is_some() {
        // Without a count, the last chunk is the one whose fate is open.
        let chunk = bytes.map_or(plan.count, |bytes| plan.chunk_after(bytes));
        if let Some(machine) = machine.resend(chunk, at) {
            return machine;
        }
    }
    if uploading && !holds_all && bytes.is_some() && machine.is_closed(at) {
        return machine.restart(at, super::upload::stuck());
    }
    let heard = match holds_all {
        true => Heard::Whole,
        false if uploading && machine.is_complete() => Heard::Busy,
        false => Heard::Nothing,
    };
    machine.ask_again(heard, None, at)
}

/// The status could not be told.
fn unanswered(
    machine: Machine,
    url: Option<&Secret>,
    answer: Answer<'_>,
    fault: Fault,
) -> Result<State, Fault> {
    let at = answer.sent_at;
    match (fault.kind, machine.may_publish()) {
        (FaultKind::TokenRejected, _) => Err(fault),
        // Trouble on TikTok's side and limits may outlast any number of tries: the machine paces
        // itself.
        (FaultKind::PlatformDown | FaultKind::RateLimited, true) => {
            let machine = machine.ask(false, at);
            let machine = machine.ask_again(Heard::Nothing, answer.wait_until(), at);
            Ok(machine.close(url))
        }
        // Nothing tells any more, and everything may have been sent.
        (_, true) => Ok(machine.done(Outcome::Unknown(fault), at).close(None)),
        (FaultKind::NotFound, false) if machine.only_last_left() => {
            Ok(machine.done(Outcome::Unknown(fault), at).close(None))
        }
        (FaultKind::NotFound, false) => Ok(machine.restart(at, fault).close(None)),
        // The question was only to save a try.
        (FaultKind::PlatformDown, false) if machine.doubt(at) == Some(Doubt::Stalled) => {
            Ok(machine.resume(None).close(url))
        }
        (_, false) => Err(fault),
    }
}

/// Post ids, under the misspelt name of the documents or the right one; only public posts have any.
pub(super) fn post_ids(data: &Value) -> Vec<String> {
    let names = ["publicaly_available_post_id", "publicly_available_post_id"];
    let mut ids = Vec::new();
    for value in names.iter().filter_map(|name| data.get(name)) {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        for id in values.iter().filter_map(wire::id) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}
