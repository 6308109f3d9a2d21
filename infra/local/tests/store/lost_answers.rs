//! Writes whose answer is lost: the SDK sends them again, the table refuses them or has them done
//! already, and the caller learns that they stand, once.

use std::fmt::Debug;
use std::future::Future;

use domain::{ConnectionStatus, EventKind, MediaStatus, ReauthReason, TargetStatus};
use store::connections::{Commit, Confirmed, Ended, Lease, LeaseAsk, Lifetime};
use store::deliveries::{DeliveryState, Taken};
use store::media::Created;
use store::{BrowserSession, Mark, SessionLink, StoreError, Transacted, Written};

use crate::accounts::end_by;
use crate::desk::{Desk, NOW, at, sealed, trouble};
use crate::ground::{Fault, Rule, fault};
use crate::media::{create, file, key, post, stored};
use crate::targets::{progress, queued, told};

/// Whose calls lose their answers; no other test calls as this one.
const LOSER: &str = "sweeper";

/// Makes the write, whose first answer is lost.
async fn lost<T: Debug + PartialEq>(what: &str, write: impl Future<Output = T>, expected: T) {
    let lost = fault(Rule::on("dynamodb:").by(LOSER), Fault::DropAfter);
    assert_eq!(write.await, expected, "{what}");
    assert_eq!(lost.fired(), 1, "{what}");
}

/// Whether an optional outcome is there.
async fn some<T>(write: impl Future<Output = Result<Option<T>, StoreError>>) -> bool {
    write.await.unwrap().is_some()
}

#[tokio::test]
async fn a_lost_answer_is_no_lost_write_and_no_second_one() {
    // The setting is made by another desk, whose answers arrive.
    let (desk, loser) = (Desk::new("lost"), Desk::of(LOSER, "lost"));
    connecting(&desk, &loser).await;
    refreshing(&desk, &loser).await;
    posting(&desk, &loser).await;
    delivering(&loser).await;
}

async fn connecting(desk: &Desk, loser: &Desk) {
    let link = SessionLink {
        environment: None,
        hash: "lost-link".to_owned(),
        user_id: desk.user.clone(),
        user_label: "Label".to_owned(),
        return_to: None,
        platform: desk.account.platform,
        locale: None,
        expires_at: at(600),
        spent_at: None,
        spent_by: None,
    };
    desk.sessions.put_link(&link).await.unwrap();
    let session = BrowserSession {
        environment: None,
        hash: "lost-browser".to_owned(),
        user_id: desk.user.clone(),
        user_label: "Label".to_owned(),
        return_to: None,
        locale: None,
        expires_at: at(600),
    };
    let spend = loser
        .sessions
        .spend(&link, "cookie", &session, NOW, loser.attempt());
    lost("spend a link", spend, Ok(true)).await;

    let flow = desk.flow(&desk.user);
    desk.flows.put(&flow).await.unwrap();
    let (id, attempt) = (&flow.flow_id, loser.attempt());
    lost(
        "consume",
        some(loser.flows.consume(id, NOW, &attempt)),
        true,
    )
    .await;
    let (grant, attempt) = (desk.grant(), loser.attempt());
    let keep = loser.flows.granted(id, &grant, at(600), &attempt);
    lost("keep a grant", keep, Ok(true)).await;
    let confirm = loser.confirm(&flow, 0, NOW, loser.attempt());
    lost("confirm", confirm, Confirmed::Done).await;
    assert_eq!(
        desk.told(&desk.user, EventKind::ConnectionConnected).await,
        1
    );

    let unconfirmed = desk.granted(&desk.user).await;
    let owed = [desk.pending(None)];
    let abandon = loser.flows.abandon(
        &unconfirmed,
        &owed,
        &loser.revocations,
        at(601),
        loser.attempt(),
    );
    lost("abandon", abandon, Ok(true)).await;
    let attempt = loser.attempt();
    let take = async {
        let took = loser.revocations.take(&owed[0], at(99), &attempt).await;
        took.unwrap().map(|row| row.tries)
    };
    lost("take a revocation", take, Some(1)).await;
}

