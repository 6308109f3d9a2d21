//! The run: creators use their connections, the schedule finds what is due, workers refresh it.

use std::collections::VecDeque;

use store::due::{SHARDS, bucket_of, shard_of};
use tokens::decide::{Lately, RAMP_MINUTES};

use crate::DAY;
use crate::connection::{Chance, Connection, Habit, NEVER, State, at, minute};
use crate::costs::Calls;
use crate::load::Load;
use crate::outage::Outage;
use crate::platform::{Kind, kinds};
use crate::wheel::Wheel;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many connections.
    pub connections: u32,
    /// For how many days.
    pub days: u32,
    /// What goes wrong.
    pub outages: Vec<Outage>,
    /// Refreshes that workers do at once: `RefreshConcurrency` times the batch of five.
    pub slots: u32,
    /// Connections of the first platform that are connected within one minute of the third day, in
    /// thousandths of all: a product that moves in.
    pub moving_in: u32,
    /// What chance begins with.
    pub seed: u64,
}

impl Plan {
    /// As many connections for as many days as given, with every outage that fits, and workers as
    /// template.yaml has them.
    pub fn new(connections: u32, days: u32) -> Self {
        Self {
            connections,
            days,
            outages: Outage::calendar(days),
            slots: 20 * 5,
            moving_in: 20,
            seed: 7,
        }
    }
}

/// What a run showed.
#[derive(Debug)]
pub struct Outcome {
    /// What was simulated.
    pub plan: Plan,
    /// The platforms, in the order of `per_kind`.
    pub kinds: Vec<Kind>,
    /// By platform.
    pub per_kind: Vec<PerKind>,
    /// Requests to all platforms, by minute.
    pub load: Load,
    /// The longest that the refresh queue became, in messages.
    pub longest_queue: usize,
    /// Messages that found their connection refreshed.
    pub duplicates: u64,
    /// Connection-days in use, and idle.
    pub days_in_use: f64,
    /// The others.
    pub days_idle: f64,
    /// Bytes of the state at its end, spare room included.
    pub bytes: usize,
}

/// What a run showed of one platform.
#[derive(Clone, Debug, Default)]
pub struct PerKind {
    /// How many connections.
    pub connections: u32,
    /// Refresh tokens that died of age while the platform would have refreshed them.
    pub expired: u32,
    /// Connections that were given up while the platform would have refreshed them.
    pub lost: u32,
    /// Refreshes asked for before the platform allows them.
    pub too_early: u32,
    /// Refreshes of connections in use that came after the access token had died, outages aside.
    pub stale: u32,
    /// The longest of these, in minutes.
    pub stale_most: u32,
    /// Refreshes of connections in use.
    pub fresh: u32,
    /// Uses.
    pub uses: u32,
    /// Uses that renewed the token themselves.
    pub uses_renewing: u32,
    /// Uses that got no token, outages aside.
    pub uses_refused: u32,
    /// Uses that got no token during an outage or in the day after it.
    pub uses_refused_outage: u32,
    /// The last minute after the end of an outage at which a connection in use still had a dead
    /// token, in minutes after that end.
    pub recovery: u32,
    /// Calls for connections in use.
    pub in_use: Calls,
    /// Calls for idle ones.
    pub idle: Calls,
    /// Requests to the platform by minute of the run.
    pub load: Load,
}

/// A breaker, as the table of platforms holds it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Breaker {
    pub(crate) open_until: u32,
    pub(crate) trips: u32,
    /// Whether it was opened since the last refresh that went well.
    pub(crate) tripped: bool,
    pub(crate) counted_since: u32,
    pub(crate) lately: Lately,
    pub(crate) held_since: u32,
}

/// Everything that moves.
pub(crate) struct World {
    pub(crate) out: Outcome,
    pub(crate) chance: Chance,
    pub(crate) connections: Vec<Connection>,
    pub(crate) due: Wheel,
    pub(crate) uses: Wheel,
    pub(crate) breakers: Vec<Breaker>,
    /// What is due, by platform and shard, the most overdue first.
    pub(crate) overdue: Vec<Vec<VecDeque<u32>>>,
    pub(crate) queue: VecDeque<u32>,
    /// Milliseconds of workers that the last minute left over or took in advance.
    pub(crate) budget: i64,
    pub(crate) start: u32,
}

/// The virtual clock begins here: far enough from zero for tokens that were issued before.
const START: u32 = 1_000 * DAY;

/// Runs a plan to its end.
pub fn run(plan: Plan) -> Outcome {
    let days = plan.days;
    let mut world = World::new(plan);
    let end = world.start + days * DAY;
    for now in world.start..end {
        if now == world.start + 3 * DAY {
            world.move_in(now);
        }
        world.use_them(now);
        world.find_due(now);
        world.queue_due(now);
        world.work(now);
        if now % DAY == 0 {
            world.look(now);
        }
    }
    world.look(end);
    world.end()
}

