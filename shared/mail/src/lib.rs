//! The weekly report and the daily notices: who is due, what is told, and sending it at most once.
//!
//! Decisions are pure: when somebody's mail is due ([`due`]), what needs a notice ([`notice`]), how a
//! week grew ([`growth`]), what a mail says ([`compose`]). Around them stand the dispatcher, which
//! queues who is due, the [`Mailman`], who writes down that a mail is sent before it is, and
//! [`feedback`], which stops mail to addresses that bounce or complain.
//!
//! Promises: a mail goes out at most once, whatever is killed or repeated; text out of platforms,
//! products and users is escaped; nothing is sent to who has no address, opted out, bounced or
//! complained; no address is in any log line.

pub mod address;
pub mod compose;
pub mod dispatch;
pub mod due;
mod error;
pub mod feedback;
pub mod growth;
pub mod link;
mod mailman;
pub mod notice;
pub mod report;
pub mod ses;
mod show;
pub mod user;
mod words;

pub use compose::{Look, Mail};
pub use dispatch::{Dispatch, MailMessage};
pub use error::MailError;
pub use feedback::Feedback;
pub use link::{LinkKeys, MailKind};
pub use mailman::{Handled, Mailman};
pub use ses::Ses;
