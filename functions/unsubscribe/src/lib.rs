//! `GET /unsubscribe/{token}` shows buttons, so that previews and scanners change nothing;
//! `POST /unsubscribe/{token}` stops the mails. It needs no cookie: the token is the permission, and
//! mail programs post it by themselves (RFC 8058).

use std::sync::Arc;

use audit::{Deed, Trail};
use browser::{locale_of, message, show, trouble};
use domain::{Act, Clock, Entropy, UserId, Who};
use http::{Method, StatusCode};
use lambda::{Answer, Problem, Request};
use mail::{LinkKeys, MailKind, due};
use pages::{Mails, MessagePage, Trouble, UnsubscribePage};
use store::Users;

/// A button's form, or a mail program's `List-Unsubscribe=One-Click`.
const MOST_BODY_BYTES: usize = 4 * 1_024;

/// What the handler needs.
pub struct Unsubscribe {
    /// Users.
    pub users: Users,
    /// The audit trail.
    pub trail: Trail,
    /// The product's name.
    pub product: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Unsubscribe {
    /// Answers one request. Without keys no link is known.
    pub async fn handle(&self, keys: Option<&LinkKeys>, request: Request) -> Answer {
        let token: String = request.path_parameter("token")?;
        let locale = locale_of(&request, None);
        let Some((user, kind)) = keys.and_then(|keys| keys.open(&token)) else {
            return Ok(trouble(locale, &self.product, Trouble::NotFound, None));
        };
        let these = match kind {
            MailKind::Report => Mails::Reports,
            MailKind::Notice => Mails::Notices,
        };
        if request.method() != Method::POST {
            let page = UnsubscribePage {
                locale,
                product: &self.product,
                mails: these,
                action: request.path(),
            };
            return Ok(show(page.render(), &[]));
        }
        let mails = if wants_all(&request)? {
            Mails::All
        } else {
            these
        };
        self.stop(&user, mails).await?;
        let page = MessagePage::unsubscribed(locale, &self.product, mails);
        Ok(message(StatusCode::OK, &page))
    }

    /// Doing it twice changes nothing. A user who is not known any more gets no mail anyway, and is
    /// told the same.
    async fn stop(&self, user: &UserId, mails: Mails) -> Result<(), Problem> {
        let now = self.clock.now();
        let changed = self
            .users
            .change_known(user, now, &*self.entropy, |row| {
                row.reports &= mails == Mails::Notices;
                row.notices &= mails == Mails::Reports;
                due::settle(row, now);
            })
            .await
            .map_err(Problem::unavailable)?;
        if changed.is_some() {
            let object = match mails {
                Mails::Reports => "reports",
                Mails::Notices => "notices",
                Mails::All => "all",
            };
            self.trail
                .note(&Deed {
                    who: &Who::user(user),
                    act: Act::UserOptedOut,
                    user: Some(user),
                    object: Some(object),
                })
                .await;
        }
        Ok(())
    }
}

/// Whether the second button was pressed. Mail programs may post a form of either type; theirs says
/// nothing of a button.
fn wants_all(request: &Request) -> Result<bool, Problem> {
    request.body_within(MOST_BODY_BYTES)?;
    let form = request.form(MOST_BODY_BYTES).ok();
    Ok(form.is_some_and(|form| form.get("stop") == Some("all")))
}
