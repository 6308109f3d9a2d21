//! The projection's tables, as the statements need them. The migrations make them; a test on a real
//! PostgreSQL compares the two.

use std::fmt::Write as _;

use store::stream::Source;

use crate::Schema;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `text`.
    Text,
    /// `timestamptz`.
    Instant,
    /// `bigint`.
    Whole,
    /// `boolean`.
    Flag,
    /// `jsonb`.
    Json,
    /// `date`.
    Day,
}

impl Kind {
    /// PostgreSQL's name of it.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Instant => "timestamptz",
            Self::Whole => "bigint",
            Self::Flag => "boolean",
            Self::Json => "jsonb",
            Self::Day => "date",
        }
    }
}

/// One table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// How many of the columns, from the first on, are its primary key.
    pub keys: usize,
    /// Whose items it shows.
    pub source: Source,
    /// The item's hash and range keys, made out of columns.
    pub(crate) origin: (&'static str, &'static str),
    /// Its columns, but for those that every table has: `sequence` and `synced_at`.
    pub columns: &'static [(&'static str, Kind)],
}

use Kind::{Day, Flag, Instant, Json, Text, Whole};

/// Connections; never a token, sealed or not.
pub const PLATFORM_CONNECTIONS: Table = Table {
    name: "platform_connections",
    keys: 1,
    source: Source::Connections,
    origin: ("user_id", "connection_id"),
    columns: &[
        ("connection_id", Text),
        ("user_id", Text),
        ("platform", Text),
        ("account_id", Text),
        ("display_name", Text),
        ("username", Text),
        ("profile_url", Text),
        ("status", Text),
        ("reason", Text),
        ("scopes", Json),
        ("missing_scopes", Json),
        ("access_expires_at", Instant),
        ("refresh_expires_at", Instant),
        ("last_fault", Text),
        ("revocation", Text),
        ("statistics_read_at", Instant),
        ("statistics_fault", Text),
        ("created_at", Instant),
        ("updated_at", Instant),
    ],
};

/// Posts.
pub const POSTS: Table = Table {
    name: "posts",
    keys: 1,
    source: Source::Posts,
    origin: ("user_id", "post_id"),
    columns: &[
        ("post_id", Text),
        ("user_id", Text),
        ("text", Text),
        ("media_ids", Json),
        ("created_at", Instant),
    ],
};

/// Their targets.
pub const POST_TARGETS: Table = Table {
    name: "post_targets",
    keys: 2,
    source: Source::Targets,
    origin: ("post_id", "target_id"),
    columns: &[
        ("post_id", Text),
        ("target_id", Text),
        ("user_id", Text),
        ("connection_id", Text),
        ("platform", Text),
        ("account_id", Text),
        ("text", Text),
        ("options", Json),
        ("status", Text),
        ("fault", Text),
        ("external_ids", Json),
        ("url", Text),
        ("sent_bytes", Whole),
        ("queued_at", Instant),
        ("created_at", Instant),
        ("updated_at", Instant),
    ],
};

/// Statistics, a row for each connection and day.
pub const SOCIAL_STATS: Table = Table {
    name: "social_stats",
    keys: 2,
    source: Source::Snapshots,
    origin: ("user_id", "to_char(day, 'YYYY-MM') || '#' || connection_id"),
    columns: &[
        ("connection_id", Text),
        ("day", Day),
        ("user_id", Text),
        ("followers", Whole),
        ("following", Whole),
        ("views", Whole),
        ("likes", Whole),
        ("comments", Whole),
        ("shares", Whole),
        ("saves", Whole),
        ("posts", Whole),
        ("subscribers", Whole),
        ("earnings_minor", Whole),
        ("earnings_currency", Text),
        ("own", Json),
        ("account_read_at", Instant),
        ("media_count", Whole),
        ("media_whole", Flag),
        ("media_views", Whole),
        ("media_likes", Whole),
        ("media_comments", Whole),
        ("media_shares", Whole),
        ("media_saves", Whole),
        ("media_read_at", Instant),
    ],
};

/// Webhooks received, without their bodies.
pub const WEBHOOK_EVENTS: Table = Table {
    name: "webhook_events",
    keys: 1,
    source: Source::Deliveries,
    origin: ("delivery_id", "'mark'::text"),
    columns: &[
        ("delivery_id", Text),
        ("platform", Text),
        ("kind", Text),
        ("state", Text),
        ("account_id", Text),
        ("external_id", Text),
        ("fault", Text),
        ("tries", Whole),
        ("received_at", Instant),
        ("processed_at", Instant),
    ],
};

