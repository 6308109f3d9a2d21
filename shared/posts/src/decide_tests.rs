use domain::{
    Account, ConnectionId, Platform, PostId, PostOptions, SeededEntropy, TargetId, UserId,
};
use platforms::Repeat;
use serde_json::json;

use super::*;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) fn target(status: TargetStatus) -> Target {
    let entropy = SeededEntropy::new(1);
    let user: UserId = "u".parse().unwrap();
    Target {
        post_id: PostId::new(NOW, &entropy),
        target_id: TargetId::new(NOW, &entropy),
        connection_id: ConnectionId::of(&user, Platform::TikTok, "a"),
        user_id: user,
        platform: Platform::TikTok,
        account: Account {
            environment: domain::Environment::Production,
            platform: Platform::TikTok,
            id: "a".into(),
            display_name: "A".into(),
            username: Some("a".into()),
            profile_url: None,
            other_ids: Default::default(),
        },
        text: String::new(),
        options: PostOptions::default(),
        media: Vec::new(),
        status,
        state: None,
        sealed: None,
        sealed_step: 0,
        step: 3,
        intent: None,
        holder: None,
        lease_until: NOW,
        due_at: Some(NOW),
        cancel_asked_at: None,
        tries: 0,
        fault: None,
        published: None,
        publish_key: None,
        sent_bytes: 7,
        queued_at: NOW,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn state() -> State {
    State {
        data: json!({"phase": "x"}),
        secret: None,
    }
}

fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind)
}

#[test]
fn a_move_leads_where_its_action_says() {
    use TargetStatus::{Failed, Inbox, OutcomeUnknown, Published, Publishing, Queued};
    let later = NOW.plus_secs(5);
    let post = PublishedPost {
        ids: vec!["1".into()],
        url: None,
    };
    let down = || fault(FaultKind::PlatformDown);
    let upload = Action::Upload {
        media: 0,
        range: 0..5,
    };
    let answered = Moved {
        begun: true,
        sent_bytes: None,
        time_left: true,
    };
    let lost = Moved {
        begun: false,
        ..answered
    };
    let late = Moved {
        time_left: false,
        ..answered
    };
    let begins = Some(EventKind::PostPublishing);
    // (was, how it moved, action wanted, is, event, then)
    for (was, how, action, is, event, then) in [
        (
            Queued,
            answered,
            upload.clone(),
            Publishing,
            begins,
            Then::GoOn,
        ),
        (
            Queued,
            late,
            upload.clone(),
            Publishing,
            begins,
            Then::Wait(NOW),
        ),
        (
            Queued,
            answered,
            Action::Wait(later),
            Publishing,
            begins,
            Then::Wait(later),
        ),
        (
            Queued,
            lost,
            Action::Wait(later),
            Queued,
            None,
            Then::Wait(later),
        ),
        (
            Queued,
            lost,
            Action::Call(Repeat::Once),
            Queued,
            None,
            Then::GoOn,
        ),
        (Publishing, answered, upload, Publishing, None, Then::GoOn),
        (
            Publishing,
            answered,
            Action::Call(Repeat::Repeatable),
            Publishing,
            None,
            Then::GoOn,
        ),
        (
            Publishing,
            answered,
            Action::Finish(Finish::Published(post.clone())),
            Published,
            Some(EventKind::PostPublished),
            Then::Over,
        ),
        (
            Publishing,
            answered,
            Action::Finish(Finish::Inbox),
            Inbox,
            Some(EventKind::PostInbox),
            Then::Over,
        ),
        (
            Queued,
            answered,
            Action::Finish(Finish::Failed(down())),
            Failed,
            Some(EventKind::PostFailed),
            Then::Over,
        ),
        (
            Publishing,
            lost,
            Action::Finish(Finish::Unknown(down())),
            OutcomeUnknown,
            Some(EventKind::PostOutcomeUnknown),
            Then::Over,
        ),
    ] {
        let seen = target(was);
        let step = moved(&seen, state(), &action, how, NOW);
        assert_eq!(
            (step.status, step.event, step.then),
            (is, event, then),
            "{action:?}"
        );
        assert_eq!(step.state, Some(state()));
        assert_eq!(step.tries, 0);
        let ended_badly = matches!(is, Failed | OutcomeUnknown);
        assert_eq!(step.fault.is_some(), ended_badly, "{action:?}");
        assert_eq!(step.published.is_some(), is == Published, "{action:?}");
    }
    let how = Moved {
        sent_bytes: Some(9),
        ..answered
    };
    let step = moved(&target(Publishing), state(), &Action::Wait(NOW), how, NOW);
    assert_eq!(step.sent_bytes, 9);
}

