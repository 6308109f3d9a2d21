//! One worker's turn with one target.

use std::time::{Duration, Instant};

use domain::{Fault, FaultKind, Holder, Secret, TargetStatus};
use http::HeaderMap;
use platforms::{Access as _, Action, Answer, App, Apps, Finish, Job, Publish, Repeat, State};
use store::Target;
use store::targets::{Progress, SealedPart, publish_key};
use tokens::{Access, AccessError};
use transport::{NoAnswer, NoAnswerKind, RateHeaders};
use vault::{SealingKey, VaultError};

use crate::decide::{self, Moved, Sealing, Step, Then, Trouble};
use crate::error::RunError;
use crate::events::event;
use crate::queue::{LONGEST_DELAY, Message};
use crate::runner::budget::Budget;
use crate::runner::{Ran, Runner, media_infos};
