//! What was called lately, and when the next call may be made. Pure.
//!
//! A sliding window is a log of the calls of its last span and of the places that were given for later;
//! a place that is not taken up in time is given to somebody else. An average is a bucket, kept as the
//! instant at which it would be empty again. What the platform itself says closes a limit until then.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use platforms::{Counts, Limit, LimitOf, Rule};
use serde::{Deserialize, Serialize};

/// The platform counts when a call arrives, we when it is sent: a place is given this much later than
/// our own count would allow.
const MARGIN: i64 = 1_000;
/// A place that its owner has not come for by then is free again.
const HELD_FOR: i64 = 120_000;
/// How many places of one limit are held at a time; whoever comes after is told the next one, unheld.
const MOST_HELD: usize = 500;
/// How many calls of one account are remembered where accounts are counted: the last one decides, and
/// the others stand in where it is given back.
const KEPT_OF_ONE: usize = 8;
/// How long a limit of what is open is closed at most, where the platform itself names no later instant;
/// after as long without a word it is forgotten how often it was.
const LONGEST_CLOSED: i64 = 3_600_000;

/// All limits of one owner, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Book(BTreeMap<String, Ledger>);

/// One limit. All instants are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Ledger {
    /// Calls that were made, of the window's last span.
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    calls: Vec<i64>,
    /// Places that were given for later: by whom they were asked for, and when they come.
    #[serde(rename = "h", skip_serializing_if = "Vec::is_empty")]
    held: Vec<(String, i64)>,
    /// Accounts that called, or what is open, each with its instant.
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    members: Vec<(String, i64)>,
    /// When a bucket is empty again.
    #[serde(rename = "e", skip_serializing_if = "is_zero")]
    empty_at: i64,
    /// Closed until then, by the platform's own word.
    #[serde(rename = "x", skip_serializing_if = "is_zero")]
    closed_until: i64,
    /// How often in a row the platform said so of a limit of what is open.
    #[serde(rename = "k", skip_serializing_if = "none")]
    closings: u8,
}

/// Who wants to call, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// The same for every try of the same call.
    pub(crate) id: &'a str,
    /// On which account.
    pub(crate) account: &'a str,
    pub(crate) now: Timestamp,
}

/// The books of the two owners that a call may concern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) account: Book,
    pub(crate) app: Book,
}

/// When a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// Now, and it is counted.
    Now,
    /// Not before this instant, because of this limit.
    Later(Timestamp, Limit),
}

impl Books {
    fn of(&mut self, limit: &Limit) -> &mut Ledger {
        let book = match limit.of {
            LimitOf::Account => &mut self.account,
            LimitOf::App => &mut self.app,
        };
        book.0.entry(limit.name.to_owned()).or_default()
    }

    /// Takes a place in every limit now, or holds one in every limit for the first instant at which
    /// all of them are free.
    pub(crate) fn reserve(&mut self, limits: &[Limit], ask: Ask<'_>) -> Given {
        let now = ask.now.millis();
        for limit in limits {
            self.of(limit).tidy(limit.rule, now);
        }
        let mut at = now;
        let mut last = None;
        // Every round but the last moves the instant on to where one of the limits is free.
        for _ in 0..64 {
            let before = at;
            for limit in limits {
                let free = self.of(limit).earliest(limit.rule, ask, at);
                if free > at {
                    at = free;
                    last = Some(*limit);
                }
            }
            if at == before {
                break;
            }
        }
        let Some(limit) = last else {
            for limit in limits {
                self.of(limit).take(limit.rule, ask);
            }
            return Given::Now;
        };
        for limit in limits {
            self.of(limit).hold(limit.rule, ask.id, at);
        }
        Given::Later(Timestamp::from_millis(at), limit)
    }

    /// The platform says that the limit is reached, until `until`; of what is open it may end sooner or
    /// last longer, so that is looked at again then, and after twice the time whenever it is said again.
    pub(crate) fn close(&mut self, limit: &Limit, until: Timestamp, now: Timestamp) {
        let (until, now) = (until.millis(), now.millis());
        let ledger = self.of(limit);
        ledger.tidy(limit.rule, now);
        let mut closed = until;
        // Whoever was refused at the same moment says nothing new.
        if matches!(limit.rule, Rule::Open { .. }) && ledger.closed_until <= now {
            let span = (until - now).max(0);
            let grown = span.saturating_mul(1 << ledger.closings.min(10));
            closed = until.max(now + grown.min(LONGEST_CLOSED));
            ledger.closings = ledger.closings.saturating_add(1);
        }
        ledger.closed_until = ledger.closed_until.max(closed);
    }

    /// The platform clearly refused the call whose places were taken by this asking: they are free
    /// again wherever only the others count. Whether anything changed.
    pub(crate) fn give_back(&mut self, limits: &[Limit], taken: Ask<'_>) -> bool {
        let counted = |limit: &&Limit| limit.counts == Counts::Effects;
        let mut changed = false;
        for limit in limits.iter().filter(counted) {
            changed |= self.of(limit).give_back(limit.rule, taken);
        }
        changed
    }

    /// What was open under this id no longer is. Whether anything changed.
    pub(crate) fn release(&mut self, limit: &Limit, id: &str) -> bool {
        let ledger = self.of(limit);
        let before = ledger.members.len();
        ledger.members.retain(|(member, _)| member != id);
        let released = ledger.members.len() < before;
        if released {
            // The platform's own count went down as well.
            (ledger.closed_until, ledger.closings) = (0, 0);
        }
        released
    }
}

impl Book {
    /// Gives an account that calls another name; `false` where it is not in the book.
    pub(crate) fn rename(&mut self, account: &str, name: &str) -> bool {
        let members = self.0.values_mut().flat_map(|one| &mut one.members);
        let mut renamed = false;
        for (member, _) in members.filter(|(member, _)| member == account) {
            name.clone_into(member);
            renamed = true;
        }
        renamed
    }

