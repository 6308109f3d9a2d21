-- The projection's tables. Times are instants (timestamptz), amounts whole minor units beside their
-- ISO 4217 currency. "sequence" is the place of the shown image in its item's stream; "synced_at" is
-- when it came here. An index says which question it is for.

-- What was removed, by a hash of its key, so that a record that comes late makes no row again.
CREATE TABLE "$schema".removed_items (
    source text NOT NULL,
    item text NOT NULL,
    sequence numeric(40) NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, item)
);
-- Forgetting what is older than any stream.
CREATE INDEX removed_items_age ON "$schema".removed_items (removed_at);

CREATE TABLE "$schema".platform_connections (
    connection_id text PRIMARY KEY,
    user_id text NOT NULL,
    platform text NOT NULL,
    account_id text NOT NULL,
    display_name text,
    username text,
    profile_url text,
    status text NOT NULL,
    reason text,
    scopes jsonb,
    missing_scopes jsonb,
    access_expires_at timestamptz,
    refresh_expires_at timestamptz,
    last_fault text,
    revocation text,
    statistics_read_at timestamptz,
    statistics_fault text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL
);
-- A user's connections.
CREATE INDEX platform_connections_user ON "$schema".platform_connections (user_id);
-- Whose is the account that a record is of.
CREATE INDEX platform_connections_account ON "$schema".platform_connections (platform, account_id);

CREATE TABLE "$schema".posts (
    post_id text PRIMARY KEY,
    user_id text NOT NULL,
    text text,
    media_ids jsonb,
    created_at timestamptz NOT NULL,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL
);
-- A user's posts, the newest first.
CREATE INDEX posts_user ON "$schema".posts (user_id, created_at DESC);

CREATE TABLE "$schema".post_targets (
    post_id text NOT NULL,
    target_id text NOT NULL,
    user_id text NOT NULL,
    connection_id text NOT NULL,
    platform text NOT NULL,
    account_id text NOT NULL,
    text text,
    options jsonb,
    status text NOT NULL,
    fault text,
    external_ids jsonb,
    url text,
    sent_bytes bigint,
    queued_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL,
    PRIMARY KEY (post_id, target_id)
);
-- What was posted through a connection, the newest first.
CREATE INDEX post_targets_connection ON "$schema".post_targets (connection_id, created_at DESC);

CREATE TABLE "$schema".media_items (
    platform text NOT NULL,
    account_id text NOT NULL,
    media_id text NOT NULL,
    state text NOT NULL,
    kind text,
    title text,
    caption text,
    permalink text,
    published_at timestamptz,
    removed boolean,
    views bigint,
    likes bigint,
    comments bigint,
    shares bigint,
    saves bigint,
    -- The platform's own figures, by the platform's names.
    own jsonb,
    -- Kinds of engagement that the platform does not count add nothing.
    engagement numeric GENERATED ALWAYS AS (
        coalesce(likes::numeric, 0) + coalesce(comments::numeric, 0)
        + coalesce(shares::numeric, 0) + coalesce(saves::numeric, 0)) STORED,
    at timestamptz NOT NULL,
    first_seen_at timestamptz,
    written_at timestamptz,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL,
    PRIMARY KEY (platform, account_id, media_id)
);
-- An account's media, the newest first.
CREATE INDEX media_items_time ON "$schema".media_items (platform, account_id, at DESC);
-- The view top_media_by_engagement.
CREATE INDEX media_items_engagement ON "$schema".media_items (engagement DESC)
    WHERE removed IS NOT TRUE;

CREATE TABLE "$schema".comments (
    platform text NOT NULL,
    account_id text NOT NULL,
    comment_id text NOT NULL,
    state text NOT NULL,
    media_id text,
    parent_id text,
    author_id text,
    author_name text,
    text text,
    hidden boolean,
    deleted boolean,
    own boolean,
    mention boolean,
    at timestamptz NOT NULL,
    first_seen_at timestamptz,
    written_at timestamptz,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL,
    PRIMARY KEY (platform, account_id, comment_id)
);
-- An account's comments, the newest first.
CREATE INDEX comments_time ON "$schema".comments (platform, account_id, at DESC);
-- The comments under one medium.
CREATE INDEX comments_media ON "$schema".comments (platform, account_id, media_id, at DESC);

