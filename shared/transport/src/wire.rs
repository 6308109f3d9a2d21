//! The seam at which tests put their own platform.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use platforms::Call;

use crate::{BytesStream, NoAnswer, Transport};

/// A future behind a pointer, so that [`Wire`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What sends requests to platforms: [`Transport`], or a test's own. Hold it as `Arc<dyn Wire>`.
pub trait Wire: Send + Sync {
    /// See [`Transport::send`].
    fn send(
        &self,
        call: Call,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, NoAnswer>>;

    /// See [`Transport::upload`].
    fn upload<'a>(
        &'a self,
        request: Request<Bytes>,
        allowed_hosts: &'a [&'a str],
        content_length: u64,
        body: BytesStream,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Response<Bytes>, NoAnswer>>;
}

impl Wire for Transport {
    fn send(
        &self,
        call: Call,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, NoAnswer>> {
        Box::pin(Transport::send(self, call, timeout))
    }

    fn upload<'a>(
        &'a self,
        request: Request<Bytes>,
        allowed_hosts: &'a [&'a str],
        content_length: u64,
        body: BytesStream,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Response<Bytes>, NoAnswer>> {
        Box::pin(Transport::upload(
            self,
            request,
            allowed_hosts,
            content_length,
            body,
            timeout,
        ))
    }
}
