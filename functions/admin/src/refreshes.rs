//! Refreshes by hand, through the refresh queue: one connection's, or all that would expire within a
//! horizon. And the list of the latter.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::{Act, ConnectionId, ConnectionStatus, Platform, Timestamp, UserId};
use http::StatusCode;
use lambda::{Answer, Problem, responses};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Connection;
use store::connections::{DueConnection, DuePlace};
use tokens::RefreshMessage;

use crate::query::{limit, split};
use crate::{Acted, Admin, Ask};

const MOST_BODY_BYTES: usize = 2 * 1_024;
const USUAL_DAYS: i64 = 7;
const MOST_DAYS: i64 = 366;
const MOST_HOURS: i64 = 24 * MOST_DAYS;
/// One call queues so many; the answer says where to go on.
const MOST_AT_ONCE: usize = 1_000;
/// SQS takes ten messages at once.
const BATCH: usize = 10;

/// One connection, or all within a horizon.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    connection_id: Option<ConnectionId>,
    #[serde(default)]
    within_hours: Option<i64>,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Queued {
    queued: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct ExpiringView {
    id: ConnectionId,
    user_id: UserId,
    platform: Platform,
    status: ConnectionStatus,
    /// When its next refresh is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_expires_at: Option<String>,
    /// Refreshes that failed in a row.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
}

#[derive(Serialize)]
struct Page {
    connections: Vec<ExpiringView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl Admin {
    pub(crate) async fn list_expiring(&self, ask: &Ask<'_>) -> Answer {
        let query = ask.request.query()?;
        query.only(&["days", "platform", "cursor", "limit"])?;
        let sentence = "Give a number from 1 to 366.";
        let days = query.parameter_by("days", sentence, |text| {
            text.parse()
                .ok()
                .filter(|days| (1..=MOST_DAYS).contains(days))
        })?;
        let sentence = "This is not a platform of this deployment.";
        let platform: Option<Platform> = query.parameter("platform", sentence)?;
        let sentence = "Give the next_cursor of an earlier answer.";
        let after = query.parameter_by("cursor", sentence, place)?;
        let until = ask.now.plus_secs(days.unwrap_or(USUAL_DAYS) * 86_400);
        let limit = limit(&query)?;
        let (rows, next) = self.ending(until, platform, after.as_ref(), limit).await?;
        let mut connections = Vec::with_capacity(rows.len());
        for row in &rows {
            let found = self.connections.get(&row.user_id, &row.connection_id).await;
            // The index lags: one that is gone is not shown.
            connections.extend(found.map_err(Problem::unavailable)?.map(view));
        }
        let page = Page {
            connections,
            next_cursor: next.map(shown),
        };
        Ok(responses::json(StatusCode::OK, &page))
    }

    pub(crate) async fn force_refresh(&self, ask: &Ask<'_>) -> Answer {
        let wish: Wish = ask.request.json(MOST_BODY_BYTES)?;
        match (&wish.user_id, &wish.connection_id, wish.within_hours) {
            (Some(user), Some(connection), None) => self.force_one(ask, user, connection).await,
            (None, None, Some(hours)) => self.force_all(ask, &wish, hours).await,
            _ => Err(Problem::invalid(
                "connection_id",
                "missing",
                "Give user_id and connection_id, or within_hours.",
            )),
        }
    }

    async fn force_one(&self, ask: &Ask<'_>, user: &UserId, connection: &ConnectionId) -> Answer {
        let found = self.connections.get(user, connection).await;
        let found = found.map_err(Problem::unavailable)?;
        let at = found.ok_or_else(Problem::not_found)?;
        if at.status != ConnectionStatus::Active {
            return Err(Problem::conflict(
                "Only an active connection can be refreshed; this one needs its creator or has ended.",
            ));
        }
        let deed = async {
            let message = RefreshMessage {
                user_id: user.clone(),
                connection_id: connection.clone(),
                due: None,
                version: Some(at.token_version),
            };
            self.send(&self.queues.refresh, &message).await?;
            let queued = json!({ "queued": 1, "token_version": at.token_version });
            Ok(Acted {
                answer: responses::json(StatusCode::ACCEPTED, &queued),
                note: None,
            })
        };
        let act = Act::AdminRefreshForced;
        let object = Some(connection.as_str());
        self.act(ask, act, Some(user), object, deed).await
    }

    async fn force_all(&self, ask: &Ask<'_>, wish: &Wish, hours: i64) -> Answer {
        if !(1..=MOST_HOURS).contains(&hours) {
            let sentence = "Give a number from 1 to 8784.";
            return Err(Problem::invalid("within_hours", "out_of_range", sentence));
        }
        let after = wish.cursor.as_deref().map(|text| {
            let sentence = "Give the next_cursor of an earlier answer.";
            place(text).ok_or_else(|| Problem::invalid("cursor", "malformed", sentence))
        });
        let after = after.transpose()?;
        let until = ask.now.plus_secs(hours * 3_600);
        let deed = async {
            let found = self.ending(until, wish.platform, after.as_ref(), MOST_AT_ONCE);
            let (rows, mut next) = found.await?;
            let mut queued = 0_usize;
            for batch in rows.chunks(BATCH) {
                if self.late(ask) {
                    let last = queued.checked_sub(1).and_then(|last| rows.get(last));
                    next = last.map(DueConnection::place).or(after.clone());
                    break;
                }
                self.queue(batch).await?;
                queued += batch.len();
            }
            let answer = Queued {
                queued,
                next_cursor: next.map(shown),
            };
            Ok(Acted {
                answer: responses::json(StatusCode::ACCEPTED, &answer),
                note: Some(format!("{queued} within {hours} h")),
            })
        };
        let object = wish.platform.map(Platform::as_str);
        let act = Act::AdminRefreshesForced;
        self.act(ask, act, None, object, deed).await
    }

    async fn ending(
        &self,
        until: Timestamp,
        platform: Option<Platform>,
        after: Option<&DuePlace>,
        limit: usize,
    ) -> Result<(Vec<DueConnection>, Option<DuePlace>), Problem> {
        let keep = |row: &DueConnection| platform.is_none_or(|wanted| row.platform == wanted);
        let found = self.connections.ending(until, after, limit, keep).await;
        found.map_err(Problem::unavailable)
    }

    /// All of the batch, or an error: what was queued twice is refreshed once, by its version.
    async fn queue(&self, batch: &[DueConnection]) -> Result<(), Problem> {
        let mut entries = Vec::with_capacity(batch.len());
        for (place, row) in batch.iter().enumerate() {
            let message = RefreshMessage {
                user_id: row.user_id.clone(),
                connection_id: row.connection_id.clone(),
                due: None,
                version: Some(row.token_version),
            };
            let entry = SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(serde_json::to_string(&message).map_err(Problem::internal)?)
                .build()
                .map_err(Problem::internal)?;
            entries.push(entry);
        }
        let answer = self
            .sqs
            .send_message_batch()
            .queue_url(&self.queues.refresh)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(Problem::unavailable)?;
        if answer.failed().is_empty() {
            Ok(())
        } else {
            Err(Problem::unavailable("the queue did not take all messages"))
        }
    }
}

fn place(text: &str) -> Option<DuePlace> {
    let (millis, id) = split(text)?;
    Some(DuePlace {
        due_at: Timestamp::from_millis(millis.parse().ok()?),
        connection_id: id.parse().ok()?,
    })
}

fn shown(place: DuePlace) -> String {
    format!("{}.{}", place.due_at.millis(), place.connection_id)
}

fn view(at: Connection) -> ExpiringView {
    let text = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    ExpiringView {
        due_at: text(at.due_at),
        expires_at: text(at.expires_at),
        refresh_expires_at: text(at.refresh_expires_at),
        failures: at.failures,
        fault: at.last_fault.as_ref().map(|fault| fault.kind.code()),
        id: at.connection_id,
        user_id: at.user_id,
        platform: at.platform,
        status: at.status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_cursors() {
        let at = DuePlace {
            due_at: Timestamp::from_millis(1_767_225_600_123),
            connection_id: "conn_00000000000000000000000000".parse().unwrap(),
        };
        assert_eq!(place(&shown(at.clone())), Some(at));
        assert_eq!(place("1.conn_x"), None);
    }
}
