//! Users: told of, changed by two at once, and found when their mails are due.

use store::users::DueMail;
use store::{User, due};

use crate::desk::{Desk, at};
use crate::ground::{Fault, Rule, fault};

#[tokio::test]
async fn a_user_is_changed_over_what_stands() {
    let desk = Desk::new("users");
    let users = &desk.users;
    assert_eq!(users.get(&desk.user).await.unwrap(), None);
    let known = users.change_known(&desk.user, at(0), &desk.entropy, |_| {});
    assert_eq!(known.await.unwrap(), None, "nobody is made by the way");
    let (old, new) = users
        .change(&desk.user, at(0), &desk.entropy, |user| {
            user.email = Some("a@b.example".to_owned());
            user.locale = Some("fr".to_owned());
            user.mail_due_at = Some(at(60));
        })
        .await
        .unwrap();
    assert_eq!(old, None);
    assert!(
        new.reports && new.notices,
        "wanted until somebody says otherwise"
    );
    let (old, newer) = users
        .change(&desk.user, at(1), &desk.entropy, |user| {
            user.locale = None;
            user.reports = false;
            user.listed_at = Some(at(1));
            user.mail_due_at = None;
        })
        .await
        .unwrap();
    assert_eq!(old, Some(new.clone()));
    let expected = User {
        locale: None,
        reports: false,
        listed_at: Some(at(1)),
        mail_due_at: None,
        updated_at: at(1),
        attempt: newer.attempt.clone(),
        ..new
    };
    assert_eq!(newer, expected);
    assert_eq!(users.get(&desk.user).await.unwrap(), Some(newer));
}

#[tokio::test]
async fn two_changes_at_once_are_both_made() {
    let desk = Desk::new("users-two");
    let other = Desk::of("connections", "users-two");
    let users = &desk.users;
    users
        .change(&desk.user, at(0), &desk.entropy, |_| {})
        .await
        .unwrap();
    let email = users.change(&desk.user, at(1), &desk.entropy, |user| {
        user.email = Some("a@b.example".to_owned());
    });
    let wishes = other
        .users
        .change(&desk.user, at(1), &other.entropy, |user| {
            user.reports = false;
        });
    let (email, wishes) = tokio::join!(email, wishes);
    email.unwrap();
    wishes.unwrap();
    let user = users.get(&desk.user).await.unwrap().unwrap();
    assert_eq!(
        (user.email.as_deref(), user.reports),
        (Some("a@b.example"), false)
    );
}

/// The write is made and its answer lost; the SDK's second try is refused, and is our own.
#[tokio::test]
async fn a_change_whose_answer_was_lost_is_made_once() {
    let desk = Desk::of("users", "users-lost");
    let lost = Rule::on("dynamodb:UpdateItem").by("users").nth(1);
    let scripted = fault(lost, Fault::DropAfter);
    let (old, _) = desk
        .users
        .change(&desk.user, at(0), &desk.entropy, |user| {
            user.label = Some(format!("{}x", user.label.as_deref().unwrap_or_default()));
        })
        .await
        .unwrap();
    drop(scripted);
    assert_eq!(old, None);
    let user = desk.users.get(&desk.user).await.unwrap().unwrap();
    assert_eq!(user.label.as_deref(), Some("x"));
}

#[tokio::test]
async fn due_mails_are_found_and_moved_once() {
    let desk = Desk::new("users-due");
    let users = &desk.users;
    let due_at = |secs: Option<i64>| {
        users.change(&desk.user, at(0), &desk.entropy, move |user| {
            user.mail_due_at = secs.map(at);
        })
    };
    due_at(Some(100)).await.unwrap();
    let shard = due::shard_of(desk.user.as_str());
    let found = async |secs: i64| {
        let rows = users.due_mails(&shard, at(secs), 1_000).await.unwrap();
        rows.into_iter().find(|row| row.user_id == desk.user)
    };
    assert_eq!(found(99).await, None);
    let row = found(100).await.unwrap();
    let expected = DueMail {
        user_id: desk.user.clone(),
        mail_due_at: at(100),
    };
    assert_eq!(row, expected);
    let moved = async |to: Option<i64>| {
        let to = to.map(at);
        users.move_mail(&row, to, &desk.attempt()).await.unwrap()
    };
    assert!(moved(Some(200)).await);
    assert!(!moved(Some(300)).await, "it was moved since it was seen");
    assert_eq!(found(199).await, None);
    assert_eq!(found(200).await.unwrap().mail_due_at, at(200));
    // Taken out of the index, and no longer found.
    due_at(None).await.unwrap();
    assert_eq!(found(9_999).await, None);
}
