//! The record of a user: who may write it, what may stand in it, and what stays.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{USER, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_product_writes_a_users_record() {
    let world = World::new().await;
    let path = format!("/v1/users/{USER}");
    let put = async |body: Value, expected: StatusCode| {
        let call = world.backend.call(Method::PUT, &path, Some(body), expected);
        call.await.unwrap()
    };
    let get = async |expected| {
        let call = world.backend.call(Method::GET, &path, None, expected);
        call.await.unwrap()
    };
    get(StatusCode::NOT_FOUND).await;
    // Every field that breaks a rule, together; and nothing was written.
    let bad = json!({ "label": "", "email": "mara@example", "locale": "f_r", "time_zone": "Mars/Olympus" });
    let problem = put(bad, StatusCode::UNPROCESSABLE_ENTITY).await;
    let fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["field"].clone())
        .collect();
    assert_eq!(fields, ["label", "email", "locale", "time_zone"]);
    put(
        json!({ "e-mail": "a@b.example" }),
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    get(StatusCode::NOT_FOUND).await;

    let user = json!({
        "label": "Mara", "email": "mara@example.com", "locale": "fr", "time_zone": "Europe/Paris",
        "preferences": { "notices": false }, "listed": { "consent": true },
    });
    let made = put(user.clone(), StatusCode::CREATED).await;
    assert_eq!(
        made["preferences"],
        json!({ "reports": true, "notices": false })
    );
    let since = made["listed"]["since"].clone();
    assert!(
        since.is_string() && made["listed"]["consent"] == true,
        "{made}"
    );
    assert!(
        made["mail"]["next_at"]
            .as_str()
            .unwrap()
            .ends_with(":00:00Z"),
        "{made}"
    );
    // Consent repeated is as old as it was; what is left out is gone, but not what the user chose.
    let again = put(user, StatusCode::OK).await;
    assert_eq!(again["listed"]["since"], since);
    let less = put(json!({ "label": "Mara" }), StatusCode::OK).await;
    assert_eq!(less["email"], Value::Null);
    assert_eq!(less["mail"]["next_at"], Value::Null);
    assert_eq!(
        less["preferences"],
        json!({ "reports": true, "notices": false })
    );
    assert_eq!(less["listed"]["consent"], true);
    let ended = put(json!({ "listed": { "consent": false } }), StatusCode::OK).await;
    assert_eq!(ended["listed"], json!({ "consent": false, "since": null }));

    // A session says more of the user, and takes nothing away.
    let session = json!({
        "user_id": USER, "user_label": "Mara S.", "platform": "tiktok", "email": "mara@example.com",
        "preferences": { "notices": true },
    });
    world.backend.session(session).await.unwrap();
    let user = get(StatusCode::OK).await;
    assert_eq!(
        (&user["label"], &user["email"]),
        (&json!("Mara S."), &json!("mara@example.com"))
    );
    assert_eq!(
        user["preferences"],
        json!({ "reports": true, "notices": true })
    );

    // A user's own token may not.
    for method in [Method::GET, Method::PUT] {
        let body = (method == Method::PUT).then(|| json!({}));
        let call = world.user.call(method, &path, body, StatusCode::FORBIDDEN);
        call.await.unwrap();
    }
    world.end().await;
}
