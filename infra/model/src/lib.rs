//! The AWS calls that the functions make, as a model in memory: DynamoDB, SQS, KMS, S3 and Secrets
//! Manager, spoken to by the real SDK clients through an HTTP client of ours.
//!
//! What it promises:
//! - It answers in AWS's own words what the functions ask, and refuses anything else with an error
//!   that names it: nothing passes because it was not understood.
//! - A call takes effect at one instant or not at all, and a [`Seam`] decides which: before each call
//!   it may let time pass, refuse, take the effect and lose the answer, or end the caller.
//! - Time is tokio's, so a paused runtime runs hours in milliseconds, the same way each time.
//!
//! The store's contract tests run against this model and against the emulator alike.

mod answer;
mod aws;
pub mod dynamodb;
pub mod kms;
mod s3;
mod script;
mod seam;
mod sqs;
mod template;
mod time;

pub use answer::Refusal;
pub use aws::Aws;
pub use script::{Fault, Rule, Script, Scripted};
pub use seam::{BoxFuture, Call, Fate, NoFaults, Outcome, Seam};
pub use sqs::{Message, Queue, QueueSettings};
pub use template::Template;
pub use time::{VirtualClock, pass, pass_until};

/// The region that everything local lives in.
pub const REGION: &str = "us-east-1";
/// The account that everything local lives in.
pub const ACCOUNT: &str = "000000000000";
