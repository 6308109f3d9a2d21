//! Chunks on their way to the upload address (tiktok.md §4.6).

use bytes::Bytes;
use domain::{Fault, FaultKind, Secret};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{Method, Request};

use super::chunks::Plan;
use super::errors::{self, Place};
use super::moves::GIVEN_UP;
use super::state::{Doubt, Machine, Phase};
use super::{UPLOAD_HOSTS, wire};
use crate::{Answer, Job, State, Upload};

/// The PUT of chunk `index`. It carries no bearer token: the address itself is the permission.
pub(super) fn request(
    job: &Job<'_>,
    plan: &Plan,
    index: u64,
    url: Option<&Secret>,
) -> Result<Upload, Fault> {
    let bug = || Fault::new(FaultKind::OurBug);
    let (url, media) = url.zip(job.media.first()).ok_or_else(bug)?;
    let range = plan.range(index);
    let last = range.end.checked_sub(1).ok_or_else(bug)?;
    let request = Request::builder()
        .method(Method::PUT)
        .uri(url.expose())
        .header(CONTENT_TYPE, media.kind.content_type())
        .header(CONTENT_LENGTH, range.end - range.start)
        .header(
            CONTENT_RANGE,
            format!("bytes {}-{last}/{}", range.start, plan.size),
        )
        .body(Bytes::new())
        .map_err(|_| wire::unsendable())?;
    Ok(Upload {
        name: "tiktok.publish.upload",
        request,
        allowed_hosts: UPLOAD_HOSTS,
    })
}

/// The state after an answer to a chunk.
pub(super) fn answered(
    mut machine: Machine,
    url: Option<&Secret>,
    answer: Answer<'_>,
) -> Result<State, Fault> {
    let plan = machine.plan().ok_or(Fault::new(FaultKind::OurBug))?;
    let at = answer.sent_at;
    let Phase::Uploading { next, since, .. } = &mut machine.phase else {
        return Err(Fault::new(FaultKind::OurBug));
    };
    let sent = *next;
    let before = *since;
    if plan.is_last(sent) {
        *since = Some(before.unwrap_or(at));
    }
    let may_publish = since.is_some();
    let fault = || {
        let problem = wire::problem(answer.response);
        errors::fault(Place::Upload, &problem, at)
    };
    let progress = answer.response.headers().get(CONTENT_RANGE);
    let progress = progress
        .and_then(|value| value.to_str().ok())
        .and_then(|header| plan.chunk_after_header(header));

    let status = answer.response.status();
    let (machine, url) = match (status.as_u16(), progress) {
        // All bytes received, by TikTok's own word.
        (201, _) => (machine.ask(plan.is_last(sent), at), url),
        (206 | 416, Some(chunk)) if chunk >= plan.count => (machine.ask(true, at), url),
        // A claim to hold more than was sent is not taken: sending it again is harmless, a gap not.
        (206, Some(chunk)) => (machine.advance(chunk.min(sent + 1), at), url),
        (200..=299, _) if plan.is_last(sent) => (machine.ask(false, at), url),
        (200..=299, _) => (machine.advance(sent + 1, at), url),
        (416, Some(chunk)) => (machine.advance(chunk, at), url),
        // The address is dead. If it may have taken everything, that is no proof of anything, and
        // nothing but the status can tell; if not, nothing can have been published.
        (401 | 403 | 404, _) if may_publish => (machine.ask(false, at), None),
        (401 | 403 | 404, _) => (machine.restart(at, fault()), None),
        // Refused as malformed: stop. Of the last chunk TikTok is asked once first, and for as long as
        // it takes if that chunk has been there before.
        (400, _) if !may_publish => return Err(fault()),
        (400, _) if before.is_none() => (machine.ask_once(fault(), at), None),
        (400, _) => (machine.ask(false, at), None),
        // It does not say where it stands: ask, so that no byte is skipped.
        (416, None) if !may_publish => (machine.stalled(Doubt::Place, at), url),
        _ if may_publish => (machine.ask(false, at), url),
        // The same chunk again; the fault says whether and when.
        _ => return Err(fault()),
    };
    Ok(machine.close(url))
}

/// Why an upload that made no progress is given up.
pub(super) fn stuck() -> Fault {
    Fault::new(FaultKind::PlatformDown).sentence(GIVEN_UP)
}
