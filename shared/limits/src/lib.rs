//! Platforms' limits, kept *before* the call and shared by all workers (DESIGN §7).
//!
//! Promises: a call that counts against several limits takes its place in all of them or in none; a
//! call that must wait learns until when, and that place is kept for it; the platform's own word
//! corrects the count. What may be called at all is told by `platforms`: see [`platforms::Limit`].

mod book;

use std::sync::Arc;
use std::time::Duration;

use domain::{Account, AppRef, AttemptId, Clock, Entropy, Fault, FaultKind, Timestamp};
use platforms::{Counts, Limit, LimitOf};
use store::limits::{LimitRow, LimitWrite};
use store::{Limits, StoreError};

use book::{Ask, Book, Books, Given};

/// Writers that meet at one row make each other try again.
const TRIES: u32 = 12;
/// A row that nobody writes any more is of no use for longer than any limit's span.
const KEPT_SECONDS: i64 = 3 * 86_400;
/// A limit of at least this span is a quota rather than a rate.
const QUOTA: Duration = Duration::from_secs(3_600);

/// Keeps limits. Cheap to clone.
#[derive(Clone)]
pub struct Limiter {
    table: Limits,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Whose calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Of which app: a sandbox's calls are counted apart from the production's.
    pub app: AppRef,
    /// Of which account there.
    pub account: &'a str,
}

impl<'a> From<&'a Account> for Owner<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            app: account.app(),
            account: &account.id,
        }
    }
}

/// When a call may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Now: it is counted as made at this instant.
    Now(Timestamp),
    /// Not now.
    Later(Wait),
}

/// What a call waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The limit's name.
    pub limit: &'static str,
    /// When the call may be made, as things stand.
    pub until: Timestamp,
    /// When to ask again: that instant, or sooner where what holds the limit may end sooner.
    pub ask_at: Timestamp,
    /// The same for a person.
    pub fault: Fault,
}

