//! Refreshes by every function that makes them, in every kind of trouble.

use super::*;

/// Who refreshes: the queue's worker, a publish whose token is refused, a disconnect or an erasure
/// whose access token has died, a sync whose token is refused.
const REFRESHERS: [&str; 5] = [
    "refresh-worker",
    "publish-worker",
    "connections",
    "insights-worker",
    "data-request-worker",
];

/// What befalls a refresh.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// The table takes nothing more: the tokens go by way of the rescue queue.
    CutOff,
    /// The connection ends while the platform answers: the new tokens are owed a revocation.
    Overtaken,
    /// The platform says that the grant is dead: an event.
    DeadGrant,
    /// The platform refuses the app: the breaker opens.
    AppRefused,
}

pub(super) async fn refreshing(world: &World) {
    use Trouble::{AppRefused, CutOff, DeadGrant, Overtaken};
    // TikTok tells whole seconds: the echo of one disconnect would end what is connected again in the
    // same second.
    world.settings(json!({ "webhooks_paused": true })).await;
    // By the schedule, and well.
    world.connect(USER).await;
    world.set_connection(USER, &[("due_at", 1)]).await;
    let before = number(&world.connection_item(USER).await, "token_version");
    world.stack.fire("token-refresh").await.unwrap();
    until_connection(world, USER, "the refresh", |row| {
        number(row, "token_version") > before
    })
    .await;
    disconnect(world, USER).await;

    for function in REFRESHERS {
        for trouble in [CutOff, Overtaken, DeadGrant, AppRefused] {
            let user = format!("{function}-{trouble:?}");
            world.connect(&user).await;
            // Its own first sync would meet what is scripted.
            until_connection(world, &user, "the first sync", |row| {
                number(row, "stats_ended_at") > 0
            })
            .await;
            script(world, function, trouble).await;
            tokio::join!(
                set_off(world, function, &user),
                befalls(world, function, trouble, &user),
            );
            world.stack.clear_faults();
            world.control(Method::DELETE, "/faults", json!({})).await;
            // The operator mends it; functions that run remember the breaker for a while.
            let closed = "open_until = :past";
            past(world, "platforms", "platform", "tiktok", closed).await;
            world.configure(json!({})).await;
            // Nobody stays on the account: the next disconnect must have something to revoke.
            if function == "data-request-worker" {
                super::people::until_erased(world, &user).await;
            } else {
                disconnect(world, &user).await;
            }
        }
    }
}

async fn script(world: &World, function: &str, trouble: Trouble) {
    let answer = |name: &str, value: &str| json!({ "endpoint": "token_refresh", name: value });
    match trouble {
        Trouble::CutOff => {
            // The first update of the row is the lease.
            let commits = Rule::on("dynamodb:UpdateItem")
                .by(function)
                .touching("Connections")
                .nth(2)
                .always();
            world
                .stack
                .fault(commits, Fault::error(500, "InternalServerError"));
        }
        Trouble::Overtaken => world.fault(answer("hold", "after")).await,
        Trouble::DeadGrant => world.fault(answer("error", "invalid_grant")).await,
        Trouble::AppRefused => world.fault(answer("error", "invalid_client")).await,
    }
}

/// Brings a function to refresh the connection of `user`.
async fn set_off(world: &World, function: &str, user: &str) {
    let connection = text(&world.connection_item(user).await, "connection_id");
    let api = world.backend.clone().on_behalf_of(user);
    match function {
        "refresh-worker" => {
            let wish = json!({ "user_id": user, "connection_id": connection });
            let sent = world.stack.send("refresh", &wish.to_string()).await;
            sent.unwrap();
        }
        "publish-worker" => {
            let media = api.upload(&world.file(40_000)).await.unwrap();
            world
                .fault(json!({ "endpoint": "init", "error": "access_token_invalid" }))
                .await;
            let post = json!({
                "text": "Soup night", "media": [media],
                "targets": [{ "connection_id": connection, "options": direct() }],
            });
            ask(&api, Method::POST, "/v1/posts", Some(post), 201).await;
        }
        "insights-worker" => {
            world
                .fault(json!({ "endpoint": "user_info", "error": "access_token_invalid" }))
                .await;
            ask(&api, Method::POST, "/v1/sync", Some(json!({})), 202).await;
        }
        "data-request-worker" => {
            world.set_connection(user, &[("expires_at", 1)]).await;
            let path = format!("/v1/users/{user}");
            ask(&world.backend, Method::DELETE, &path, None, 202).await;
        }
        _ => {
            world.set_connection(user, &[("expires_at", 1)]).await;
            disconnect(world, user).await;
        }
    }
}

/// Waits until the trouble has had its effect.
async fn befalls(world: &World, function: &str, trouble: Trouble, user: &str) {
    match trouble {
        Trouble::CutOff => called(world, function, "sqs:SendMessage", "RescueQueue").await,
        Trouble::Overtaken => {
            world.held("token_refresh").await;
            disconnect(world, user).await;
            world.release().await;
            called(world, function, "dynamodb:PutItem", "RevocationsTable").await;
        }
        // Its events do not last.
        Trouble::DeadGrant if function == "data-request-worker" => {
            called(world, function, "dynamodb:PutItem", "EventsTable").await;
        }
        Trouble::DeadGrant => {
            eventually("the event", SOON, || async {
                let told = world.events(user).await;
                Ok(told
                    .contains(&"connection.needs_reauth".to_owned())
                    .then_some(()))
            })
            .await
            .unwrap();
        }
        Trouble::AppRefused => {
            called(world, function, "dynamodb:UpdateItem", "PlatformsTable").await;
        }
    }
}
