//! `PULL_FROM_URL` (tiktok.md §4.7): the bytes are really fetched, from this machine only.
//!
//! An https origin is served where the setting `pull_origins` says; any other cannot be reached. No
//! redirect is followed, only 200 counts, and the whole pull has an hour.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use url::Url;

use super::choices::{Pace, PullFault};
use super::probe;
use super::publish::{Pulled, Source};
use super::{World, processing};

/// A video is at most this large (tiktok.md §4.6), under the more generous reading of GB.
const VIDEO_BYTES: u64 = 4 << 30;

/// Begins the pull, unless pulls wait for a control call.
pub(crate) fn start(world: &Arc<World>, id: &str) {
    if world.state().settings.pulling == Pace::Auto {
        // It was made a moment ago and is pulled once.
        let _ = begin(world, id);
    }
}

/// Begins the pull now.
pub(crate) fn begin(world: &Arc<World>, id: &str) -> anyhow::Result<()> {
    let mut state = world.state();
    let publish = state.publishes.get(id).context("no such publish")?;
    ensure!(publish.is_pulling(), "nothing of it is to be pulled");
    ensure!(!state.pulls.contains_key(id), "it is being pulled");
    let task = world.spawn(run(Arc::clone(world), id.to_owned()));
    state.pulls.insert(id.to_owned(), task);
    Ok(())
}

/// Fetches every file in turn; then processing begins, or the publish has failed.
async fn run(world: Arc<World>, id: String) {
    let seconds = world.state().settings.pull_timeout_seconds;
    let deadline = world.clock.now_ms() + seconds * 1000;
    let done = tokio::select! {
        done = files(&world, &id) => done,
        () = world.clock.sleep_until(deadline) => Err(()),
    };
    // A cancel or a control call may have ended the publish first.
    match done {
        Ok(()) => processing::start(&world, &id),
        Err(()) => {
            let _ = processing::finish(&world, &id, Some(reason(&world, &id)));
        }
    }
    world.state().pulls.remove(&id);
}

fn reason(world: &World, id: &str) -> String {
    let photo = world.state().publishes.get(id).is_some_and(|one| one.photo);
    let reason = if photo {
        "photo_pull_failed"
    } else {
        "video_pull_failed"
    };
    reason.to_owned()
}

async fn files(world: &World, id: &str) -> Result<(), ()> {
    let mut at = 0;
    while let Some(url) = file(world, id, at, |file| file.url.clone()) {
        if let Err(error) = fetch(world, id, at, &url).await {
            file(world, id, at, |file| {
                file.error = Some(format!("{error:#}"))
            });
            return Err(());
        }
        at += 1;
    }
    Ok(())
}

/// Does something with one file of a publish; `None` past the last.
fn file<T>(world: &World, id: &str, at: usize, act: impl FnOnce(&mut Pulled) -> T) -> Option<T> {
    let mut state = world.state();
    match &mut state.publishes.get_mut(id)?.source {
        Source::Pull(files) => files.get_mut(at).map(act),
        Source::File(_) => None,
    }
}

async fn fetch(world: &World, id: &str, at: usize, url: &str) -> anyhow::Result<()> {
    let (served, fault, keep, bytes_per_second, photo, largest) = {
        let mut state = world.state();
        let settings = &mut state.settings;
        let fault = if settings.pull_next.is_empty() {
            PullFault::None
        } else {
            settings.pull_next.remove(0)
        };
        let served = served(url, &settings.pull_origins);
        let (keep, speed) = (settings.keep_bytes_max, settings.pull_bytes_per_second);
        let photo = state.publishes.get(id).is_some_and(|one| one.photo);
        let reading = state.settings.megabyte;
        let largest = if photo {
            probe::photo_bytes(reading)
        } else {
            VIDEO_BYTES
        };
        (served, fault, keep, speed, photo, largest)
    };
    let answer = |status: u16| {
        file(world, id, at, |file| file.status = Some(status));
    };
    match fault {
        PullFault::None | PullFault::Cut => {}
        PullFault::NotFound => answer(404),
        PullFault::Redirect => answer(302),
        PullFault::ServerError => answer(500),
        PullFault::Hang => std::future::pending().await,
    }
    if !matches!(fault, PullFault::None | PullFault::Cut) {
        bail!("a fault was asked for");
    }
    let begun = world.clock.now_ms();
    let request = world.http.get(served?);
    let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
    answer(response.status().as_u16());
    ensure!(
        response.status().as_u16() == 200,
        "the source answered {}",
        response.status().as_u16()
    );
    let expected = response.content_length();
    file(world, id, at, |file| {
        file.expected = expected;
        file.kept = (expected.unwrap_or(u64::MAX) <= keep).then(Vec::new);
    });
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut received = 0;
    while let Some(bytes) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)?
    {
        received += bytes.len() as u64;
        hash.update(&bytes);
        file(world, id, at, |file| {
            file.received = received;
            file.probe.update(&bytes);
            if let Some(kept) = &mut file.kept {
                kept.extend_from_slice(&bytes);
            }
        });
        ensure!(fault != PullFault::Cut, "a fault was asked for");
        if received > largest {
            ensure!(photo, "the video is larger than 4 GB");
            // Enough to know that it is refused: the check of the media tells.
            break;
        }
        if bytes_per_second > 0 {
            let spent = i64::try_from(received * 1000).unwrap_or(i64::MAX) / bytes_per_second;
            world.clock.sleep_until(begun + spent).await;
        }
    }
    file(world, id, at, |file| {
        file.sha256 = Some(HEXLOWER.encode(hash.finish().as_ref()));
    });
    Ok(())
}

/// Where a URL is served on this machine.
fn served(url: &str, origins: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let url = Url::parse(url)?;
    let origin = url.origin().ascii_serialization();
    let base = origins
        .get(&origin)
        .with_context(|| format!("pull_origins does not say where {origin} is served"))?;
    let query = url.query().map(|query| format!("?{query}"));
    Ok(format!(
        "{}{}{}",
        base.trim_end_matches('/'),
        url.path(),
        query.unwrap_or_default()
    ))
}
