//! Targets: one worker's at a time, each step written once, found by due time and by publish id.

use domain::{
    AttemptId, Event, EventId, EventKind, Holder, Platform, PostId, PublishedPost, TargetId,
    TargetStatus, Timestamp,
};
use store::due::shard_of;
use store::targets::{Progress, SealedPart};
use store::{Target, Transacted, Transaction};

use crate::desk::{Desk, NOW, at, sealed};
use crate::media::post;

/// A queued target of a post of its own, in the table and due now.
pub(crate) async fn queued(desk: &Desk) -> Target {
    let mut post = post(desk, NOW, &[]);
    let target = Target {
        post_id: post.post_id.clone(),
        target_id: TargetId::new(NOW, &desk.entropy),
        user_id: desk.user.clone(),
        connection_id: desk.id_of(&desk.user),
        platform: Platform::TikTok,
        account: desk.account.clone(),
        text: post.text.clone(),
        options: Default::default(),
        media: Vec::new(),
        status: TargetStatus::Queued,
        state: None,
        sealed: None,
        sealed_step: 0,
        step: 0,
        intent: None,
        holder: None,
        lease_until: Timestamp::default(),
        due_at: Some(NOW),
        cancel_asked_at: None,
        tries: 0,
        fault: None,
        published: None,
        publish_key: None,
        sent_bytes: 0,
        queued_at: NOW,
        created_at: NOW,
        updated_at: NOW,
    };
    post.targets.push(target.target_id.clone());
    let targets = [target.clone()];
    let created = desk.posts.create(
        &post,
        (&desk.media, &[]),
        (&desk.targets, &targets),
        (&desk.events, &[]),
        None,
        desk.attempt(),
    );
    created.await.unwrap();
    target
}

pub(crate) fn progress(status: TargetStatus, due: Option<Timestamp>) -> Progress {
    Progress {
        status,
        state: Some("{}".to_owned()),
        sealed: SealedPart::Keep,
        due_at: due,
        heeds_cancel: false,
        tries: 0,
        fault: None,
        published: None,
        publish_key: None,
        sent_bytes: 7,
        queued_at: NOW,
        keep_until: None,
    }
}

pub(crate) fn told(desk: &Desk, target: &Target) -> Event {
    let step = (target.step + 1).to_string();
    Event {
        id: EventId::of(&[target.target_id.as_str(), &step]),
        ..desk.event(&target.user_id, EventKind::PostPublishing)
    }
}

async fn stands(desk: &Desk, target: &Target) -> Target {
    let found = desk.targets.get(&target.post_id, &target.target_id).await;
    found.unwrap().expect("the target")
}

/// Takes what was `seen` for a minute from `secs`.
async fn take(desk: &Desk, seen: &Target, secs: i64, holder: &Holder) -> Option<Target> {
    let taken = desk
        .targets
        .take(seen, holder, at(secs), at(secs + 60), &desk.attempt())
        .await;
    taken.unwrap()
}

async fn is_due(desk: &Desk, target: &Target, now: Timestamp) -> bool {
    let shard = shard_of(target.target_id.as_str());
    let due: Vec<(PostId, TargetId)> = desk.targets.due(&shard, now, 1_000).await.unwrap();
    due.iter().any(|(_, id)| *id == target.target_id)
}

#[tokio::test]
async fn a_target_is_one_workers_until_its_lease_ends() {
    let desk = Desk::new("take-target");
    let seen = queued(&desk).await;
    assert!(
        is_due(&desk, &seen, NOW).await,
        "a lost message is made up for"
    );
    let ahead = Target {
        step: 1,
        ..seen.clone()
    };
    for (name, seen, secs, taken) in [
        ("another step", &ahead, 0, false),
        ("free", &seen, 0, true),
        ("held", &seen, 59, false),
        ("left by a dead worker", &seen, 60, true),
    ] {
        let item = take(&desk, seen, secs, &desk.holder()).await;
        assert_eq!(item.is_some(), taken, "{name}");
    }
    assert!(!is_due(&desk, &seen, at(119)).await, "while it is held");
    assert!(is_due(&desk, &seen, at(120)).await);
}

#[tokio::test]
async fn of_ten_workers_one_gets_a_target() {
    let desk = Desk::new("target-race");
    let seen = queued(&desk).await;
    let holders: Vec<_> = (0..10).map(|_| desk.holder()).collect();
    let all = holders.iter().map(|holder| take(&desk, &seen, 0, holder));
    let taken = futures_util::future::join_all(all).await;
    assert_eq!(taken.iter().flatten().count(), 1);
}

