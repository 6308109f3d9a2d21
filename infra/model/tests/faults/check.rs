//! What must hold of a world that has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use domain::{ConnectionId, DeliveryId, EventKind, Platform, UserId};
use http::HeaderMap;
use model::{Fate, Outcome};
use serde_json::Value;
use store::{Connection, Flow, Mark, PendingRevocation, Target};

use crate::people::Wish;
use crate::world::{FILE, World};

/// What is wrong, in sentences.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<String>);

impl Findings {
    pub(crate) fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }
}

/// What happened in worlds, in figures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) calls: usize,
    pub(crate) faults: usize,
    pub(crate) ended: usize,
    pub(crate) rotations: usize,
    pub(crate) active: usize,
    pub(crate) reauth: usize,
    pub(crate) disconnected: usize,
    pub(crate) published: usize,
    pub(crate) failed: usize,
    pub(crate) unknown: usize,
    pub(crate) deliveries: usize,
    pub(crate) dead_letters: usize,
}

impl Figures {
    pub(crate) fn of(world: &World, rest: &Rest) -> Self {
        use domain::{ConnectionStatus as C, TargetStatus as T};
        let trace = world.trace();
        let notes = world.notes.lock().unwrap();
        let connections = |status: C| {
            rest.connections
                .iter()
                .filter(|at| at.status == status)
                .count()
        };
        let targets = |status: T| rest.targets.iter().filter(|at| at.status == status).count();
        Self {
            calls: trace.len(),
            faults: trace
                .iter()
                .filter(|met| met.fate.outcome != Outcome::Done)
                .count(),
            ended: notes.dead.len(),
            rotations: world.platform.rotations().len(),
            active: connections(C::Active),
            reauth: connections(C::NeedsReauth),
            disconnected: connections(C::Disconnected),
            published: targets(T::Published),
            failed: targets(T::Failed),
            unknown: targets(T::OutcomeUnknown),
            deliveries: notes.acknowledged.len(),
            dead_letters: world.queues.values().map(|queue| queue.dead().len()).sum(),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.calls, other.calls),
            (&mut self.faults, other.faults),
            (&mut self.ended, other.ended),
            (&mut self.rotations, other.rotations),
            (&mut self.active, other.active),
            (&mut self.reauth, other.reauth),
            (&mut self.disconnected, other.disconnected),
            (&mut self.published, other.published),
            (&mut self.failed, other.failed),
            (&mut self.unknown, other.unknown),
            (&mut self.deliveries, other.deliveries),
            (&mut self.dead_letters, other.dead_letters),
        ];
        for (sum, one) in pairs {
            *sum += one;
        }
    }
}

/// Everything that the checks look at.
pub(crate) struct Rest {
    pub(crate) connections: Vec<Connection>,
    pub(crate) targets: Vec<Target>,
    pub(crate) events: Vec<Value>,
    grants: Vec<Value>,
    publishes: Vec<Value>,
}

impl Rest {
    /// Reads a world; every item of every table must be of a form that this version reads.
    pub(crate) async fn of(world: &World, findings: &mut Findings) -> Self {
        let state = world.platform.state().await;
        let list = |name: &str| state[name].as_array().cloned().unwrap_or_default();
        readable::<Flow>(world, "flows", findings);
        readable::<PendingRevocation>(world, "revocations", findings);
        Self {
            connections: readable(world, "connections", findings),
            targets: readable(world, "targets", findings),
            events: world.items("events"),
            grants: list("grants"),
            publishes: list("publishes"),
        }
    }

    /// Whether the platform ended the consent that this refresh token came of.
    fn is_revoked(&self, token: &str) -> bool {
        let own = self.grants.iter().filter(|grant| {
            let tokens = grant["refresh"].as_array();
            tokens.is_some_and(|tokens| tokens.iter().any(|one| one["token"] == token))
        });
        own.into_iter()
            .any(|grant| !grant["removed_reason"].is_null())
    }

