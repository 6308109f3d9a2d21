//! Sends what waits in a lane, one message after the other, under a lease.
//!
//! | step | why |
//! |---|---|
//! | the endpoint's row | is it there, enabled, at rest; its secrets |
//! | earlier events of the same user that lie in no lane yet | their relay may have died: they come first |
//! | the lane's oldest messages | sent in their order; each leaves when it is accepted |
//! | a failure | the lane waits; the next look is at the same message |
//! | nothing left | the lane is closed, unless something came meanwhile |

use std::sync::Arc;
use std::time::Duration;

use audit::{Deed, Trail};
use bytes::Bytes;
use domain::metric::{ENDPOINTS_DISABLED, EVENT_MILLISECONDS, EVENT_SENDS, EVENTS_DEAD};
use domain::{Act, EndpointId, Holder, Labels, Timestamp, Who};
use store::endpoints::{DisabledFor, EndpointFailure};
use store::lanes::{LaneClosed, LaneTaken, LaneWait};
use store::{Endpoint, Lane, LaneKey, Outgoing};
use transport::Push;
use vault::Vault;

use crate::OutboxError;
use crate::decide::{self, FAILURES_BEFORE_REST, Next, Pace, Verdict, prolonged};
use crate::queue::LONGEST_DELAY;
use crate::relay::{DISABLED, Relay};
use crate::secrets::Secrets;
use crate::sign;
use crate::slots::Slots;

/// Messages that are read at a time.
const PAGE: i32 = 25;
/// A lane is served for this long; then others have their turn.
const TURN: Duration = Duration::from_secs(20);
/// Time that is left for the writes after a try.
const RESERVE: Duration = Duration::from_secs(5);
/// A wait as short as this is woken by another message; longer ones have had theirs.
const SHORT: Duration = Duration::from_secs(15);
/// How far back events are looked for that lie in no lane yet: the sweeper sends them before that.
const STRAGGLERS: Duration = Duration::from_secs(600);
/// When a lane is looked at again after trouble of our own.
const OWN_TROUBLE: Duration = Duration::from_secs(30);
/// When a lane is looked at again that found no place in its process.
const NO_PLACE: Duration = Duration::from_secs(2);

/// See the module.
pub struct Sender {
    /// What puts events into lanes; its parts are used here as well.
    pub relay: Relay,
    /// Opens secrets.
    pub vault: Vault,
    /// The way to endpoints.
    pub push: Arc<dyn Push>,
    /// The deployment's times.
    pub pace: Pace,
    /// Notes what Passerelle does by itself.
    pub trail: Trail,
    slots: Slots,
}

/// How a look at a lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing is left in it; so many were accepted.
    All(usize),
    /// It is looked at again then.
    Waits(Timestamp),
    /// There was nothing to do, or another is at it.
    Nothing,
}

/// How a try ended.
enum Tried {
    Accepted,
    /// It is a dead letter, or its endpoint has changed: the lane is looked at anew.
    Anew,
    Fails(Timestamp, u32),
}

/// What is known of a lane while it is served.
struct Turn {
    lane: Lane,
    endpoint: EndpointId,
    until: Timestamp,
    accepted: usize,
}

impl Sender {
    /// Out of its parts.
    pub fn new(relay: Relay, vault: Vault, push: Arc<dyn Push>, pace: Pace, trail: Trail) -> Self {
        Self {
            relay,
            vault,
            push,
            pace,
            trail,
            slots: Slots::default(),
        }
    }

