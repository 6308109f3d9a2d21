//! What the product is told of records.

use super::{AnalyticsEvent, Comment, Direction, Fan, Kept, Message, RecordKind};
use crate::{EventKind, Subscription, Timestamp};

/// Of which records the product is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Of all: they come from webhooks, as they happen.
    Everything,
    /// Of what happened since: they come from a sync, which reads what was there before the account was
    /// connected too.
    Since {
        /// Since when.
        at: Timestamp,
        /// Whether also of what has no time of its own: not in a first sync.
        timeless: bool,
    },
    /// Of nothing: they come from an import.
    Nothing,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What happened.
    pub kind: EventKind,
    /// What makes it another than the last of its kind of the same record.
    pub cause: String,
}

/// What a change from `before` to `after` is news of.
pub fn news(before: Option<&Kept>, after: &Kept, telling: Telling) -> Option<News> {
    let told = match after.kind {
        RecordKind::Fan => of_fan(before, after),
        kind => kind
            .received()
            .filter(|_| complete(after) && !before.is_some_and(complete))
            .map(|kind| News {
                kind,
                cause: String::new(),
            }),
    }?;
    let told_of = match telling {
        Telling::Everything => true,
        Telling::Nothing => false,
        // That a fan left or came back is known by what was kept: it is no history.
        Telling::Since { .. } if !told.cause.is_empty() => true,
        Telling::Since { at, timeless } => after.time().map_or(timeless, |time| time >= at),
    };
    told_of.then_some(told)
}

/// Whether enough of it is known to be told of: parts of a record may come one by one.
fn complete(kept: &Kept) -> bool {
    match kept.kind {
        RecordKind::Comment => {
            let comment: Comment = kept.read();
            let known = comment.text.is_some() || comment.author_id.is_some();
            known && comment.own != Some(true) && comment.deleted != Some(true)
        }
        RecordKind::Message => {
            let message: Message = kept.read();
            message.direction == Some(Direction::In) && message.deleted != Some(true)
        }
        RecordKind::AnalyticsEvent => {
            let event: AnalyticsEvent = kept.read();
            event.amount.is_some() && event.kind.is_some_and(super::AnalyticsKind::earns)
        }
        RecordKind::MediaItem | RecordKind::Fan => false,
    }
}

