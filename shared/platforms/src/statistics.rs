//! Statistics as a machine: it says which call comes next, reads the answer, and at the end hands over
//! what it read. It lives as long as one sync; a sync that dies is read anew from its start.

use std::time::Duration;

use domain::{Account, Fact, Fault, Figures, MediaItem, TokenBundle};

use crate::{Answer, Call};

/// How a platform's statistics are read.
pub trait Statistics: Sync {
    /// What syncs cost, and how many a minute the platform bears.
    fn budget(&self) -> StatisticsBudget;

    /// A reading of what `wanted` names, at its beginning.
    fn start(&self, wanted: &Wanted<'_>) -> Box<dyn StatisticsReading>;
}

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of which account.
    pub account: &'a Account,
    /// Scopes as granted: what needs another one is not asked for.
    pub scopes: &'a [String],
    /// These media alone; `None` for the account and its newest media.
    pub media: Option<&'a [String]>,
}

/// One reading under way.
pub trait StatisticsReading: Send {
    /// The next call; `None` once there is nothing more to ask.
    fn next(&self, bundle: &TokenBundle) -> Result<Option<Call>, Fault>;

    /// Takes the answer in. `Err` leaves the reading where it was: the same call may be made again
    /// (with a fresh token, say), or given up.
    fn answered(&mut self, answer: Answer<'_>) -> Result<(), Fault>;

    /// Leaves the present call undone. What was read so far stays; after a missing scope the other
    /// parts are still asked for, after any other fault nothing is.
    fn give_up(&mut self, fault: Fault);

    /// What was read.
    fn finish(self: Box<Self>) -> Reading;
}

/// What statistics of one platform may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatisticsBudget {
    /// How many connections may be synced in a minute.
    pub syncs_per_minute: u32,
    /// From the first moment of the daily run, connections are spread over this long.
    pub spread: Duration,
    /// What one sync costs at most, in millionths of a US dollar; counted towards the daily cap.
    pub micros_per_sync: u64,
}

/// What a reading came to. Parts that were read stand also where others failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The account's own figures.
    pub account: Option<Figures>,
    /// Its media, newest first; for a reading of some media, those that the platform still knows.
    pub media: Vec<MediaItem>,
    /// What else was read: comments, fans, messages, earnings, each as of when it was asked.
    pub records: Vec<Fact>,
    /// How much of the media was read.
    pub extent: Extent,
    /// Parts that are off, since the creator did not grant what they need.
    pub off: Vec<PartOff>,
    /// What ended the reading before its time.
    pub fault: Option<Fault>,
}

/// How much of an account's media was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// None, or not all that one reading takes: no sum can be made of it.
    #[default]
    Unfinished,
    /// As much as one reading takes; the account has more.
    Newest,
    /// All that the platform shows.
    Whole,
}

/// A part of the statistics that a missing scope switches off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartOff {
    /// Which part: `account`, `media`.
    pub part: &'static str,
    /// The scope that it needs, by the platform's name.
    pub scope: &'static str,
}
