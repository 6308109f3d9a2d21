//! What a delivery does.

use domain::{
    Account, AppRef, Delivery, PublishNews, ReceivedWebhook, Telling, Timestamp, WebhookEffect,
};
use lambda::Error;
use ledger::{Of, Outcome, Through};
use platforms::Apps;
use posts::{Told, release_open, told};
use statistics::SyncMessage;
use store::deliveries::DeliveryState;
use store::targets::publish_key;
use store::{Mark, Target, Transacted, Transaction};
use tokens::{DisconnectError, EndedBy};

use crate::WebhookWorker;

/// How applying a delivery went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Its effect stands.
    Yes,
    /// What it is about is busy: it must come again, however old it is.
    Busy,
    /// Nobody here knows what it is about.
    Unknown,
}

impl WebhookWorker {
    /// Applies a delivery that this worker holds.
    pub(crate) async fn apply(
        &self,
        mark: &Mark,
        received: &ReceivedWebhook,
        delivery: &Delivery,
    ) -> Result<Applied, Error> {
        // First what may be done again: a worker that dies after it leaves nothing but a repetition.
        let told = self.record(received.app(), delivery).await?;
        match &delivery.effect {
            WebhookEffect::Nothing if told == Some(Outcome::Gone) => Ok(Applied::Unknown),
            WebhookEffect::Nothing => self.settle(mark).await,
            WebhookEffect::AuthorizationRemoved { reason } => {
                tracing::info!(delivery.id = %mark.delivery_id, reason, "authorization removed");
                let when = delivery.occurred_at.unwrap_or(received.received_at);
                let account = delivery.account_id.as_deref();
                let account = account.map(|id| Account::key_of(received.app(), id));
                self.removed(mark, account, when).await
            }
            WebhookEffect::Publish { publish_id, news } => {
                let publish = (received.app(), publish_id.as_str());
                self.published(mark, publish, news).await
            }
        }
    }

    /// Keeps what it tells of the account's records; `None` where that is nothing.
    async fn record(&self, app: AppRef, delivery: &Delivery) -> Result<Option<Outcome>, Error> {
        let Some(account_id) = &delivery.account_id else {
            return Ok(None);
        };
        if delivery.facts.is_empty() {
            return Ok(None);
        }
        let of = Of { app, account_id };
        let (facts, through) = (&delivery.facts, Through::Account);
        let kept = self.ledger.keep(of, through, facts, Telling::Everything);
        Ok(Some(kept.await?))
    }

    /// Ends every connection to the account of this key. Each end is a transaction of its own, and
    /// ending twice changes nothing: a worker that dies half-way leaves a delivery that is taken over.
    async fn removed(
        &self,
        mark: &Mark,
        account: Option<String>,
        when: Timestamp,
    ) -> Result<Applied, Error> {
        let Some(account) = account else {
            return self.settle(mark).await;
        };
        // First the mark, then the holders: whoever confirms in between is refused by the mark, and so
        // is a flow that still waits for its creator. That is the whole effect on an account that
        // nobody here holds.
        self.accounts
            .revoked(&account, when, &self.attempt())
            .await?;
        let holders = self.accounts.get(&account).await?;
        // Platforms tell whole seconds: tokens of the same second are older than the end.
        let by = EndedBy::Platform(when.plus_secs(1));
        for (user, connection) in holders.holders() {
            match self
                .tokens
                .disconnect(&Apps::default(), &user, &connection, by)
                .await
            {
                Ok(_) | Err(DisconnectError::Absent) => {}
                Err(DisconnectError::Internal(error)) => return Err(error.into()),
            }
        }
        // Connected again since: then what was received of it is still somebody's.
        if self.accounts.get(&account).await?.holders().is_empty() {
            self.forget(&account, mark).await?;
        }
        self.settle(mark).await
    }