    /// Sends what waits in a lane, until it is empty, something fails, or its turn is over. `deadline`
    /// is when the process ends.
    pub async fn run(&self, lane: &LaneKey, deadline: Timestamp) -> Result<Sent, OutboxError> {
        let Some(endpoint) = lane.endpoint() else {
            return Ok(Sent::Nothing);
        };
        let Some(_place) = self.slots.take(&endpoint).await else {
            let lanes = std::slice::from_ref(lane);
            self.relay.queue.wake(lanes, NO_PLACE).await?;
            return Ok(Sent::Waits(self.now() + NO_PLACE));
        };
        let now = self.now();
        let holder = Holder::new(now, &*self.relay.entropy);
        let span = (now, now + self.pace.lease);
        let attempt = self.relay.attempt();
        let taken = self.relay.lanes.take(lane, &holder, span, &attempt);
        let lane = match taken.await? {
            LaneTaken::Ours(lane) => *lane,
            LaneTaken::NotBefore(at) => {
                if at.since(now) <= SHORT {
                    let lanes = std::slice::from_ref(lane);
                    self.relay.queue.wake_or_leave(lanes, at.since(now)).await;
                }
                return Ok(Sent::Waits(at));
            }
            LaneTaken::Held | LaneTaken::Closed => return Ok(Sent::Nothing),
        };
        // A try that begins now must end, with its writes, before the process or the lease does.
        let last = deadline.min(span.1) - (self.pace.timeout + RESERVE);
        let mut turn = Turn {
            lane,
            endpoint,
            until: last.min(now + TURN),
            accepted: 0,
        };
        let served = self.serve(&mut turn).await;
        if served.is_err() {
            // As good as it goes: if this fails too, the lease runs out.
            drop(self.wait(&turn, self.now() + OWN_TROUBLE, None).await);
        }
        served
    }

    async fn serve(&self, turn: &mut Turn) -> Result<Sent, OutboxError> {
        loop {
            let now = self.now();
            let Some(mut endpoint) = self.relay.endpoints.get(&turn.endpoint).await? else {
                return self.empty(turn, None).await;
            };
            if !endpoint.enabled() {
                return self.empty(turn, Some(&endpoint)).await;
            }
            if let Some(until) = self.rests(&endpoint, now).await? {
                return self.wait(turn, until, None).await;
            }
            let secrets = Secrets::open(&self.vault, &endpoint).await?;
            // In this order: what lies in no lane at this instant is put there, then the lane is read.
            let horizon = now - self.pace.settle;
            self.stragglers(&turn.lane, horizon).await?;
            let (page, more) = self.relay.messages.oldest(&turn.lane.lane, PAGE).await?;
            let mut anew = more;
            for message in &page {
                if message.created_at > horizon {
                    let ripe = message.created_at + self.pace.settle;
                    return self.wait(turn, ripe, None).await;
                }
                if self.now() >= turn.until {
                    return self.wait(turn, self.now(), None).await;
                }
                match self
                    .attempt(&turn.lane, &mut endpoint, &secrets, message)
                    .await?
                {
                    Tried::Accepted => turn.accepted += 1,
                    Tried::Anew => {
                        anew = true;
                        break;
                    }
                    Tried::Fails(next, tries) => {
                        return self.wait(turn, next, Some((&message.message, tries))).await;
                    }
                }
            }
            if !anew && self.closed(turn).await? {
                return Ok(Sent::All(turn.accepted));
            }
        }
    }