    /// Whether nothing in it counts any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.values().all(|ledger| *ledger == Ledger::default())
    }
}

impl Ledger {
    fn tidy(&mut self, rule: Rule, now: i64) {
        let since = now - span(rule);
        self.calls.retain(|call| *call > since);
        self.members.retain(|(_, at)| *at > since);
        self.held.retain(|(_, at)| *at > now - HELD_FOR);
        let kept = if self.closings > 0 { LONGEST_CLOSED } else { 0 };
        if self.closed_until + kept <= now {
            (self.closed_until, self.closings) = (0, 0);
        }
        if self.empty_at <= now {
            self.empty_at = 0;
        }
    }

    /// The first instant from `from` on at which the call is allowed.
    fn earliest(&self, rule: Rule, ask: Ask<'_>, from: i64) -> i64 {
        let from = from.max(self.closed_until);
        match rule {
            Rule::Window { calls, .. } => self.window(calls, span(rule), ask.id, from),
            Rule::Accounts { most, .. } => self.members(most, span(rule), ask.account, from),
            Rule::Open { most, .. } => self.members(most, span(rule), ask.id, from),
            Rule::Bucket { calls, per } => {
                let own = self.held.iter().find(|(id, _)| id == ask.id);
                let burst = millis(per) - interval(calls, per);
                from.max(own.map_or(self.empty_at - burst, |(_, at)| *at))
            }
        }
    }

    fn window(&self, most: u32, per: i64, id: &str, from: i64) -> i64 {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let others = self.held.iter().filter(|(held, _)| held != id);
        let mut times: Vec<i64> = self.calls.clone();
        times.extend(others.map(|(_, at)| *at));
        times.sort_unstable();
        // Places that were given for after `at` do not stand in the way: whoever comes for one asks
        // again, and moves back by as much as the calls before were late.
        let in_span = |end: i64| {
            let first = times.partition_point(|time| *time <= end - per);
            times.partition_point(|time| *time <= end) - first
        };
        let mut at = from;
        while in_span(at) >= most {
            let next = times.iter().map(|time| time + per).find(|next| *next > at);
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }

    fn members(&self, most: u32, per: i64, member: &str, from: i64) -> i64 {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for (known, at) in &self.members {
            let latest = last.entry(known).or_insert(*at);
            *latest = (*latest).max(*at);
        }
        if last.contains_key(member) || last.len() < most {
            return from;
        }
        let mut times: Vec<i64> = last.into_values().collect();
        times.sort_unstable();
        let freed = times.get(times.len().saturating_sub(most.max(1)));
        from.max(freed.map_or(from, |at| at + per))
    }

    fn take(&mut self, rule: Rule, ask: Ask<'_>) {
        let now = ask.now.millis();
        let had = self.held.len();
        self.held.retain(|(id, _)| id != ask.id);
        match rule {
            Rule::Window { .. } => self.calls.push(now),
            Rule::Accounts { .. } => {
                let own = |(member, _): &(String, i64)| member == ask.account;
                if self.members.iter().filter(|member| own(member)).count() >= KEPT_OF_ONE
                    && let Some(oldest) = self.members.iter().position(own)
                {
                    self.members.remove(oldest);
                }
                self.members.push((ask.account.to_owned(), now));
            }
            Rule::Open { .. } => {
                if !self.members.iter().any(|(member, _)| member == ask.id) {
                    self.members.push((ask.id.to_owned(), now));
                }
            }
            // A place that was held is paid for.
            Rule::Bucket { calls, per } if had == self.held.len() => {
                self.empty_at = self.empty_at.max(now) + interval(calls, per);
            }
            Rule::Bucket { .. } => {}
        }
    }

    /// Undoes [`Ledger::take`]; whether it was still there.
    fn give_back(&mut self, rule: Rule, taken: Ask<'_>) -> bool {
        let at = taken.now.millis();
        let member = match rule {
            Rule::Window { .. } => {
                let place = self.calls.iter().position(|call| *call == at);
                return place.map(|place| self.calls.remove(place)).is_some();
            }
            Rule::Bucket { calls, per } => {
                self.empty_at -= interval(calls, per);
                return true;
            }
            Rule::Accounts { .. } => taken.account,
            Rule::Open { .. } => taken.id,
        };
        let own = |(known, since): &(String, i64)| known == member && *since == at;
        let place = self.members.iter().position(own);
        place.map(|place| self.members.remove(place)).is_some()
    }

    fn hold(&mut self, rule: Rule, id: &str, at: i64) {
        let known = self.held.iter().any(|(held, _)| held == id);
        if !known && self.held.len() >= MOST_HELD {
            return;
        }
        match rule {
            Rule::Window { .. } => {
                self.held.retain(|(held, _)| held != id);
                self.held.push((id.to_owned(), at));
            }
            Rule::Bucket { calls, per } => {
                self.held.retain(|(held, _)| held != id);
                self.held.push((id.to_owned(), at));
                if !known {
                    self.empty_at = self.empty_at.max(at) + interval(calls, per);
                }
            }
            // Nobody knows who is done first: whoever comes back finds out.
            Rule::Accounts { .. } | Rule::Open { .. } => {}
        }
    }
}

const fn is_zero(number: &i64) -> bool {
    *number == 0
}

const fn none(count: &u8) -> bool {
    *count == 0
}

fn span(rule: Rule) -> i64 {
    millis(rule.span()) + MARGIN
}

/// The time that one call of a bucket takes up.
fn interval(calls: u32, per: Duration) -> i64 {
    millis(per) / i64::from(calls.max(1))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