fn of_fan(before: Option<&Kept>, after: &Kept) -> Option<News> {
    let belongs =
        |fan: &Fan| fan.subscription == Some(Subscription::Active) || fan.following == Some(true);
    let left =
        |fan: &Fan| fan.subscription == Some(Subscription::Expired) || fan.following == Some(false);
    let was: Option<Fan> = before.map(Kept::read);
    let is: Fan = after.read();
    // Of which instant the change is; one that comes twice is told once.
    let moved = ["subscription", "following", "expires_at"].map(|name| after.stamps.get(name));
    let cause = || {
        let last = moved.into_iter().flatten().max().copied();
        last.unwrap_or_default().millis().to_string()
    };
    let told = |kind, cause| Some(News { kind, cause });
    match (was.as_ref().is_some_and(belongs), belongs(&is)) {
        (false, true) if was.as_ref().is_some_and(left) => told(EventKind::FanRenewed, cause()),
        (false, true) => told(EventKind::FanNew, String::new()),
        (true, false) => told(EventKind::FanLost, cause()),
        (true, true) => {
            let until = was.and_then(|was| was.expires_at);
            let longer = until.is_some() && is.expires_at > until;
            if longer && is.subscription == Some(Subscription::Active) {
                told(EventKind::FanRenewed, cause())
            } else {
                None
            }
        }
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnalyticsKind, Fact, Money, Record};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn told(before: Option<&Fact>, then: &Fact, telling: Telling) -> Option<EventKind> {
        let before = before.map(Kept::of);
        let after = match before.clone() {
            Some(before) => before.with(then),
            None => Kept::of(then),
        };
        news(before.as_ref(), &after, telling).map(|news| news.kind)
    }

    fn fan(as_of: i64, following: Option<bool>, paying: Option<(Subscription, i64)>) -> Fact {
        let fan = Fan {
            id: "f".into(),
            following,
            subscription: paying.map(|(subscription, _)| subscription),
            expires_at: paying.map(|(_, until)| at(until)),
            ..Fan::default()
        };
        fan.fact(at(as_of))
    }

    #[test]
    fn fans_come_stay_and_go() {
        use Subscription::{Active, Expired};
        let all = Telling::Everything;
        for (before, then, expected) in [
            (None, fan(1, Some(true), None), Some(EventKind::FanNew)),
            (None, fan(1, Some(false), None), None),
            (
                None,
                fan(1, None, Some((Active, 9))),
                Some(EventKind::FanNew),
            ),
            (
                Some(fan(1, Some(true), None)),
                fan(2, Some(false), None),
                Some(EventKind::FanLost),
            ),
            (
                Some(fan(1, Some(true), None)),
                fan(2, Some(true), None),
                None,
            ),
            (
                Some(fan(1, Some(false), None)),
                fan(2, Some(true), None),
                Some(EventKind::FanRenewed),
            ),
            (
                Some(fan(1, None, Some((Active, 9)))),
                fan(2, None, Some((Active, 20))),
                Some(EventKind::FanRenewed),
            ),
            (
                Some(fan(1, None, Some((Active, 9)))),
                fan(2, None, Some((Expired, 9))),
                Some(EventKind::FanLost),
            ),
            // Still a follower.
            (
                Some(fan(1, Some(true), Some((Active, 9)))),
                fan(2, None, Some((Expired, 9))),
                None,
            ),
            // An older fact changes nothing.
            (
                Some(fan(5, Some(true), None)),
                fan(2, Some(false), None),
                None,
            ),
        ] {
            assert_eq!(
                told(before.as_ref(), &then, all),
                expected,
                "{before:?} {then:?}"
            );
        }
    }

    #[test]
    fn a_record_is_told_of_once_enough_is_known() {
        let comment = |own: Option<bool>, text: Option<&str>| {
            let comment = Comment {
                id: "c".into(),
                text: text.map(str::to_owned),
                own,
                hidden: Some(false),
                ..Comment::default()
            };
            comment.fact(at(1))
        };
        let message = |direction, read| {
            let message = Message {
                id: "m".into(),
                direction,
                read,
                ..Message::default()
            };
            message.fact(at(2))
        };
        let earned = |kind| {
            let event = AnalyticsEvent {
                id: "e".into(),
                kind: Some(kind),
                amount: Some(Money {
                    minor: -5,
                    currency: "USD".into(),
                }),
                ..AnalyticsEvent::default()
            };
            event.fact(at(3))
        };
        let all = Telling::Everything;
        let (received, sent) = (Some(Direction::In), Some(Direction::Out));
        for (before, then, expected) in [
            (
                None,
                comment(None, Some("hi")),
                Some(EventKind::CommentReceived),
            ),
            (None, comment(Some(true), Some("hi")), None),
            (None, comment(None, None), None),
            (
                Some(comment(None, None)),
                comment(None, Some("hi")),
                Some(EventKind::CommentReceived),
            ),
            (
                Some(comment(None, Some("hi"))),
                comment(None, Some("ho")),
                None,
            ),
            (
                None,
                message(received, None),
                Some(EventKind::MessageReceived),
            ),
            (None, message(sent, None), None),
            (
                Some(message(None, Some(true))),
                message(received, None),
                Some(EventKind::MessageReceived),
            ),
            (
                None,
                earned(AnalyticsKind::Refund),
                Some(EventKind::EarningRecorded),
            ),
            (None, earned(AnalyticsKind::Follow), None),
        ] {
            assert_eq!(
                told(before.as_ref(), &then, all),
                expected,
                "{before:?} {then:?}"
            );
        }
    }

    #[test]
    fn history_is_not_told() {
        let received = |sent_at: Option<i64>| {
            let message = Message {
                id: "m".into(),
                direction: Some(Direction::In),
                sent_at: sent_at.map(at),
                ..Message::default()
            };
            message.fact(at(100))
        };
        let since = |timeless| Telling::Since {
            at: at(50),
            timeless,
        };
        for (fact, telling, expected) in [
            (received(Some(50)), since(false), true),
            (received(Some(49)), since(true), false),
            (received(None), since(true), true),
            (received(None), since(false), false),
            (received(Some(99)), Telling::Nothing, false),
            (received(Some(1)), Telling::Everything, true),
        ] {
            assert_eq!(
                told(None, &fact, telling).is_some(),
                expected,
                "{telling:?} {fact:?}"
            );
        }
        let before = fan(1, Some(true), None);
        let lost = told(Some(&before), &fan(2, Some(false), None), since(false));
        assert_eq!(lost, Some(EventKind::FanLost));
    }
}
