//! Messages to addresses that a caller named: the same rules as for files from there, see `public`.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};

use crate::public::public_url;
use crate::{BoxFuture, NoAnswer, NoAnswerKind, NotFetched, Transport};

/// What is read of an answer so that its connection can serve the next message; of a longer one the
/// connection is given up.
const MOST_READ: usize = 16 * 1_024;

/// What is looked at of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its status; a redirect is an answer like any other, and is not followed.
    pub status: StatusCode,
    /// `Retry-After` as it came: seconds or a date.
    pub retry_after: Option<String>,
}

/// What sends messages: [`Transport`], or a test's own. Hold it as `Arc<dyn Push>`.
pub trait Push: Send + Sync {
    /// Posts `body` with these headers to `url`. `timeout` bounds everything. The body of the answer is
    /// not looked at. Connections are used again, so a message may arrive twice: send only what says so
    /// by an id.
    fn push<'a>(
        &'a self,
        url: &'a str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Pushed, NotFetched>>;
}

impl Push for Transport {
    fn push<'a>(
        &'a self,
        url: &'a str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Pushed, NotFetched>> {
        Box::pin(async move {
            let real = public_url(url)?;
            let on_wire = self.overrides().to_wire(&real).map_err(|refused| {
                let kind = NoAnswerKind::Refused;
                NoAnswer::new(kind, &Method::POST, url, refused.to_string())
            })?;
            let request = self
                .public_pooled()
                .post(on_wire)
                .timeout(timeout)
                .headers(headers)
                .body(body);
            let answer = request.send().await;
            let mut answer =
                answer.map_err(|error| NoAnswer::from_reqwest(&Method::POST, url, error))?;
            let pushed = Pushed {
                status: answer.status(),
                retry_after: answer
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned),
            };
            let mut read = 0;
            // The status has decided: how the rest of the answer ends is of no consequence.
            while let Ok(Some(piece)) = answer.chunk().await {
                read += piece.len();
                if read > MOST_READ {
                    break;
                }
            }
            Ok(pushed)
        })
    }
}
