//! `PUT` of one chunk (tiktok.md §4.6): strictly in order, hashed as it streams.
//!
//! A chunk counts when its last byte is in. One that breaks off leaves the upload where the chunk
//! began.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use aws_lc_rs::digest;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use serde_json::{Map, json};

use super::World;
use super::call::{Answer, Call, Endpoint, Mode, serve};
use super::choices::ProgressHeader;
use super::errors::refuse;
use super::input::{self, Params};
use super::probe::Probe;
use super::processing;
use super::publish::{Chunk, Publish, Source, Upload};
use super::state::State;
use crate::socket::Switch;

/// What a chunk's headers and address say.
#[derive(Clone, Debug)]
struct Head {
    upload_id: String,
    upload_token: String,
    media_type: String,
    length: Option<u64>,
    range: Option<(u64, u64, u64)>,
}

/// A chunk that may be taken in.
struct Ticket {
    publish_id: String,
    start: u64,
    end: u64,
    hash: digest::Context,
    probe: Probe,
    keep: bool,
}

/// `PUT /video/?upload_id=…&upload_token=…`.
pub(crate) async fn chunk(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let head = Head::read(&parts);
    let text = |name: HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let mut fields = Map::from_iter([
        ("upload_id".to_owned(), json!(head.upload_id)),
        ("content_range".to_owned(), json!(text(CONTENT_RANGE))),
        ("content_length".to_owned(), json!(text(CONTENT_LENGTH))),
        ("content_type".to_owned(), json!(head.media_type)),
        // No documented example sends one, so it is tolerated and shown.
        (
            "authorization".to_owned(),
            json!(parts.headers.contains_key(AUTHORIZATION)),
        ),
    ]);
    if let Some(publish) = find(&mut world.state(), &head) {
        fields.insert("publish_id".to_owned(), json!(publish.publish_id));
    }
    let call = Call {
        endpoint: Endpoint::Upload,
        method: parts.method,
        path: parts.uri.path().to_owned(),
        fields,
        switch: switch.clone(),
    };
    serve(world, call, move |world, mode| {
        take(world, head, body, mode, switch)
    })
    .await
}

impl Head {
    fn read(parts: &Parts) -> Self {
        let query = Params::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let text = |name: HeaderName| parts.headers.get(name)?.to_str().ok();
        Self {
            upload_id: query.get("upload_id").unwrap_or_default().to_owned(),
            upload_token: query.get("upload_token").unwrap_or_default().to_owned(),
            media_type: input::media_type(&parts.headers),
            length: text(CONTENT_LENGTH).and_then(|value| value.parse().ok()),
            range: text(CONTENT_RANGE).and_then(read_range),
        }
    }
}

async fn take(world: Arc<World>, head: Head, mut body: Body, mode: Mode, switch: Switch) -> Answer {
    if mode == Mode::Drain {
        while let Some(Ok(_)) = next(&mut body).await {}
        return Answer::empty(StatusCode::OK);
    }
    let admitted = admit(&mut world.state(), &head, world.clock.now_ms());
    let mut ticket = match admitted {
        Ok(ticket) => ticket,
        Err(answer) => {
            // Reading on lets the caller finish sending, so that it sees the answer.
            while let Some(Ok(_)) = next(&mut body).await {}
            return answer;
        }
    };
    let (mut count, mut kept) = (0, Vec::new());
    while let Some(data) = next(&mut body).await {
        let Ok(data) = data else {
            return Answer::cut().note("broke_off_after", count);
        };
        count += data.len() as u64;
        ticket.hash.update(&data);
        ticket.probe.update(&data);
        if ticket.keep {
            kept.extend_from_slice(&data);
        }
        if matches!(mode, Mode::CutAfterBytes(limit) if count >= limit) {
            switch.cut();
            return Answer::cut().note("broke_off_after", count);
        }
    }
    commit(&world, ticket, count, &kept)
}

