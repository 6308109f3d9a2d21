//! Files that a product keeps at an address of its own: fetched into the bucket, slice by slice.
//!
//! What lies in the bucket says how far a file is, so a worker that dies costs a part at most. The
//! address is called by the rules of `transport` alone (public hosts, no redirects); what its host
//! says is not shown to the caller, who could map a network by it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::{
    AttemptId, Clock, Entropy, Fault, FaultKind, Holder, MediaId, MediaKind, MediaStatus,
    Timestamp, UserId,
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use store::media::FetchLease;
use store::{Media, MediaTable, StoreError};
use transport::{Fetch, Fetched, NotFetched};

use crate::backoff;
use crate::error::RunError;
use crate::files::{Files, FilesError};
use crate::media::{FILE_LIFE, MAX_MEDIA_BYTES};
use crate::plan::Stored;
use crate::queue::{PublishQueue, Work};

/// How often in a row a file may not be got.
const TRIES: u32 = 6;
/// Time kept back for writing down how far it came.
const MARGIN: Duration = Duration::from_secs(10);
/// A slice is not begun with less.
const LEAST: Duration = Duration::from_secs(3);

/// "Fetch this file": a message in the publish queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchMessage {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub media_id: MediaId,
}

/// What fetches files.
#[derive(Clone)]
pub struct Fetcher {
    /// The table.
    pub media: MediaTable,
    /// The bucket.
    pub files: Files,
    /// The way to the product's hosts.
    pub source: Arc<dyn Fetch>,
    /// For the next slice.
    pub queue: PublishQueue,
    /// How long a worker holds a file; longer than its function's time-out.
    pub lease: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// How a slice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// There is nothing to fetch any more.
    Settled,
    /// Another worker has it.
    Held,
    /// The file is there.
    Ready,
    /// It is not to be had.
    Failed,
    /// More of it is to come.
    More,
    /// It is tried again later.
    Later,
}

/// Why a slice ended early.
enum Stop {
    /// For good.
    Failed(Fault),
    /// For now.
    Later,
    /// The file is another one than when it was begun.
    Changed,
    /// Trouble with the bucket.
    Files(FilesError),
    /// Trouble with the database.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FilesError> for Stop {
    fn from(error: FilesError) -> Self {
        Self::Files(error)
    }
}

impl Fetcher {
    /// Fetches as much of the file as there is time for.
    pub async fn run(
        &self,
        message: &FetchMessage,
        deadline: Timestamp,
    ) -> Result<Slice, RunError> {
        let now = self.clock.now();
        let found = self
            .media
            .get(&message.user_id, &message.media_id, now)
            .await?;
        let Some(seen) = found.filter(|media| media.status == MediaStatus::Fetching) else {
            return Ok(Slice::Settled);
        };
        let holder = Holder::new(now, self.entropy.as_ref());
        let lease = FetchLease {
            holder: holder.clone(),
            until: now + self.lease,
        };
        let taken = self
            .media
            .take_fetch(&seen, &lease, now, &self.attempt())
            .await?;
        let Some(mut media) = taken else {
            return Ok(Slice::Held);
        };
        let end = deadline - MARGIN.min(deadline.since(now) / 4);
        let begun = media.upload_id.clone();
        let slice = match self.slice(&mut media, &holder, end).await {
            Ok(slice) => slice,
            Err(Stop::Failed(fault)) => self.failed(&mut media, fault).await,
            Err(Stop::Changed) => self.again(&mut media).await?,
            Err(Stop::Later) if is_worn_out(&mut media) => {
                self.failed(&mut media, not_to_be_had()).await
            }
            Err(Stop::Later) => Slice::Later,
            Err(Stop::Files(FilesError::Gone)) => self.failed(&mut media, not_to_be_had()).await,
            Err(Stop::Files(error @ FilesError::Unavailable(_))) => return Err(error.into()),
            Err(Stop::Store(error)) => return Err(error.into()),
        };
        if slice == Slice::Ready {
            let until = self.clock.now().plus_secs(FILE_LIFE);
            let ready = self.media.ready(&media, until, &self.attempt()).await?;
            return Ok(ready.map_or(Slice::Settled, |_| Slice::Ready));
        }
        let written = self.media.fetched(&media, &holder, &self.attempt()).await?;
        if media.upload_id != begun {
            // The row names the upload that is gone on with before the other one goes, so that whoever
            // comes after a crash between the two meets one that is there.
            let left = match written {
                Some(_) => &begun,
                None => &media.upload_id,
            };
            self.drop_upload(&media, left).await;
        }
        if written.is_some() && media.status == MediaStatus::Fetching {
            let pause = match slice {
                Slice::More => Duration::ZERO,
                _ => backoff::pause(media.fetch_tries, self.entropy.as_ref()),
            };
            self.queue
                .send(&Work::Fetch(message.clone()), pause)
                .await?;
        }
        Ok(slice)
    }