async fn refreshing(desk: &Desk, loser: &Desk) {
    let (seen, mine) = (desk.connection(&desk.user).await, loser.holder());
    let ask = |version| LeaseAsk {
        user: &seen.user_id,
        connection: &seen.connection_id,
        seen: version,
        if_due: false,
        holder: &mine,
        now: NOW,
        until: at(30),
        settled_before: NOW,
    };
    let take = async |version| {
        let lease = loser
            .connections
            .lease(&ask(version), &loser.attempt())
            .await;
        // A lease that is its own predecessor would look like one that was never given back.
        matches!(lease.unwrap(), Lease::Taken(row) if row.lease_abandoned_at.is_none())
    };
    lost("take a lease", take(1), true).await;
    let new = Commit {
        sealed: sealed("version 2"),
        seen: 1,
        scopes: Vec::new(),
        lifetime: Lifetime {
            issued_at: NOW,
            ..Lifetime::default()
        },
    };
    let commit = async {
        let attempt = loser.attempt();
        let written = loser.connections.commit(&seen, &mine, &new, &attempt).await;
        matches!(written.unwrap(), Written::Done(row) if row.token_version == 2)
    };
    lost("commit", commit, true).await;
    lost("take a lease again", take(2), true).await;
    let seen = desk.connection(&desk.user).await;
    let gone = desk.event(&desk.user, EventKind::ConnectionNeedsReauth);
    let (reason, fault) = (ReauthReason::GrantRevoked, trouble());
    let give_up = loser.connections.give_up(
        &seen,
        &mine,
        reason,
        &fault,
        &loser.events,
        &gone,
        loser.attempt(),
    );
    lost("give up", give_up, Ok(Transacted::Done)).await;
    let seen = desk.connection(&desk.user).await;
    assert_eq!(seen.status, ConnectionStatus::NeedsReauth);

    let holders = desk.accounts.get(&desk.account.key()).await.unwrap();
    let attempt = loser.attempt();
    let bar = loser.accounts.bar(&holders, NOW, at(45), &attempt);
    lost("bar", bar, Ok(true)).await;
    let end = end_by(loser, &seen, &holders, None, loser.attempt());
    lost("end", end, Ended::Done).await;
    let after = desk.accounts.get(&desk.account.key()).await.unwrap();
    assert_eq!(after.version, holders.version + 1, "left once");
}

async fn posting(desk: &Desk, loser: &Desk) {
    let media = file(desk, MediaStatus::Uploading);
    let once = key("lost-media", "request");
    let begin = loser.media.create(&media, Some(&once), loser.attempt());
    lost("begin a file", begin, Ok(Created::New)).await;
    let attempt = loser.attempt();
    let ready = loser.media.ready(&media, at(900), &attempt);
    lost("complete a file", some(ready), true).await;
    let spare = stored(desk, MediaStatus::Ready).await;
    let attempt = loser.attempt();
    lost(
        "delete a file",
        loser.media.deleted(&spare, &attempt),
        Ok(true),
    )
    .await;
    let files = [media];
    let (new, once) = (post(desk, NOW, &files), key("lost-post", "request"));
    let accept = create(loser, &new, &files, Some(&once));
    lost("accept a post", accept, Ok(Created::New)).await;

    let (seen, mine) = (queued(desk).await, loser.holder());
    let attempt = loser.attempt();
    let nudge = loser.targets.nudge(&seen, at(9), &attempt);
    lost("nudge", nudge, Ok(true)).await;
    let attempt = loser.attempt();
    let take = loser.targets.take(&seen, &mine, NOW, at(60), &attempt);
    lost("take a target", some(take), true).await;
    let attempt = loser.attempt();
    lost(
        "intend",
        some(loser.targets.intend(&seen, &mine, &attempt)),
        true,
    )
    .await;
    let event = told(desk, &seen);
    for (what, step, event) in [
        ("advance", 1, None),
        ("advance with an event", 2, Some((&loser.events, &event))),
    ] {
        let standing = desk.targets.get(&seen.post_id, &seen.target_id).await;
        let standing = standing.unwrap().unwrap();
        let mut next = progress(TargetStatus::Publishing, Some(at(60)));
        next.keep_until = Some(at(60));
        let advance = async {
            let (holder, attempt) = (Some(&mine), loser.attempt());
            let written = loser
                .targets
                .advance(&standing, holder, &next, NOW, event, attempt);
            written.await.unwrap().map(|item| item.step)
        };
        lost(what, advance, Some(step)).await;
    }
}

async fn delivering(loser: &Desk) {
    let wish = Mark {
        delivery_id: domain::DeliveryId::of(loser.account.platform, "lost"),
        platform: loser.account.platform,
        kind: "kind".to_owned(),
        state: DeliveryState::Processing,
        holder: Some(loser.holder()),
        lease_until: at(45),
        received_at: NOW,
        processed_at: None,
        tries: 0,
        external_id: None,
        account_key: None,
        fault: None,
    };
    let attempt = loser.attempt();
    let take = async {
        let taken = loser.deliveries.take(&wish, NOW, &attempt).await;
        matches!(taken.unwrap(), Taken::Yes(mark) if mark.tries == 1)
    };
    lost("take a delivery", take, true).await;
    let (state, attempt) = (DeliveryState::Applied, loser.attempt());
    let settle = loser.deliveries.settle_alone(&wish, state, NOW, &attempt);
    lost("settle", settle, Ok(true)).await;
    let (id, attempt) = (&wish.delivery_id, loser.attempt());
    let clear = loser.deliveries.clear(id, NOW, &attempt);
    lost("clear", clear, Ok(true)).await;
}
