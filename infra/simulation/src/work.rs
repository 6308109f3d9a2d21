//! One minute: uses, the schedule, the queue, the workers.

use std::time::Duration;

use domain::{Fault, FaultKind, Timestamp};
use store::due::{SHARDS, turn};
use store::platforms::WINDOW_SECONDS;
use tokens::decide::{self, Lately, Refusal};

use crate::DAY;
use crate::connection::{Connection, Habit, NEVER, State, at, instant, minute};
use crate::outage::Mode;
use crate::world::World;

/// What takes how long, in milliseconds: a refresh that is answered, one that is not, a message whose
/// connection somebody else refreshed, one whose platform rests.
const ANSWERED: u64 = 350;
const TIME_OUT_MARGIN: u64 = 50;
const REFUSED_LEASE: u64 = 15;
const RESTING: u64 = 1;
/// A minute of the schedule and of SQS, taken as one: what is queued in a minute is received in it.
const MINUTE_MS: i64 = 60_000;
/// How much a worker that was idle can make up for.
const MOST_CREDIT: i64 = 0;

/// How a refresh ended.
enum Ended {
    Fresh,
    Failed,
}

impl World {
    /// Creators' posts and the product's calls: each needs a token.
    pub(crate) fn use_them(&mut self, now: u32) {
        for n in self.uses.take(now) {
            let mut connection = self.connections[n as usize];
            if connection.state != State::Active {
                continue;
            }
            let pause = match connection.habit {
                Habit::Daily => DAY / 3,
                habit => self.between(habit),
            };
            let next = now + 1 + pause / 2 + self.chance.under(pause);
            self.uses.put(next, n);
            self.use_one(n, &mut connection, now);
        }
    }

    fn use_one(&mut self, n: u32, connection: &mut Connection, now: u32) {
        let kind = usize::from(connection.kind);
        self.out.per_kind[kind].uses += 1;
        // As `Tokens::access` has it: a token that dies within a minute is renewed first, unless a
        // refresh failed and its pause is not over.
        if connection.expires <= now + 1 {
            let waits = connection.failures > 0 && connection.due > now;
            let resting = self.breakers[kind].open_until > now;
            let refused = waits || resting || {
                self.out.per_kind[kind].uses_renewing += 1;
                matches!(self.refresh(connection, now), Ended::Failed)
            };
            self.connections[n as usize] = *connection;
            if refused {
                self.due_changed(n);
                let counts = &mut self.out.per_kind[kind];
                if self.out.plan.outages.iter().any(|outage| {
                    let from = now - self.start;
                    (outage.from..outage.from + outage.minutes + DAY).contains(&from)
                }) {
                    counts.uses_refused_outage += 1;
                } else {
                    counts.uses_refused += 1;
                }
                return;
            }
        }
        // A use is noted at most once an hour, and not while refreshes fail.
        if now - connection.used >= 60 && connection.failures == 0 {
            connection.used = now;
            self.plan_due(connection, now);
        }
        self.connections[n as usize] = *connection;
        self.due_changed(n);
    }

    /// The due index: what has come to be due lies at the end of its shard.
    pub(crate) fn find_due(&mut self, now: u32) {
        for n in self.due.take(now) {
            let connection = &self.connections[n as usize];
            if connection.due <= now && connection.state == State::Active {
                let (kind, shard) = (connection.kind, connection.shard);
                self.overdue[usize::from(kind)][usize::from(shard)].push_back(n);
            }
        }
    }