    async fn slice(
        &self,
        media: &mut Media,
        holder: &Holder,
        end: Timestamp,
    ) -> Result<Slice, Stop> {
        let url = media.source_url.clone().unwrap_or_default();
        let (key, upload) = (media.object_key.clone(), media.upload_id.clone());
        let mut stored = match self.files.all_parts(&key, &upload).await {
            // Put together by a worker that died before it was written down.
            Err(FilesError::Gone) => {
                let size = self.files.size(&key).await?;
                return self.look(media, size).await;
            }
            stored => stored?,
        };
        let from = stored.iter().map(|part| part.size).sum();
        let left = end.since(self.clock.now());
        if left < LEAST {
            return Ok(Slice::More);
        }
        let version = media.source_version.as_deref().filter(|_| from > 0);
        let fetched = self.source.fetch(&url, from, version, left).await;
        let Fetched {
            from: begins,
            total,
            version,
            mut bytes,
        } = fetched.map_err(stopped)?;
        if from == 0 {
            media.source_version = version;
            let kept = self.media.fetches(media, holder, &self.attempt()).await?;
            if kept.is_none() {
                return Ok(Slice::Held);
            }
        } else if media.source_version.is_none() {
            // Nothing says that these bytes belong to those that are there.
            return Err(Stop::Changed);
        }
        if total.is_some_and(|total| total > MAX_MEDIA_BYTES) {
            return Err(Stop::Failed(too_large()));
        }
        // A host that does not give ranges begins at the beginning.
        let mut skip = from - begins;
        let mut have = from;
        let mut buffer = BytesMut::new();
        let part_size = usize::try_from(media.part_size).unwrap_or(usize::MAX);
        while let Some(piece) = bytes.next().await {
            let mut piece = match piece {
                Ok(piece) => piece,
                // Parts that are whole are kept; the rest comes again.
                Err(_) if have > from => {
                    media.fetch_tries = 0;
                    return Ok(Slice::More);
                }
                Err(_) => return Err(Stop::Later),
            };
            let skipped = skip.min(piece.len() as u64);
            skip -= skipped;
            piece = piece.slice(usize::try_from(skipped).unwrap_or(0)..);
            buffer.extend_from_slice(&piece);
            while buffer.len() >= part_size {
                let part = buffer.split_to(part_size).freeze();
                have += part.len() as u64;
                if have > MAX_MEDIA_BYTES {
                    return Err(Stop::Failed(too_large()));
                }
                self.keep(&key, &upload, &mut stored, part).await?;
                if self.clock.now() + LEAST >= end {
                    media.fetch_tries = 0;
                    return Ok(Slice::More);
                }
            }
        }
        have += buffer.len() as u64;
        if total.is_some_and(|total| total != have) {
            return Err(Stop::Later);
        }
        if have == 0 {
            return Err(Stop::Failed(rejected()));
        }
        if !buffer.is_empty() {
            self.keep(&key, &upload, &mut stored, buffer.freeze())
                .await?;
        }
        self.files.complete(&key, &upload, &stored).await?;
        self.look(media, have).await
    }

