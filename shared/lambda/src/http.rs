//! Functions behind the HTTP API.

use std::future::Future;
use std::time::Instant;

use domain::Clock;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use serde_json::value::RawValue;
use tracing::Instrument;

use crate::clock::SystemClock;
use crate::logging::chain;
use crate::problem::Problem;
use crate::request::Request;
use crate::request::event::{self, Reply};
use crate::responses::Response;
use crate::start::Error;
use crate::{Answer, guard};

/// Answers requests until Lambda ends the process. A handler that panics answers 500; so does an
/// event that is no request of the gateway. Each request is one log line: its route, never its path,
/// query or body.
pub async fn serve<H, Fut>(handler: H) -> Result<(), Error>
where
    H: Fn(Request) -> Fut,
    Fut: Future<Output = Answer>,
{
    let handler = &handler;
    Runtime::new(service_fn(
        async |event: LambdaEvent<Box<RawValue>>| -> Result<Reply, Error> {
            let response = match event::read(event.payload.get()) {
                Ok(request) => respond(handler, request).await,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "an event is no request");
                    let id = &event.context.request_id;
                    Problem::internal(error).into_response(id, SystemClock.now())
                }
            };
            Ok(Reply::of(&response))
        },
    ))
    .run()
    .await
}

/// One request: the handler's answer or the problem that it ended in, logged. For whatever stands in
/// for the gateway (a simulation); [`serve`] does the same.
pub async fn respond<H, Fut>(handler: &H, request: Request) -> Response
where
    H: Fn(Request) -> Fut,
    Fut: Future<Output = Answer>,
{
    let id = request.request_id().to_owned();
    let span = tracing::error_span!("request", request.id = id);
    async {
        let started = Instant::now();
        let route = request.route().to_owned();
        let answer = guard::run(|| handler(request)).await;
        let answer = answer.unwrap_or_else(|panicked| Err(Problem::internal(panicked)));
        let elapsed_ms = started.elapsed().as_millis() as u64;
        match answer {
            Ok(response) => {
                let status = response.status().as_u16();
                tracing::info!(route, status, elapsed_ms, "answered");
                response
            }
            Err(problem) => {
                let (status, code) = (problem.status(), problem.code());
                if status >= 500 {
                    let error = chain(&problem).to_string();
                    tracing::error!(route, status, code, elapsed_ms, error, "answered");
                } else {
                    tracing::info!(route, status, code, elapsed_ms, "answered");
                }
                problem.into_response(&id, SystemClock.now())
            }
        }
    }
    .instrument(span)
    .await
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;
    use crate::responses;

    #[tokio::test]
    async fn a_panic_is_one_bad_answer() {
        let handler = |request: Request| async move {
            assert_ne!(request.path(), "/bad", "hush");
            Ok(responses::no_content())
        };
        let ask = |path: &str| Request::builder(Method::GET, path).build();
        let bad = respond(&handler, ask("/bad")).await;
        assert_eq!(bad.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let told = String::from_utf8_lossy(bad.body()).into_owned();
        assert!(told.contains("urn:passerelle:request:request-1"), "{told}");
        assert!(!told.contains("hush"), "{told}");
        let good = respond(&handler, ask("/good")).await;
        assert_eq!(good.status(), StatusCode::NO_CONTENT);
    }
}
