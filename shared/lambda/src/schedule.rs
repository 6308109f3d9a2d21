//! Functions that a schedule wakes.

use std::future::Future;

use domain::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use crate::guard;
use crate::logging::chain;
use crate::start::Error;

/// One waking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The id under which the logs know it.
    pub request_id: String,
    /// When Lambda ends the function: work that is not begun by then waits for the next tick.
    pub deadline: Timestamp,
}

/// Runs the handler at each tick until Lambda ends the process. A handler's error is logged here and
/// reported to Lambda without its text.
pub async fn serve<H, Fut>(handler: H) -> Result<(), Error>
where
    H: Fn(Tick) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    serve_each(async |tick, _: IgnoredAny| handler(tick).await).await
}

/// The same for a function that several schedules wake: each gives its own input.
pub async fn serve_each<I, H>(handler: H) -> Result<(), Error>
where
    I: DeserializeOwned,
    H: AsyncFn(Tick, I) -> Result<(), Error>,
{
    let handler = &handler;
    Runtime::new(service_fn(
        async |event: LambdaEvent<Box<RawValue>>| -> Result<(), Diagnostic> {
            let tick = Tick {
                request_id: event.context.request_id,
                deadline: deadline(event.context.deadline),
            };
            let input =
                serde_json::from_str(event.payload.get()).map_err(|error| failed(&error))?;
            match guard::run(|| handler(tick, input)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(failed(&*error)),
                Err(panicked) => Err(failed(&panicked)),
            }
        },
    ))
    .run()
    .await
}

/// Lambda's milliseconds since 1970.
pub(crate) fn deadline(millis: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// Logs the chain; what Lambda is told is fixed, since its error texts go to places of their own.
pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> Diagnostic {
    tracing::error!(error = %chain(error), "the invocation failed");
    Diagnostic {
        error_type: "InvocationFailed".into(),
        error_message: "see the log line before this one".into(),
    }
}
