//! The whole AWS side on one machine, without Docker.
//!
//! A [`Cloud`] is the AWS process with its keys; a [`Stack`] is template.yaml deployed into it:
//! tables, queues, buckets, secrets and keys created, the real function binaries run behind a
//! Lambda runtime API, the HTTP API's routes served, queues and streams polled, schedules fired.
//! Every AWS call of a function goes through a [`proxy`] that records it and plays faults.
//!
//! Everything listens on the loopback address only.

pub mod aws;
pub mod clients;
pub mod cloud;
pub mod crm;
pub mod demo;
pub mod deploy;
pub mod dev;
pub mod gateway;
pub mod host;
pub mod iam;
pub mod issuer;
pub mod mailbox;
pub mod measure;
pub mod ministack;
pub mod pollers;
pub mod postgres;
pub mod proxy;
pub mod runtime_api;
pub mod schedule;
pub mod stack;
pub mod template;
pub mod venv;
pub mod verify;

pub use cloud::Cloud;
pub use dev::{Dev, DevOptions, Platforms};
pub use gateway::Door;
pub use model::kms;
pub use proxy::{Fault, Rule, Scripted};
pub use stack::{Stack, StackOptions, eventually};
