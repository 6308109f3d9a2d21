//! Rows of records: media, comments, fans, messages, analytics events.

use domain::{AnalyticsEvent, Comment, Fan, MediaItem, Message, RecordKind};
use serde_json::{Value, json};
use store::RecordRow;

use super::{Row, instant, moment, money, own, row, whole, word};
use crate::tables::{self, Table};

/// The row of a record. A field that is not known is null.
pub(super) fn record_row(record: &RecordRow) -> Row {
    let kept = &record.kept;
    let (table, fields): (&'static Table, Value) = match kept.kind {
        RecordKind::MediaItem => (&tables::MEDIA_ITEMS, media_item(&kept.read())),
        RecordKind::Comment => (&tables::COMMENTS, comment(&kept.read())),
        RecordKind::Fan => (&tables::FANS, fan(&kept.read())),
        RecordKind::Message => (&tables::MESSAGES, message(&kept.read())),
        RecordKind::AnalyticsEvent => (&tables::ANALYTICS_EVENTS, analytics_event(&kept.read())),
    };
    let mut values = fields;
    let account = record.account.split_once('#');
    let (app, account_id) = account.unwrap_or((record.platform.as_str(), &record.account));
    values["platform"] = app.into();
    values["account_id"] = account_id.into();
    values[table.key_columns().last().unwrap_or_default()] = kept.id.as_str().into();
    values["state"] = kept.state().into();
    values["at"] = instant(kept.listed_at());
    values["first_seen_at"] = instant(kept.seen_at);
    values["written_at"] = instant(record.written_at);
    row(table, values)
}

fn media_item(item: &MediaItem) -> Value {
    let figures = item.figures.clone().unwrap_or_default();
    json!({
        "kind": item.kind.map(word),
        "title": item.title,
        "caption": item.caption,
        "permalink": item.permalink,
        "published_at": moment(item.published_at),
        "removed": item.removed,
        "views": whole(figures.views),
        "likes": whole(figures.likes),
        "comments": whole(figures.comments),
        "shares": whole(figures.shares),
        "saves": whole(figures.saves),
        "own": own(&figures),
    })
}

fn comment(comment: &Comment) -> Value {
    json!({
        "media_id": comment.media_id,
        "parent_id": comment.parent_id,
        "author_id": comment.author_id,
        "author_name": comment.author_name,
        "text": comment.text,
        "hidden": comment.hidden,
        "deleted": comment.deleted,
        "own": comment.own,
        "mention": comment.mention,
    })
}

fn fan(fan: &Fan) -> Value {
    let (spent_minor, spent_currency) = money(fan.spent.as_ref());
    json!({
        "handle": fan.handle,
        "display_name": fan.display_name,
        "following": fan.following,
        "followed_at": moment(fan.followed_at),
        "subscription": fan.subscription.map(word),
        "subscribed_at": moment(fan.subscribed_at),
        "expires_at": moment(fan.expires_at),
        "spent_minor": spent_minor,
        "spent_currency": spent_currency,
    })
}

fn message(message: &Message) -> Value {
    let (price_minor, price_currency) = money(message.price.as_ref());
    json!({
        "chat_id": message.chat_id,
        "fan_id": message.fan_id,
        "direction": message.direction.map(word),
        "text": message.text,
        "media": message.media.as_ref().map(word),
        "price_minor": price_minor,
        "price_currency": price_currency,
        "purchased": message.purchased,
        "read": message.read,
        "deleted": message.deleted,
    })
}

fn analytics_event(event: &AnalyticsEvent) -> Value {
    let (amount_minor, amount_currency) = money(event.amount.as_ref());
    let (gross_minor, gross_currency) = money(event.gross.as_ref());
    let (fee_minor, fee_currency) = money(event.fee.as_ref());
    json!({
        "kind": event.kind.map(word),
        "amount_minor": amount_minor,
        "amount_currency": amount_currency,
        "gross_minor": gross_minor,
        "gross_currency": gross_currency,
        "fee_minor": fee_minor,
        "fee_currency": fee_currency,
        "fan_id": event.fan_id,
        "media_id": event.media_id,
        "message_id": event.message_id,
        "reversed": event.reversed,
    })
}