    /// `token-refresh`: so many of each shard, the most overdue first; platforms that rest are passed
    /// over. What it queues stays in the index until it is refreshed.
    pub(crate) fn queue_due(&mut self, now: u32) {
        let most = usize::try_from(token_refresh::MOST_PER_SHARD).unwrap_or(0);
        // Past the ramp everybody has a turn: nobody needs to be asked.
        let ramp = |world: &Self, kind: usize| {
            let open_until = world.breakers[kind].open_until;
            (open_until + decide::RAMP_MINUTES > now).then(|| at(open_until))
        };
        for place in 0..SHARDS {
            let name = turn(i64::from(now), place);
            let shard: usize = name.trim_start_matches('s').parse().unwrap_or(0);
            let mut taken = 0;
            for kind in 0..self.out.kinds.len() {
                if self.breakers[kind].open_until > now {
                    continue;
                }
                let opened = ramp(self, kind);
                let mut again = Vec::new();
                while taken < most {
                    let Some(n) = self.overdue[kind][shard].pop_front() else {
                        break;
                    };
                    let connection = &self.connections[n as usize];
                    if connection.due > now || connection.state != State::Active {
                        continue;
                    }
                    again.push(n);
                    let bucket = u32::from(connection.bucket);
                    if opened.is_some_and(|opened| !decide::has_its_turn(bucket, opened, at(now))) {
                        continue;
                    }
                    taken += 1;
                    self.queue.push_back(n);
                    let idle = self.is_idle(&self.connections[n as usize], now);
                    self.calls(kind, idle).message();
                }
                for n in again.into_iter().rev() {
                    self.overdue[kind][shard].push_front(n);
                }
            }
        }
        self.out.longest_queue = self.out.longest_queue.max(self.queue.len());
    }

    /// `refresh-worker`: as many messages as its time allows.
    pub(crate) fn work(&mut self, now: u32) {
        self.budget = self.budget.min(MOST_CREDIT) + i64::from(self.out.plan.slots) * MINUTE_MS;
        while self.budget > 0 {
            let Some(n) = self.queue.pop_front() else {
                return;
            };
            let mut connection = self.connections[n as usize];
            let kind = usize::from(connection.kind);
            let idle = self.is_idle(&connection, now);
            if self.breakers[kind].open_until > now {
                self.spend(RESTING);
                continue;
            }
            if connection.due > now || connection.state != State::Active {
                self.out.duplicates += 1;
                self.calls(kind, idle).duplicate(REFUSED_LEASE);
                self.spend(REFUSED_LEASE);
                continue;
            }
            self.note_staleness(&connection, now, idle);
            let ended = self.refresh(&mut connection, now);
            let ms = match (ended, self.mode(kind, now)) {
                (Ended::Failed, Some(Mode::BlackHole)) => {
                    let timeout = self.out.kinds[kind].policy.timeout;
                    u64::try_from(timeout.as_millis()).unwrap_or(0) + TIME_OUT_MARGIN
                }
                _ => ANSWERED,
            };
            self.calls(kind, idle).worker_ms += ms / 5;
            self.spend(ms);
            self.connections[n as usize] = connection;
            self.due_changed(n);
        }
    }

    fn spend(&mut self, ms: u64) {
        self.budget -= i64::try_from(ms).unwrap_or(0);
    }

    pub(crate) fn calls(&mut self, kind: usize, idle: bool) -> &mut crate::Calls {
        let counts = &mut self.out.per_kind[kind];
        if idle {
            &mut counts.idle
        } else {
            &mut counts.in_use
        }
    }

    fn mode(&self, kind: usize, now: u32) -> Option<Mode> {
        let minute = now - self.start;
        let mut outages = self.out.plan.outages.iter();
        outages
            .find(|outage| outage.covers(kind, minute))
            .map(|outage| outage.mode)
    }

    /// How late a connection in use is refreshed, measured before it is.
    fn note_staleness(&mut self, connection: &Connection, now: u32, idle: bool) {
        if idle || connection.expires == NEVER {
            return;
        }
        let kind = usize::from(connection.kind);
        let minute = now - self.start;
        let ended = self
            .out
            .plan
            .outages
            .iter()
            .filter(|outage| outage.kind.is_none_or(|only| only == kind))
            .map(|outage| (outage.from, outage.from + outage.minutes))
            .find(|(from, until)| (*from..until + DAY).contains(&minute));
        let counts = &mut self.out.per_kind[kind];
        counts.fresh += 1;
        // One that was idle until its creator came back is renewed by that use.
        if connection.expires >= now || connection.used > connection.expires {
            return;
        }
        match ended {
            Some((_, until)) => {
                counts.recovery = counts.recovery.max(minute.saturating_sub(until));
            }
            None => {
                counts.stale += 1;
                counts.stale_most = counts.stale_most.max(now - connection.expires);
            }
        }
    }

