//! Functions behind the HTTP API.

use std::future::Future;
use std::time::Instant;

use domain::{Clock, Timestamp};
use http::{HeaderValue, header};
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
    serve_shown(handler, Problem::into_response_for).await
}

/// The same for addresses that people open in a browser: `page` makes the page of a problem, whatever
/// it is, in the language that the browser asks for.
pub async fn serve_pages<H, Fut, P>(handler: H, page: P) -> Result<(), Error>
where
    H: Fn(Request) -> Fut,
    Fut: Future<Output = Answer>,
    P: Fn(Option<&str>, &Problem) -> Response,
{
    serve_shown(handler, |problem, to, now| {
        show_page(&page, problem, to, now)
    })
    .await
}

async fn serve_shown<H, Fut, S>(handler: H, show: S) -> Result<(), Error>
where
    H: Fn(Request) -> Fut,
    Fut: Future<Output = Answer>,
    S: Fn(Problem, &Asker, Timestamp) -> Response,
{
    let (handler, show) = (&handler, &show);
    Runtime::new(service_fn(
        async |event: LambdaEvent<Box<RawValue>>| -> Result<Reply, Error> {
            let response = match event::read(event.payload.get()) {
                Ok(request) => respond_shown(handler, show, request).await,
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
    respond_shown(handler, &Problem::into_response_for, request).await
}

/// [`respond`] where people look at the answers, as [`serve_pages`] does it.
pub async fn respond_page<H, Fut, P>(handler: &H, page: &P, request: Request) -> Response
where
    H: Fn(Request) -> Fut,
    Fut: Future<Output = Answer>,
    P: Fn(Option<&str>, &Problem) -> Response,
{
    let show = |problem, to: &Asker, now| show_page(page, problem, to, now);
    respond_shown(handler, &show, request).await
}

/// What the answer to a problem takes from its request.
struct Asker {
    request_id: String,
    language: Option<String>,
}

impl Problem {
    fn into_response_for(self, to: &Asker, now: Timestamp) -> Response {
        self.into_response(&to.request_id, now)
    }
}

fn show_page(
    page: &impl Fn(Option<&str>, &Problem) -> Response,
    problem: Problem,
    to: &Asker,
    now: Timestamp,
) -> Response {
    let mut response = page(to.language.as_deref(), &problem);
    if let Some(wait) = problem.retry_after(now) {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

async fn respond_shown<H, Fut, S>(handler: &H, show: &S, request: Request) -> Response
where
    H: Fn(Request) -> Fut,
    Fut: Future<Output = Answer>,
    S: Fn(Problem, &Asker, Timestamp) -> Response,
{
    let id = request.request_id().to_owned();
    let asker = Asker {
        request_id: id.clone(),
        language: request.header("accept-language").map(str::to_owned),
    };
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
                show(problem, &asker, SystemClock.now())
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

    #[tokio::test]
    async fn people_are_shown_a_page_whatever_goes_wrong() {
        let handler = |request: Request| async move {
            assert_ne!(request.path(), "/panic", "hush");
            let until = SystemClock.now().plus_secs(90);
            Err(Problem::unavailable("a table is gone").until(until))
        };
        let page = |language: Option<&str>, problem: &Problem| {
            let text = format!("{} in {}", problem.status(), language.unwrap_or("-"));
            let status = StatusCode::from_u16(problem.status()).unwrap();
            responses::typed(status, "text/plain", text.into())
        };
        for (path, told, waits) in [("/panic", "500 in fr", false), ("/any", "503 in fr", true)] {
            let request = Request::builder(Method::GET, path)
                .header("accept-language", "fr")
                .build();
            let response = respond_page(&handler, &page, request).await;
            assert_eq!(String::from_utf8_lossy(response.body()), told);
            let header = response.headers().get("retry-after");
            assert_eq!(header.is_some(), waits, "{path}");
        }
    }
}