    /// Looks at a file that is whole.
    async fn look(&self, media: &mut Media, size: u64) -> Result<Slice, Stop> {
        let key = media.object_key.clone();
        let head = self.files.head(&key, MediaKind::SNIFF_BYTES as u64).await?;
        let Some(kind) = MediaKind::sniff(&head) else {
            return Err(Stop::Failed(rejected()));
        };
        media.kind = Some(kind);
        media.size = size;
        media.duration_ms = self.files.duration_ms(&key, kind, size).await?;
        Ok(Slice::Ready)
    }

    async fn keep(
        &self,
        key: &str,
        upload: &str,
        stored: &mut Vec<Stored>,
        part: Bytes,
    ) -> Result<(), Stop> {
        let number = stored.last().map_or(1, |last| last.number + 1);
        let part = self.files.put_part(key, upload, number, part).await?;
        stored.push(part);
        Ok(())
    }

    /// The file is given up; what was fetched of it goes.
    async fn failed(&self, media: &mut Media, fault: Fault) -> Slice {
        let (key, upload) = (&media.object_key, &media.upload_id);
        let dropped = match self.files.abort(key, upload).await {
            Ok(()) => self.files.delete(key).await,
            Err(error) => Err(error),
        };
        if let Err(error) = dropped {
            // The bucket's own rules clean up after two days.
            tracing::warn!(media.id = %media.media_id, error = %error, "a fetched file was not dropped");
        }
        media.status = MediaStatus::Failed;
        media.fault = Some(fault);
        Slice::Failed
    }

    /// Gives up an upload that no row names any more.
    async fn drop_upload(&self, media: &Media, upload: &str) {
        if let Err(error) = self.files.abort(&media.object_key, upload).await {
            // The bucket's own rules clean up after two days.
            tracing::warn!(media.id = %media.media_id, error = %error, "an upload was not dropped");
        }
    }

    /// The address gives another file than before: it begins anew, in an upload of its own. What was
    /// fetched goes once that is written down.
    async fn again(&self, media: &mut Media) -> Result<Slice, RunError> {
        media.source_version = None;
        if is_worn_out(media) {
            return Ok(self.failed(media, not_to_be_had()).await);
        }
        media.upload_id = self.files.begin(&media.object_key).await?;
        Ok(Slice::Later)
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.clock.now(), self.entropy.as_ref())
    }
}

/// Counts one more try that failed; whether it was the last.
fn is_worn_out(media: &mut Media) -> bool {
    media.fetch_tries = media.fetch_tries.saturating_add(1);
    media.fetch_tries >= TRIES
}

fn stopped(error: NotFetched) -> Stop {
    tracing::info!(error = %error, "a file could not be fetched");
    match error {
        NotFetched::Refused(_) | NotFetched::Answered(_) => Stop::Failed(not_to_be_had()),
        NotFetched::Changed => Stop::Changed,
        NotFetched::Busy(_) => Stop::Later,
        // An address that may not be called and one that does not answer look the same from outside.
        NotFetched::NoAnswer(_) => Stop::Later,
    }
}

fn not_to_be_had() -> Fault {
    Fault::new(FaultKind::InvalidRequest).sentence(
        "The file could not be fetched. Its address must be https on a public host, answer with the file itself and without a redirect, and stay reachable until it is fetched.",
    )
}

fn too_large() -> Fault {
    Fault::new(FaultKind::MediaRejected)
        .sentence("The file has more than 4,000,000,000 bytes, which no platform takes.")
}

fn rejected() -> Fault {
    Fault::new(FaultKind::MediaRejected).sentence(
        "The file is no MP4, MOV or WebM video and no JPEG, PNG or WebP image by its content.",
    )
}