#[tokio::test]
async fn an_intent_is_written_once_and_only_by_the_holder() {
    let desk = Desk::new("intend");
    let seen = queued(&desk).await;
    let (old, mine) = (desk.holder(), desk.holder());
    take(&desk, &seen, 0, &old).await.unwrap();
    let seen = take(&desk, &seen, 60, &mine).await.unwrap();
    let first = desk.attempt();
    for (name, holder, attempt, written) in [
        ("an old holder", &old, desk.attempt(), false),
        ("the holder", &mine, first.clone(), true),
        ("the first try, repeated", &mine, first.clone(), true),
        ("again", &mine, desk.attempt(), false),
    ] {
        let item = desk.targets.intend(&seen, holder, &attempt).await.unwrap();
        assert_eq!(item.is_some(), written, "{name}");
    }
    assert_eq!(stands(&desk, &seen).await.intent, Some(first));
    // Whoever takes over finds it.
    let next = take(&desk, &seen, 120, &desk.holder()).await.unwrap();
    assert!(next.intent.is_some());
}

#[tokio::test]
async fn a_step_is_written_once_under_holder_and_step() {
    let desk = Desk::new("advance");
    let seen = queued(&desk).await;
    let (old, mine) = (desk.holder(), desk.holder());
    take(&desk, &seen, 0, &old).await.unwrap();
    let seen = take(&desk, &seen, 60, &mine).await.unwrap();
    let seen = desk.targets.intend(&seen, &mine, &desk.attempt()).await;
    let seen = seen.unwrap().unwrap();
    let event = told(&desk, &seen);
    let progress = Progress {
        sealed: SealedPart::New(sealed("upload address")),
        keep_until: Some(at(200)),
        ..progress(TargetStatus::Publishing, Some(at(200)))
    };
    let advance = async |holder, event: Option<&Event>, attempt: AttemptId| {
        let event = event.map(|event| (&desk.events, event));
        let written = desk
            .targets
            .advance(&seen, Some(holder), &progress, at(61), event, attempt);
        written.await.unwrap().map(|item| item.step)
    };
    let first = desk.attempt();
    for (name, holder, attempt, step) in [
        ("an old holder", &old, desk.attempt(), None),
        ("the holder", &mine, first.clone(), Some(1)),
        ("the first try, repeated", &mine, first, Some(1)),
        ("again", &mine, desk.attempt(), None),
    ] {
        assert_eq!(advance(holder, Some(&event), attempt).await, step, "{name}");
    }
    assert_eq!(
        advance(&mine, None, desk.attempt()).await,
        None,
        "without an event too"
    );
    assert_eq!(desk.told(&desk.user, EventKind::PostPublishing).await, 1);
    let item = stands(&desk, &seen).await;
    assert_eq!((item.intent.clone(), item.sealed_step), (None, 1));
    assert_eq!(
        (item.holder.clone(), item.lease_until),
        (Some(mine.clone()), at(200))
    );

    // Settled: nobody holds it, nothing is due, nothing sealed is left.
    let end = Progress {
        sealed: SealedPart::Drop,
        published: Some(PublishedPost::default()),
        ..super::targets::progress(TargetStatus::Published, None)
    };
    let done = desk
        .targets
        .advance(&item, Some(&mine), &end, at(62), None, desk.attempt());
    let done = done.await.unwrap().unwrap();
    assert_eq!(
        (done.holder.clone(), done.sealed.clone(), done.step),
        (None, None, 2)
    );
    assert!(!is_due(&desk, &seen, at(99_999)).await);
    assert_eq!(
        take(&desk, &done, 300, &desk.holder()).await,
        None,
        "it has ended"
    );
}

/// The wish came while a worker had the target: it is written over by no far wait, whatever becomes of
/// the worker and of every message.
#[tokio::test]
async fn a_wish_to_cancel_outlives_a_far_wait() {
    let desk = Desk::new("cancel-wait");
    // (asked for, whether the worker has not seen to it yet, due)
    for (asked, heeds_cancel, due) in [
        (true, true, at(5)),
        (true, false, at(90_000)),
        (false, true, at(90_000)),
    ] {
        for event in [false, true] {
            let seen = queued(&desk).await;
            let mine = desk.holder();
            let held = take(&desk, &seen, 0, &mine).await.unwrap();
            if asked {
                let asked = desk.targets.ask_cancel(&seen, at(5), &desk.attempt()).await;
                assert!(asked.unwrap().is_some());
            }
            let wait = Progress {
                heeds_cancel,
                ..progress(TargetStatus::Publishing, Some(at(90_000)))
            };
            let event = event.then(|| told(&desk, &held));
            let event = event.as_ref().map(|event| (&desk.events, event));
            let written =
                desk.targets
                    .advance(&held, Some(&mine), &wait, at(6), event, desk.attempt());
            let item = written.await.unwrap().unwrap();
            assert_eq!(item.due_at, Some(due), "{asked} {heeds_cancel}");
            assert_eq!(item.holder, None);
            assert_eq!(is_due(&desk, &item, at(60)).await, due == at(5));
        }
    }
    // The same where a webhook's news writes the wait.
    let seen = queued(&desk).await;
    let asked = desk.targets.ask_cancel(&seen, at(5), &desk.attempt()).await;
    let asked = asked.unwrap().unwrap();
    let wait = Progress {
        heeds_cancel: true,
        ..progress(TargetStatus::Publishing, Some(at(90_000)))
    };
    let news = desk
        .targets
        .tell(Transaction::new(desk.attempt()), &asked, &wait, at(6));
    let done = news.unwrap().run(desk.deliveries.client()).await.unwrap();
    assert_eq!(done, Transacted::Done);
    let told = stands(&desk, &seen).await;
    assert_eq!(told.due_at, Some(at(5)));
    // Asked for again, it is no longer to be cancelled.
    let again = Progress {
        queued_at: at(7),
        ..progress(TargetStatus::Queued, Some(at(7)))
    };
    let written = desk
        .targets
        .advance(&told, None, &again, at(7), None, desk.attempt());
    let item = written.await.unwrap().unwrap();
    assert_eq!((item.cancel_asked_at, item.due_at), (None, Some(at(7))));
}

