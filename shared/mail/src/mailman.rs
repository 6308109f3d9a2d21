//! Sends one user what is due.
//!
//! The order is what keeps a mail from going out twice: the row that says that it is sent is written
//! first, under the condition that nobody wrote it; then the mail is handed over; then the row says
//! what became of it. Killed before the first, nothing happened and the message comes again; killed
//! after it, the mail may be lost and is never sent again. A definite refusal that passes gives the
//! row back ([`MailState::PutOff`]), and whoever takes the message next may claim it anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::metric::{MAILS_FAILED, MAILS_PUT_OFF, MAILS_SENT};
use domain::{
    AttemptId, Clock, ConnectionId, Day, Entropy, Labels, MediaItem, Meter, Platform, Snapshot,
    Timestamp, UserId,
};
use store::mails::Claim;
use store::users::DueMail;
use store::{
    Connection, Connections, MailState, Mails, RecordAsk, RecordTable, Snapshots, Suppressions,
    User, Users,
};

use crate::compose::{self, Look, Mail, Reader};
use crate::due::{self, DueDay};
use crate::link::{LinkKeys, MailKind};
use crate::report::{Attention, POST_DAYS, Report, Sources, Trouble, name};
use crate::ses::{Answered, Ses};
use crate::{MailError, MailMessage, address, growth, notice};

/// How long a report's row is kept: far longer than any message lives.
const KEEP_REPORT_SECONDS: i64 = 60 * 86_400;
/// How long a cause stays told.
const KEEP_NOTICE_SECONDS: i64 = 400 * 86_400;
/// Media of one account that are looked at for a report, the latest first.
const MOST_MEDIA: usize = 300;
/// Connections of one user that a mail is made of.
const MOST_CONNECTIONS: usize = 200;

/// What sends mails.
pub struct Mailman {
    /// Users.
    pub users: Users,
    /// Their connections.
    pub connections: Connections,
    /// Daily snapshots.
    pub snapshots: Snapshots,
    /// Accounts' media items.
    pub media: RecordTable,
    /// What was sent.
    pub mails: Mails,
    /// Addresses that get none.
    pub suppressions: Suppressions,
    /// The way out.
    pub ses: Ses,
    /// How mails look.
    pub look: Look,
    /// Where the opt-out page is reached.
    pub base: String,
    /// Where figures go.
    pub meter: Arc<dyn Meter>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// All that was due is dealt with.
    Done,
    /// SES put a mail off: the message is to come again.
    PutOff,
}

impl Mailman {
    /// Sends one user what is due as of the message's instant.
    pub async fn handle(
        &self,
        keys: &LinkKeys,
        message: &MailMessage,
    ) -> Result<Handled, MailError> {
        let Some(user) = self.users.get(&message.user_id).await? else {
            return Ok(Handled::Done);
        };
        let today = due::today(&user, message.at);
        let (Some(today), Some(email)) = (today, user.email.clone()) else {
            return self.finish(&user, message.at).await;
        };
        if self
            .suppressions
            .get(&address::hash(&email))
            .await?
            .is_some()
        {
            // Not due again until the product gives another address.
            self.move_on(&user, None).await?;
            return Ok(Handled::Done);
        }
        let connections = self.connections_of(&user.user_id).await?;
        let letter = Letter {
            keys,
            user: &user,
            email: &email,
            at: message.at,
        };
        let mut handled = Handled::Done;
        if user.notices && !self.notices(letter, &connections).await? {
            handled = Handled::PutOff;
        }
        if user.reports && !self.report(letter, &today, &connections).await? {
            handled = Handled::PutOff;
        }
        match handled {
            Handled::PutOff => Ok(handled),
            Handled::Done => self.finish(&user, message.at).await,
        }
    }

    /// One mail for every cause that was not told yet. `false` where it was put off.
    async fn notices(
        &self,
        letter: Letter<'_>,
        connections: &[Connection],
    ) -> Result<bool, MailError> {
        let keep = letter.at.plus_secs(KEEP_NOTICE_SECONDS);
        let (mut claims, mut told) = (Vec::new(), Vec::new());
        for connection in connections {
            let Some(cause) = notice::cause(connection, letter.at) else {
                continue;
            };
            let key = format!(
                "notice#{}#{}",
                connection.connection_id,
                cause.key(connection)
            );
            let claimed = match self.claim(letter, &key, keep).await {
                Ok(claimed) => claimed,
                // Nothing was sent yet: what is claimed so far is given back for the next try.
                Err(error) => {
                    self.settle(&claims, MailState::PutOff, None).await;
                    return Err(error);
                }
            };
            if let Some(claim) = claimed {
                claims.push(claim);
                told.push(Attention {
                    platform: connection.platform,
                    name: name(connection),
                    what: Trouble::Connect(cause),
                });
            }
        }
        if claims.is_empty() {
            return Ok(true);
        }
        let link = self.link(letter, MailKind::Notice);
        let mail = compose::notice(&self.look, letter.reader(&link), &told);
        Ok(self.send(letter, &claims, &mail).await)
    }

    /// The week's report, on its Monday. `false` where it was put off.
    async fn report(
        &self,
        letter: Letter<'_>,
        today: &DueDay,
        connections: &[Connection],
    ) -> Result<bool, MailError> {
        let Some(week) = &today.week else {
            return Ok(true);
        };
        let days = self.days(&letter.user.user_id, today).await?;
        let media = self.media(connections, letter.at).await?;
        let sources = Sources {
            connections,
            days: &days,
            media: &media,
        };
        let Some(report) = Report::of(&sources, today.date, letter.at) else {
            return Ok(true);
        };
        let keep = letter.at.plus_secs(KEEP_REPORT_SECONDS);
        let Some(claim) = self.claim(letter, &format!("report#{week}"), keep).await? else {
            return Ok(true);
        };
        let link = self.link(letter, MailKind::Report);
        let mail = compose::report(&self.look, letter.reader(&link), &report);
        Ok(self.send(letter, &[claim], &mail).await)
    }