#[test]
fn trouble_is_waited_out_or_ends_it() {
    let entropy = SeededEntropy::new(5);
    let give_up = |fault: Fault| Finish::Failed(fault);
    let soon = NOW.plus_secs(60);
    let far = NOW.plus_secs(PATIENCE + 1);
    let at = |seen: &Target, trouble: Trouble| troubled(seen, &trouble, NOW, &entropy, &give_up);
    let fresh = target(TargetStatus::Publishing);
    let worn = |kind: FaultKind, tries: u32| Target {
        fault: Some(fault(kind)),
        tries,
        ..target(TargetStatus::Publishing)
    };
    let down = FaultKind::PlatformDown;
    // (seen, trouble, Some((earliest, latest wait in seconds, tries)) or None for the end)
    type Expected = Option<(i64, i64, u32)>;
    let table: Vec<(Target, Trouble, Expected)> = vec![
        (fresh.clone(), Trouble::Fault(fault(down)), Some((2, 4, 1))),
        (worn(down, 1), Trouble::Fault(fault(down)), Some((6, 12, 2))),
        (worn(down, 7), Trouble::Fault(fault(down)), None),
        // Another kind of trouble starts its own count.
        (
            worn(FaultKind::RateLimited, 7),
            Trouble::Fault(fault(down)),
            Some((2, 4, 1)),
        ),
        (
            fresh.clone(),
            Trouble::Fault(fault(FaultKind::RateLimited).until(soon)),
            Some((60, 62, 1)),
        ),
        // A limit may be met any number of times, within the patience.
        (
            worn(FaultKind::RateLimited, 40),
            Trouble::Fault(fault(FaultKind::RateLimited).until(NOW)),
            Some((205, 207, 41)),
        ),
        (
            fresh.clone(),
            Trouble::Fault(fault(FaultKind::QuotaUsed).until(far)),
            None,
        ),
        (
            fresh.clone(),
            Trouble::Fault(fault(FaultKind::ContentRejected)),
            None,
        ),
        (
            fresh.clone(),
            Trouble::Fault(fault(FaultKind::TokenRejected)),
            None,
        ),
        (
            fresh.clone(),
            Trouble::NotConnected(fault(FaultKind::ReauthNeeded)),
            None,
        ),
        (
            fresh.clone(),
            Trouble::Later(fault(FaultKind::AppRefused)),
            Some((5, 7, 1)),
        ),
        (
            fresh.clone(),
            Trouble::Later(fault(down).until(soon)),
            Some((60, 62, 1)),
        ),
        (fresh.clone(), Trouble::File(FilesError::Gone), None),
        (
            fresh,
            Trouble::File(FilesError::Unavailable("x".into())),
            Some((2, 4, 1)),
        ),
        (
            worn(FaultKind::OurBug, 7),
            Trouble::File(FilesError::Unavailable("x".into())),
            None,
        ),
    ];
    for (seen, trouble, expected) in table {
        let step = at(&seen, trouble.clone());
        let got = match step.then {
            Then::Wait(until) => Some(until),
            _ => None,
        };
        match (got, expected) {
            (Some(until), Some((earliest, latest, tries))) => {
                let range = NOW.plus_secs(earliest)..=NOW.plus_secs(latest);
                assert!(range.contains(&until), "{trouble:?}: {until:?}");
                assert_eq!(step.tries, tries, "{trouble:?}");
                assert_eq!((step.status, step.event), (seen.status, None));
                assert!(step.state.is_none() && step.fault.is_some());
            }
            (None, None) => {
                assert_eq!(step.status, TargetStatus::Failed, "{trouble:?}");
                assert_eq!(step.event, Some(EventKind::PostFailed));
            }
            other => panic!("{trouble:?}: {other:?}"),
        }
    }
    // What the end is, is the machine's word.
    let step = troubled(
        &target(TargetStatus::Publishing),
        &Trouble::NotConnected(fault(FaultKind::ReauthNeeded)),
        NOW,
        &entropy,
        &|fault| Finish::Unknown(fault),
    );
    assert_eq!(step.status, TargetStatus::OutcomeUnknown);
}

#[test]
fn a_token_is_renewed_once_for_one_action() {
    let rejected = fault(FaultKind::TokenRejected);
    let seen = target(TargetStatus::Queued);
    assert!(wants_fresh_token(&seen, &rejected));
    assert!(!wants_fresh_token(&seen, &fault(FaultKind::PlatformDown)));
    let step = renewed(&seen, &rejected);
    assert_eq!((step.then, step.status), (Then::GoOn, TargetStatus::Queued));
    let after = Target {
        fault: step.fault,
        tries: step.tries,
        ..seen
    };
    assert!(!wants_fresh_token(&after, &rejected));
}

#[test]
fn a_secret_is_sealed_only_when_it_is_new() {
    let (one, other) = (Secret::new("1"), Secret::new("2"));
    let bare = target(TargetStatus::Publishing);
    let held = Target {
        sealed: Some(vault::Sealed::from_bytes(vec![1])),
        ..bare.clone()
    };
    for (seen, old, new, expected) in [
        (&bare, None, None, Sealing::Keep),
        (&bare, None, Some(&one), Sealing::Seal(&one)),
        (&held, Some(&one), Some(&one), Sealing::Keep),
        (&held, Some(&one), Some(&other), Sealing::Seal(&other)),
        (&held, Some(&one), None, Sealing::Drop),
    ] {
        assert_eq!(sealing(seen, old, new), expected);
    }
}

