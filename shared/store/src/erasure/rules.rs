//! The list.

use super::{Bucket, Holds, Met, Names, Rule, Whose};

const USER: Whose = Whose::User("");

const fn keyed(noun: &'static str, keys: &'static [&'static str], met: Met) -> Rule {
    Rule {
        noun,
        keys,
        met,
        names: &[],
        holds: None,
    }
}

const fn walked(
    noun: &'static str,
    keys: &'static [&'static str],
    names: &'static [Names],
) -> Rule {
    Rule {
        noun,
        keys,
        met: Met::Walk,
        names,
        holds: None,
    }
}

const fn holding(rule: Rule, bucket: Bucket, key: super::Path) -> Rule {
    Rule {
        holds: Some(Holds { bucket, key }),
        ..rule
    }
}

const fn records(noun: &'static str) -> Rule {
    let met = Met::Key("account", Whose::Account);
    keyed(noun, &["account", "record_id"], met)
}

/// Every table with anything of users in it, in the order in which they are emptied: what workers act
/// on first, what only tells of it last. The table of accounts is not in it: its rows are shared, see
/// [`crate::Accounts::forget`].
pub const RULES: &[Rule] = &[
    walked("sessions", &["id"], &[Names::User(&["user_id"])]),
    walked("flows", &["flow_id"], &[Names::User(&["user_id"])]),
    walked(
        "targets",
        &["post_id", "target_id"],
        &[Names::User(&["user_id"])],
    ),
    // With the keys against repeated requests.
    keyed("posts", &["user_id", "post_id"], Met::Key("user_id", USER)),
    holding(
        keyed("media", &["user_id", "media_id"], Met::Key("user_id", USER)),
        Bucket::Media,
        &["object_key"],
    ),
    // Tombstones too.
    keyed(
        "connections",
        &["user_id", "connection_id"],
        Met::Key("user_id", USER),
    ),
    walked(
        "revocations",
        &["revocation_id"],
        &[
            Names::User(&["connection", "0"]),
            Names::Account(&["account_key"]),
        ],
    ),
    keyed("users", &["user_id"], Met::Key("user_id", USER)),
    // Marks, and bodies in the row or in the bucket.
    holding(
        walked(
            "deliveries",
            &["delivery_id", "part"],
            &[
                Names::Account(&["account_key"]),
                Names::Account(&["raw_of"]),
            ],
        ),
        Bucket::Deliveries,
        &["object_key"],
    ),
    records("media_items"),
    records("comments"),
    records("fans"),
    records("messages"),
    records("analytics_events"),
    keyed("snapshots", &["user_id", "slot"], Met::Key("user_id", USER)),
    keyed(
        "figures",
        &["owner", "item"],
        Met::Key("owner", Whose::User("user#")),
    ),
    walked(
        "sync_logs",
        &["sync_id", "part"],
        &[
            Names::User(&["user_id"]),
            Names::UserAfter("window#", &["sync_id"]),
            Names::Connection(&["part"]),
        ],
    ),
    keyed(
        "limits",
        &["limit_key"],
        Met::Key("limit_key", Whose::AccountLimits),
    ),
    keyed("events", &["event_id"], Met::Index("user", "user_id", USER)),
    // What waits for the product's endpoints, or could not be delivered; of any lane.
    walked(
        "event_messages",
        &["lane", "message"],
        &[Names::User(&["user_id"])],
    ),
    walked("event_lanes", &["lane"], &[Names::User(&["user_id"])]),
    keyed("mails", &["user_id", "mail_key"], Met::Key("user_id", USER)),
    // The user as subject, as object, or as whom it concerns. Of an operator's act the row stays,
    // without them: see `walk`.
    walked(
        "audit",
        &["day", "listed"],
        &[
            Names::User(&["user_id"]),
            Names::User(&["who", "subject"]),
            Names::User(&["object"]),
            Names::Connection(&["object"]),
            Names::Account(&["object"]),
        ],
    ),
    // Exports, with their archives.
    holding(
        walked("jobs", &["job"], &[Names::User(&["work", "user_id"])]),
        Bucket::Media,
        &["work", "object_key"],
    ),
];
