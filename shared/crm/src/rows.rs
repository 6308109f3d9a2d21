//! What an item becomes: pure functions from what the tables hold to rows. What is not named here is
//! not copied; so no token is, sealed or not.
//!
//! The column `platform` is that of the app with which an account was connected: `tiktok`, or
//! `tiktok/sandbox`, since account ids of the two are not of one kind.

use domain::{Figures, Money, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use store::stream::{Followed, FollowedDay, FollowedKey, FollowedMonth, Source};
use store::{Connection, Mark, Post, SyncLog, Target};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::tables::{self, Table};

mod records;
#[cfg(test)]
mod tests;

/// One row: a value for each column of its table, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Of which table.
    pub table: &'static Table,
    /// Its values by column.
    pub values: Map<String, Value>,
}

/// The rows that an item of a table comes to; none for its housekeeping.
pub fn rows_of(item: &Followed) -> Vec<Row> {
    match item {
        Followed::Connection(connection) => vec![connection_row(connection)],
        Followed::Post(post) => vec![post_row(post)],
        Followed::Target(target) => vec![target_row(target)],
        Followed::Delivery(mark) => vec![delivery_row(mark)],
        Followed::Month(month) => day_rows(month),
        Followed::SyncLog(log) => vec![sync_log_row(log)],
        Followed::Record(record) => vec![records::record_row(record)],
        Followed::Nothing => Vec::new(),
    }
}

/// The table that an item's rows are in, and their key: of statistics, the first day of the month.
/// `None` for a table's housekeeping.
pub fn key_of(source: Source, key: &FollowedKey) -> Option<Row> {
    let (table, values) = match key {
        FollowedKey::Connection(id) => (
            &tables::PLATFORM_CONNECTIONS,
            json!({"connection_id": id.as_str()}),
        ),
        FollowedKey::Post(id) => (&tables::POSTS, json!({"post_id": id})),
        FollowedKey::Target(post, target) => (
            &tables::POST_TARGETS,
            json!({"post_id": post, "target_id": target}),
        ),
        FollowedKey::Delivery(id) => (&tables::WEBHOOK_EVENTS, json!({"delivery_id": id.as_str()})),
        FollowedKey::Month(id, month) => (
            &tables::SOCIAL_STATS,
            json!({"connection_id": id.as_str(), "day": format!("{month}-01")}),
        ),
        FollowedKey::SyncLog(sync, connection) => (
            &tables::SYNC_LOGS,
            json!({"sync_id": sync.as_str(), "connection_id": connection.as_str()}),
        ),
        FollowedKey::Record(platform, account, id) => {
            let table = tables::of_source(source);
            let mut values = json!({"platform": platform, "account_id": account});
            values[table.key_columns().last().unwrap_or_default()] = json!(id);
            (table, values)
        }
        FollowedKey::Nothing => return None,
    };
    Some(row(table, values))
}

fn connection_row(connection: &Connection) -> Row {
    let fault = |fault: &Option<domain::Fault>| fault.as_ref().map(|fault| fault.kind.code());
    row(
        &tables::PLATFORM_CONNECTIONS,
        json!({
            "connection_id": connection.connection_id.as_str(),
            "user_id": connection.user_id.as_str(),
            "platform": connection.account.app().to_string(),
            "account_id": connection.account.id,
            "display_name": connection.account.display_name,
            "username": connection.account.username,
            "profile_url": connection.account.profile_url,
            "status": connection.status.as_str(),
            "reason": connection.reason.map(|reason| reason.as_str()),
            "scopes": connection.scopes,
            "missing_scopes": connection.missing_scopes,
            "access_expires_at": moment(connection.expires_at),
            "refresh_expires_at": moment(connection.refresh_expires_at),
            "last_fault": fault(&connection.last_fault),
            "revocation": connection.revocation.map(|revocation| revocation.as_str()),
            "statistics_read_at": moment(connection.stats_read_at),
            "statistics_fault": fault(&connection.stats_fault),
            "created_at": instant(connection.created_at),
            "updated_at": instant(connection.updated_at),
        }),
    )
}

fn post_row(post: &Post) -> Row {
    row(
        &tables::POSTS,
        json!({
            "post_id": post.post_id.as_str(),
            "user_id": post.user_id.as_str(),
            "text": post.text,
            "media_ids": word(&post.media),
            "created_at": instant(post.created_at),
        }),
    )
}

fn target_row(target: &Target) -> Row {
    let published = target.published.as_ref();
    row(
        &tables::POST_TARGETS,
        json!({
            "post_id": target.post_id.as_str(),
            "target_id": target.target_id.as_str(),
            "user_id": target.user_id.as_str(),
            "connection_id": target.connection_id.as_str(),
            "platform": target.account.app().to_string(),
            "account_id": target.account.id,
            "text": target.text,
            "options": word(&target.options),
            "status": target.status.as_str(),
            "fault": target.fault.as_ref().map(|fault| fault.kind.code()),
            "external_ids": published.map(|published| word(&published.ids)),
            "url": published.and_then(|published| published.url.as_deref()),
            "sent_bytes": whole(Some(target.sent_bytes)),
            "queued_at": instant(target.queued_at),
            "created_at": instant(target.created_at),
            "updated_at": instant(target.updated_at),
        }),
    )
}

