//! A request body of a known length that is never held whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};

/// What a source of bytes may fail with.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes to be sent, as they come.
pub type BytesStream = Pin<Box<dyn Stream<Item = Result<Bytes, SourceError>> + Send + Sync>>;

/// A source that gave another number of bytes than announced.
#[derive(Debug, thiserror::Error)]
#[error("the source of an upload gave too {0} bytes")]
struct WrongLength(&'static str);

/// A stream whose length is known. The exact size hint makes hyper send `Content-Length` instead of
/// chunks, which upload endpoints refuse.
pub(crate) struct Exactly {
    pub(crate) source: BytesStream,
    pub(crate) left: u64,
}

impl Body for Exactly {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        match self.source.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(bytes))) => match self.left.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    self.left = left;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                None => Poll::Ready(Some(Err(WrongLength("many").into()))),
            },
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Ready(None) if self.left > 0 => Poll::Ready(Some(Err(WrongLength("few").into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    // hyper stops polling once the announced length is out; saying so here keeps an empty upload
    // from waiting for a source that has nothing to give.
    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