    /// Whether the platform let this refresh token live.
    fn is_live(&self, token: &str) -> bool {
        let tokens = self
            .grants
            .iter()
            .filter_map(|grant| grant["refresh"].as_array());
        let mut tokens = tokens.flatten();
        tokens.any(|one| one["token"] == token && one["dead"] == false)
    }

    pub(crate) fn told(&self, kind: EventKind, of: &str) -> usize {
        let of_kind = self
            .events
            .iter()
            .filter(|event| event["kind"] == kind.as_str());
        of_kind
            .filter(|event| {
                event["detail"]
                    .as_str()
                    .is_some_and(|text| text.contains(of))
            })
            .count()
    }

    /// How many posts the platform made of this text.
    pub(crate) fn made(&self, text: &str) -> usize {
        let made = |publish: &&Value| {
            publish["post_info"]["title"] == text && publish["status"] == "PUBLISH_COMPLETE"
        };
        self.publishes.iter().filter(made).count()
    }
}

fn readable<T: serde::de::DeserializeOwned>(
    world: &World,
    noun: &str,
    findings: &mut Findings,
) -> Vec<T> {
    let mut read = Vec::new();
    for item in world.items_as_read(noun) {
        match item {
            Ok(item) => read.push(item),
            Err(error) => findings
                .0
                .push(format!("an item of {noun} cannot be read: {error}")),
        }
    }
    read
}

/// All of the promises. `gone`: connections that were ended for good, by the product's word or the
/// platform's.
pub(crate) async fn all(
    world: &Arc<World>,
    wishes: &[Wish],
    gone: &BTreeSet<ConnectionId>,
) -> (Rest, Findings) {
    let mut findings = Findings::default();
    let rest = Rest::of(world, &mut findings).await;
    for connection in &rest.connections {
        one_connection(world, &rest, connection, gone, &mut findings).await;
    }
    for wish in wishes {
        one_wish(&rest, wish, &mut findings);
    }
    for target in &rest.targets {
        one_target(world, &rest, target, &mut findings);
    }
    deliveries(world, &rest, &mut findings);
    dead_letters(world, &mut findings);
    (rest, findings)
}

async fn one_connection(
    world: &Arc<World>,
    rest: &Rest,
    at: &Connection,
    gone: &BTreeSet<ConnectionId>,
    findings: &mut Findings,
) {
    use domain::{ConnectionStatus as Is, ReauthReason as Reason};
    let id = &at.connection_id;
    let now = world.truth.truth();
    findings.must(
        at.lease_holder.is_none() || at.lease_until.is_some_and(|until| until <= now),
        || format!("{id} is still leased"),
    );
    findings.must(!gone.contains(id) || at.status == Is::Disconnected, || {
        format!("{id} was ended and is {:?}", at.status)
    });
    findings.must(at.status != Is::Disconnected || at.sealed.is_none(), || {
        format!("{id} is disconnected and holds tokens")
    });
    let open = opened(world, &at.user_id, id).await;
    match at.status {
        Is::Disconnected => {}
        Is::Active => match open {
            Ok(token) => findings.must(rest.is_live(&token), || {
                format!("{id} is active with a token that the platform does not know any more")
            }),
            Err(error) => findings
                .0
                .push(format!("{id} is active and gives no token: {error}")),
        },
        Is::NeedsReauth => {
            let held = held(world, at).await;
            let ended = rest.is_revoked(&held);
            match at.reason {
                Some(Reason::GrantRevoked) => findings.must(ended, || {
                    format!("{id} was given up as revoked, and the platform revoked nothing")
                }),
                Some(Reason::RotationLost) => {
                    findings.must(ended || in_the_window(world, &held), || {
                        format!("{id} lost a rotated token outside the stated window")
                    });
                }
                other => findings.0.push(format!("{id} was given up for {other:?}")),
            }
        }
    }
    let told = |kind| rest.told(kind, id.as_str());
    let reauths = told(EventKind::ConnectionNeedsReauth);
    let ended = told(EventKind::ConnectionDisconnected);
    let connected = told(EventKind::ConnectionConnected);
    findings.must(connected >= 1, || format!("{id} was never told of"));
    let wanted = usize::from(at.status == Is::NeedsReauth);
    findings.must(reauths >= wanted, || {
        format!("{id}: needs_reauth was not told")
    });
    // Between two connections there is at most one end; a rescue tells that it was none.
    let recovered = told(EventKind::ConnectionRecovered);
    findings.must(reauths <= connected + recovered, || {
        format!("{id}: {reauths} ends told of {connected} beginnings")
    });
    let wanted = usize::from(at.status == Is::Disconnected);
    findings.must(ended >= wanted && ended <= connected, || {
        format!("{id}: {ended} disconnects told of {connected} beginnings")
    });
}

