//! Replacing one sealed text among other writers, and the walk that finds it.

use std::collections::BTreeSet;

use domain::{AttemptId, Holder};
use store::connections::{Lease, LeaseAsk};
use store::sealed::{Cursor, Replaced};
use store::{SealedText, SealedTexts};
use vault::Sealed;

use crate::desk::{Desk, NOW, at, sealed};
use crate::ground::{self, Fault, Rule};

fn texts(desk: &Desk) -> SealedTexts {
    let table = |noun: &str| ground::table(noun);
    SealedTexts::new(
        &desk.client,
        table("connections"),
        table("targets"),
        table("revocations"),
        table("flows"),
        table("webhookEndpoints"),
    )
}

/// Walks over all tables in pages of `limit`; the texts of these subjects.
async fn walk(desk: &Desk, limit: i32, subjects: &[&str]) -> Vec<SealedText> {
    let (texts, mut found) = (texts(desk), Vec::new());
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let page = texts.page(&cursor, limit).await.unwrap();
        found.extend(page.texts);
        next = page.next;
    }
    found.retain(|text| subjects.contains(&text.subject.as_str()));
    found
}

#[tokio::test]
async fn a_walk_in_pages_of_any_size_meets_every_text() {
    let desk = Desk::new("walk");
    let connection = desk.connected(&desk.user).await;
    let flow = desk.granted(&desk.user).await;
    let begun = desk.flow(&desk.user);
    desk.flows.put(&begun).await.unwrap();
    let pending = desk.pending(None);
    desk.revocations.put(&pending).await.unwrap();
    let subjects = [
        connection.connection_id.as_str(),
        flow.flow_id.as_str(),
        pending.revocation_id.as_str(),
        begun.flow_id.as_str(),
    ];
    for limit in [1, 3, 1_000] {
        let found = walk(&desk, limit, &subjects).await;
        let shown: BTreeSet<_> = found
            .iter()
            .map(|text| (text.subject.as_str(), text.sealed.as_bytes()))
            .collect();
        let verifier = sealed("verifier");
        let expected = BTreeSet::from([
            (subjects[0], connection.sealed.as_ref().unwrap().as_bytes()),
            (subjects[3], verifier.as_bytes()),
            (subjects[1], flow.grant.as_ref().unwrap().sealed.as_bytes()),
            (subjects[2], pending.sealed.as_bytes()),
        ]);
        assert_eq!(shown, expected, "pages of {limit}");
    }
    // Each is replaced where it lies, inside a map too.
    let texts = texts(&desk);
    for text in walk(&desk, 100, &subjects).await {
        let new = Sealed::from_bytes([text.sealed.as_bytes(), b" moved"].concat());
        assert_eq!(texts.replace(&text, &new).await.unwrap(), Replaced::Done);
    }
    let flow = desk.flows.get(&flow.flow_id, NOW).await.unwrap().unwrap();
    assert_eq!(flow.grant.unwrap().sealed, sealed("grant moved"));
    let begun = desk.flows.get(&begun.flow_id, NOW).await.unwrap().unwrap();
    assert_eq!(begun.sealed_verifier.unwrap(), sealed("verifier moved"));
    let now = desk.revocations.get(subjects[2]).await.unwrap().unwrap();
    assert_eq!(now.sealed, sealed("pending moved"));
}

/// The connection's text of this desk.
async fn of(desk: &Desk) -> SealedText {
    let id = desk.id_of(&desk.user);
    walk(desk, 100, &[id.as_str()]).await.remove(0)
}

async fn leased(desk: &Desk, holder: &Holder, attempt: &AttemptId) -> Lease {
    let ask = LeaseAsk {
        user: &desk.user,
        connection: &desk.id_of(&desk.user),
        seen: 1,
        if_due: false,
        holder,
        now: at(10),
        until: at(40),
        settled_before: at(0),
    };
    desk.connections.lease(&ask, attempt).await.unwrap()
}

#[tokio::test]
async fn a_text_that_was_replaced_meanwhile_is_left_alone() {
    let desk = Desk::new("overtaken");
    desk.connected(&desk.user).await;
    let text = of(&desk).await;
    let texts = texts(&desk);
    assert_eq!(
        texts.replace(&text, &sealed("a")).await.unwrap(),
        Replaced::Done
    );
    let late = texts.replace(&text, &sealed("b")).await.unwrap();
    assert_eq!(late, Replaced::Overtaken);
    assert_eq!(desk.connection(&desk.user).await.sealed, Some(sealed("a")));
    // What is gone does not come back.
    let text = of(&desk).await;
    let id = desk.id_of(&desk.user);
    desk.client
        .delete_item()
        .table_name(ground::table("connections"))
        .key("user_id", words(desk.user.as_str()))
        .key("connection_id", words(id.as_str()))
        .send()
        .await
        .unwrap();
    let late = texts.replace(&text, &sealed("c")).await.unwrap();
    assert_eq!(late, Replaced::Overtaken);
    assert!(
        desk.connections
            .get(&desk.user, &id)
            .await
            .unwrap()
            .is_none()
    );
}

fn words(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())
}

/// A lease whose answer got lost, and a replacement before the SDK asks again: the lease is still
/// recognised as its holder's own.
#[tokio::test]
async fn a_replacement_hides_no_first_try() {
    let desk = Desk::new("hides");
    let before = desk.connected(&desk.user).await;
    let (holder, attempt) = (desk.holder(), desk.attempt());
    assert!(matches!(
        leased(&desk, &holder, &attempt).await,
        Lease::Taken(_)
    ));
    let text = of(&desk).await;
    let done = texts(&desk).replace(&text, &sealed("moved")).await.unwrap();
    assert_eq!(done, Replaced::Done);
    let Lease::Taken(now) = leased(&desk, &holder, &attempt).await else {
        panic!("the lease was not recognised");
    };
    assert_eq!(now.sealed, Some(sealed("moved")));
    assert_eq!(now.token_version, before.token_version);
    assert_eq!(now.due_at, before.due_at);
}

#[tokio::test]
async fn a_replacement_whose_answer_is_lost_is_recognised() {
    let desk = Desk::of("rewrap-worker", "replaced");
    desk.connected(&desk.user).await;
    let text = of(&desk).await;
    let rule = Rule::on("dynamodb:UpdateItem")
        .by("rewrap-worker")
        .touching("Connections");
    let lost = ground::fault(rule, Fault::DropAfter);
    let done = texts(&desk).replace(&text, &sealed("moved")).await.unwrap();
    assert_eq!((done, lost.fired()), (Replaced::Done, 1));
}
