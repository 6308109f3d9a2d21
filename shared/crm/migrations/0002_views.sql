-- The newest figures of each connection. Its two parts may be of different days.
CREATE VIEW "$schema".latest_social_stats AS
SELECT
    connection.connection_id,
    connection.user_id,
    connection.platform,
    connection.account_id,
    connection.username,
    connection.status,
    account.day AS account_day,
    account.account_read_at,
    account.followers,
    account.following,
    account.views,
    account.likes,
    account.comments,
    account.shares,
    account.saves,
    account.posts,
    account.subscribers,
    account.earnings_minor,
    account.earnings_currency,
    account.own,
    media.day AS media_day,
    media.media_read_at,
    media.media_count,
    media.media_whole,
    media.media_views,
    media.media_likes,
    media.media_comments,
    media.media_shares,
    media.media_saves
FROM "$schema".platform_connections AS connection
LEFT JOIN LATERAL (
    SELECT * FROM "$schema".social_stats AS s
    WHERE s.connection_id = connection.connection_id AND s.account_read_at IS NOT NULL
    ORDER BY s.day DESC LIMIT 1
) AS account ON true
LEFT JOIN LATERAL (
    SELECT * FROM "$schema".social_stats AS s
    WHERE s.connection_id = connection.connection_id AND s.media_read_at IS NOT NULL
    ORDER BY s.day DESC LIMIT 1
) AS media ON true;

-- The hundred media that moved most people, over all accounts. The rate is in hundredths of a
-- percent of the views, rounded down.
CREATE VIEW "$schema".top_media_by_engagement AS
SELECT
    platform,
    account_id,
    media_id,
    kind,
    title,
    caption,
    permalink,
    published_at,
    views,
    likes,
    comments,
    shares,
    saves,
    engagement,
    CASE WHEN views > 0 THEN floor(engagement * 10000 / views) END AS engagement_rate
FROM "$schema".media_items
WHERE removed IS NOT TRUE
ORDER BY engagement DESC
LIMIT 100;
