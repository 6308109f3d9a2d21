//! Records: what a sync and a webhook tell of the account's media, as the product reads it.

use local::demo::api::Api;
use local::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::statistics::{connected, now_millis, sync};
use crate::world::{CLIENT_KEY, SOON, USER, World, number};

fn api(world: &World, user: &str, scopes: &[&str]) -> Api {
    let token = world.stack.mint_jwt(user, scopes).unwrap();
    Api::new(world.stack.api_url(), &token).unwrap()
}

async fn get(api: &Api, path: &str) -> Value {
    api.call(Method::GET, path, None, StatusCode::OK)
        .await
        .unwrap()
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["media_items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn media_items_are_listed_filtered_and_follow_the_platform() {
    let (world, connection) = connected().await;
    let own = api(&world, USER, &["records"]);
    let all = get(&own, "/v1/media-items").await;
    let newest = &all["media_items"][0];
    assert_eq!(ids(&all).len(), 2, "{all}");
    assert_eq!(
        (&newest["kind"], &newest["state"], &newest["title"]),
        (&json!("video"), &json!("visible"), &json!("Soup night"))
    );
    assert_eq!(newest["connection_id"], json!(connection));
    assert_eq!(newest["at"], "2026-01-01T00:01:40Z");
    assert_eq!(newest["figures"]["views"], 4_210);
    assert!(
        newest["figures"].get("saves").is_none(),
        "missing is missing"
    );
    // (12 likes + 3 comments + 0 shares) of 4,210 views, in hundredths of a percent.
    assert_eq!(newest["engagement_rate"], 35);

    let first = get(&own, "/v1/media-items?limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = get(&own, &format!("/v1/media-items?limit=1&cursor={cursor}")).await;
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&all));
    for (filter, count) in [
        ("platform=tiktok", 2),
        ("from=2026-01-01T00:01:00Z", 1),
        ("to=2026-01-01T00:01:00Z", 1),
        ("from=2026-01-02", 0),
        ("state=removed", 0),
        ("kind=video", 2),
        ("kind=story", 0),
        (&format!("connection={connection}"), 2),
    ] {
        let found = get(&own, &format!("/v1/media-items?{filter}")).await;
        assert_eq!(ids(&found).len(), count, "{filter}");
    }
    for (path, name) in [
        ("/v1/comments", "comments"),
        ("/v1/fans", "fans"),
        ("/v1/messages", "messages"),
        ("/v1/analytics-events", "analytics_events"),
    ] {
        assert_eq!(get(&own, path).await, json!({ name: [] }));
    }

    // What is another's does not exist, and a scope is needed.
    let other = api(&world, "user_other", &["records"]);
    assert_eq!(
        get(&other, "/v1/media-items").await,
        json!({ "media_items": [] })
    );
    let path = format!("/v1/media-items?connection={connection}");
    let absent = other.call(Method::GET, &path, None, StatusCode::NOT_FOUND);
    absent.await.unwrap();
    let stats = api(&world, USER, &["stats"]);
    let refused = stats.call(Method::GET, "/v1/media-items", None, StatusCode::FORBIDDEN);
    refused.await.unwrap();

    hidden_and_shown(&world, &own, ids(&all)[0]).await;

    // With the connection goes what was seen through it.
    let path = format!("/v1/connections/{connection}");
    world
        .backend
        .clone()
        .on_behalf_of(USER)
        .call(Method::DELETE, &path, None, StatusCode::OK)
        .await
        .unwrap();
    assert_eq!(
        get(&own, "/v1/media-items").await,
        json!({ "media_items": [] })
    );
    world.end().await;
}

/// A webhook hides an item that no post of ours made; the next sync, which lists it, shows it again.
async fn hidden_and_shown(world: &World, own: &Api, id: &str) {
    let account = world.connections(USER).await[0]["account"]["id"].clone();
    // Within the second of the first sync, whose end is then the fact's instant.
    let second = number(&world.connection_item(USER).await, "stats_read_at") / 1_000;
    let content = json!({ "publish_id": "v_pub_url~nobody", "post_id": id });
    let body = json!({
        "client_key": CLIENT_KEY, "event": "post.publish.no_longer_publicaly_available",
        "create_time": second, "user_openid": account,
        "content": content.to_string(),
    });
    let raw = json!({ "client_key": CLIENT_KEY, "body": body.to_string() });
    let answer = world.control(Method::POST, "/webhooks/raw", raw).await;
    assert_eq!(answer["status"], 200);
    let state = async |state: &str| {
        eventually(&format!("{id} {state}"), SOON, || async {
            let found = get(own, &format!("/v1/media-items?state={state}")).await;
            Ok(ids(&found).contains(&id).then_some(()))
        })
        .await
        .unwrap();
    };
    state("removed").await;
    eventually("the second's end", SOON, || async {
        Ok((now_millis() > (second + 1) * 1_000).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(sync(world).await["state"], "done");
    state("visible").await;
}