/// What became of syncs.
pub const SYNC_LOGS: Table = Table {
    name: "sync_logs",
    keys: 2,
    source: Source::SyncLogs,
    origin: ("sync_id", "connection_id"),
    columns: &[
        ("sync_id", Text),
        ("connection_id", Text),
        ("user_id", Text),
        ("platform", Text),
        ("kind", Text),
        ("state", Text),
        ("things", Whole),
        ("fault", Text),
        ("off", Json),
        ("tries", Whole),
        ("started_at", Instant),
        ("ended_at", Instant),
    ],
};

/// Media as the platform shows them.
pub const MEDIA_ITEMS: Table = Table {
    name: "media_items",
    keys: 3,
    source: Source::MediaItems,
    origin: ("platform || '#' || account_id", "media_id"),
    columns: &[
        ("platform", Text),
        ("account_id", Text),
        ("media_id", Text),
        ("state", Text),
        ("kind", Text),
        ("title", Text),
        ("caption", Text),
        ("permalink", Text),
        ("published_at", Instant),
        ("removed", Flag),
        ("views", Whole),
        ("likes", Whole),
        ("comments", Whole),
        ("shares", Whole),
        ("saves", Whole),
        ("own", Json),
        ("at", Instant),
        ("first_seen_at", Instant),
        ("written_at", Instant),
    ],
};

/// Comments.
pub const COMMENTS: Table = Table {
    name: "comments",
    keys: 3,
    source: Source::Comments,
    origin: ("platform || '#' || account_id", "comment_id"),
    columns: &[
        ("platform", Text),
        ("account_id", Text),
        ("comment_id", Text),
        ("state", Text),
        ("media_id", Text),
        ("parent_id", Text),
        ("author_id", Text),
        ("author_name", Text),
        ("text", Text),
        ("hidden", Flag),
        ("deleted", Flag),
        ("own", Flag),
        ("mention", Flag),
        ("at", Instant),
        ("first_seen_at", Instant),
        ("written_at", Instant),
    ],
};

/// Followers, subscribers, spenders.
pub const FANS: Table = Table {
    name: "fans",
    keys: 3,
    source: Source::Fans,
    origin: ("platform || '#' || account_id", "fan_id"),
    columns: &[
        ("platform", Text),
        ("account_id", Text),
        ("fan_id", Text),
        ("state", Text),
        ("handle", Text),
        ("display_name", Text),
        ("following", Flag),
        ("followed_at", Instant),
        ("subscription", Text),
        ("subscribed_at", Instant),
        ("expires_at", Instant),
        ("spent_minor", Whole),
        ("spent_currency", Text),
        ("at", Instant),
        ("first_seen_at", Instant),
        ("written_at", Instant),
    ],
};

/// Messages.
pub const MESSAGES: Table = Table {
    name: "messages",
    keys: 3,
    source: Source::Messages,
    origin: ("platform || '#' || account_id", "message_id"),
    columns: &[
        ("platform", Text),
        ("account_id", Text),
        ("message_id", Text),
        ("state", Text),
        ("chat_id", Text),
        ("fan_id", Text),
        ("direction", Text),
        ("text", Text),
        ("media", Json),
        ("price_minor", Whole),
        ("price_currency", Text),
        ("purchased", Flag),
        ("read", Flag),
        ("deleted", Flag),
        ("at", Instant),
        ("first_seen_at", Instant),
        ("written_at", Instant),
    ],
};

/// Earnings, follows and their like.
pub const ANALYTICS_EVENTS: Table = Table {
    name: "analytics_events",
    keys: 3,
    source: Source::AnalyticsEvents,
    origin: ("platform || '#' || account_id", "event_id"),
    columns: &[
        ("platform", Text),
        ("account_id", Text),
        ("event_id", Text),
        ("state", Text),
        ("kind", Text),
        ("amount_minor", Whole),
        ("amount_currency", Text),
        ("gross_minor", Whole),
        ("gross_currency", Text),
        ("fee_minor", Whole),
        ("fee_currency", Text),
        ("fan_id", Text),
        ("media_id", Text),
        ("message_id", Text),
        ("reversed", Flag),
        ("at", Instant),
        ("first_seen_at", Instant),
        ("written_at", Instant),
    ],
};

/// All of them.
pub const ALL: [&Table; 11] = [
    &PLATFORM_CONNECTIONS,
    &POSTS,
    &POST_TARGETS,
    &SOCIAL_STATS,
    &WEBHOOK_EVENTS,
    &SYNC_LOGS,
    &MEDIA_ITEMS,
    &COMMENTS,
    &FANS,
    &MESSAGES,
    &ANALYTICS_EVENTS,
];

