//! A panic stays within the one request or record that caused it.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

/// A handler panicked. The payload is dropped: it may quote a secret. Where it happened is logged by
/// the hook of [`crate::logging`].
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
pub(crate) struct Panicked;

/// Runs a handler, a panic while it is built included.
pub(crate) async fn run<F, Fut>(handler: F) -> Result<Fut::Output, Panicked>
where
    F: FnOnce() -> Fut,
    Fut: Future,
{
    // On the heap and nameless: a handler's future is deeply nested, and the compiler would otherwise
    // carry its whole shape through every wrapper around it.
    let boxed: LocalBoxFuture<'_, Fut::Output> = Box::pin(async { handler().await });
    // Handlers share nothing mutable with the next event but locks, which tell of poisoning.
    AssertUnwindSafe(boxed)
        .catch_unwind()
        .await
        .map_err(|_| Panicked)
}
