//! The steps of a walk, a page at a time.

use std::time::Duration;

use domain::{ConnectionStatus, Holder, Outcome, UserId};
use store::accounts::Forgotten;
use store::erasure::{Bucket, Cursor, Subject};
use store::{Flow, Task};
use tokens::{DisconnectError, EndedBy};

use super::desk::RECEIPT_SECONDS;
use super::{Erasure, Slicing, State, Step, Waiting};
use crate::chain::Went;
use crate::{Pace, RequestsError};

/// Accounts of one page.
const ACCOUNTS: i32 = 500;
/// Connections of one page.
const CONNECTIONS: i32 = 25;
/// Longer than a revocation is tried for: what still waits then is given up.
const GIVE_UP_SECONDS: i64 = 25 * 3_600;
/// The first and the longest pause before revocations are looked at again.
const PAUSES: [u64; 2] = [1, 300];
/// More walks than this mean that somebody acts for the user all the time.
const MOST_WALKS: u32 = 20;
/// How often an account's row is tried against others.
const TRIES: u32 = 8;

type Job = Task<Erasure>;

impl Slicing<'_> {
    /// Does the next page of the step at which the job stands.
    pub(super) async fn step(
        &self,
        job: &mut Job,
        holder: &Holder,
        pace: &Pace,
    ) -> Result<Went, RequestsError> {
        let Some(user) = job.work.whom.clone() else {
            return Ok(Went::Over);
        };
        job.work.waits_for = None;
        match job.work.step.clone() {
            Step::Gather { after } => self.gather(job, &user, after).await,
            Step::Connections => self.connections(job, &user, holder).await,
            Step::Flows { cursor } => self.flows(job, &user, &cursor, holder, pace).await,
            Step::Letters { queue } => self.letters(job, &user, queue, (holder, pace)).await,
            Step::Revocations { cursor } => self.revocations(job, &user, &cursor, pace).await,
            Step::Tables { cursor } => self.tables(job, &user, &cursor, holder, pace).await,
            Step::Accounts => self.accounts(job, &user, holder).await,
            Step::Settle { until } => {
                let now = self.eraser.desk.chain.now();
                if now < until {
                    job.work.waits_for = Some(Waiting::Settling);
                    return Ok(Went::Wait(until.since(now)));
                }
                Ok(on(job, Step::Gather { after: None }))
            }
            Step::Over => Ok(Went::Over),
        }
    }

    /// Every connection and account of theirs: by their connections, and by the accounts, which know
    /// longer who held them.
    async fn gather(
        &self,
        job: &mut Job,
        user: &UserId,
        after: Option<String>,
    ) -> Result<Went, RequestsError> {
        if after.is_none() {
            let mut after = None;
            loop {
                let connections = self.eraser.tokens.connections();
                let page = connections.list(user, after.as_deref(), 100).await;
                let (page, next) = page?;
                for one in page {
                    job.work.accounts.insert(one.account.key());
                    job.work.connections.insert(one.connection_id);
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        let accounts = &self.eraser.accounts;
        let page = accounts.of_user(user, after.as_deref(), ACCOUNTS).await?;
        for (account, by) in page.held {
            job.work.accounts.insert(account);
            job.work.connections.extend(by);
        }
        Ok(match page.next {
            Some(next) => on(job, Step::Gather { after: Some(next) }),
            None => on(job, Step::Connections),
        })
    }

    /// Ends connections that are alive: their platforms are told.
    async fn connections(
        &self,
        job: &mut Job,
        user: &UserId,
        holder: &Holder,
    ) -> Result<Went, RequestsError> {
        let tokens = self.eraser.tokens.acting(job.work.by.clone());
        let mut after = None;
        loop {
            let connections = self.eraser.tokens.connections();
            let page = connections.list(user, after.as_deref(), CONNECTIONS).await;
            let (page, next) = page?;
            let alive = page
                .into_iter()
                .filter(|one| one.status != ConnectionStatus::Disconnected);
            for one in alive {
                if !self.found(job, holder).await? {
                    return Ok(Went::Lost);
                }
                let id = &one.connection_id;
                match tokens.disconnect(self.apps, user, id, EndedBy::Us).await {
                    Ok(_) => count(job, "disconnected", 1),
                    Err(DisconnectError::Absent) => {}
                    Err(DisconnectError::Internal(error)) => return Err(error.into()),
                }
            }
            after = next;
            if after.is_none() {
                let cursor = Cursor::default();
                return Ok(on(job, Step::Flows { cursor }));
            }
        }
    }

    /// Ends consents that nobody confirmed: their tokens are revoked.
    async fn flows(
        &self,
        job: &mut Job,
        user: &UserId,
        cursor: &Cursor,
        holder: &Holder,
        pace: &Pace,
    ) -> Result<Went, RequestsError> {
        let subject = self.subject(job, user).await?;
        let tables = &self.eraser.tables;
        let page = tables.page_of("flows", &subject, cursor, pace.page).await?;
        for row in &page.rows {
            let Some(id) = row.key("flow_id").and_then(|id| id.parse().ok()) else {
                continue;
            };
            let Some(flow) = self.eraser.flows.get_expired(&id).await? else {
                continue;
            };
            job.work.accounts.extend(accounts_of(&flow));
            if flow.grant.is_none() || flow.confirmed_at.is_some() {
                continue;
            }
            if !self.found(job, holder).await? {
                return Ok(Went::Lost);
            }
            match self.eraser.tokens.abandon(&flow).await {
                Ok(_) => {}
                Err(tokens::TokensError::Store(error)) => return Err(error.into()),
                // What cannot be opened cannot be revoked; it is deleted with its row.
                Err(error) => {
                    tracing::error!(flow.id = %id, error = %error, "a consent could not be revoked");
                }
            }
        }
        Ok(match page.next {
            Some(cursor) => on(job, Step::Flows { cursor }),
            None => on(job, Step::Letters { queue: 0 }),
        })
    }

    /// Dead letters, a queue at a time.
    async fn letters(
        &self,
        job: &mut Job,
        user: &UserId,
        at: usize,
        (holder, pace): (&Holder, &Pace),
    ) -> Result<Went, RequestsError> {
        let letters = &self.eraser.letters;
        let Some(queue) = letters.queue(at) else {
            let cursor = Cursor::default();
            return Ok(on(job, Step::Revocations { cursor }));
        };
        let subject = self.subject(job, user).await?;
        let aside = letters.look(queue, &subject, self.eraser, pace).await?;
        if !aside.theirs.is_empty() && !self.found(job, holder).await? {
            letters.put_back(&queue.1, aside.all()).await;
            return Ok(Went::Lost);
        }
        let dropped = letters.settle(queue, aside, self.eraser).await?;
        count(job, "dead_letters", dropped);
        Ok(on(job, Step::Letters { queue: at + 1 }))
    }

    /// Waits until nothing of theirs has to be revoked any more.
    async fn revocations(
        &self,
        job: &mut Job,
        user: &UserId,
        cursor: &Cursor,
        pace: &Pace,
    ) -> Result<Went, RequestsError> {
        let subject = self.subject(job, user).await?;
        let tables = &self.eraser.tables;
        let page = tables
            .page_of("revocations", &subject, cursor, pace.page)
            .await?;
        let now = self.eraser.desk.chain.now();
        if !page.rows.is_empty() && now < job.started_at.plus_secs(GIVE_UP_SECONDS) {
            let [first, longest] = PAUSES;
            let pause = (first << job.work.waited.min(16)).min(longest);
            job.work.waited += 1;
            job.work.waits_for = Some(Waiting::Revocations);
            // The sweeper tells the platform; this only looks.
            return Ok(Went::Wait(Duration::from_secs(pause)));
        }
        Ok(match page.next {
            Some(cursor) => on(job, Step::Revocations { cursor }),
            None => {
                let cursor = Cursor::default();
                on(job, Step::Tables { cursor })
            }
        })
    }

    async fn tables(
        &self,
        job: &mut Job,
        user: &UserId,
        cursor: &Cursor,
        holder: &Holder,
        pace: &Pace,
    ) -> Result<Went, RequestsError> {
        // Asked anew for each page: somebody else may have connected an account since.
        let subject = self.subject(job, user).await?;
        let tables = &self.eraser.tables;
        let Some(page) = tables.page(&subject, cursor, pace.page).await? else {
            return Ok(on(job, Step::Accounts));
        };
        if !page.rows.is_empty() {
            if !self.found(job, holder).await? {
                return Ok(Went::Lost);
            }
            for (bucket, key) in page.rows.iter().filter_map(|row| row.object.as_ref()) {
                self.eraser.objects.remove(*bucket, key).await?;
                let noun = match bucket {
                    Bucket::Media => "files",
                    Bucket::Deliveries => "webhook_bodies",
                };
                count(job, noun, 1);
            }
            tables.delete(page.noun, &page.rows).await?;
            count(job, page.noun, page.rows.len() as u64);
        }
        Ok(match page.next {
            Some(cursor) => on(job, Step::Tables { cursor }),
            None => on(job, Step::Accounts),
        })
    }

    /// The rows of accounts: without the user where others hold them, gone where nobody does.
    async fn accounts(
        &self,
        job: &mut Job,
        user: &UserId,
        holder: &Holder,
    ) -> Result<Went, RequestsError> {
        for account in job.work.accounts.clone() {
            let standing = self.eraser.accounts.get(&account).await?;
            let shared = standing.held_by_others(user);
            if !shared
                && let Some((app, id)) = account.split_once('#')
                && let Ok(app) = app.parse()
                && self.eraser.limiter.forget(app, id).await?
            {
                // The count of the app's accounts goes on, without a name.
                job.work.unsettled = true;
            }
            for _ in 0..TRIES {
                let attempt = self.eraser.desk.chain.attempt();
                let accounts = &self.eraser.accounts;
                match accounts.forget(&account, user, &attempt).await? {
                    Forgotten::Nothing => break,
                    Forgotten::Moved => continue,
                    Forgotten::Left => {}
                    Forgotten::Gone => count(job, "accounts", 1),
                }
                if !self.found(job, holder).await? {
                    return Ok(Went::Lost);
                }
                break;
            }
        }
        self.end_walk(job, user).await
    }

    async fn end_walk(&self, job: &mut Job, user: &UserId) -> Result<Went, RequestsError> {
        let chain = &self.eraser.desk.chain;
        let now = chain.now();
        let settled = !job.work.unsettled;
        tracing::info!(
            job.id = %job.job_id, walk = job.work.walk, settled,
            "a walk over everything of a user ended"
        );
        if !settled && job.work.walk < MOST_WALKS {
            job.work.walk += 1;
            job.work.unsettled = false;
            let until = now + self.eraser.settle;
            return Ok(on(job, Step::Settle { until }));
        }
        let (state, outcome) = match settled {
            true => (State::Done, Outcome::Done),
            false => (State::Incomplete, Outcome::Failed),
        };
        self.eraser.desk.write(job, outcome).await?;
        // From here on another erasure of the same user is a new one.
        chain.tasks.unpoint(user.as_str(), &job.job_id).await?;
        job.expires_at = now.plus_secs(RECEIPT_SECONDS);
        let work = &mut job.work;
        work.whom = None;
        work.connections.clear();
        work.accounts.clear();
        work.state = state;
        work.step = Step::Over;
        work.ended_at = Some(now);
        Ok(Went::Over)
    }

    /// Writes down that this walk found something, before it is deleted: a walk that dies in between
    /// is not taken for one that found nothing. `false`: the job is no longer ours.
    async fn found(&self, job: &mut Job, holder: &Holder) -> Result<bool, RequestsError> {
        if job.work.unsettled {
            return Ok(true);
        }
        job.work.unsettled = true;
        self.eraser.desk.chain.note(job, holder, true).await
    }

    /// Who is erased, with the accounts that nobody else holds as of now.
    async fn subject(&self, job: &Job, user: &UserId) -> Result<Subject, RequestsError> {
        let mut subject = Subject {
            user: user.clone(),
            connections: job.work.connections.clone(),
            accounts: Default::default(),
        };
        for account in &job.work.accounts {
            let standing = self.eraser.accounts.get(account).await?;
            if !standing.held_by_others(&subject.user) {
                subject.accounts.insert(account.clone());
            }
        }
        Ok(subject)
    }
}

fn on(job: &mut Job, step: Step) -> Went {
    job.work.waited = 0;
    job.work.step = step;
    Went::On
}

fn count(job: &mut Job, noun: &str, more: u64) {
    if more > 0 {
        *job.work.counts.entry(noun.to_owned()).or_default() += more;
    }
}

/// The accounts that a consent opened.
fn accounts_of(flow: &Flow) -> impl Iterator<Item = String> {
    let granted = flow.grant.iter().flat_map(|grant| &grant.accounts);
    granted.chain(&flow.linked).map(domain::Account::key)
}