#[tokio::test]
async fn news_moves_a_target_past_its_worker() {
    let desk = Desk::new("tell-target");
    let seen = queued(&desk).await;
    let mine = desk.holder();
    let held = take(&desk, &seen, 0, &mine).await.unwrap();
    let published = progress(TargetStatus::Published, None);
    let tell = async || {
        let news = desk
            .targets
            .tell(Transaction::new(desk.attempt()), &held, &published, at(1));
        news.unwrap().run(desk.deliveries.client()).await.unwrap()
    };
    assert_eq!(tell().await, Transacted::Done);
    assert_eq!(
        tell().await,
        Transacted::Refused(0),
        "the step has moved on"
    );
    let late = progress(TargetStatus::Failed, None);
    let written = desk
        .targets
        .advance(&held, Some(&mine), &late, at(2), None, desk.attempt());
    assert_eq!(written.await.unwrap(), None);
    assert_eq!(stands(&desk, &seen).await.status, TargetStatus::Published);
}

#[tokio::test]
async fn a_nudge_moves_what_was_seen_due() {
    let desk = Desk::new("nudge");
    let seen = queued(&desk).await;
    for (name, secs, moved) in [("due", 300, true), ("seen before", 600, false)] {
        let nudged = desk.targets.nudge(&seen, at(secs), &desk.attempt()).await;
        assert_eq!(nudged.unwrap(), moved, "{name}");
    }
    assert!(!is_due(&desk, &seen, at(299)).await && is_due(&desk, &seen, at(300)).await);
    let now = stands(&desk, &seen).await;
    take(&desk, &now, 0, &desk.holder()).await.unwrap();
    let nudged = desk.targets.nudge(&now, at(600), &desk.attempt()).await;
    assert!(!nudged.unwrap(), "a worker took it meanwhile");
}

#[tokio::test]
async fn a_publish_leads_to_its_targets_while_they_bear_its_key() {
    let desk = Desk::new("publish-key");
    let publish = format!("v_pub_file~{}", desk.user);
    let name = store::targets::publish_key(Platform::TikTok, &publish);
    let of_publish = async || {
        let found = desk
            .targets
            .of_publish(Platform::TikTok.into(), &publish)
            .await;
        found.unwrap()
    };
    let mut seen = queued(&desk).await;
    let keys = (seen.post_id.clone(), seen.target_id.clone());
    for (key, found) in [(None, vec![]), (Some(name), vec![keys]), (None, vec![])] {
        let progress = Progress {
            publish_key: key,
            ..progress(TargetStatus::Publishing, Some(at(60)))
        };
        let written = desk
            .targets
            .advance(&seen, None, &progress, at(1), None, desk.attempt());
        seen = written.await.unwrap().unwrap();
        assert_eq!(of_publish().await, found);
    }
}

#[tokio::test]
async fn a_shard_gives_the_most_overdue_first() {
    let desk = Desk::new("due-order");
    let mut mine = Vec::new();
    for _ in 0..6 {
        mine.push(queued(&desk).await);
    }
    // Long before everything else in the table.
    for (n, target) in (0..).zip(&mine) {
        let nudged = desk
            .targets
            .nudge(target, Timestamp::from_secs(n), &desk.attempt())
            .await;
        assert!(nudged.unwrap());
    }
    for shard in (0..store::due::SHARDS).map(store::due::shard_name) {
        let here = |target: &&Target| shard_of(target.target_id.as_str()) == shard;
        let expected: Vec<_> = mine
            .iter()
            .filter(here)
            .map(|one| one.target_id.clone())
            .collect();
        for limit in [1, 2, 100] {
            let due = desk
                .targets
                .due(&shard, Timestamp::from_secs(5), limit)
                .await;
            let due: Vec<_> = due.unwrap().into_iter().map(|(_, id)| id).collect();
            let most = expected.len().min(usize::try_from(limit).unwrap());
            assert_eq!(due, expected[..most], "{limit} of {shard}");
        }
    }
}