    /// Until when nothing is sent to an endpoint, if it rests. After a rest one try goes before all
    /// others.
    async fn rests(
        &self,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, OutboxError> {
        let Some(until) = endpoint.rest_until else {
            return Ok(None);
        };
        let entropy = &*self.relay.entropy;
        if until > now {
            return Ok(Some(now + prolonged(until.since(now), entropy)));
        }
        if endpoint.failures < FAILURES_BEFORE_REST {
            return Ok(None);
        }
        let over = now + self.pace.timeout + RESERVE;
        let attempt = self.relay.attempt();
        let ours = self.relay.endpoints.probe(endpoint, over, &attempt).await?;
        let later = || now + prolonged(over.since(now), entropy);
        Ok((!ours).then(later))
    }

    /// Puts into their lane the events that were committed before `horizon` and lie in none.
    async fn stragglers(&self, lane: &Lane, horizon: Timestamp) -> Result<(), OutboxError> {
        // Test events have no user, and come from no transaction.
        let (Some(endpoint), false) = (lane.lane.endpoint(), lane.user_id.is_empty()) else {
            return Ok(());
        };
        let since = horizon - STRAGGLERS;
        let found = self
            .relay
            .events
            .unqueued(&lane.user_id, since, horizon)
            .await?;
        let ours: Vec<_> = found
            .into_iter()
            .filter(|row| {
                let of = LaneKey::of(&endpoint, row.connection_id.as_deref(), &row.user_id);
                of == lane.lane
            })
            .collect();
        if ours.is_empty() {
            return Ok(());
        }
        self.relay.queue_now(&ours).await
    }

    /// Sends one message.
    async fn attempt(
        &self,
        lane: &Lane,
        endpoint: &mut Endpoint,
        secrets: &Secrets,
        message: &Outgoing,
    ) -> Result<Tried, OutboxError> {
        let now = self.now();
        let body = Bytes::from(message.body.clone());
        let headers = sign::headers(&secrets.signing(now), &message.event_id, now, &body);
        let headers = headers.ok_or(OutboxError::NotSecrets)?;
        let answer = self
            .push
            .push(&endpoint.url, headers, body, self.pace.timeout)
            .await;
        let now = self.now();
        match decide::verdict(&answer, now) {
            Verdict::Accepted => {
                self.relay.messages.delete(message).await?;
                let millis = now.since(message.created_at).as_secs_f64() * 1_000.0;
                let accepted = Labels::NONE.outcome("accepted");
                self.relay.meter.count(&EVENT_SENDS, accepted);
                let took = [(&EVENT_MILLISECONDS, millis)];
                self.relay.meter.put(&took, Labels::NONE);
                if endpoint.failing_since.is_some() || endpoint.rest_until.is_some() {
                    let attempt = self.relay.attempt();
                    let id = &endpoint.endpoint_id;
                    self.relay.endpoints.answered(id, &attempt).await?;
                    (endpoint.failing_since, endpoint.rest_until) = (None, None);
                    endpoint.failures = 0;
                }
                Ok(Tried::Accepted)
            }
            Verdict::Gone => {
                self.disable(endpoint, DisabledFor::Gone).await?;
                Ok(Tried::Anew)
            }
            Verdict::Failed {
                reason,
                asked,
                busy,
            } => {
                let failed = Labels::NONE.outcome("failed");
                self.relay.meter.count(&EVENT_SENDS, failed);
                let tries = match &lane.head {
                    Some(head) if *head == message.message => lane.tries + 1,
                    _ => 1,
                };
                tracing::info!(
                    endpoint.id = %endpoint.endpoint_id, event.id = message.event_id, reason, tries,
                    "an endpoint did not accept an event"
                );
                if self.failed(endpoint, &reason, (asked, busy), now).await? {
                    return Ok(Tried::Anew);
                }
                let age = now.since(message.queued_at);
                let next = decide::next(&self.pace, tries, age, asked, &*self.relay.entropy);
                match next {
                    Next::Again(pause) => Ok(Tried::Fails(now + pause, tries)),
                    Next::Dead => {
                        self.bury(endpoint, message, &reason, tries).await?;
                        Ok(Tried::Anew)
                    }
                }
            }
        }
    }

    /// Counts a failed try at its endpoint; whether that is disabled or gone by now.
    async fn failed(
        &self,
        endpoint: &Endpoint,
        reason: &str,
        (asked, busy): (Option<Duration>, bool),
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        let rest = decide::rest(endpoint.failures + 1, asked, busy);
        let failure = EndpointFailure {
            reason,
            at: now,
            rest_until: rest.map(|rest| now + rest),
        };
        let attempt = self.relay.attempt();
        let id = &endpoint.endpoint_id;
        let stands = self.relay.endpoints.failed(id, &failure, &attempt).await?;
        let Some(stands) = stands else {
            return Ok(true);
        };
        let since = stands.failing_since.unwrap_or(now);
        if now.since(since) < self.pace.give_up {
            return Ok(!stands.enabled());
        }
        self.disable(&stands, DisabledFor::Failing).await?;
        Ok(true)
    }

    async fn disable(&self, endpoint: &Endpoint, why: DisabledFor) -> Result<(), OutboxError> {
        let attempt = self.relay.attempt();
        let endpoints = &self.relay.endpoints;
        if endpoints
            .disable(endpoint, why, self.now(), &attempt)
            .await?
        {
            let id = endpoint.endpoint_id.as_str();
            tracing::error!(
                endpoint.id = id,
                why = why.as_str(),
                "an endpoint was disabled"
            );
            let labels = Labels::NONE.outcome(why.as_str());
            self.relay.meter.count(&ENDPOINTS_DISABLED, labels);
            self.trail
                .note(&Deed {
                    who: &Who::SYSTEM,
                    act: Act::WebhookEndpointDisabled,
                    user: None,
                    object: Some(id),
                })
                .await;
        }
        Ok(())
    }

    async fn bury(
        &self,
        endpoint: &Endpoint,
        message: &Outgoing,
        reason: &str,
        tries: u32,
    ) -> Result<(), OutboxError> {
        let dead = message.dead(&endpoint.endpoint_id, reason, tries, self.now());
        let attempt = self.relay.attempt();
        self.relay.messages.shift(message, &dead, &attempt).await?;
        self.relay.meter.count(&EVENTS_DEAD, Labels::NONE);
        tracing::warn!(
            endpoint.id = %endpoint.endpoint_id, event.id = message.event_id, reason,
            "an event is a dead letter"
        );
        Ok(())
    }

    /// Ends a lane that nothing is sent in: its messages become dead letters of an endpoint that is
    /// disabled, and go with one that was deleted.
    async fn empty(
        &self,
        turn: &mut Turn,
        disabled: Option<&Endpoint>,
    ) -> Result<Sent, OutboxError> {
        loop {
            let (page, more) = self.relay.messages.oldest(&turn.lane.lane, PAGE).await?;
            for message in &page {
                if self.now() >= turn.until {
                    return self.wait(turn, self.now(), None).await;
                }
                match disabled {
                    Some(endpoint) => self.bury(endpoint, message, DISABLED, 0).await?,
                    None => self.relay.messages.delete(message).await?,
                }
            }
            if !more && self.closed(turn).await? {
                return Ok(Sent::All(turn.accepted));
            }
        }
    }

    /// Closes the lane, or notes that something came.
    async fn closed(&self, turn: &mut Turn) -> Result<bool, OutboxError> {
        match self.relay.lanes.close(&turn.lane).await? {
            LaneClosed::Yes | LaneClosed::Lost => Ok(true),
            LaneClosed::Nudged(nudges) => {
                turn.lane.nudges = nudges;
                Ok(false)
            }
        }
    }

    /// Gives the lane back until some instant, and sees to its being woken then.
    async fn wait(
        &self,
        turn: &Turn,
        until: Timestamp,
        failed: Option<(&str, u32)>,
    ) -> Result<Sent, OutboxError> {
        let wait = LaneWait { until, failed };
        let attempt = self.relay.attempt();
        if !self.relay.lanes.wait(&turn.lane, &wait, &attempt).await? {
            return Ok(Sent::Nothing);
        }
        let pause = until.since(self.now());
        if pause <= LONGEST_DELAY {
            let lanes = std::slice::from_ref(&turn.lane.lane);
            self.relay.queue.wake_or_leave(lanes, pause).await;
        }
        Ok(Sent::Waits(until))
    }

    fn now(&self) -> Timestamp {
        self.relay.clock.now()
    }
}
