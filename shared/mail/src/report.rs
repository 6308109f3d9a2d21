//! What a weekly report tells, out of what the tables hold. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use domain::{ConnectionStatus, Day, MediaItem, Platform, Snapshot, Timestamp};
use jiff::civil::Date;
use store::Connection;

use crate::growth::{self, Growth, Pick, Together};
use crate::notice::{self, Cause};

/// Posts that are shown.
const MOST_POSTS: usize = 3;
/// How old a post may be to be among them.
pub(crate) const POST_DAYS: i64 = 28;

/// A week's report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The week's Monday.
    pub from: Date,
    /// Its Sunday.
    pub to: Date,
    /// The accounts, most followers first.
    pub accounts: Vec<AccountLine>,
    /// Followers of all of them.
    pub followers: Together,
    /// The best posts of the last four weeks.
    pub posts: Vec<PostLine>,
    /// What its user should see to.
    pub attention: Vec<Attention>,
}

/// One account.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountLine {
    /// Where.
    pub platform: Platform,
    /// Its name.
    pub name: String,
    /// People who follow it.
    pub followers: Growth,
    /// Times it was seen.
    pub views: Growth,
    /// Likes received.
    pub likes: Growth,
}

/// One post.
#[derive(Clone, Debug, PartialEq)]
pub struct PostLine {
    /// Where.
    pub platform: Platform,
    /// Its title or caption; may be empty.
    pub title: String,
    /// Where it can be seen: an https address.
    pub url: Option<String>,
    /// Times it was seen.
    pub views: Option<u64>,
    /// Likes received.
    pub likes: Option<u64>,
    /// Comments received.
    pub comments: Option<u64>,
}

/// Something that a user should see to.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Where.
    pub platform: Platform,
    /// The account's name.
    pub name: String,
    /// What.
    pub what: Trouble,
}

/// What needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Only connecting again helps.
    Connect(Cause),
    /// Something that was asked for was not allowed, and is off.
    NotAllowed,
}

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The user's connections.
    pub connections: &'a [Connection],
    /// Their snapshots.
    pub days: &'a BTreeMap<domain::ConnectionId, BTreeMap<Day, Snapshot>>,
    /// Media of their accounts with the platforms they are on.
    pub media: &'a [(Platform, MediaItem)],
}

const FOLLOWERS: &[Pick] = &[|snapshot| snapshot.account.as_ref()?.followers];
const VIEWS: &[Pick] = &[
    |snapshot| snapshot.account.as_ref()?.views,
    |snapshot| whole(snapshot)?.views,
];
const LIKES: &[Pick] = &[
    |snapshot| snapshot.account.as_ref()?.likes,
    |snapshot| whole(snapshot)?.likes,
];

/// Sums of media that are all there are: of a part, a difference says nothing.
fn whole(snapshot: &Snapshot) -> Option<&domain::Figures> {
    let media = snapshot.media.as_ref().filter(|media| media.whole)?;
    Some(&media.figures)
}

impl Report {
    /// The report that is due on `monday`, at `now`; `None` where there is nothing to tell.
    pub fn of(sources: &Sources<'_>, monday: Date, now: Timestamp) -> Option<Self> {
        let to = monday.yesterday().ok()?;
        let from = monday.checked_sub(jiff::Span::new().days(7)).ok()?;
        let living = |one: &&Connection| one.status != ConnectionStatus::Disconnected;
        let connections = || sources.connections.iter().filter(living);
        let nothing = BTreeMap::new();
        let mut accounts: Vec<AccountLine> = connections()
            .map(|connection| {
                let days = sources.days.get(&connection.connection_id);
                let days = days.unwrap_or(&nothing);
                AccountLine {
                    platform: connection.platform,
                    name: name(connection),
                    followers: growth::over_week(days, to, FOLLOWERS),
                    views: growth::over_week(days, to, VIEWS),
                    likes: growth::over_week(days, to, LIKES),
                }
            })
            .collect();
        accounts.sort_by_key(|account| Reverse(account.followers.value));
        let report = Self {
            from,
            to,
            followers: growth::together(accounts.iter().map(|account| account.followers)),
            posts: best(sources.media, now),
            attention: connections().flat_map(|one| attention(one, now)).collect(),
            accounts,
        };
        report.tells_something().then_some(report)
    }

    fn tells_something(&self) -> bool {
        let known = |growth: &Growth| growth.value.is_some();
        let any = |account: &AccountLine| {
            known(&account.followers) || known(&account.views) || known(&account.likes)
        };
        !self.posts.is_empty() || !self.attention.is_empty() || self.accounts.iter().any(any)
    }
}

/// What a connection needs of its user.
fn attention(connection: &Connection, now: Timestamp) -> Option<Attention> {
    let what = match notice::cause(connection, now) {
        Some(cause) => Trouble::Connect(cause),
        None if connection.missing_scopes.is_empty() => return None,
        None => Trouble::NotAllowed,
    };
    Some(Attention {
        platform: connection.platform,
        name: name(connection),
        what,
    })
}

/// The best of the last four weeks, by views; of those without, by likes.
fn best(media: &[(Platform, MediaItem)], now: Timestamp) -> Vec<PostLine> {
    let since = now.plus_secs(-POST_DAYS * 86_400);
    let lately = |item: &MediaItem| item.published_at.is_some_and(|at| at >= since);
    let read = media.iter().filter(|(_, item)| lately(item));
    let read = read.filter_map(|(platform, item)| Some((platform, item, item.figures.as_ref()?)));
    let counted = read.filter(|(_, _, figures)| {
        let count = figures.views.or(figures.likes);
        count.is_some_and(|count| count > 0)
    });
    let mut found: Vec<_> = counted.collect();
    found.sort_by_key(|(_, item, figures)| {
        Reverse((figures.views, figures.likes, item.published_at, &item.id))
    });
    // Two users' connections of one account, or one account connected twice, show a post once.
    found.dedup_by(|a, b| a.0 == b.0 && a.1.id == b.1.id);
    found
        .into_iter()
        .take(MOST_POSTS)
        .map(|(platform, item, figures)| PostLine {
            platform: *platform,
            title: crate::show::line(
                item.title
                    .as_deref()
                    .or(item.caption.as_deref())
                    .unwrap_or_default(),
            ),
            url: item.permalink.clone().filter(|url| is_plain_https(url)),
            views: figures.views,
            likes: figures.likes,
            comments: figures.comments,
        })
        .collect()
}

/// An address that may stand in a link: https, nothing that a reader would not expect in one.
fn is_plain_https(url: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '\\');
    url.len() <= 2_000 && url.starts_with("https://") && !url.contains(odd)
}

/// The best name of a connection's account.
pub(crate) fn name(connection: &Connection) -> String {
    let account = &connection.account;
    let shown = crate::show::line(&account.display_name);
    match &account.username {
        Some(username) => format!("@{}", crate::show::line(username)),
        None if shown.is_empty() => account.id.clone(),
        None => shown,
    }
}