/// The refresh token that a clean process gets to, by the way that all functions take.
async fn opened(
    world: &World,
    user: &UserId,
    id: &ConnectionId,
) -> Result<String, tokens::AccessError> {
    let (user, id) = (user.clone(), id.clone());
    let (_, done) = world
        .run("a reader", "ApiTimeout", move |instance, apps| {
            Box::pin(async move {
                let access = instance.api.tokens.access(apps, &user, &id).await?;
                let token = access.bundle.refresh_token.unwrap();
                Ok(token.expose().to_owned())
            })
        })
        .await;
    done.expect("nobody ends a reader")
}

/// The refresh token that a connection holds, whatever its state.
async fn held(world: &World, at: &Connection) -> String {
    let at = at.clone();
    let (_, done) = world
        .run("a reader", "ApiTimeout", move |instance, _| {
            Box::pin(async move {
                let (keys, sealed) = (at.keys(), at.sealed.as_ref().unwrap());
                let place = at.place(&keys, at.token_version);
                let vault = instance.api.tokens.vault();
                let text = vault.open(at.connection_id.as_str(), &place, sealed).await;
                let bundle: Value = serde_json::from_slice(&text.unwrap()).unwrap();
                bundle["refresh_token"].as_str().unwrap().to_owned()
            })
        })
        .await;
    done.expect("nobody ends a reader")
}

/// Whether this token was rotated away by a run that a fault met at or after the platform's answer: the
/// window from that answer to the first durable write.
fn in_the_window(world: &World, token: &str) -> bool {
    let rotations = world.platform.rotations();
    let Some(run) = rotations
        .iter()
        .find(|one| one.spent == token)
        .map(|one| one.run)
    else {
        return false;
    };
    let notes = world.notes.lock().unwrap();
    if notes.dead.contains(&run) || notes.failed.contains(&run) {
        return true;
    }
    let trace = world.trace();
    let asked = trace.iter().filter(|met| met.run.number == run);
    let mut asked = asked.filter(|met| met.call.action == "tiktok.token.refresh");
    asked.any(|met| met.fate != Fate::default() && !answered_well(&met.fate))
}

fn answered_well(fate: &Fate) -> bool {
    // The HTTP time-out of a refresh is 9 seconds.
    fate.outcome == Outcome::Done && (fate.before + fate.after).as_secs() < 9
}

/// What was accepted must be there; what was not must not be there twice either.
fn one_wish(rest: &Rest, wish: &Wish, findings: &mut Findings) {
    let own = rest
        .targets
        .iter()
        .filter(|target| target.text == wish.text);
    findings.must(own.count() <= 1, || {
        format!("{} was accepted twice", wish.text)
    });
}

