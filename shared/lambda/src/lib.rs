//! What every function needs around its handler, and nothing of what a handler decides.
//!
//! A function's `main` is one call to [`start`]; inside it reads its [`Env`] into a struct of its own,
//! builds its clients, and ends in [`http::serve`], [`sqs::serve`] or [`schedule::serve`]. Everything
//! a handler needs is thus built before the first event, and a missing variable fails the start with
//! one line that names all of them.
//!
//! ```no_run
//! # struct Config { sessions: String }
//! # async fn handle(_: &str, _: lambda::Request) -> lambda::Answer { Ok(lambda::responses::no_content()) }
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use lambda::{Aws, variables};
//!
//! fn main() -> ExitCode {
//!     lambda::start(async |env| {
//!         let aws = Aws::from_env(&env);
//!         let config = Config { sessions: env.text(&variables::TABLE_SESSIONS) };
//!         let config = Arc::new(env.finish(config)?);
//!         // let dynamodb = aws_sdk_dynamodb::Client::new(aws.config());
//!         lambda::http::serve(move |request| {
//!             let config = config.clone();
//!             async move { handle(&config.sessions, request).await }
//!         })
//!         .await
//!     })
//! }
//! ```

mod aws;
mod clock;
mod config;
mod event_bridge;
mod guard;
pub mod http;
mod invoke;
pub mod logging;
pub mod metrics;
mod problem;
mod request;
pub mod responses;
pub mod schedule;
mod secrets;
mod signed;
pub mod sqs;
mod start;
pub mod stream;
pub mod table_stream;
pub mod variables;

pub use aws::{Aws, Timeouts};
pub use clock::{OsEntropy, SystemClock};
pub use config::{ConfigErrors, Env, WrongVariable};
pub use event_bridge::{BusEvent, EventBridge, EventBridgeError};
pub use invoke::{InvokeError, Invoker};
pub use metrics::Metrics;
pub use problem::{Code, FieldError, Problem};
pub use request::{Caller, Claims, Query, Request, RequestBuilder, Scope};
pub use responses::{Cookie, Response};
pub use secrets::{CachedSecret, SecretError, SecretSource, SecretsManager};
pub use signed::{Signed, SignedAnswer, SignedError};
pub use start::{Error, start};

/// What a handler of HTTP requests gives back.
pub type Answer = Result<Response, Problem>;