#[test]
fn ids_of_a_published_post_add_up() {
    let post = |ids: &[&str], url: Option<&str>| PublishedPost {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        url: url.map(str::to_owned),
    };
    let both = merged(Some(post(&["1"], Some("u"))), &post(&["1", "2"], None));
    assert_eq!(both, post(&["1", "2"], Some("u")));
}

#[test]
fn a_settled_target_is_told_what_comes_late_and_nothing_else() {
    use TargetStatus::{Cancelled, Inbox, OutcomeUnknown, Published};
    let later = NOW.plus_secs(600);
    let post = PublishedPost {
        ids: vec!["7".into()],
        url: None,
    };
    let how = Moved {
        begun: true,
        sent_bytes: None,
        time_left: true,
    };
    let published = Some(EventKind::PostPublished);
    // (was, the machine says, is, event, then)
    for (was, action, is, event, then) in [
        (
            Inbox,
            Action::Finish(Finish::Published(post.clone())),
            Published,
            published,
            Then::Over,
        ),
        (
            Inbox,
            Action::Follow(Finish::Published(PublishedPost::default()), later),
            Published,
            published,
            Then::Follow(later),
        ),
        (
            Inbox,
            Action::Follow(Finish::Inbox, later),
            Inbox,
            None,
            Then::Follow(later),
        ),
        (
            Inbox,
            Action::Finish(Finish::Inbox),
            Inbox,
            None,
            Then::Over,
        ),
        (
            Published,
            Action::Finish(Finish::Published(post.clone())),
            Published,
            published,
            Then::Over,
        ),
        (
            Published,
            Action::Finish(Finish::Failed(fault(FaultKind::PlatformDown))),
            Published,
            None,
            Then::Over,
        ),
        (
            OutcomeUnknown,
            Action::Follow(Finish::Inbox, later),
            Inbox,
            Some(EventKind::PostInbox),
            Then::Follow(later),
        ),
        (
            Cancelled,
            Action::Finish(Finish::Published(post.clone())),
            Published,
            published,
            Then::Over,
        ),
        (
            Inbox,
            Action::Call(Repeat::Repeatable),
            Inbox,
            None,
            Then::GoOn,
        ),
    ] {
        let step = moved(&target(was), state(), &action, how, NOW);
        assert_eq!(
            (step.status, step.event, step.then),
            (is, event, then),
            "{action:?}"
        );
    }
    // A token that was renewed in between leaves no trace.
    let renewed = Target {
        fault: Some(fault(FaultKind::TokenRejected)),
        ..target(Inbox)
    };
    let step = moved(
        &renewed,
        state(),
        &Action::Follow(Finish::Inbox, later),
        how,
        NOW,
    );
    assert_eq!(step.fault, None);
}

#[test]
fn trouble_in_asking_after_a_settled_target_is_nobodys_concern() {
    let settled = target(TargetStatus::Inbox);
    let entropy = SeededEntropy::new(1);
    let give_up = |fault: Fault| Finish::Failed(fault);
    let late = NOW.plus_secs(5 * 86_400);
    let step = |trouble: &Trouble| troubled(&settled, trouble, late, &entropy, &give_up);
    let limited = Trouble::Limited(Wait {
        limit: "publish.status",
        until: late.plus_secs(60),
        ask_at: late.plus_secs(60),
        fault: fault(FaultKind::RateLimited),
    });
    let passing = Trouble::Fault(fault(FaultKind::PlatformDown));
    for trouble in [limited, passing] {
        let step = step(&trouble);
        let goes_on = matches!(step.then, Then::Follow(at) if at > late);
        assert!(goes_on, "{trouble:?}: {step:?}");
        assert_eq!((step.status, step.event), (TargetStatus::Inbox, None));
        assert_eq!(step.fault, None);
    }
    // The pauses grow, and after eight days nobody asks any more.
    let worn = Target {
        tries: backoff::TRIES,
        ..settled.clone()
    };
    let passing = Trouble::Fault(fault(FaultKind::PlatformDown));
    let worn = troubled(&worn, &passing, late, &entropy, &give_up);
    assert_eq!((worn.status, worn.then), (TargetStatus::Inbox, Then::Over));
    let after = NOW.plus_secs(9 * 86_400);
    let over = troubled(&settled, &passing, after, &entropy, &give_up);
    assert_eq!((over.status, over.then), (TargetStatus::Inbox, Then::Over));
    // What will never come is no longer waited for; the end that is known stands.
    let gone = step(&Trouble::NotConnected(fault(FaultKind::ReauthNeeded)));
    assert_eq!(
        (gone.status, gone.event, gone.then),
        (TargetStatus::Inbox, None, Then::Over)
    );
    // A target that is under way is given up in the end.
    let under_way = target(TargetStatus::Publishing);
    let passing = Trouble::Fault(fault(FaultKind::PlatformDown));
    let step = troubled(&under_way, &passing, late, &entropy, &give_up);
    assert_eq!(step.status, TargetStatus::Failed);
}
