//! Media and posts: what a caller may ask for, and the runner that carries it out.
//!
//! Promises: a file is ready only after its bytes were counted and looked at; a post is accepted
//! only if every target could be published as things stand; an accepted target is brought to an end
//! whatever dies on the way, and a call that must not be made twice is never repeated, but
//! reconciled or, where that cannot tell, parked as `outcome_unknown`.
//!
//! The decisions (what to write for which outcome) are pure functions in `decide`, `backoff`,
//! `check` and `plan`; the rest carries them out. Nothing here knows HTTP of ours, reads the
//! environment or names a platform.

mod backoff;
mod cancel;
mod check;
mod choices;
mod create;
mod decide;
mod error;
mod events;
mod fetch;
mod figures;
mod files;
mod media;
mod movie;
mod new_media;
mod plan;
mod queue;
mod resolve;
mod runner;
mod sweep;
mod told;
mod view;

pub use choices::{ChoicesError, Chooser};
pub use create::{Composer, MAX_MEDIA, MAX_TARGETS, MAX_TEXT_BYTES, NewPost, NewTarget};
pub use error::{PostsError, RunError};
pub use fetch::{FetchMessage, Fetcher, Slice};
pub use figures::settled;
pub use files::{Files, FilesError};
pub use media::{MAX_MEDIA_BYTES, NewMedia, PartList, SentPart, Uploads};
pub use queue::{Message, PublishQueue, QueueError, Work};
pub use resolve::Resolution;
pub use runner::{Ran, Runner, RunnerSettings, release_open};
pub use sweep::{Sweep, Swept};
pub use told::{Told, told};
pub use view::{
    FaultView, MediaView, PartView, PartsView, PostStatus, PostView, ProgressView, TargetView,
};