    /// Hands a claimed mail over and writes down what became of it. `false` where it was put off.
    async fn send(&self, letter: Letter<'_>, claims: &[Claim], mail: &Mail) -> bool {
        let (kind, user) = (mail.kind.as_str(), &letter.user.user_id);
        match self.ses.send(letter.email, mail).await {
            Answered::Taken(id) => {
                self.meter.count(&MAILS_SENT, Labels::NONE);
                tracing::info!(user.id = %user, kind, message.id = id, "a mail was sent");
                self.settle(claims, MailState::Sent, Some(&id)).await;
                true
            }
            Answered::Later(code) => {
                self.meter.count(&MAILS_PUT_OFF, Labels::NONE);
                tracing::warn!(user.id = %user, kind, code, "SES put a mail off");
                self.settle(claims, MailState::PutOff, None).await;
                false
            }
            Answered::Never(code) => {
                self.meter.count(&MAILS_FAILED, Labels::NONE);
                tracing::error!(user.id = %user, kind, code, "SES refused a mail for good");
                self.settle(claims, MailState::Refused, None).await;
                true
            }
            Answered::Unknown => {
                self.meter.count(&MAILS_FAILED, Labels::NONE);
                tracing::error!(
                    user.id = %user, kind,
                    "SES did not say whether it took a mail; it is not sent again"
                );
                true
            }
        }
    }

    /// A row that cannot be settled stays claimed: what it stands for is not sent again.
    async fn settle(&self, claims: &[Claim], state: MailState, message_id: Option<&str>) {
        for claim in claims {
            let attempt = self.attempt();
            let settled = self.mails.settle(claim, state, message_id, &attempt).await;
            if let Err(error) = settled {
                tracing::error!(error = %error, "what became of a mail was not written down");
            }
        }
    }

    async fn claim(
        &self,
        letter: Letter<'_>,
        key: &str,
        keep_until: Timestamp,
    ) -> Result<Option<Claim>, MailError> {
        let times = (letter.at, keep_until);
        let user = &letter.user.user_id;
        Ok(self.mails.claim(user, key, times, self.attempt()).await?)
    }

    // ---- reading

    async fn connections_of(&self, user: &UserId) -> Result<Vec<Connection>, MailError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.connections.list(user, after.as_deref(), 100).await?;
            found.extend(page.0);
            after = page.1;
            if after.is_none() || found.len() >= MOST_CONNECTIONS {
                return Ok(found);
            }
        }
    }

    /// The snapshots that a report looks at, by connection: two weeks and two days.
    async fn days(
        &self,
        user: &UserId,
        today: &DueDay,
    ) -> Result<BTreeMap<ConnectionId, BTreeMap<Day, Snapshot>>, MailError> {
        let first = today.date.checked_sub(jiff::Span::new().days(16));
        let first = first.ok().and_then(growth::named).unwrap_or_default();
        let last = growth::named(today.date).unwrap_or_default();
        let mut found: BTreeMap<_, BTreeMap<Day, Snapshot>> = BTreeMap::new();
        for month in self.snapshots.months(user, &first, &last).await? {
            let days = found.entry(month.connection_id).or_default();
            days.extend(month.days);
        }
        Ok(found)
    }

    /// The posts that a report at `at` may show.
    async fn media(
        &self,
        connections: &[Connection],
        at: Timestamp,
    ) -> Result<Vec<(Platform, MediaItem)>, MailError> {
        let mut found = Vec::new();
        for connection in connections {
            if connection.status != domain::ConnectionStatus::Active {
                continue;
            }
            let account = [connection.account.key()];
            let ask = RecordAsk {
                accounts: &account,
                from: Some(at.plus_secs(-POST_DAYS * 86_400)),
                state: Some("visible"),
                limit: MOST_MEDIA,
                ..RecordAsk::default()
            };
            let page = self.media.newest(&ask, |_| true).await?;
            let items = page.rows.iter().map(|row| row.kept.read());
            found.extend(items.map(|item| (connection.platform, item)));
        }
        Ok(found)
    }

    // ---- the end

    async fn finish(&self, user: &User, at: Timestamp) -> Result<Handled, MailError> {
        let next = due::next(user, at.max(self.clock.now()));
        self.move_on(user, next).await?;
        Ok(Handled::Done)
    }

    /// Sets when this user is due next, unless the product changed that meanwhile.
    async fn move_on(&self, user: &User, to: Option<Timestamp>) -> Result<(), MailError> {
        if let Some(mail_due_at) = user.mail_due_at {
            let seen = DueMail {
                user_id: user.user_id.clone(),
                mail_due_at,
            };
            self.users.move_mail(&seen, to, &self.attempt()).await?;
        }
        Ok(())
    }

    fn link(&self, letter: Letter<'_>, kind: MailKind) -> String {
        compose::unsubscribe_url(&self.base, letter.keys, &letter.user.user_id, kind)
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.clock.now(), &*self.entropy)
    }
}

/// What the parts of one run share.
#[derive(Clone, Copy)]
struct Letter<'a> {
    keys: &'a LinkKeys,
    user: &'a User,
    email: &'a str,
    at: Timestamp,
}

impl<'a> Letter<'a> {
    fn reader(self, unsubscribe: &'a str) -> Reader<'a> {
        Reader {
            user: self.user,
            unsubscribe,
        }
    }
}
