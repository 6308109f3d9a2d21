//! The product's vocabulary: ids, secrets, time, faults, tokens, connections, posts, events.
//!
//! Nothing here does I/O, reads a clock or draws randomness; nothing here knows AWS, HTTP or a
//! platform's own names. Every other crate may depend on this one.

mod account;
mod audit;
mod chance;
mod connection;
mod environment;
mod event;
mod fault;
mod id;
mod media;
pub mod metric;
mod platform;
mod post;
mod record;
mod secret;
mod statistics;
mod timestamp;
mod token;
mod webhook;

pub use account::Account;
pub use audit::{Act, Outcome, Role, Who};
pub use chance::{Clock, Entropy, FixedClock, SeededEntropy};
pub use connection::{ConnectionStatus, ReauthReason, Revocation};
pub use environment::{AppRef, Environment};
pub use event::{Event, EventKind};
pub use fault::{Actor, Fault, FaultKind, Retry};
pub use id::{
    AttemptId, AuditId, ConnectionId, DeliveryId, EndpointId, EventId, FlowId, Holder, InvalidId,
    JobId, MediaId, PostId, SyncId, TargetId, UserId,
};
pub use media::{MediaKind, MediaStatus};
pub use metric::{Labels, Meter, Silent};
pub use platform::{Platform, UnknownPlatform};
pub use post::{Mode, PostOptions, PublishedPost, TargetStatus, Transfer};
pub use record::{
    AnalyticsEvent, AnalyticsKind, Comment, Direction, Fact, Fan, Kept, MediaItem, MediaItemKind,
    Message, News, Record, RecordKind, Subscription, Telling, news,
};
pub use secret::{MaskedUrl, Secret};
pub use statistics::{Day, Figures, InvalidDay, MediaTotals, Money, OwnFigure, Snapshot, SyncKind};
pub use timestamp::{Seconds, Timestamp};
pub use token::{TokenBundle, missing_scopes};
pub use webhook::{Delivery, PublishNews, ReceivedWebhook, WebhookEffect, WebhookMessage};
