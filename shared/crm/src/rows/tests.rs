//! Items as streams show them, and the rows that they become.

use serde_json::{Map, Value, json};
use store::stream::{Image, ItemKey, Source};

use super::{Row, key_of, rows_of};
use crate::change::{Effect, Poison, Record};
use crate::tables::ALL;

/// Stands for a sealed text; its base64 and its bytes are searched for.
const SEALED: &str = "c2VhbGVkLXRva2VuLWJ1bmRsZQ==";

/// Plain JSON as DynamoDB writes it; `{"bytes": base64}` are bytes.
fn dynamo(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(flag) => json!({"BOOL": flag}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({"S": text}),
        Value::Array(all) => json!({"L": all.iter().map(dynamo).collect::<Vec<_>>()}),
        Value::Object(all) => match all.get("bytes") {
            Some(bytes) => json!({"B": bytes}),
            None => json!({"M": members(all)}),
        },
    }
}

fn members(all: &Map<String, Value>) -> Value {
    let member = |(name, value): (&String, &Value)| (name.clone(), dynamo(value));
    Value::Object(all.iter().map(member).collect())
}

fn image(item: &Value) -> Value {
    members(item.as_object().unwrap())
}

fn rows(source: Source, item: &Value) -> Vec<Row> {
    let image = Image::of_stream(&image(item)).unwrap();
    rows_of(&image.read(source).unwrap())
}

/// The one row of an item, without what is null; all its columns are checked to be there.
fn row(source: Source, item: &Value) -> Value {
    let [row] = rows(source, item).try_into().unwrap();
    known(&row)
}

fn known(row: &Row) -> Value {
    let mut columns: Vec<&str> = row.table.columns.iter().map(|(name, _)| *name).collect();
    let mut named: Vec<&str> = row.values.keys().map(String::as_str).collect();
    columns.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, columns, "{}", row.table.name);
    let known = row.values.clone().into_iter();
    Value::Object(known.filter(|(_, value)| !value.is_null()).collect())
}

fn connection() -> Value {
    json!({
        "user_id": "u1", "connection_id": "conn_00000000000000000000000001", "platform": "tiktok",
        "account": {"platform": "tiktok", "id": "a1", "display_name": "Ada", "username": "ada"},
        "status": "needs_reauth", "reason": "rotation_lost", "sealed": {"bytes": SEALED},
        "token_version": 7, "scopes": ["video.list"], "missing_scopes": [], "due_at": 5,
        "due_shard": "3", "expires_at": 1_767_225_600_123_i64, "created_at": 0, "updated_at": 1,
        "attempt": "att_x", "touched": "job_x",
    })
}

#[test]
fn a_connection_without_its_tokens() {
    let row = row(Source::Connections, &connection());
    assert_eq!(
        row,
        json!({
            "user_id": "u1", "connection_id": "conn_00000000000000000000000001",
            "platform": "tiktok", "account_id": "a1", "display_name": "Ada", "username": "ada",
            "status": "needs_reauth", "reason": "rotation_lost", "scopes": ["video.list"],
            "missing_scopes": [], "access_expires_at": "2026-01-01T00:00:00.123Z",
            "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00.001Z",
        })
    );
}

#[test]
fn a_target_without_its_sealed_state() {
    let target = json!({
        "post_id": "post_00000000000000000000000001", "target_id": "tgt_00000000000000000000000002",
        "user_id": "u1", "connection_id": "conn_00000000000000000000000001", "platform": "tiktok",
        "account": {"platform": "tiktok", "id": "a1", "display_name": ""}, "text": "Soup",
        "options": {"mode": "direct", "privacy": "SELF_ONLY"}, "media": [], "status": "published",
        "state": "{\"upload_url\":\"not for rows\"}", "sealed": {"bytes": SEALED}, "step": 4,
        "published": {"ids": ["71"], "url": "https://t.example/71"}, "sent_bytes": 40_000,
        "queued_at": 1_000, "created_at": 1_000, "updated_at": 2_000,
    });
    let row = row(Source::Targets, &target);
    assert_eq!(row["external_ids"], json!(["71"]));
    assert_eq!(
        (&row["status"], &row["url"]),
        (&json!("published"), &json!("https://t.example/71"))
    );
    assert_eq!(
        (&row["sent_bytes"], &row["text"]),
        (&json!(40_000), &json!("Soup"))
    );
    assert_eq!(row["options"]["privacy"], "SELF_ONLY");
    let text = row.to_string();
    assert!(
        !text.contains(SEALED) && !text.contains("upload_url"),
        "{text}"
    );
}

#[test]
fn housekeeping_becomes_nothing() {
    for (source, item) in [
        (
            Source::Posts,
            json!({"user_id": "u", "post_id": "idem#x", "made": "post_x"}),
        ),
        (
            Source::Deliveries,
            json!({"delivery_id": "dlv_x", "part": "raw", "body": "e30="}),
        ),
        (
            Source::SyncLogs,
            json!({"sync_id": "sync_x", "part": "request"}),
        ),
        (
            Source::SyncLogs,
            json!({"sync_id": "window#u", "part": "window"}),
        ),
    ] {
        assert_eq!(rows(source, &item), [], "{item}");
    }
}