/// The table that shows the items of a source.
pub fn of_source(source: Source) -> &'static Table {
    let shows = |table: &&&'static Table| table.source == source;
    ALL.iter()
        .find(shows)
        .map_or(&PLATFORM_CONNECTIONS, |table| *table)
}

impl Table {
    /// The primary key's columns.
    pub fn key_columns(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.columns.iter().take(self.keys).map(|(name, _)| *name)
    }

    /// Writes rows, given as one JSON array, over older ones: a row stands if its image is not behind
    /// the one that is there, nor behind the item's removal.
    pub(crate) fn upsert(&self, schema: &Schema) -> String {
        let names = self.list(quoted);
        let given = self.list(|name| format!("i.{}", quoted(name)));
        let mut sets = String::new();
        for (name, _) in &self.columns[self.keys..] {
            let name = quoted(name);
            let _done = write!(sets, "{name} = excluded.{name}, ");
        }
        let keys = joined(self.key_columns().map(quoted));
        let (table, removed) = (schema.table(self.name), schema.table("removed_items"));
        let shape = self.shape();
        format!(
            "INSERT INTO {table} AS t ({names}, sequence, synced_at) \
             SELECT {given}, i.sequence, clock_timestamp() \
             FROM jsonb_to_recordset($1::text::jsonb) AS i({shape}, sequence numeric, source text, item text) \
             WHERE NOT EXISTS (SELECT FROM {removed} r WHERE r.source = i.source \
             AND r.item = i.item AND r.sequence >= i.sequence) \
             ON CONFLICT ({keys}) DO UPDATE SET {sets}sequence = excluded.sequence, \
             synced_at = excluded.synced_at WHERE t.sequence < excluded.sequence"
        )
    }

    /// Two queries, given the rows that should be as one JSON array: what is missing, and what is too
    /// much.
    pub(crate) fn differences(&self, schema: &Schema) -> [String; 2] {
        let (names, shape, table) = (self.list(quoted), self.shape(), schema.table(self.name));
        let given =
            format!("SELECT {names} FROM jsonb_to_recordset($1::text::jsonb) AS i({shape})");
        let there = format!("SELECT {names} FROM {table}");
        [
            format!("SELECT to_jsonb(d)::text FROM ({given} EXCEPT ALL {there}) AS d"),
            format!("SELECT to_jsonb(d)::text FROM ({there} EXCEPT ALL {given}) AS d"),
        ]
    }

    fn shape(&self) -> String {
        let column = |(name, kind): &(&str, Kind)| format!("{} {}", quoted(name), kind.sql());
        joined(self.columns.iter().map(column))
    }

    fn list(&self, form: impl Fn(&str) -> String) -> String {
        joined(self.columns.iter().map(|(name, _)| form(name)))
    }
}

/// Notes removals, given as one JSON array of source, item and sequence.
pub(crate) fn note_removals(schema: &Schema) -> String {
    let removed = schema.table("removed_items");
    format!(
        "INSERT INTO {removed} AS r (source, item, sequence) \
         SELECT i.source, i.item, i.sequence \
         FROM jsonb_to_recordset($1::text::jsonb) AS i(source text, item text, sequence numeric) \
         ON CONFLICT (source, item) DO UPDATE SET sequence = excluded.sequence, \
         removed_at = clock_timestamp() WHERE r.sequence < excluded.sequence"
    )
}

impl Table {
    /// Deletes the rows of removed items, given as one JSON array, unless a later image stands.
    pub(crate) fn remove(&self, schema: &Schema) -> String {
        let table = schema.table(self.name);
        let keys = self.columns[..self.keys].iter();
        // An item of statistics is a month of days.
        let shape = joined(
            keys.clone()
                .map(|(name, kind)| format!("{} {}", quoted(name), kind.sql())),
        );
        let same = keys.map(|(name, kind)| match kind {
            Day => "t.day >= i.day AND t.day < i.day + interval '1 month'".to_owned(),
            _ => format!("t.{0} = i.{0}", quoted(name)),
        });
        let same = same.collect::<Vec<_>>().join(" AND ");
        format!(
            "DELETE FROM {table} AS t \
             USING jsonb_to_recordset($1::text::jsonb) AS i({shape}, sequence numeric) \
             WHERE {same} AND t.sequence <= i.sequence"
        )
    }
}

/// A name of ours as SQL takes any: some are its own words.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