fn delivery_row(mark: &Mark) -> Row {
    let account = mark
        .account_key
        .as_deref()
        .and_then(|key| key.split_once('#'));
    row(
        &tables::WEBHOOK_EVENTS,
        json!({
            "delivery_id": mark.delivery_id.as_str(),
            "platform": account.map_or(mark.platform.as_str(), |(app, _)| app),
            "kind": mark.kind,
            "state": mark.state.as_str(),
            "account_id": account.map(|(_, id)| id),
            "external_id": mark.external_id,
            "fault": mark.fault,
            "tries": mark.tries,
            "received_at": instant(mark.received_at),
            "processed_at": moment(mark.processed_at),
        }),
    )
}

fn sync_log_row(log: &SyncLog) -> Row {
    row(
        &tables::SYNC_LOGS,
        json!({
            "sync_id": log.sync_id.as_str(),
            "connection_id": log.connection_id.as_str(),
            "user_id": log.user_id.as_str(),
            "platform": log.platform.as_str(),
            "kind": log.sync_kind.as_str(),
            "state": word(log.state),
            "things": whole(Some(log.rows)),
            "fault": log.fault.as_ref().map(|fault| fault.kind.code()),
            "off": log.off,
            "tries": log.tries,
            "started_at": instant(log.started_at),
            "ended_at": moment(log.ended_at),
        }),
    )
}

fn day_rows(month: &FollowedMonth) -> Vec<Row> {
    let one = |(day, entry): (&domain::Day, &FollowedDay)| {
        let nothing = Figures::default();
        let account = entry.account.as_ref();
        let figures = account.map_or(&nothing, |(_, figures)| figures);
        let media = entry.media.as_ref();
        let totals = media.map_or(&nothing, |(_, totals)| &totals.figures);
        let (earnings_minor, earnings_currency) = money(figures.earnings.as_ref());
        row(
            &tables::SOCIAL_STATS,
            json!({
                "connection_id": month.connection_id.as_str(),
                "day": day.as_str(),
                "user_id": month.user_id.as_str(),
                "followers": whole(figures.followers),
                "following": whole(figures.following),
                "views": whole(figures.views),
                "likes": whole(figures.likes),
                "comments": whole(figures.comments),
                "shares": whole(figures.shares),
                "saves": whole(figures.saves),
                "posts": whole(figures.posts),
                "subscribers": whole(figures.subscribers),
                "earnings_minor": earnings_minor,
                "earnings_currency": earnings_currency,
                "own": own(figures),
                "account_read_at": moment(account.map(|(at, _)| *at)),
                "media_count": whole(media.map(|(_, totals)| totals.count)),
                "media_whole": media.map(|(_, totals)| totals.whole),
                "media_views": whole(totals.views),
                "media_likes": whole(totals.likes),
                "media_comments": whole(totals.comments),
                "media_shares": whole(totals.shares),
                "media_saves": whole(totals.saves),
                "media_read_at": moment(media.map(|(at, _)| *at)),
            }),
        )
    };
    month.days.iter().map(one).collect()
}

/// Texts lose the character NUL, which PostgreSQL has no place for.
pub(crate) fn row(table: &'static Table, values: Value) -> Row {
    let values = match clean(values) {
        Value::Object(values) => values,
        _ => Map::new(),
    };
    Row { table, values }
}

fn clean(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(all) => all.into_iter().map(clean).collect(),
        Value::Object(all) => {
            let name = |name: String| name.replace('\0', "\u{fffd}");
            let members = all.into_iter();
            Value::Object(
                members
                    .map(|(key, value)| (name(key), clean(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

/// A value of ours as JSON has it: the name of a state, a list of ids.
pub(crate) fn word(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// An instant with its milliseconds; null outside the years 0 to 9999.
pub(crate) fn instant(at: Timestamp) -> Value {
    let nanos = i128::from(at.millis()) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    let text = at.and_then(|at| at.format(&Rfc3339).ok());
    text.map_or(Value::Null, Value::String)
}

pub(crate) fn moment(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, instant)
}

/// A count; `bigint` ends at 2^63 - 1.
pub(crate) fn whole(count: Option<u64>) -> Value {
    let count = count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    count.map_or(Value::Null, Value::from)
}

pub(crate) fn money(amount: Option<&Money>) -> (Value, Value) {
    match amount {
        Some(amount) => (amount.minor.into(), amount.currency.as_str().into()),
        None => (Value::Null, Value::Null),
    }
}

/// The platform's own figures, where there are any.
pub(crate) fn own(figures: &Figures) -> Value {
    if figures.own.is_empty() {
        Value::Null
    } else {
        word(&figures.own)
    }
}
