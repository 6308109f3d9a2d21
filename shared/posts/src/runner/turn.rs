//! One worker's turn with one target.

use std::time::Duration;

use bytes::Bytes;
use domain::{AttemptId, Environment, Fault, FaultKind, Holder, Secret, Timestamp};
use http::Response;
use limits::Place;
use platforms::{
    Action, Answer, App, Apps, Finish, Job, MediaInfo, Publish, Repeat, State, Upload,
};
use store::Target;
use store::targets::publish_key;
use tokens::Access;
use transport::NoAnswer;
use vault::{SealingKey, VaultError};

use super::answer::{Done, no_access, timed, unanswered};
use super::{Budget, Ran, Runner};
use crate::decide::{self, Moved, Then, Trouble};
use crate::error::RunError;
use crate::files::Reading;

/// A wait this short is sat out: a message would take as long.
const SHORT: Duration = Duration::from_secs(2);

/// One worker's turn with one target.
pub(crate) struct Turn<'a> {
    pub(super) runner: &'a Runner,
    apps: &'a Apps,
    pub(super) holder: Holder,
    pub(super) budget: Budget,
    /// As last written.
    pub(super) item: Target,
    media: Vec<MediaInfo>,
    /// For sealing what an answer brings, without asking KMS between the answer and the write.
    pub(super) key: Option<SealingKey>,
    /// Whether this turn has seen to the product's wish to cancel.
    pub(super) cancel_tried: bool,
}