CREATE TABLE "$schema".fans (
    platform text NOT NULL,
    account_id text NOT NULL,
    fan_id text NOT NULL,
    state text NOT NULL,
    handle text,
    display_name text,
    following boolean,
    followed_at timestamptz,
    subscription text,
    subscribed_at timestamptz,
    expires_at timestamptz,
    spent_minor bigint,
    spent_currency text,
    at timestamptz NOT NULL,
    first_seen_at timestamptz,
    written_at timestamptz,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL,
    PRIMARY KEY (platform, account_id, fan_id)
);
-- Who spent most with an account.
CREATE INDEX fans_spent ON "$schema".fans (platform, account_id, spent_minor DESC NULLS LAST);
-- Whose subscription ends soon.
CREATE INDEX fans_expiring ON "$schema".fans (expires_at) WHERE subscription = 'active';

CREATE TABLE "$schema".messages (
    platform text NOT NULL,
    account_id text NOT NULL,
    message_id text NOT NULL,
    state text NOT NULL,
    chat_id text,
    fan_id text,
    direction text,
    text text,
    media jsonb,
    price_minor bigint,
    price_currency text,
    purchased boolean,
    read boolean,
    deleted boolean,
    at timestamptz NOT NULL,
    first_seen_at timestamptz,
    written_at timestamptz,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL,
    PRIMARY KEY (platform, account_id, message_id)
);
-- A chat, the newest message first.
CREATE INDEX messages_chat ON "$schema".messages (platform, account_id, chat_id, at DESC);
-- Everything that was said with a fan.
CREATE INDEX messages_fan ON "$schema".messages (platform, account_id, fan_id, at DESC);

CREATE TABLE "$schema".analytics_events (
    platform text NOT NULL,
    account_id text NOT NULL,
    event_id text NOT NULL,
    state text NOT NULL,
    kind text,
    amount_minor bigint,
    amount_currency text,
    gross_minor bigint,
    gross_currency text,
    fee_minor bigint,
    fee_currency text,
    fan_id text,
    media_id text,
    message_id text,
    reversed boolean,
    at timestamptz NOT NULL,
    first_seen_at timestamptz,
    written_at timestamptz,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL,
    PRIMARY KEY (platform, account_id, event_id)
);
-- What an account earned between two instants.
CREATE INDEX analytics_events_time ON "$schema".analytics_events (platform, account_id, at DESC);
-- What one fan paid.
CREATE INDEX analytics_events_fan ON "$schema".analytics_events (platform, account_id, fan_id, at DESC);

-- One row for each connection and day. The two parts of a day may be of different readings.
CREATE TABLE "$schema".social_stats (
    connection_id text NOT NULL,
    day date NOT NULL,
    user_id text NOT NULL,
    followers bigint,
    following bigint,
    views bigint,
    likes bigint,
    comments bigint,
    shares bigint,
    saves bigint,
    posts bigint,
    subscribers bigint,
    earnings_minor bigint,
    earnings_currency text,
    own jsonb,
    account_read_at timestamptz,
    media_count bigint,
    media_whole boolean,
    media_views bigint,
    media_likes bigint,
    media_comments bigint,
    media_shares bigint,
    media_saves bigint,
    media_read_at timestamptz,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL,
    PRIMARY KEY (connection_id, day)
);
-- A user's dashboard over all connections.
CREATE INDEX social_stats_user ON "$schema".social_stats (user_id, day DESC);

CREATE TABLE "$schema".webhook_events (
    delivery_id text PRIMARY KEY,
    platform text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    account_id text,
    external_id text,
    fault text,
    tries bigint,
    received_at timestamptz NOT NULL,
    processed_at timestamptz,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL
);
-- What a platform sent lately.
CREATE INDEX webhook_events_time ON "$schema".webhook_events (platform, received_at DESC);
-- What was sent about an account.
CREATE INDEX webhook_events_account ON "$schema".webhook_events (platform, account_id, received_at DESC);

CREATE TABLE "$schema".sync_logs (
    sync_id text NOT NULL,
    connection_id text NOT NULL,
    user_id text NOT NULL,
    platform text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    things bigint,
    fault text,
    off jsonb,
    tries bigint,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    sequence numeric(40) NOT NULL,
    synced_at timestamptz NOT NULL,
    PRIMARY KEY (sync_id, connection_id)
);
-- A connection's syncs, the newest first.
CREATE INDEX sync_logs_connection ON "$schema".sync_logs (connection_id, started_at DESC);
