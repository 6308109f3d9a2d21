//! Links and browsers; the breaker.

use domain::Platform;
use store::{BrowserSession, SessionLink};

use store::platforms::Ends;

use crate::desk::{Desk, NOW, at, trouble};

fn link(desk: &Desk, hash: &str) -> SessionLink {
    SessionLink {
        environment: None,
        hash: format!("{hash}-of-{}", desk.user),
        user_id: desk.user.clone(),
        user_label: "Label".to_owned(),
        return_to: None,
        platform: Platform::TikTok,
        locale: None,
        expires_at: at(600),
        spent_at: None,
        spent_by: None,
    }
}

fn browser(desk: &Desk, hash: &str) -> BrowserSession {
    BrowserSession {
        environment: None,
        hash: format!("{hash}-of-{}", desk.user),
        user_id: desk.user.clone(),
        user_label: "Label".to_owned(),
        return_to: None,
        locale: None,
        expires_at: at(3_600),
    }
}

#[tokio::test]
async fn a_link_is_spent_once_and_in_time() {
    let desk = Desk::new("spend");
    let link = link(&desk, "link");
    let spend = async |by: &str, session: &BrowserSession, secs, attempt| {
        let done = desk.sessions.spend(&link, by, session, at(secs), attempt);
        done.await.unwrap()
    };
    let (first, mine) = (desk.attempt(), browser(&desk, "mine"));
    assert!(!spend("me", &mine, 0, desk.attempt()).await, "never made");
    desk.sessions.put_link(&link).await.unwrap();
    // (which cookie, seconds, attempt, session, spent?): a double click aborts the first answer, so
    // the same browser may come back for a minute.
    let again = browser(&desk, "again");
    let (late, other) = (browser(&desk, "late"), browser(&desk, "other"));
    for (name, by, session, secs, attempt, spent) in [
        ("at its end", "me", &mine, 600, desk.attempt(), false),
        ("in time", "me", &mine, 0, first.clone(), true),
        ("the same try", "me", &mine, 0, first, true),
        ("another browser", "you", &other, 1, desk.attempt(), false),
        ("the same browser", "me", &again, 59, desk.attempt(), true),
        ("too late for that", "me", &late, 119, desk.attempt(), false),
    ] {
        assert_eq!(spend(by, session, secs, attempt).await, spent, "{name}");
        let opened = desk.sessions.browser(&session.hash, NOW).await.unwrap();
        assert_eq!(opened.is_some(), spent, "{name}");
        if spent {
            let stands = desk.sessions.link(&link.hash, NOW).await.unwrap().unwrap();
            assert!(stands.may_be_spent_by("me", at(secs)), "{name}");
            assert!(!stands.may_be_spent_by("you", at(secs)), "{name}");
        }
    }
}

#[tokio::test]
async fn of_ten_browsers_one_gets_the_link() {
    let desk = Desk::new("spend-race");
    let link = link(&desk, "link");
    desk.sessions.put_link(&link).await.unwrap();
    let sessions: Vec<_> = (0..10).map(|n| browser(&desk, &n.to_string())).collect();
    let all = sessions.iter().map(|session| {
        desk.sessions
            .spend(&link, &session.hash, session, NOW, desk.attempt())
    });
    let spent = futures_util::future::join_all(all).await;
    let winners: Vec<_> = (0..10).filter(|n| matches!(spent[*n], Ok(true))).collect();
    assert_eq!(winners.len(), 1, "{spent:?}");
    for (n, session) in sessions.iter().enumerate() {
        let opened = desk.sessions.browser(&session.hash, NOW).await.unwrap();
        assert_eq!(opened.is_some(), winners == [n]);
    }
}

#[tokio::test]
async fn past_their_time_sessions_count_as_absent() {
    let desk = Desk::new("expiry");
    let (link, session) = (link(&desk, "link"), browser(&desk, "browser"));
    desk.sessions.put_link(&link).await.unwrap();
    let spent = desk
        .sessions
        .spend(&link, "me", &session, NOW, desk.attempt());
    assert!(spent.await.unwrap());
    for (secs, link_there, session_there) in
        [(599, true, true), (600, false, true), (3_600, false, false)]
    {
        let found = desk.sessions.link(&link.hash, at(secs)).await.unwrap();
        assert_eq!(found.is_some(), link_there, "the link after {secs} s");
        let found = desk
            .sessions
            .browser(&session.hash, at(secs))
            .await
            .unwrap();
        assert_eq!(found.is_some(), session_there, "the browser after {secs} s");
    }
}

/// The only test that touches the breaker: there is one per platform.
#[tokio::test]
async fn a_breaker_opens_once_and_counts_its_trips() {
    let desk = Desk::new("breaker");
    let platform = Platform::TikTok;
    let closed = desk.platforms.breaker(platform).await.unwrap();
    assert_eq!((closed.open_until, closed.trips), (Default::default(), 0));
    let first = desk.attempt();
    // (attempt, when, until, opened?, trips then)
    for (name, attempt, secs, until, opened, trips) in [
        ("closed", first.clone(), 0, 300, true, 1),
        ("the same try", first, 0, 300, true, 1),
        ("open", desk.attempt(), 299, 900, false, 1),
        ("over", desk.attempt(), 300, 900, true, 2),
    ] {
        let until = at(until);
        let open = desk
            .platforms
            .open(platform, &trouble(), at(secs), until, &attempt)
            .await;
        assert_eq!(open.unwrap(), opened, "{name}");
        let breaker = desk.platforms.breaker(platform).await.unwrap();
        assert_eq!(breaker.trips, trips, "{name}");
        assert_eq!(breaker.fault, Some(trouble()), "{name}");
    }
    desk.platforms
        .close(platform, NOW, &desk.attempt())
        .await
        .unwrap();
    let breaker = desk.platforms.breaker(platform).await.unwrap();
    assert_eq!(
        (breaker.open_until, breaker.trips, breaker.fault),
        (NOW, 0, None)
    );
    // Ends of refreshes add up for ten minutes, and then begin anew.
    let ends = Ends {
        kept: 3,
        died: 1,
        down: 0,
    };
    for (secs, kept, died) in [
        (10, 3, 1),
        (20, 6, 2),
        (609, 9, 3),
        (610, 3, 1),
        (611, 6, 2),
    ] {
        let attempt = desk.attempt();
        let sums = desk.platforms.count(platform, ends, at(secs), &attempt);
        let sums = sums.await.unwrap();
        assert_eq!((sums.kept, sums.died, sums.down), (kept, died, 0), "{secs}");
    }
    // An opening forgets them; a doubt is noted once.
    let attempt = desk.attempt();
    let (now, until) = (at(1_000), at(1_100));
    let fault = trouble();
    let opened = desk.platforms.open(platform, &fault, now, until, &attempt);
    assert!(opened.await.unwrap());
    let attempt = desk.attempt();
    let sums = desk
        .platforms
        .count(platform, ends, at(1_001), &attempt)
        .await
        .unwrap();
    assert_eq!((sums.kept, sums.trips), (3, 1));
    for secs in [1_002, 1_003] {
        let attempt = desk.attempt();
        let noted = desk.platforms.hold(&sums, at(secs), &attempt);
        noted.await.unwrap();
        let held = desk.platforms.breaker(platform).await.unwrap().held_since;
        assert_eq!(held, at(1_002), "seen as it was before");
    }
}
