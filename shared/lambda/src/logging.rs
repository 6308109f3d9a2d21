//! JSON lines on standard output.
//!
//! Field names are the same everywhere, dots between the noun and its part, units in the name:
//! `request.id`, `user.id`, `connection.id`, `flow.id`, `media.id`, `post.id`, `target.id`,
//! `delivery.id`, `message.id`, `platform`, `call` (the name of a call to a platform), `status`,
//! `fault`, `error` (a chain, see [`chain`]), `elapsed_ms`, `receive_count`. The message can be read
//! alone; ids are fields as well. A failure is logged once, where it is handled.
//!
//! Never logged, at any level: a token, a code, a state, a PKCE verifier, a cookie, a client secret, a
//! signature, an `Authorization` header, a query, a request's or answer's body, a message's body, a
//! link of a session, a presigned URL, a caption, a panic's payload.

use std::error::Error;
use std::fmt::{self, Write as _};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Env;
use crate::variables::LOG_LEVEL;

/// Starts of foreign module names that log bodies, headers or URLs below `warn`: `lambda_runtime`
/// writes whole events at `trace`, the AWS SDK whole requests. They never log below `warn`, whatever
/// the level is.
const TALKATIVE: &[&str] = &[
    "aws", "hyper", "h2", "lambda_", "reqwest", "rustls", "tower",
];

/// Starts logging at `LOG_LEVEL`, and logs where a panic happens, without what it says.
pub fn start(env: &Env) {
    let level = env.parse(&LOG_LEVEL, |text| {
        text.parse::<Level>().map_err(|_| "it is no level")
    });
    let filter = filter(level.unwrap_or(Level::INFO));
    // A second start in one process (tests) keeps the first.
    let _already = tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_target(false)
                .with_span_list(false),
        )
        .with(filter)
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| (at.file(), at.line()));
        let (file, line) = place.unwrap_or(("unknown", 0));
        tracing::error!(file, line, "panicked");
    }));
}

fn filter(level: Level) -> Targets {
    let foreign = LevelFilter::from_level(level).min(LevelFilter::WARN);
    Targets::new()
        .with_default(level)
        .with_targets(TALKATIVE.iter().map(|target| (*target, foreign)))
}

/// An error and its sources in one line: `the table cannot be read: no connection: refused`.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + use<'a> {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let mut text = String::new();
            write!(text, "{error}")?;
            // Wrappers that repeat their source say nothing new.
            if text != last {
                write!(f, ": {text}")?;
            }
            last = text;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_modules_stay_quiet() {
        for level in [Level::TRACE, Level::INFO] {
            let filter = filter(level);
            for target in ["lambda_runtime::layers", "aws_smithy_runtime", "hyper_util"] {
                assert!(!filter.would_enable(target, &Level::INFO), "{target}");
                assert!(filter.would_enable(target, &Level::WARN), "{target}");
            }
            for target in ["lambda::http", "oauth_callback", "transport"] {
                assert!(filter.would_enable(target, &level), "{target}");
            }
        }
        assert!(!filter(Level::ERROR).would_enable("aws_sdk_kms", &Level::WARN));
    }

    #[test]
    fn chains_read_as_one_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(chain(&error).to_string(), "outer: inner");
    }
}
