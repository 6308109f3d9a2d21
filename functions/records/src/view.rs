//! A record as the product sees it.

use domain::{ConnectionId, MediaItem, RecordKind, Timestamp};
use serde_json::{Map, Value, json};
use store::RecordRow;

/// What a list of a noun is called in answers.
pub(crate) const fn name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::MediaItem => "media_items",
        RecordKind::Comment => "comments",
        RecordKind::Fan => "fans",
        RecordKind::Message => "messages",
        RecordKind::AnalyticsEvent => "analytics_events",
    }
}

/// The record: where it is from, its own fields, and how fresh they are. What is not known is absent.
pub(crate) fn record(row: &RecordRow, connection: &ConnectionId) -> Value {
    let mut view: Map<String, Value> = row
        .kept
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), shown(name, value)))
        .collect();
    if row.kept.kind == RecordKind::MediaItem {
        let figures = row.kept.read::<MediaItem>().figures;
        // Hundredths of a percent; the formula is in the table of metrics.
        if let Some(rate) = figures.and_then(|figures| figures.engagement_rate()) {
            view.insert("engagement_rate".to_owned(), rate.into());
        }
    }
    let as_of = row.kept.stamps.values().max().copied();
    let about = [
        ("id", json!(row.kept.id)),
        ("connection_id", json!(connection)),
        ("platform", json!(row.platform)),
        ("at", json!(row.kept.listed_at().rfc3339())),
        ("state", json!(row.kept.state())),
        ("as_of", json!(as_of.map(Timestamp::rfc3339))),
    ];
    for (name, value) in about {
        view.insert(name.to_owned(), value);
    }
    Value::Object(view)
}

/// Instants are numbers in tables and texts in answers.
fn shown(name: &str, value: &Value) -> Value {
    match value.as_i64() {
        Some(millis) if name.ends_with("_at") => Timestamp::from_millis(millis).rfc3339().into(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use domain::{Figures, Kept, MediaItemKind, Platform, Record};

    use super::*;

    #[test]
    fn a_record_shows_what_is_known_and_how_fresh_it_is() {
        let item = MediaItem {
            id: "v1".into(),
            kind: Some(MediaItemKind::Video),
            published_at: Some(Timestamp::from_secs(1_795_132_800)),
            figures: Some(Figures {
                views: Some(1_000),
                likes: Some(50),
                ..Figures::default()
            }),
            ..MediaItem::default()
        };
        let kept = Kept::of(&item.fact(Timestamp::from_secs(1_795_132_900)));
        let row = RecordRow {
            account: "tiktok#a".into(),
            platform: Platform::TikTok,
            kept,
            revision: 1,
            written_at: Timestamp::default(),
        };
        let user = "user_1".parse().unwrap();
        let connection = ConnectionId::of(&user, Platform::TikTok, "a");
        let expected = json!({
            "id": "v1", "connection_id": connection, "platform": "tiktok", "state": "visible",
            "at": "2026-11-20T00:00:00Z", "as_of": "2026-11-20T00:01:40Z",
            "kind": "video", "published_at": "2026-11-20T00:00:00Z",
            "figures": {"views": 1000, "likes": 50}, "engagement_rate": 500,
        });
        assert_eq!(record(&row, &connection), expected);
    }
}
