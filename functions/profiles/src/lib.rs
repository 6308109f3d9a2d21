//! What merchants may see of a creator: `GET /v1/profiles/{user_id}`, for the product's backend, and
//! only with the creator's consent. Without it there is no such creator.

mod view;

use std::sync::Arc;

use domain::{Clock, ConnectionStatus, Figures, MediaItem, Timestamp, UserId};
use http::StatusCode;
use lambda::{Answer, Code, Problem, Request, Scope, responses};
use store::{Connection, Connections, FiguresTable, RecordAsk, RecordTable, StoreError, Users};

use view::{AccountView, ProfileView};

/// Engagement is that of the media of so many days.
const ENGAGEMENT_SECONDS: i64 = 30 * 24 * 3_600;
/// The most media that are looked at for it.
const MOST_MEDIA: usize = 500;
/// Media of one page.
const PAGE: usize = 100;

/// What the handler needs.
pub struct Api {
    /// Who consents.
    pub users: Users,
    /// Their accounts.
    pub connections: Connections,
    /// The latest figures.
    pub figures: FiguresTable,
    /// Media items.
    pub media: RecordTable,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What stands before scope names.
    pub scope_prefix: String,
}

impl Api {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        match request.route() {
            "GET /v1/profiles/{user_id}" => self.profile(&request).await,
            _ => Err(Problem::new(Code::NotFound)),
        }
    }

    async fn profile(&self, request: &Request) -> Answer {
        request
            .caller(&self.scope_prefix)?
            .require(Scope::Service)?;
        let id: UserId = request.path_parameter("user_id")?;
        let user = self.users.get(&id).await.map_err(Problem::unavailable)?;
        let listed = user.filter(|user| user.listed_at.is_some());
        let user = listed.ok_or(Problem::not_found())?;
        let accounts = self.accounts(&id).await.map_err(Problem::unavailable)?;
        let view = ProfileView {
            user_id: id,
            label: user.label,
            accounts,
        };
        Ok(responses::json(StatusCode::OK, &view))
    }

    async fn accounts(&self, user: &UserId) -> Result<Vec<AccountView>, StoreError> {
        let figures = self.figures.latest(user).await?;
        let mut views = Vec::new();
        let mut after = None;
        loop {
            let page = self.connections.list(user, after.as_deref(), 100).await?;
            for connection in page.0 {
                if connection.status == ConnectionStatus::Disconnected {
                    continue;
                }
                let latest = figures
                    .iter()
                    .find(|latest| latest.connection_id == connection.connection_id)
                    .and_then(|latest| latest.account.as_ref());
                let rate = self.engagement(&connection).await?;
                views.push(AccountView::of(&connection, latest, rate));
            }
            after = page.1;
            if after.is_none() {
                return Ok(views);
            }
        }
    }

    /// The engagement rate of what was published in the last days, by the formula of the table of
    /// metrics over the sums; media of which the views are not known are left out.
    async fn engagement(&self, of: &Connection) -> Result<Option<u64>, StoreError> {
        // What somebody else's connection was told after this one came to need its creator is not
        // this user's to show.
        let until = match of.status {
            ConnectionStatus::Active => None,
            _ => Some(of.updated_at),
        };
        let accounts = [of.account.key()];
        let from = self.clock.now().plus_secs(-ENGAGEMENT_SECONDS);
        let mut sums = Figures::default();
        let (mut before, mut seen) = (None, 0);
        while seen < MOST_MEDIA {
            let ask = RecordAsk {
                accounts: &accounts,
                from: Some(from),
                before: before.as_deref(),
                limit: PAGE,
                ..RecordAsk::default()
            };
            let page = self.media.newest(&ask, |row| {
                until.is_none_or(|until: Timestamp| row.kept.seen_at <= until)
            });
            let page = page.await?;
            for row in &page.rows {
                add(&mut sums, &row.kept.read::<MediaItem>());
            }
            seen += page.rows.len();
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        Ok(sums.engagement_rate())
    }
}

/// Adds what one medium came to; a sum is missing where none of them knows the figure.
fn add(sums: &mut Figures, item: &MediaItem) {
    let Some(figures) = item
        .figures
        .as_ref()
        .filter(|figures| figures.views.is_some())
    else {
        return;
    };
    if item.removed == Some(true) {
        return;
    }
    let plus = |sum: &mut Option<u64>, one: Option<u64>| {
        if let Some(one) = one {
            *sum = Some(sum.unwrap_or(0).saturating_add(one));
        }
    };
    plus(&mut sums.views, figures.views);
    plus(&mut sums.likes, figures.likes);
    plus(&mut sums.comments, figures.comments);
    plus(&mut sums.shares, figures.shares);
    plus(&mut sums.saves, figures.saves);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engagement_is_that_of_the_sums_and_missing_is_missing() {
        let item = |views, likes, comments| MediaItem {
            figures: Some(Figures {
                views,
                likes,
                comments,
                ..Figures::default()
            }),
            ..MediaItem::default()
        };
        let rate = |items: &[MediaItem]| {
            let mut sums = Figures::default();
            items.iter().for_each(|one| add(&mut sums, one));
            sums.engagement_rate()
        };
        assert_eq!(rate(&[]), None);
        assert_eq!(rate(&[item(None, Some(5), None)]), None);
        assert_eq!(rate(&[item(Some(0), Some(5), None)]), None);
        assert_eq!(rate(&[item(Some(10), None, None)]), None);
        // 3 of 200 are 1.5 %.
        let both = [
            item(Some(100), Some(2), None),
            item(Some(100), None, Some(1)),
        ];
        assert_eq!(rate(&both), Some(150));
        let removed = MediaItem {
            removed: Some(true),
            ..item(Some(100), Some(50), None)
        };
        assert_eq!(
            rate(&[both[0].clone(), both[1].clone(), removed]),
            Some(150)
        );
    }
}
