//! A user who has left something everywhere is exported, shown, and erased.

use super::*;

/// Begins the erasure of `user`, or wakes the one that is open, and waits for its end.
pub(super) async fn until_erased(world: &World, user: &str) {
    crate::erase::erased(world, user).await;
}

pub(super) async fn leaving(world: &World) {
    let user = "user_leaves";
    let api = world.backend.clone().on_behalf_of(user);
    world.settings(json!({ "webhooks_paused": true })).await;
    world.connect(user).await;
    let row = world.connection_item(user).await;
    let connection = text(&row, "connection_id");
    until_connection(world, user, "the first sync", |row| {
        number(row, "stats_ended_at") > 0
    })
    .await;
    // A file that is whole, and one that is not.
    let media = api.upload(&world.file(40_000)).await.unwrap();
    let size = json!({ "size": 40_000 });
    ask(&api, Method::POST, "/v1/media", Some(size), 201).await;
    let post = json!({
        "text": "Soup night", "media": [media],
        "targets": [{ "connection_id": connection, "options": direct() }],
    });
    let post = ask(&api, Method::POST, "/v1/posts", Some(post), 201).await;
    let account = row["account"].as_m().unwrap()["id"].as_s().unwrap().clone();
    let plant = crate::erase::Plant {
        text: "planted",
        user,
        connection: &connection,
        account: &account,
    };
    plant.records(world).await;
    plant.deliveries(world).await;
    plant
        .letters(world, post["id"].as_str().unwrap(), &post)
        .await;
    // Mails are sent in this world alone.
    for whose in [user, "somebody-else"] {
        let letter = json!({ "user_id": whose, "at": 1 }).to_string();
        world.stack.send("MailsDeadLetters", &letter).await.unwrap();
    }
    plant.operators_act(world).await;
    plant.limits(world).await;
    plant.told(world).await;
    world.at_consent(user).await;
    at_confirm(world, user).await;
    plant.consent(world).await;

    let profile = format!("/v1/profiles/{user}");
    let shown = ask(&world.backend, Method::GET, &profile, None, 200).await;
    assert_eq!(shown["accounts"][0]["platform"], "tiktok");
    crate::erase::export(world, user).await;
    crate::erase::erased(world, user).await;
    let (left, ..) = world.stack.queue_depth("MailsDeadLetters").await.unwrap();
    assert_eq!(left, 1, "somebody else's");
    crate::erase::given_up(world, "user_gives_up").await;
    world.settings(json!({ "webhooks_paused": false })).await;
}