    /// From the lease to its end.
    fn refresh(&mut self, connection: &mut Connection, now: u32) -> Ended {
        let kind = usize::from(connection.kind);
        let policy = self.out.kinds[kind].policy;
        let idle = self.is_idle(connection, now);
        self.calls(kind, idle).refresh(0);
        self.out.per_kind[kind].load.add(now - self.start);
        let fault = match self.mode(kind, now) {
            None => {
                if connection.refresh_ends <= now {
                    connection.state = State::Expired;
                    self.out.per_kind[kind].expired += 1;
                    return Ended::Failed;
                }
                if at(now).since(at(connection.issued)) < policy.min_age {
                    self.out.per_kind[kind].too_early += 1;
                }
                let breaker = &mut self.breakers[kind];
                if std::mem::take(&mut breaker.tripped) {
                    breaker.trips = 0;
                    breaker.open_until = now;
                }
                self.count(kind, now, |lately| lately.kept += 1);
                self.issue(connection, now);
                return Ended::Fresh;
            }
            Some(Mode::ServerError | Mode::BlackHole) => {
                connection.spent_since = connection.spent_since.min(now);
                Fault::new(FaultKind::PlatformDown)
            }
            Some(Mode::AppRefused) => Fault::new(FaultKind::AppRefused),
            Some(Mode::GrantsDead) => Fault::new(FaultKind::ReauthNeeded),
        };
        let may_be_spent = connection.spent_since != NEVER;
        let ends = instant(connection.refresh_ends).filter(|_| self.out.kinds[kind].told);
        let meaning = match decide::refusal(&fault, &policy, may_be_spent, ends, at(now)) {
            Refusal::Dead(_) if self.holds_end(kind, now) => Refusal::App,
            other => other,
        };
        match meaning {
            Refusal::Dead(_) => {
                connection.state = State::Lost;
                self.out.per_kind[kind].lost += 1;
                return Ended::Failed;
            }
            Refusal::App => {
                let pause = decide::breaker_pause(self.breakers[kind].trips);
                self.open(kind, now, pause);
            }
            Refusal::Passes => {
                connection.failures = connection.failures.saturating_add(1);
                let lately = self.count(kind, now, |lately| lately.down += 1);
                // A process that saw twenty looks at the sums.
                if lately.down.is_multiple_of(20) && lately.is_down() {
                    let pause = decide::down_pause(self.breakers[kind].trips);
                    self.open(kind, now, pause);
                }
            }
        }
        let failures = u32::from(connection.failures).saturating_sub(1);
        let next = decide::next_try(&fault, failures, at(now), &self.chance);
        connection.due = minute(next);
        Ended::Failed
    }

    /// As the table of platforms counts.
    fn count(&mut self, kind: usize, now: u32, change: impl Fn(&mut Lately)) -> Lately {
        let window = u32::try_from(WINDOW_SECONDS / 60).unwrap_or(10);
        let breaker = &mut self.breakers[kind];
        if breaker.counted_since + window <= now {
            breaker.counted_since = now;
            breaker.lately = Lately::default();
        }
        change(&mut breaker.lately);
        breaker.lately
    }

    fn holds_end(&mut self, kind: usize, now: u32) -> bool {
        let many = self.count(kind, now, |lately| lately.died += 1).many_die();
        let breaker = &mut self.breakers[kind];
        let since = now.saturating_sub(breaker.held_since);
        let doubted = since < DAY && breaker.trips > 0;
        if !doubted && !many {
            return false;
        }
        let held = decide::holds_ends(at(breaker.held_since), Timestamp::default(), at(now));
        if held && since >= DAY {
            breaker.held_since = now;
        }
        held
    }

    fn open(&mut self, kind: usize, now: u32, pause: Duration) {
        let breaker = &mut self.breakers[kind];
        if breaker.open_until <= now || !breaker.tripped {
            let minutes = u32::try_from(pause.as_secs().div_ceil(60)).unwrap_or(60);
            breaker.open_until = now + minutes;
            breaker.trips += 1;
            breaker.tripped = true;
            breaker.counted_since = 0;
        }
    }
}
