//! The audit trail, to read: by day or by user.

use domain::{Act, Outcome, UserId, Who};
use http::StatusCode;
use lambda::{Answer, Problem, responses};
use serde::Serialize;
use store::AuditEntry;
use store::audit::date;

use crate::query::{cursor, limit, shown};
use crate::{Admin, Ask};

#[derive(Serialize)]
struct EntryView {
    id: String,
    at: String,
    who: Who,
    act: Act,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
struct Page {
    entries: Vec<EntryView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl Admin {
    pub(crate) async fn list_audit(&self, ask: &Ask<'_>) -> Answer {
        let query = ask.request.query()?;
        query.only(&["day", "user_id", "cursor", "limit"])?;
        let sentence = "A user id is 1 to 128 visible ASCII characters.";
        let user: Option<UserId> = query.parameter("user_id", sentence)?;
        let sentence = "Give a UTC date such as 2026-11-20.";
        let day = query.parameter_by("day", sentence, |text| {
            is_date(text).then(|| text.to_owned())
        })?;
        let (before, limit) = (cursor(&query)?, limit(&query)?);
        let before = before.as_deref();
        let listing = match (user, day) {
            (Some(_), Some(_)) => {
                let sentence = "Give a day or a user, not both.";
                return Err(Problem::bad_request("day", "not_both", sentence));
            }
            (Some(user), None) => self.audit.of_user(&user, before, limit, ask.now).await,
            (None, day) => {
                let day = day.unwrap_or_else(|| date(ask.now));
                self.audit.of_day(&day, before, limit, ask.now).await
            }
        };
        let listing = listing.map_err(Problem::unavailable)?;
        let page = Page {
            entries: listing.rows.into_iter().map(view).collect(),
            next_cursor: shown(listing.next),
        };
        Ok(responses::json(StatusCode::OK, &page))
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

fn view(entry: AuditEntry) -> EntryView {
    EntryView {
        id: entry.id,
        at: entry.at.rfc3339(),
        who: entry.who,
        act: entry.act,
        user_id: entry.user_id,
        object: entry.object,
        outcome: entry.outcome,
        note: entry.note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (text, good) in [
            ("2026-11-20", true),
            ("2026-1-20", false),
            ("20261120", false),
            ("2026/11/20", false),
            ("2026-11-20#s1", false),
        ] {
            assert_eq!(is_date(text), good, "{text}");
        }
    }
}