/// The machine of a turn: what never changes during it.
#[derive(Clone, Copy)]
pub(super) struct Machine<'a> {
    pub(super) platform: &'static dyn Publish,
    app: &'a App,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(
        runner: &'a Runner,
        apps: &'a Apps,
        holder: Holder,
        budget: Budget,
        item: Target,
    ) -> Self {
        Self {
            runner,
            apps,
            holder,
            budget,
            media: Vec::new(),
            item,
            key: None,
            cancel_tried: false,
        }
    }

    pub(crate) async fn run(mut self) -> Result<Ran, RunError> {
        let platform = platforms::publish(self.item.platform);
        // Its settings serve until the connection is read, which knows the very app.
        let account = &self.item.account;
        let app = match account.environment {
            Environment::Production => self.apps.get(account.platform),
            Environment::Sandbox => self.apps.at(account.app()),
        };
        let Some((platform, app)) = platform.zip(app) else {
            return self.without_app().await;
        };
        let mut machine = Machine { platform, app };
        self.media = self.runner.files.infos(&self.item.media).await;
        let mut state = match self.open(machine).await? {
            Ok(state) => state,
            Err(finish) => return self.end(&finish).await,
        };
        if self.item.intent.is_some() {
            let lost = platform.lost(&self.job(app), &state, self.now());
            if let Some(ran) = self.moved(machine, &mut state, lost, false, None).await? {
                return Ok(ran);
            }
        }
        if let Some(ran) = self.cancel(machine, &mut state).await? {
            return Ok(ran);
        }
        let (user, connection) = (&self.item.user_id, &self.item.connection_id);
        let tokens = &self.runner.tokens;
        let mut access = match tokens.access(self.apps, user, connection).await {
            Ok(access) => access,
            Err(error) => {
                let trouble = no_access(error)?;
                return self.trouble(machine, &state, &trouble).await;
            }
        };
        let Some(app) = self.app_of(&access) else {
            return self.without_app().await;
        };
        machine.app = app;
        self.prepare(&access).await?;
        let mut rested = false;
        loop {
            if let Some(ran) = self.cancel(machine, &mut state).await? {
                return Ok(ran);
            }
            let now = self.now();
            // After the open intent's loss was noted, which is judged by the state as it was written.
            state = platform.aged(&state, now);
            let (done, sent) = match platform.next(&self.job(machine.app), &state, now) {
                Action::Finish(finish) if !self.item.status.is_settled() => {
                    return self.end(&finish).await;
                }
                Action::Finish(_) | Action::Follow(..) => {
                    let same = state.clone();
                    let ran = self.moved(machine, &mut state, same, false, None).await?;
                    return Ok(ran.unwrap_or(Ran::Lost));
                }
                Action::Wait(until) if until <= now + SHORT && !rested => {
                    tokio::time::sleep(until.since(now)).await;
                    rested = true;
                    continue;
                }
                Action::Wait(until) => {
                    let step = decide::waits(&self.item, until);
                    return Ok(self.write(step, &state).await?.unwrap_or(Ran::Lost));
                }
                Action::Call(repeat) => (self.call(machine, &state, repeat, &access).await?, None),
                Action::Upload { media, range } => {
                    let before: u64 = self.media[..media.min(self.media.len())]
                        .iter()
                        .map(|media| media.size)
                        .sum();
                    let sent = before.saturating_add(range.end);
                    let done = self.upload(machine, &state, media, range).await?;
                    (done, Some(sent))
                }
            };
            rested = false;
            let ended = match done {
                Done::Moved(next) => self.moved(machine, &mut state, next, true, sent).await?,
                Done::Lost => {
                    let next = platform.lost(&self.job(machine.app), &state, self.now());
                    self.moved(machine, &mut state, next, false, None).await?
                }
                Done::Trouble(Trouble::Fault(fault))
                    if decide::wants_fresh_token(&self.item, &fault) =>
                {
                    match self.runner.tokens.renewed(self.apps, &access).await {
                        Ok(renewed) => {
                            access = renewed;
                            if let Some(app) = self.app_of(&access) {
                                machine.app = app;
                            }
                            self.prepare(&access).await?;
                            let step = decide::renewed(&self.item, &fault);
                            self.write(step, &state).await?
                        }
                        Err(error) => {
                            let trouble = no_access(error)?;
                            Some(self.trouble(machine, &state, &trouble).await?)
                        }
                    }
                }
                Done::Trouble(trouble) => Some(self.trouble(machine, &state, &trouble).await?),
                Done::NotOurs => Some(Ran::Lost),
            };
            if let Some(ran) = ended {
                return Ok(ran);
            }
        }
    }

    /// The app that the tokens are of, and no other.
    fn app_of(&self, access: &Access) -> Option<&'a App> {
        let client_id = access.connection.client_id.as_deref();
        self.apps.of(access.connection.platform, client_id)
    }

    /// The state as it was left, or a new one; or the end, where there is none to go on from.
    async fn open(&self, machine: Machine<'_>) -> Result<Result<State, Finish>, RunError> {
        let Some(text) = &self.item.state else {
            let begun = machine.platform.start(&self.job(machine.app));
            return Ok(begun.map_err(Finish::Failed));
        };
        let unreadable = || Finish::Unknown(Fault::new(FaultKind::OurBug));
        let Ok(data) = serde_json::from_str(text) else {
            return Ok(Err(unreadable()));
        };
        let Some(sealed) = &self.item.sealed else {
            return Ok(Ok(State { data, secret: None }));
        };
        let keys = self.item.keys();
        let place = self.item.place(&keys, self.item.sealed_step);
        let vault = self.runner.tokens.vault();
        let opened = vault.open(self.item.connection_id.as_str(), &place, sealed);
        let text = match opened.await {
            Ok(bytes) => std::str::from_utf8(&bytes).map(Secret::new).ok(),
            Err(VaultError::DoesNotOpen | VaultError::Malformed) => None,
            Err(error @ VaultError::KmsUnavailable(_)) => return Err(error.into()),
        };
        match text {
            Some(secret) => Ok(Ok(State {
                data,
                secret: Some(secret),
            })),
            None => {
                tracing::error!(target.id = %self.item.target_id, "a sealed state does not open");
                // Without its secret the state still knows whether anything can have been published.
                let mut state = State { data, secret: None };
                if self.item.intent.is_some() {
                    let job = self.job(machine.app);
                    state = machine.platform.lost(&job, &state, self.now());
                }
                let fault = Fault::new(FaultKind::OurBug);
                Ok(Err(machine.platform.given_up(&state, fault)))
            }
        }
    }

    /// Gets the key ready that the connection's tokens are sealed with: it is in the vault's cache.
    async fn prepare(&mut self, access: &Access) -> Result<(), RunError> {
        let Some(sealed) = &access.connection.sealed else {
            return Ok(());
        };
        let subject = self.item.connection_id.as_str();
        self.key = Some(self.runner.tokens.vault().key_of(subject, sealed).await?);
        Ok(())
    }

    async fn call(
        &mut self,
        machine: Machine<'_>,
        state: &State,
        repeat: Repeat,
        access: &Access,
    ) -> Result<Done, RunError> {
        let call = machine
            .platform
            .call(&self.job(machine.app), state, &access.bundle);
        let mut call = match call {
            Ok(call) => call,
            Err(fault) => return Ok(Done::Trouble(Trouble::Fault(fault))),
        };
        let limits = std::mem::take(&mut call.limits);
        let taken = match self.reserve(&limits).await? {
            Place::Now(at) => at,
            Place::Later(wait) => return Ok(Done::Trouble(Trouble::Limited(wait))),
        };
        if repeat == Repeat::Once || call.repeat == Repeat::Once {
            call.repeat = Repeat::Once;
            if !self.intend().await? {
                return Ok(Done::NotOurs);
            }
        }
        let name = call.name;
        let sent_at = self.now();
        let timeout = self
            .runner
            .settings
            .call_timeout
            .min(self.budget.left(sent_at))
            .max(Duration::from_secs(1));
        let answer = self.runner.wire.send(call, timeout).await;
        let answered = answer.is_ok();
        let done = self.read(machine, state, name, sent_at, answer, false);
        if let Done::Trouble(Trouble::Fault(fault)) = &done {
            self.correct(&limits, fault).await;
            if answered {
                self.give_back(&limits, taken).await;
            }
        }
        Ok(done)
    }

    async fn upload(
        &mut self,
        machine: Machine<'_>,
        state: &State,
        media: usize,
        range: std::ops::Range<u64>,
    ) -> Result<Done, RunError> {
        let upload = machine.platform.upload(&self.job(machine.app), state);
        let upload = match upload {
            Ok(upload) => upload,
            Err(fault) => return Ok(Done::Trouble(Trouble::Fault(fault))),
        };
        let Some(file) = self.item.media.get(media) else {
            let fault = Fault::new(FaultKind::OurBug);
            return Ok(Done::Trouble(Trouble::Fault(fault)));
        };
        let completes = completes(file.size, &range);
        let length = range.end.saturating_sub(range.start);
        let Reading { bytes, broken } = match self.runner.files.read(&file.object_key, range).await
        {
            Ok(reading) => reading,
            Err(error) => return Ok(Done::Trouble(Trouble::File(error))),
        };
        // It can be sent twice, but a worker that dies over it must not leave a state that takes the
        // file for incomplete.
        if completes && !self.intend().await? {
            return Ok(Done::NotOurs);
        }
        let Upload {
            name,
            request,
            allowed_hosts,
        } = upload;
        let sent_at = self.now();
        let timeout = self.budget.left(sent_at).max(Duration::from_secs(1));
        let answer = self
            .runner
            .wire
            .upload(request, allowed_hosts, length, bytes, timeout)
            .await;
        self.budget.uploaded(self.now().since(sent_at));
        if answer.is_err()
            && let Some(error) = broken.cause()
        {
            // The platform did not get as many bytes as were announced, so it has no part of them.
            tracing::warn!(target.id = %self.item.target_id, error, "a file could not be read on");
            let error = crate::FilesError::Unavailable(error);
            return Ok(Done::Trouble(Trouble::File(error)));
        }
        Ok(self.read(machine, state, name, sent_at, answer, true))
    }

    /// Writes down that a call is about to be made whose loss must be noticed; `false`: the target is
    /// no longer this worker's.
    async fn intend(&mut self) -> Result<bool, RunError> {
        let attempt = self.attempt();
        let targets = &self.runner.targets;
        let written = targets.intend(&self.item, &self.holder, &attempt).await?;
        Ok(match written {
            Some(item) => {
                self.item = item;
                true
            }
            None => false,
        })
    }

    /// What an answer, or the lack of one, comes to.
    fn read(
        &self,
        machine: Machine<'_>,
        state: &State,
        name: &'static str,
        sent_at: Timestamp,
        answer: Result<Response<Bytes>, NoAnswer>,
        given_address: bool,
    ) -> Done {
        let now = self.now();
        let elapsed_ms = u64::try_from(now.since(sent_at).as_millis()).unwrap_or(u64::MAX);
        let target = self.item.target_id.as_str();
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(call = name, target.id = target, elapsed_ms, error = %error, "no answer");
                return unanswered(error.kind(), given_address);
            }
        };
        let status = response.status().as_u16();
        tracing::info!(
            call = name,
            target.id = target,
            status,
            elapsed_ms,
            "answered"
        );
        let answer = Answer {
            response: &response,
            sent_at,
        };
        let job = self.job(machine.app);
        match machine.platform.answered(&job, state, answer) {
            Ok(state) => Done::Moved(state),
            Err(fault) => Done::Trouble(Trouble::Fault(timed(fault, response.headers(), now))),
        }
    }

    /// Writes that the machine moved; `None`: this worker goes on.
    pub(super) async fn moved(
        &mut self,
        machine: Machine<'_>,
        state: &mut State,
        next: State,
        answered: bool,
        sent_bytes: Option<u64>,
    ) -> Result<Option<Ran>, RunError> {
        let now = self.now();
        let action = machine.platform.next(&self.job(machine.app), &next, now);
        let timeout = self.runner.settings.call_timeout;
        let how = Moved {
            begun: answered && machine.platform.publish_id(&next).is_some(),
            sent_bytes,
            time_left: self.budget.allows(&action, now, timeout),
        };
        let mut step = decide::moved(&self.item, next.clone(), &action, how, now);
        if matches!(step.then, Then::Wait(until) if until <= now + SHORT && until > now)
            && how.time_left
        {
            // Sat out by this worker.
            step.then = Then::GoOn;
        }
        let key = machine.platform.publish_id(&next);
        self.item.publish_key = key.map(|id| publish_key(self.item.account.app(), &id));
        let ran = self.write(step, state).await?;
        *state = next;
        Ok(ran)
    }

    async fn trouble(
        &mut self,
        machine: Machine<'_>,
        state: &State,
        trouble: &Trouble,
    ) -> Result<Ran, RunError> {
        let give_up = |fault: Fault| machine.platform.given_up(state, fault);
        let now = self.now();
        let entropy = self.runner.entropy.as_ref();
        let step = decide::troubled(&self.item, trouble, now, entropy, &give_up);
        self.log(&step);
        let ran = self.write(step, state).await?.unwrap_or(Ran::Lost);
        Ok(match (trouble, ran) {
            (Trouble::Limited(wait), Ran::Waits(until)) => Ran::Limited(wait.limit, until),
            (_, ran) => ran,
        })
    }

    pub(super) async fn end(&mut self, finish: &Finish) -> Result<Ran, RunError> {
        let step = decide::finished(&self.item, None, finish);
        self.log(&step);
        let state = State {
            data: serde_json::Value::Null,
            secret: None,
        };
        Ok(self.write(step, &state).await?.unwrap_or(Ran::Lost))
    }

    fn job<'b>(&'b self, app: &'b App) -> Job<'b> {
        Job {
            app,
            account: &self.item.account,
            text: &self.item.text,
            options: &self.item.options,
            media: &self.media,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.runner.clock.now()
    }

    pub(super) fn attempt(&self) -> AttemptId {
        self.runner.attempt()
    }
}

/// Whether these bytes are the file's last ones: the platform may then publish it.
const fn completes(size: u64, range: &std::ops::Range<u64>) -> bool {
    range.end >= size
}
