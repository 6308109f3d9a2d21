//! Every crash point of a fetch whose file became another one midway: it is begun anew, and comes to be
//! ready all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::{AttemptId, Clock, MediaId, MediaStatus};
use futures_util::stream;
use model::{Fault, pass};
use posts::FetchMessage;
use serde_json::Value;
use store::Media;
use transport::{BoxFuture, Fetch, Fetched, NotFetched, SourceError};

use crate::bench;
use crate::people::user;
use crate::script::Script;
use crate::world::{FILE, World};

const WORKER: &str = "publish-worker";
const PART: u64 = 8 << 20;

/// A host that breaks off after the first part, and then has another version of the file.
#[derive(Default)]
struct Host {
    asked: AtomicUsize,
}

impl Fetch for Host {
    fn fetch<'a>(
        &'a self,
        _url: &'a str,
        from: u64,
        version: Option<&'a str>,
        _timeout: Duration,
    ) -> BoxFuture<'a, Result<Fetched, NotFetched>> {
        let first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        let answer = match version {
            Some("one") => Err(NotFetched::Changed),
            _ => {
                let whole: Bytes = FILE.slice(usize::try_from(from).unwrap()..);
                let piece = match first {
                    true => whole.slice(..(PART as usize) + 1),
                    false => whole,
                };
                let broken = first.then(|| Err(SourceError::from("broken off")));
                Ok(Fetched {
                    from,
                    total: Some(FILE.len() as u64),
                    version: Some(if first { "one" } else { "two" }.to_owned()),
                    bytes: Box::pin(stream::iter(std::iter::once(Ok(piece)).chain(broken))),
                })
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

/// A file that is to be fetched.
async fn ordered(world: &World) -> FetchMessage {
    let (_, made) = world
        .run("upload", "ApiTimeout", |instance, _| {
            Box::pin(async move {
                let (now, entropy) = (instance.clock.now(), &*instance.webhook.entropy);
                let media_id = MediaId::new(now, entropy);
                let key = format!("media/{media_id}");
                let s3 = &instance.webhook.s3;
                let upload = s3.create_multipart_upload().bucket("media").key(&key);
                let media = Media {
                    media_id: media_id.clone(),
                    user_id: user("u1"),
                    object_key: key,
                    upload_id: upload.send().await.unwrap().upload_id.unwrap(),
                    size: 0,
                    part_size: PART,
                    status: MediaStatus::Fetching,
                    kind: None,
                    duration_ms: None,
                    source_url: Some("https://files.example.com/a.mp4".to_owned()),
                    source_version: None,
                    fetch_lease: None,
                    fetch_tries: 0,
                    fault: None,
                    posted_in: Default::default(),
                    created_at: now,
                    expires_at: now.plus_secs(86_400),
                };
                let attempt = AttemptId::new(now, entropy);
                let table = &instance.composer.media;
                table.create(&media, None, attempt).await.unwrap();
                media_id
            })
        })
        .await;
    FetchMessage {
        user_id: user("u1"),
        media_id: made.unwrap(),
    }
}

/// One slice by a worker of its own.
async fn slice(world: &World, host: &Arc<Host>, message: &FetchMessage) {
    let (host, message) = (host.clone(), message.clone());
    world
        .run(WORKER, "PublishTimeout", move |instance, _| {
            Box::pin(async move {
                let mut fetcher = instance.publish.fetcher.clone();
                fetcher.source = host;
                let deadline = instance.clock.now().plus_secs(60);
                drop(fetcher.run(&message, deadline).await);
            })
        })
        .await;
}

/// The file's status in the end, and the calls of the second slice, at one of which `fault` is met.
fn run(name: &str, fault: Option<(usize, Fault)>) -> (String, Vec<String>) {
    bench::paused(async {
        let world = World::new(name, 5, &["mara"]);
        let message = ordered(&world).await;
        let host = Arc::new(Host::default());
        let faults = fault.map(|(call, fault)| ((2, call), fault));
        world.direct(Arc::new(Script::new(WORKER, faults)));
        for _ in 0..4 {
            slice(&world, &host, &message).await;
            // Past any lease.
            pass(Duration::from_secs(3_600)).await;
        }
        let runs: Vec<_> = world.trace();
        let mut numbers: Vec<_> = runs.iter().map(|met| met.run.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let workers = runs.iter().filter(|met| met.run.function == WORKER);
        let first = workers.clone().map(|met| met.run.number).min().unwrap();
        let second = workers.filter(|met| met.run.number == first + 1);
        let calls = second.map(|met| met.call.action.clone()).collect();
        let rows = world.items("media");
        let row: &Value = rows.iter().find(|row| row["status"].is_string()).unwrap();
        (row["status"].as_str().unwrap().to_owned(), calls)
    })
}

#[test]
fn a_file_that_changed_midway_survives_a_worker_that_dies_anywhere() {
    let (status, calls) = run("fetch", None);
    assert_eq!(status, "ready");
    let begins = calls.iter().any(|call| call == "s3:CreateMultipartUpload");
    let drops = calls.iter().any(|call| call == "s3:AbortMultipartUpload");
    assert!(begins && drops, "{calls:?}");
    let faults = [
        Fault::KillBefore,
        Fault::KillAfter,
        Fault::DropAfter,
        Fault::error(500, "InternalServerError"),
    ];
    let tally = bench::all(calls.len() * faults.len(), |number| {
        let (call, fault) = (number / faults.len(), &faults[number % faults.len()]);
        let (status, _) = run(&format!("fetch{number}"), Some((call + 1, fault.clone())));
        match status.as_str() {
            "ready" => Ok(()),
            other => Err(format!("{fault:?} at {}: {other}", calls[call])),
        }
    });
    tally.end("fetching anew, every call and kill");
}
