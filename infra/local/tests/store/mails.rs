//! Mails are claimed once; addresses are stopped, and freed where that is right.

use std::sync::Arc;

use store::mails::Claim;
use store::suppressions::SuppressionReason;
use store::{MailState, Mails, Suppressions};

use crate::desk::{Desk, at};
use crate::ground::{Fault, Rule, fault, table};

const KEY: &str = "report#2026-W47";

struct Post {
    desk: Desk,
    mails: Mails,
}

impl Post {
    fn of(test: &str) -> Self {
        Self::by("upload", test)
    }

    /// With another function's credentials: faults are scripted for those.
    fn by(function: &str, test: &str) -> Self {
        let desk = Desk::of(function, test);
        let mails = Mails::new(desk.client.clone(), table("mails"));
        Self { desk, mails }
    }

    async fn claim(&self, secs: i64) -> Option<Claim> {
        let times = (at(secs), at(secs + 1_000));
        let attempt = self.desk.attempt();
        self.mails
            .claim(&self.desk.user, KEY, times, attempt)
            .await
            .unwrap()
    }

    async fn settle(&self, claim: &Claim, state: MailState) -> bool {
        let attempt = self.desk.attempt();
        self.mails
            .settle(claim, state, Some("m-1"), &attempt)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_mail_is_claimed_once_unless_it_was_surely_not_sent() {
    let post = Post::of("mails-once");
    let first = post.claim(0).await.unwrap();
    assert_eq!(post.claim(1).await, None, "its sender may have died");
    assert!(post.settle(&first, MailState::PutOff).await);
    let second = post.claim(2).await.unwrap();
    assert!(
        !post.settle(&first, MailState::Sent).await,
        "the claim is another's"
    );
    assert_eq!(post.claim(3).await, None);
    assert!(post.settle(&second, MailState::Sent).await);
    assert_eq!(post.claim(4).await, None);
    assert!(
        post.claim(1_002).await.is_some(),
        "a row past its time is none"
    );
    let third = Post::of("mails-never");
    let claim = third.claim(0).await.unwrap();
    third.settle(&claim, MailState::Refused).await;
    assert_eq!(third.claim(1).await, None);
}

#[tokio::test]
async fn of_many_at_once_one_has_the_claim() {
    let post = Arc::new(Post::of("mails-many"));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let post = Arc::clone(&post);
            tokio::spawn(async move { post.claim(0).await.is_some() })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    assert_eq!(won, 1);
}

/// The SDK's second try meets its own first one: the claim is had, and no mail is lost by it.
#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_had() {
    let post = Post::by("unsubscribe", "mails-lost");
    let lost = Rule::on("dynamodb:UpdateItem").by("unsubscribe").nth(1);
    let scripted = fault(lost, Fault::DropAfter);
    assert!(post.claim(0).await.is_some());
    drop(scripted);
    assert_eq!(post.claim(1).await, None);
}

#[tokio::test]
async fn bounces_can_be_freed_and_complaints_stay() {
    let desk = Desk::new("suppressions");
    let list = Suppressions::new(desk.client.clone(), table("MailSuppressions"));
    let hash = "5d41402abc4b2a76b9719d911017c592";
    let reason = async || list.get(hash).await.unwrap().map(|found| found.reason);
    assert_eq!(reason().await, None);
    assert!(list.free(hash).await.unwrap());
    let stop = async |reason: SuppressionReason, secs: i64| {
        let attempt = desk.attempt();
        list.stop(hash, reason, at(secs), &attempt).await.unwrap();
    };
    stop(SuppressionReason::Bounce, 0).await;
    assert_eq!(reason().await, Some(SuppressionReason::Bounce));
    assert!(list.free(hash).await.unwrap());
    assert_eq!(reason().await, None);
    stop(SuppressionReason::Bounce, 1).await;
    stop(SuppressionReason::Complaint, 2).await;
    stop(SuppressionReason::Bounce, 3).await;
    assert_eq!(reason().await, Some(SuppressionReason::Complaint));
    assert!(!list.free(hash).await.unwrap());
    assert_eq!(reason().await, Some(SuppressionReason::Complaint));
}