impl World {
    fn new(plan: Plan) -> Self {
        let kinds = kinds();
        let minutes = plan.days * DAY;
        let blank = PerKind {
            load: Load::new(minutes),
            ..PerKind::default()
        };
        let shards = vec![VecDeque::new(); SHARDS as usize];
        let mut world = Self {
            chance: Chance::new(plan.seed),
            connections: Vec::with_capacity(plan.connections as usize),
            due: Wheel::new(START, minutes),
            uses: Wheel::new(START, minutes),
            breakers: vec![Breaker::default(); kinds.len()],
            overdue: vec![shards; kinds.len()],
            queue: VecDeque::new(),
            budget: 0,
            start: START,
            out: Outcome {
                per_kind: vec![blank; kinds.len()],
                load: Load::new(minutes),
                longest_queue: 0,
                duplicates: 0,
                days_in_use: 0.0,
                days_idle: 0.0,
                bytes: 0,
                kinds,
                plan,
            },
        };
        for n in 0..world.out.plan.connections {
            world.connect(n);
        }
        world
    }

    /// A connection somewhere in its life.
    fn connect(&mut self, n: u32) {
        let mut pick = self.chance.under(1_000);
        let mut kind = 0;
        for (at, one) in self.out.kinds.iter().enumerate() {
            kind = at;
            if pick < one.share {
                break;
            }
            pick -= one.share;
        }
        let habit = match self.chance.under(100) {
            0..15 => Habit::Daily,
            15..35 => Habit::Weekly,
            _ => Habit::Rarely,
        };
        let used = START - self.chance.under(self.between(habit));
        let id = format!("conn_{n}");
        let name = shard_of(&id);
        let mut connection = Connection {
            issued: START,
            expires: NEVER,
            refresh_ends: NEVER,
            used,
            due: NEVER,
            spent_since: NEVER,
            kind: u8::try_from(kind).unwrap_or(0),
            shard: name.trim_start_matches('s').parse().unwrap_or(0),
            bucket: u8::try_from(bucket_of(&id, RAMP_MINUTES)).unwrap_or(0),
            failures: 0,
            habit,
            state: State::Active,
        };
        self.issue(&mut connection, START);
        // Somewhere between its last refresh and its next one.
        if connection.due != NEVER {
            let span = connection.due - START;
            let age = self.chance.under(span.max(1));
            self.issue(&mut connection, START - age);
            self.plan_due(&mut connection, START);
        }
        self.out.per_kind[kind].connections += 1;
        self.connections.push(connection);
        self.due_changed(n);
        let next = START + self.chance.under(self.between(habit));
        self.uses.put(next, n);
    }

    /// Many of the first platform are connected within the same minute.
    fn move_in(&mut self, now: u32) {
        let many = self.out.plan.connections / 1_000 * self.out.plan.moving_in;
        let first = (0..self.connections.len()).filter(|n| self.connections[*n].kind == 0);
        for n in first.take(many as usize).collect::<Vec<_>>() {
            let mut connection = self.connections[n];
            connection.used = now;
            connection.habit = Habit::Daily;
            self.issue(&mut connection, now);
            self.connections[n] = connection;
            self.due_changed(n as u32);
        }
    }

    /// New tokens as of `now`, and when they are due.
    pub(crate) fn issue(&self, connection: &mut Connection, now: u32) {
        let kind = &self.out.kinds[usize::from(connection.kind)];
        let ends = |life: Option<u32>| life.map_or(NEVER, |life| now + life);
        connection.issued = now;
        connection.expires = ends(kind.access);
        connection.refresh_ends = ends(kind.refresh);
        connection.failures = 0;
        connection.spent_since = NEVER;
        self.plan_due(connection, now);
    }

    /// The product's own decision.
    pub(crate) fn plan_due(&self, connection: &mut Connection, now: u32) {
        let kind = &self.out.kinds[usize::from(connection.kind)];
        let life = connection.life(kind.told);
        let due = tokens::due_at(&kind.policy, &life, at(now), &self.chance);
        connection.due = due.map_or(NEVER, minute);
    }

    pub(crate) fn due_changed(&mut self, n: u32) {
        let due = self.connections[n as usize].due;
        if due != NEVER {
            self.due.put(due, n);
        }
    }

    pub(crate) fn is_idle(&self, connection: &Connection, now: u32) -> bool {
        let kind = &self.out.kinds[usize::from(connection.kind)];
        at(now).since(at(connection.used)) >= kind.policy.idle_after
    }

    /// Minutes between two uses, about.
    pub(crate) fn between(&self, habit: Habit) -> u32 {
        match habit {
            Habit::Daily => DAY,
            Habit::Weekly => 7 * DAY,
            Habit::Rarely => 90 * DAY,
        }
    }

    /// A look at everything: who is in use, whose refresh token died.
    fn look(&mut self, now: u32) {
        for n in 0..self.connections.len() {
            let mut connection = self.connections[n];
            if self.is_idle(&connection, now) {
                self.out.days_idle += 1.0;
            } else {
                self.out.days_in_use += 1.0;
            }
            if connection.state == State::Active && connection.refresh_ends <= now {
                connection.state = State::Expired;
                self.out.per_kind[usize::from(connection.kind)].expired += 1;
                self.connections[n] = connection;
            }
        }
    }

    fn end(mut self) -> Outcome {
        let shards = self.overdue.iter().flatten().map(VecDeque::capacity);
        let waiting: usize = shards.sum::<usize>() + self.queue.capacity();
        self.out.bytes = self.connections.capacity() * size_of::<Connection>()
            + (waiting + self.due.entries() + self.uses.entries()) * size_of::<u32>();
        for kind in &self.out.per_kind {
            self.out.load.merge(&kind.load);
        }
        self.out
    }
}