    /// Deletes the raw bodies that are kept of an account; the marks stay, so that nothing is applied
    /// twice. The delivery at hand keeps its own for its 14 days: it is what says that the account is
    /// gone.
    async fn forget(&self, account: &str, at_hand: &Mark) -> Result<(), Error> {
        let mut forgotten = 0;
        loop {
            let mut ids = self.deliveries.raw_of(account).await?;
            ids.retain(|id| *id != at_hand.delivery_id);
            let now = self.tokens.clock().now();
            let before = forgotten;
            for id in &ids {
                // The index lags: a row that is gone was deleted a moment ago.
                let Some(raw) = self.deliveries.raw(id, now).await? else {
                    continue;
                };
                if let Some(key) = &raw.object_key {
                    self.bodies.delete(key).await?;
                }
                self.deliveries.delete_raw(id).await?;
                forgotten += 1;
            }
            if forgotten == before {
                break;
            }
        }
        if forgotten > 0 {
            tracing::info!(forgotten, "raw bodies of an account deleted with it");
        }
        Ok(())
    }

    /// Tells every target of the publish, and settles the delivery with the last of them.
    async fn published(
        &self,
        mark: &Mark,
        (app, publish_id): (AppRef, &str),
        news: &PublishNews,
    ) -> Result<Applied, Error> {
        let found = self.targets.of_publish(app, publish_id).await?;
        let mut targets = Vec::new();
        // The index lags: a target may have begun another publish since, whose news this is not.
        let key = publish_key(app, publish_id);
        for (post, target) in found {
            let found = self.targets.get(&post, &target).await?;
            targets.extend(found.filter(|target| target.publish_key.as_deref() == Some(&key)));
        }
        if targets.is_empty() {
            return Ok(Applied::Unknown);
        }
        self.tell_all(mark, &targets, news).await
    }

    async fn tell_all(
        &self,
        mark: &Mark,
        targets: &[Target],
        news: &PublishNews,
    ) -> Result<Applied, Error> {
        let now = self.tokens.clock().now();
        let mut transaction = Transaction::new(self.attempt());
        let (mut woken, mut changed) = (Vec::new(), Vec::new());
        for target in targets {
            match told(target, news, now) {
                Told::Nothing => {}
                Told::Later => return Ok(Applied::Busy),
                Told::Change(change) => {
                    transaction = self
                        .targets
                        .tell(transaction, target, &change.progress, now)?;
                    if let Some(event) = &change.event {
                        transaction = self.events.tell(transaction, event)?;
                    }
                    changed.push((target, change.progress.status));
                    if change.wake {
                        woken.push(target);
                    }
                }
            }
        }
        transaction = self
            .deliveries
            .settle(transaction, mark, DeliveryState::Applied, now)?;
        if transaction.run(self.deliveries.client()).await? != Transacted::Done {
            // A target moved on since it was read: the next try sees where to.
            return Ok(Applied::Busy);
        }
        for (target, status) in changed {
            posts::settled(self.tokens.meter(), target, status, now);
            release_open(&self.limiter, target, status).await;
        }
        for target in woken {
            self.publish.wake_after(target).await;
        }
        self.look_at(mark, targets, news).await;
        Ok(Applied::Yes)
    }

    /// A post that everyone can see now: its own figures are read a little later. A message that is
    /// lost costs nothing but freshness, since the day's sync reads the newest media.
    async fn look_at(&self, mark: &Mark, targets: &[Target], news: &PublishNews) {
        let (PublishNews::Published(post) | PublishNews::Public(post)) = news else {
            return;
        };
        if post.ids.is_empty() || platforms::statistics(mark.platform).is_none() {
            return;
        }
        // Several targets of one publish are one medium of one account.
        if let Some(target) = targets.first() {
            let (user, connection) = (&target.user_id, &target.connection_id);
            let cause = mark.delivery_id.as_str();
            let message = SyncMessage::targeted(user, connection, post.ids.clone(), cause);
            self.insights.send_or_leave(&message, self.look_after).await;
        }
    }

    async fn settle(&self, mark: &Mark) -> Result<Applied, Error> {
        let now = self.tokens.clock().now();
        let state = DeliveryState::Applied;
        // `false`: the lease ran out and another worker has it, which comes to the same.
        self.deliveries
            .settle_alone(mark, state, now, &self.attempt())
            .await?;
        Ok(Applied::Yes)
    }
}