/// The next piece of the body; `None` at its end.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await? {
            Ok(frame) => {
                // Trailers carry no bytes.
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

fn admit(state: &mut State, head: &Head, now: i64) -> Result<Ticket, Answer> {
    let progress = state.settings.progress_header;
    let refused = |code: &str, text: &str| refuse(code, text).answer(Endpoint::Upload, None);
    let bad = |text: &str| Err(refused("upload_bad_request", text));
    let Some(publish) = find(state, head) else {
        return Err(refused("upload_not_found", "no such upload task"));
    };
    let publish_id = publish.publish_id.clone();
    let Source::File(upload) = &publish.source else {
        return Err(refused("upload_not_found", "no such upload task"));
    };
    if now >= upload.expires_ms {
        return Err(refused("upload_url_expired", "the upload_url expired"));
    }
    if !["video/mp4", "video/quicktime", "video/webm"].contains(&head.media_type.as_str()) {
        return bad("Content-Type is not a video type that is taken");
    }
    let Some(length) = head.length else {
        return bad("Content-Length is missing");
    };
    let Some((first, last, total)) = head.range else {
        return bad("Content-Range is not `bytes first-last/total`");
    };
    if total != upload.plan.video_size || last >= total || last < first {
        return bad("Content-Range does not fit the video");
    }
    if last - first + 1 != length {
        return bad("Content-Length is not the length of Content-Range");
    }
    if first != upload.received {
        return Err(mismatch(upload, progress));
    }
    let (start, end) = upload.plan.chunk_at(first);
    if last + 1 != end {
        return bad("the chunk is not as long as planned");
    }
    Ok(Ticket {
        publish_id,
        start,
        end,
        hash: upload.hash.clone(),
        probe: upload.probe.clone(),
        keep: upload.kept.is_some(),
    })
}

fn commit(world: &Arc<World>, ticket: Ticket, count: u64, kept: &[u8]) -> Answer {
    let now = world.clock.now_ms();
    let mut state = world.state();
    let progress = state.settings.progress_header;
    let bad = |text: &str| refuse("upload_bad_request", text).answer(Endpoint::Upload, None);
    let Some(publish) = state.publishes.get_mut(&ticket.publish_id) else {
        return refuse("upload_not_found", "no such upload task").answer(Endpoint::Upload, None);
    };
    let Source::File(upload) = &mut publish.source else {
        return bad("not an upload");
    };
    if count != ticket.end - ticket.start {
        return bad("the body is not as long as Content-Length");
    }
    // Another request brought the same chunk meanwhile.
    if upload.received != ticket.start {
        return mismatch(upload, progress);
    }
    upload.received = ticket.end;
    upload.hash = ticket.hash;
    upload.probe = ticket.probe;
    if let Some(bytes) = &mut upload.kept {
        bytes.extend_from_slice(kept);
    }
    upload.chunks.push(Chunk {
        first: ticket.start,
        last: ticket.end - 1,
        at_ms: now,
    });
    let complete = upload.is_complete();
    let header = progress_header(upload, progress);
    drop(state);
    let status = if complete {
        processing::start(world, &ticket.publish_id);
        StatusCode::CREATED
    } else {
        StatusCode::PARTIAL_CONTENT
    };
    Answer::empty(status).with_header(CONTENT_RANGE, header)
}

fn find<'a>(state: &'a mut State, head: &Head) -> Option<&'a Publish> {
    state.publishes.values().find(|publish| {
        matches!(&publish.source, Source::File(upload)
            if upload.upload_id == head.upload_id && upload.upload_token == head.upload_token)
    })
}

fn mismatch(upload: &Upload, progress: ProgressHeader) -> Answer {
    refuse(
        "upload_range_mismatch",
        "Content-Range does not follow what was received",
    )
    .answer(Endpoint::Upload, None)
    .with_header(CONTENT_RANGE, progress_header(upload, progress))
}

/// `bytes 0-{n}/{total}`: a count or the last byte's index, the papers leave it open.
fn progress_header(upload: &Upload, progress: ProgressHeader) -> String {
    let n = match progress {
        ProgressHeader::Count => upload.received,
        ProgressHeader::LastByte => upload.received.saturating_sub(1),
    };
    format!("bytes 0-{n}/{}", upload.plan.video_size)
}

/// `bytes first-last/total`, digits only.
fn read_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    Some((number(first)?, number(last)?, number(total)?))
}