#[test]
fn a_post_a_delivery_and_a_sync() {
    let post = json!({
        "user_id": "u1", "post_id": "post_00000000000000000000000001", "text": "a\u{0}b",
        "media": ["media_00000000000000000000000001"], "targets": [], "created_at": 1_500,
    });
    assert_eq!(
        row(Source::Posts, &post),
        json!({
            "post_id": "post_00000000000000000000000001", "user_id": "u1", "text": "a\u{fffd}b",
            "media_ids": ["media_00000000000000000000000001"],
            "created_at": "1970-01-01T00:00:01.5Z",
        })
    );
    let mark = json!({
        "delivery_id": "dlv_00000000000000000000000001", "part": "mark", "platform": "tiktok",
        "kind": "post.publish.complete", "state": "applied", "received_at": 1_000,
        "processed_at": 2_000, "tries": 1, "account_key": "tiktok#a#1", "listing": "x", "ttl": 9,
    });
    assert_eq!(
        row(Source::Deliveries, &mark),
        json!({
            "delivery_id": "dlv_00000000000000000000000001", "platform": "tiktok",
            "kind": "post.publish.complete", "state": "applied", "account_id": "a#1", "tries": 1,
            "received_at": "1970-01-01T00:00:01Z", "processed_at": "1970-01-01T00:00:02Z",
        })
    );
    let log = json!({
        "sync_id": "sync_00000000000000000000000001", "part": "conn_00000000000000000000000001",
        "user_id": "u1", "platform": "tiktok", "sync_kind": "daily", "state": "done",
        "started_at": 1_000, "ended_at": 2_000, "rows": 12, "off": {"videos": "video.list"},
    });
    let log = row(Source::SyncLogs, &log);
    assert_eq!(
        (&log["kind"], &log["state"], &log["things"]),
        (&json!("daily"), &json!("done"), &json!(12))
    );
    assert_eq!(log["off"]["videos"], "video.list");
}

#[test]
fn a_month_is_a_row_for_each_day() {
    let month = json!({
        "user_id": "u1", "slot": "2026-11#conn_00000000000000000000000001",
        "a09": {"at": 1_000, "read": {
            "followers": 9_007_199_254_740_993_u64, "own": {"verified": 1},
            "earnings": {"minor": -5, "currency": "EUR"},
        }},
        "m09": {"at": 2_000, "read": {
            "count": 3, "whole": true, "figures": {"views": u64::MAX, "likes": 0},
        }},
        "a10": {"at": 3_000, "read": {"followers": 2}},
        "attempt": "att_x", "touched": "job_x",
    });
    let rows = rows(Source::Snapshots, &month);
    let [first, second] = &rows[..] else {
        panic!("{rows:?}");
    };
    assert_eq!(
        known(first),
        json!({
            "connection_id": "conn_00000000000000000000000001", "day": "2026-11-09",
            "user_id": "u1", "followers": 9_007_199_254_740_993_u64, "own": {"verified": 1},
            "earnings_minor": -5, "earnings_currency": "EUR",
            "account_read_at": "1970-01-01T00:00:01Z", "media_count": 3, "media_whole": true,
            // A count that bigint has no place for is its end.
            "media_views": i64::MAX, "media_likes": 0, "media_read_at": "1970-01-01T00:00:02Z",
        })
    );
    assert_eq!(known(second)["day"], "2026-11-10");
    assert_eq!(known(second).get("media_read_at"), None);
}

fn record(kind: &str, id: &str, fields: Value) -> Value {
    json!({
        "account": "tiktok#a1", "account_id": "a1", "platform": "tiktok", "kind": kind,
        "record_id": id, "fields": fields, "stamps": {}, "seen_at": 1_000, "revision": 3,
        "written_at": 2_000, "at": 1_000, "listed": "x", "state": "x", "attempt": "att_x",
    })
}

