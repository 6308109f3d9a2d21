//! What is sent of an event, the same on both ways: `{"version":1,"id","type","created_at","user_id",
//! "data"}`.
//!
//! The shapes are public: infra/docs/events holds a JSON Schema for each type. A field may come to be
//! added; what is there keeps its meaning for as long as the version stands.

use domain::{EventKind, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use store::EventRow;

/// The type of the events that a product asks for to try an endpoint.
pub const TEST_TYPE: &str = "test";

/// The version of the shape.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_id: &'a str,
    data: &'a RawValue,
}

/// The text that is sent of an event. A detail that is no JSON, which our own code never writes, is
/// sent as an empty object rather than never.
pub fn body(row: &EventRow) -> String {
    let empty = RawValue::from_string("{}".to_owned());
    let detail = RawValue::from_string(row.detail.clone()).or(empty);
    detail.map_or_else(
        |_| String::new(),
        |detail| {
            let user = &row.user_id;
            text(&row.event_id, &row.kind, row.created_at, user, &detail)
        },
    )
}

/// The text of a test event for an endpoint.
pub(crate) fn test_body(id: &str, endpoint: &str, now: Timestamp) -> String {
    let detail = serde_json::json!({ "endpoint_id": endpoint }).to_string();
    RawValue::from_string(detail).map_or_else(
        |_| String::new(),
        |detail| text(id, TEST_TYPE, now, "", &detail),
    )
}

fn text(id: &str, kind: &str, at: Timestamp, user_id: &str, data: &RawValue) -> String {
    let body = Body {
        version: VERSION,
        id,
        kind,
        created_at: at.rfc3339(),
        user_id,
        data,
    };
    // Texts and a number always have a form in JSON.
    serde_json::to_string(&body).unwrap_or_default()
}

/// Whether there are events of this type.
pub fn type_is_known(text: &str) -> bool {
    EventKind::ALL.iter().any(|kind| kind.as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_carries_the_detail_as_it_is() {
        let row = EventRow {
            event_id: "evt_1".to_owned(),
            kind: "post.published".to_owned(),
            user_id: "u-1".to_owned(),
            connection_id: None,
            created_at: Timestamp::from_secs(1_767_225_600),
            detail: r#"{"b":1,"a":"é"}"#.to_owned(),
            unsent_shard: None,
            queued_at: None,
            published_at: None,
            ttl: 0,
        };
        assert_eq!(
            body(&row),
            r#"{"version":1,"id":"evt_1","type":"post.published","created_at":"2026-01-01T00:00:00Z","user_id":"u-1","data":{"b":1,"a":"é"}}"#
        );
        let broken = EventRow {
            detail: "{".to_owned(),
            ..row
        };
        assert!(body(&broken).ends_with(r#""data":{}}"#));
        let test = test_body("evt_2", "ep_1", Timestamp::from_secs(0));
        assert!(!test.contains("user_id") && test.ends_with(r#""data":{"endpoint_id":"ep_1"}}"#));
    }

    #[test]
    fn types_are_those_of_the_contract() {
        assert!(type_is_known("post.published") && type_is_known("stats.updated"));
        assert!(!type_is_known("post.*") && !type_is_known("PostPublished"));
        assert!(
            !type_is_known(TEST_TYPE),
            "a test is sent whatever is wanted"
        );
    }
}
