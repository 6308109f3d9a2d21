//! Ending connections: shared accounts, races, the platform's own word.

use local::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{CLIENT_KEY, SOON, USER, World, text};

async fn disconnect(world: &World, user: &str, connection: &str) -> Value {
    let api = world.backend.clone().on_behalf_of(user);
    let path = format!("/v1/connections/{connection}");
    api.call(Method::DELETE, &path, None, StatusCode::OK)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_holder_alone_revokes_and_the_api_says_so() {
    let world = World::new().await;
    let first = world.connect(USER).await;
    let second = world.connect("user_second").await;
    assert_ne!(first, second);

    let ended = disconnect(&world, USER, &first).await;
    assert_eq!(ended["status"], "disconnected");
    assert_eq!(ended["revocation"]["state"], "kept_for_other_connections");
    assert_eq!(world.calls("revoke").await, 0);
    assert_eq!(
        world.status_of("user_second", &second).await["status"],
        "active"
    );

    let ended = disconnect(&world, "user_second", &second).await;
    assert_eq!(ended["revocation"]["state"], "done");
    assert_eq!(world.calls("revoke").await, 1);
    // Again: nothing changes, the answer is the same.
    let again = disconnect(&world, "user_second", &second).await;
    assert_eq!(again["revocation"]["state"], "done");
    assert_eq!(world.calls("revoke").await, 1);
    for user in [USER, "user_second"] {
        assert_eq!(
            world.events(user).await,
            ["connection.connected", "connection.disconnected"],
            "{user}"
        );
    }
    let item = world.connection_item(USER).await;
    assert!(!item.contains_key("sealed"), "a tombstone holds no tokens");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_revoke_is_tried_again_by_the_sweeper() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    world
        .fault(json!({ "endpoint": "revoke", "error": "server_error", "times": 1 }))
        .await;
    let ended = disconnect(&world, USER, &id).await;
    assert_eq!(ended["revocation"]["state"], "pending");
    // Time passes: the row comes due.
    let row = world.items("revocations").await.remove(0);
    world.revocation_due(&row).await;
    world.stack.fire("sweeper").await.unwrap();
    assert_eq!(world.calls("revoke").await, 2);
    assert_eq!(
        world.connections(USER).await[0]["revocation"]["state"],
        "done"
    );
    assert!(world.items("revocations").await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_revoke_ended_is_not_revoked_again() {
    let world = World::new().await;
    world
        .fault(json!({ "endpoint": "revoke", "error": "server_error", "times": 2 }))
        .await;
    for _ in 0..2 {
        let id = world.connect(USER).await;
        let ended = disconnect(&world, USER, &id).await;
        assert_eq!(ended["revocation"]["state"], "pending");
    }
    let rows = world.items("revocations").await;
    assert_eq!((rows.len(), world.calls("revoke").await), (2, 2));
    for row in &rows {
        world.revocation_due(row).await;
    }
    world.stack.fire("sweeper").await.unwrap();
    // TikTok ends the app's hold on the person, and would refuse the tokens that died by it.
    assert_eq!(world.calls("revoke").await, 3);
    assert!(world.items("revocations").await.is_empty());
    assert_eq!(
        world.connections(USER).await[0]["revocation"]["state"],
        "done"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_during_a_refresh_is_not_undone_by_it() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    world
        .fault(json!({ "endpoint": "token_refresh", "hold": "after" }))
        .await;
    let wish = json!({ "user_id": USER, "connection_id": id }).to_string();
    world.stack.send("refresh", &wish).await.unwrap();
    world.held("token_refresh").await;
    disconnect(&world, USER, &id).await;
    world.release().await;
    // The new tokens are owed a revocation of their own, and get it.
    eventually("the late tokens' revocation", SOON, || async {
        world.stack.fire("sweeper").await?;
        Ok((world.calls("revoke").await >= 2).then_some(()))
    })
    .await
    .unwrap();
    let item = world.connection_item(USER).await;
    assert_eq!(text(&item, "status"), "disconnected");
    assert!(!item.contains_key("sealed"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_own_word_ends_every_connection_of_the_account() {
    let world = World::new().await;
    let first = world.connect(USER).await;
    let second = world.connect("user_second").await;
    let state = world.control(Method::GET, "/state", json!({})).await;
    let user = state["grants"][0]["user"]
        .as_str()
        .or(state["grants"][0]["username"].as_str());
    let user = user.expect("the stand-in names the creator").to_owned();
    let ask = json!({ "client_key": CLIENT_KEY, "user": user, "reason": 1 });
    world.control(Method::POST, "/disconnect", ask).await;
    eventually("both ends", SOON, || async {
        let one = world.status_of(USER, &first).await;
        let two = world.status_of("user_second", &second).await;
        Ok((one["status"] == "disconnected" && two["status"] == "disconnected").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(
        world.calls("revoke").await,
        0,
        "there is nothing left to revoke"
    );
    for user in [USER, "user_second"] {
        assert_eq!(
            world.events(user).await.last().unwrap(),
            "connection.disconnected"
        );
    }
    world.end().await;
}