fn one_target(world: &World, rest: &Rest, target: &Target, findings: &mut Findings) {
    use domain::TargetStatus as Is;
    let (id, text) = (&target.target_id, &target.text);
    let now = world.truth.truth();
    findings.must(target.holder.is_none() || target.lease_until <= now, || {
        format!("{text} is still held")
    });
    findings.must(target.status.is_settled(), || {
        format!(
            "{text} is {:?} and waits until {:?}",
            target.status, target.due_at
        )
    });
    let made = rest.made(text);
    findings.must(made <= 1, || format!("{text} was posted {made} times"));
    let wanted = match target.status {
        Is::Published => Some(1),
        Is::Failed => Some(0),
        _ => None,
    };
    findings.must(wanted.is_none_or(|wanted| wanted == made), || {
        format!("{text} is {:?} and was posted {made} times", target.status)
    });
    let fault = matches!(target.status, Is::Failed | Is::OutcomeUnknown);
    findings.must(fault == target.fault.is_some(), || {
        format!(
            "{text} is {:?} with the fault {:?}",
            target.status, target.fault
        )
    });
    let whole = HEXLOWER.encode(
        aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            &FILE[..target.media[0].size as usize],
        )
        .as_ref(),
    );
    for publish in &rest.publishes {
        let upload = &publish["upload"];
        if publish["post_info"]["title"] == *text && upload["complete"] == true {
            findings.must(upload["sha256"] == whole, || {
                format!("{text}: other bytes than the file's were published")
            });
        }
    }
    let told = |kind| rest.told(kind, id.as_str());
    let ends = [
        (EventKind::PostPublished, Is::Published),
        (EventKind::PostInbox, Is::Inbox),
        (EventKind::PostFailed, Is::Failed),
        (EventKind::PostOutcomeUnknown, Is::OutcomeUnknown),
    ];
    for (kind, status) in ends {
        let (told, wanted) = (told(kind), usize::from(target.status == status));
        // News may turn an unknown outcome into a known one; nothing else is told twice.
        let earlier = kind == EventKind::PostOutcomeUnknown && told <= 1;
        findings.must(told == wanted || earlier, || {
            format!(
                "{text} is {:?} and {} was told {told} times",
                target.status,
                kind.as_str()
            )
        });
    }
    let (queued, begun) = (told(EventKind::PostQueued), told(EventKind::PostPublishing));
    findings.must(queued == 1 && begun <= 1, || {
        format!("{text}: {queued} times queued, {begun} times begun")
    });
}

/// Every webhook that we said yes to is applied, or filed as an orphan for a reason.
fn deliveries(world: &World, rest: &Rest, findings: &mut Findings) {
    // Raw bodies are no marks.
    let marks: Vec<Mark> = world
        .items_as_read("deliveries")
        .into_iter()
        .flatten()
        .collect();
    let by_id: BTreeMap<_, _> = marks.iter().map(|mark| (&mark.delivery_id, mark)).collect();
    let hooks = platforms::webhook(Platform::TikTok).unwrap();
    let acknowledged = world.notes.lock().unwrap().acknowledged.clone();
    for raw in &acknowledged {
        let shown = String::from_utf8_lossy(raw);
        for delivery in hooks.read(&HeaderMap::new(), raw).unwrap() {
            let id = DeliveryId::of(Platform::TikTok, &delivery.dedup_key);
            match by_id.get(&id).map(|mark| mark.state) {
                Some(store::deliveries::DeliveryState::Applied) => {}
                // A publish that no target of ours knows: its init's answer was lost, or its
                // target began another one since.
                Some(store::deliveries::DeliveryState::Orphan) => {
                    let known = rest.targets.iter().any(|target| {
                        let key = target.publish_key.as_deref();
                        key.is_some_and(|key| {
                            shown.contains(key.split('#').next_back().unwrap_or(key))
                        })
                    });
                    findings.must(!known, || format!("an orphan that is known: {shown}"));
                }
                state => findings
                    .0
                    .push(format!("{state:?} and not applied: {shown}")),
            }
        }
    }
}

/// A message may die only if every one of its runs met a fault.
fn dead_letters(world: &World, findings: &mut Findings) {
    let notes = world.notes.lock().unwrap();
    let trace = world.trace();
    let faulted: BTreeSet<usize> = trace
        .iter()
        .filter(|met| met.fate.outcome != Outcome::Done)
        .map(|met| met.run.number)
        .collect();
    for queue in world.queues.values() {
        for message in queue.dead() {
            let runs = notes.runs_of.get(&message.id).cloned().unwrap_or_default();
            let met = |run: &usize| faulted.contains(run) || notes.dead.contains(run);
            findings.must(!runs.is_empty() && runs.iter().all(met), || {
                format!(
                    "a dead letter of {} without a reason: {}",
                    queue.name(),
                    message.body
                )
            });
        }
    }
}