impl Limiter {
    /// Over this table.
    pub fn new(table: Limits, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            table,
            clock,
            entropy,
        }
    }

    /// Asks for a place. `id` is the same for every try of the same call, so that a place that was
    /// kept for it is found again; [`Place::Now`] uses it up.
    pub async fn reserve(
        &self,
        owner: Owner<'_>,
        limits: &[Limit],
        id: &str,
    ) -> Result<Place, StoreError> {
        if limits.is_empty() {
            return Ok(Place::Now(self.clock.now()));
        }
        let given = self
            .change(owner, limits, |books, now| {
                let account = owner.account;
                Some((books.reserve(limits, Ask { id, account, now }), now))
            })
            .await?;
        Ok(match given {
            None => Place::Now(self.clock.now()),
            Some((Given::Now, now)) => Place::Now(now),
            Some((Given::Later(until, limit), _)) => {
                Place::Later(wait(&limit, until, self.clock.now()))
            }
        })
    }

    /// The platform clearly refused the call that took its places at `taken` ([`Place::Now`]): those
    /// in limits that count what comes of calls ([`Counts::Effects`]) are free again. Never for a call
    /// whose answer is lost or unclear.
    pub async fn give_back(
        &self,
        owner: Owner<'_>,
        limits: &[Limit],
        id: &str,
        taken: Timestamp,
    ) -> Result<(), StoreError> {
        let returned: Vec<_> = limits
            .iter()
            .filter(|limit| limit.counts == Counts::Effects)
            .copied()
            .collect();
        if returned.is_empty() {
            return Ok(());
        }
        let account = owner.account;
        let now = taken;
        self.change(owner, &returned, |books, _| {
            let given_back = books.give_back(&returned, Ask { id, account, now });
            given_back.then_some(())
        })
        .await?;
        Ok(())
    }

    /// Takes over what the platform said: where `fault` is one of the limits' own, that limit is
    /// closed until the fault's instant, one of what is open for longer each time that it is said again.
    pub async fn correct(
        &self,
        owner: Owner<'_>,
        limits: &[Limit],
        fault: &Fault,
    ) -> Result<(), StoreError> {
        let Some(code) = fault.platform_code.as_deref() else {
            return Ok(());
        };
        let reached: Vec<_> = limits
            .iter()
            .filter(|limit| limit.codes.contains(&code))
            .copied()
            .collect();
        if reached.is_empty() {
            return Ok(());
        }
        self.change(owner, &reached, |books, now| {
            for limit in &reached {
                let until = fault.until.unwrap_or(now + limit.rule.span());
                books.close(limit, until, now);
            }
            Some(())
        })
        .await?;
        Ok(())
    }

    /// What was open under `id` no longer is.
    pub async fn release(
        &self,
        owner: Owner<'_>,
        limit: &Limit,
        id: &str,
    ) -> Result<(), StoreError> {
        let limits = [*limit];
        let released = |books: &mut Books, _| books.release(limit, id).then_some(());
        self.change(owner, &limits, released).await?;
        Ok(())
    }

    /// An account is erased: where the app's books count accounts, a name that says nothing stands in
    /// its place from now on, since its calls still count. `false` where they do not name it.
    pub async fn forget(&self, app: AppRef, account: &str) -> Result<bool, StoreError> {
        let key = format!("{app}#app");
        for _ in 0..TRIES {
            let row = self.table.get(&key).await?;
            let mut book = read(&row);
            let now = self.clock.now();
            let attempt = AttemptId::new(now, self.entropy.as_ref());
            if !book.rename(account, attempt.as_str()) {
                return Ok(false);
            }
            let renamed = LimitWrite {
                key: key.clone(),
                seen: row.version,
                book: write(&book),
                expires_at: now.plus_secs(KEPT_SECONDS),
            };
            if self.table.write(&[renamed], &attempt).await? {
                return Ok(true);
            }
            let pause = Duration::from_millis(self.entropy.below(100) + 5);
            tokio::time::sleep(pause).await;
        }
        Err(StoreError::Unavailable("contended".to_owned()))
    }

    /// Changes the books of those whom `limits` concern, in one write; `None` writes nothing.
    async fn change<T>(
        &self,
        owner: Owner<'_>,
        limits: &[Limit],
        mut change: impl FnMut(&mut Books, Timestamp) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let concerns = |of: LimitOf| limits.iter().any(|limit| limit.of == of);
        let account_key = format!("{}#account#{}", owner.app, owner.account);
        let app_key = format!("{}#app", owner.app);
        let mut pause = 10;
        for _ in 0..TRIES {
            let mut rows = Vec::new();
            let mut books = Books::default();
            if concerns(LimitOf::Account) {
                let row = self.table.get(&account_key).await?;
                books.account = read(&row);
                rows.push((&account_key, row.version, LimitOf::Account));
            }
            if concerns(LimitOf::App) {
                let row = self.table.get(&app_key).await?;
                books.app = read(&row);
                rows.push((&app_key, row.version, LimitOf::App));
            }
            let before = books.clone();
            let now = self.clock.now();
            let Some(result) = change(&mut books, now) else {
                return Ok(None);
            };
            let book = |books: &Books, of| match of {
                LimitOf::Account => books.account.clone(),
                LimitOf::App => books.app.clone(),
            };
            let writes: Vec<_> = rows
                .iter()
                .filter(|(_, _, of)| book(&books, *of) != book(&before, *of))
                .map(|(key, seen, of)| LimitWrite {
                    key: (*key).clone(),
                    seen: *seen,
                    book: write(&book(&books, *of)),
                    expires_at: now.plus_secs(KEPT_SECONDS),
                })
                .collect();
            if writes.is_empty() {
                return Ok(Some(result));
            }
            let attempt = AttemptId::new(now, self.entropy.as_ref());
            if self.table.write(&writes, &attempt).await? {
                return Ok(Some(result));
            }
            tokio::time::sleep(Duration::from_millis(self.entropy.below(pause) + 5)).await;
            pause = (pause * 2).min(400);
        }
        Err(StoreError::Unavailable("contended".to_owned()))
    }
}

/// A book that cannot be read counts as empty: the platform still keeps its own.
fn read(row: &LimitRow) -> Book {
    serde_json::from_str(&row.book).unwrap_or_default()
}

fn write(book: &Book) -> String {
    if book.is_empty() {
        return String::new();
    }
    // Maps, texts and numbers always have a form.
    serde_json::to_string(book).unwrap_or_default()
}

fn wait(limit: &Limit, until: Timestamp, now: Timestamp) -> Wait {
    let open = matches!(limit.rule, platforms::Rule::Open { .. });
    let soon = now.plus_secs(10 * 60);
    let kind = match limit.rule.span() >= QUOTA {
        true => FaultKind::QuotaUsed,
        false => FaultKind::RateLimited,
    };
    let sentence = match (open, kind) {
        (true, _) => {
            "The platform takes no more drafts of this account until the creator has posted or discarded some. It goes on by itself."
        }
        (false, FaultKind::QuotaUsed) => {
            "A quota of the platform is used up for now. It goes on by itself once the quota is free."
        }
        (false, _) => "The platform's rate limit is kept. It goes on by itself.",
    };
    Wait {
        limit: limit.name,
        until,
        ask_at: if open { until.min(soon) } else { until },
        fault: Fault::new(kind).until(until).sentence(sentence),
    }
}