#[test]
fn records_of_every_noun() {
    let always = |id: &str, name: &str, state: &str| {
        json!({
            "platform": "tiktok", "account_id": "a1", name: id, "state": state,
            "first_seen_at": "1970-01-01T00:00:01Z", "written_at": "1970-01-01T00:00:02Z",
        })
    };
    for (source, kind, name, state, fields, expected) in [
        (
            Source::MediaItems,
            "media_item",
            "media_id",
            "visible",
            json!({"kind": "video", "caption": "Soup", "published_at": 500,
                   "figures": {"views": 10, "likes": 2, "own": {"duration": 31}}}),
            json!({"kind": "video", "caption": "Soup", "published_at": "1970-01-01T00:00:00.5Z",
                   "views": 10, "likes": 2, "own": {"duration": 31},
                   "at": "1970-01-01T00:00:00.5Z"}),
        ),
        (
            Source::Comments,
            "comment",
            "comment_id",
            "hidden",
            json!({"media_id": "m1", "author_name": "Bo", "text": "Nice", "hidden": true}),
            json!({"media_id": "m1", "author_name": "Bo", "text": "Nice", "hidden": true,
                   "at": "1970-01-01T00:00:01Z"}),
        ),
        (
            Source::Fans,
            "fan",
            "fan_id",
            "subscriber",
            json!({"handle": "bo", "subscription": "active", "expires_at": 9_000,
                   "spent": {"minor": 1050, "currency": "USD"}}),
            json!({"handle": "bo", "subscription": "active", "expires_at": "1970-01-01T00:00:09Z",
                   "spent_minor": 1050, "spent_currency": "USD", "at": "1970-01-01T00:00:01Z"}),
        ),
        (
            Source::Messages,
            "message",
            "message_id",
            "unread",
            json!({"chat_id": "c", "fan_id": "f", "direction": "in", "text": "Hi", "media": ["x"],
                   "price": {"minor": 500, "currency": "USD"}, "sent_at": 4_000}),
            json!({"chat_id": "c", "fan_id": "f", "direction": "in", "text": "Hi", "media": ["x"],
                   "price_minor": 500, "price_currency": "USD", "at": "1970-01-01T00:00:04Z"}),
        ),
        (
            Source::AnalyticsEvents,
            "analytics_event",
            "event_id",
            "reversed",
            json!({"kind": "tip", "amount": {"minor": 80, "currency": "USD"},
                   "fee": {"minor": 20, "currency": "USD"}, "fan_id": "f", "occurred_at": 4_000,
                   "reversed": true}),
            json!({"kind": "tip", "amount_minor": 80, "amount_currency": "USD", "fee_minor": 20,
                   "fee_currency": "USD", "fan_id": "f", "reversed": true,
                   "at": "1970-01-01T00:00:04Z"}),
        ),
    ] {
        let mut wanted = always("r#1", name, state);
        for (name, value) in expected.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        assert_eq!(row(source, &record(kind, "r#1", fields)), wanted, "{kind}");
    }
}

/// A row is found again by the key of its item, and an item by its row.
#[test]
fn keys_of_removed_items_are_those_of_their_rows() {
    let items = [
        (Source::Connections, connection()),
        (Source::Fans, record("fan", "r#1", json!({}))),
    ];
    for (source, item) in items {
        let image = Image::of_stream(&image(&item)).unwrap();
        let key = image.key(source).unwrap();
        let gone = key_of(source, &key.followed(source).unwrap()).unwrap();
        let [stood] = rows(source, &item).try_into().unwrap();
        assert_eq!(gone.table, stood.table);
        for column in stood.table.key_columns() {
            assert_eq!(gone.values[column], stood.values[column], "{column}");
        }
    }
    let month = ItemKey {
        hash: "u1".into(),
        range: "2026-11#conn_00000000000000000000000001".into(),
    };
    let gone = key_of(
        Source::Snapshots,
        &month.followed(Source::Snapshots).unwrap(),
    )
    .unwrap();
    assert_eq!(gone.values["day"], "2026-11-01");
    // Every source has a table of its own.
    let tables: std::collections::BTreeSet<_> = ALL.iter().map(|table| table.source).collect();
    assert_eq!(tables.len(), Source::ALL.len());
}

fn stream_record(name: &str, item: &Value) -> Record {
    let keys = json!({"user_id": item["user_id"], "connection_id": item["connection_id"]});
    let mut happened = json!({
        "SequenceNumber": "00042", "ApproximateCreationDateTime": 1_767_225_600.0,
        "Keys": image(&keys),
    });
    if name != "REMOVE" {
        happened["NewImage"] = image(item);
    }
    serde_json::from_value(json!({
        "eventID": "e1", "eventName": name, "dynamodb": happened,
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:1:table/s-Connections-X/stream/2026",
    }))
    .unwrap()
}

#[test]
fn records_of_streams() {
    let put = stream_record("MODIFY", &connection());
    assert_eq!(
        (put.table(), put.at().millis()),
        ("s-Connections-X", 1_767_225_600_000)
    );
    let change = put.change(Source::Connections).unwrap().unwrap();
    assert_eq!(change.sequence.as_str(), "42");
    assert!(!format!("{change:?}").contains("sealed"));
    let removed = stream_record("REMOVE", &connection());
    let removed = removed.change(Source::Connections).unwrap().unwrap();
    assert!(matches!(removed.effect, Effect::Remove(_)));
    assert_eq!(removed.item, change.item);
    let mut odd = connection();
    odd["status"] = json!("asleep");
    for (record, why) in [
        (stream_record("MODIFY", &odd), "item"),
        (stream_record("TRUNCATE", &connection()), "record"),
    ] {
        let poison: Poison = record.change(Source::Connections).unwrap_err();
        assert_eq!(poison.code(), why);
        assert!(!poison.to_string().contains("asleep"), "{poison}");
    }
}
